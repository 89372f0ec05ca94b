"""Where the n-gram embeddings of the tiny text encoder start: latent semantic analysis of the training calls.

A few hundred calls are too few to learn thousands of n-grams from labels: started at random, the network learns
the calls by heart before it learns what they have in common. Which n-grams go together is known without any
label. The embeddings are the leading right singular vectors of the calls' TF-IDF matrix (Deerwester et al. 1990),
scaled so that each direction varies alike over calls, and centred so that the commonest talk adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from callsift.errors import DataError
from callsift.network.encoders import HashedTextEncoder
from callsift.network.encoders.precomputed import PrecomputedEncoder
from callsift.network.model import CallNetwork
from callsift.training.batches import Example

_FLAT = 1e-9

MIN_CALLS = 2
"""An n-gram of fewer calls says nothing about others; it starts at zero, as one never seen does."""


def start_from_data(network: CallNetwork, examples: Sequence[Example]) -> None:
    """Set what is known before any label: the embeddings of n-grams, and the scales of precomputed streams."""
    start_text(network, examples)
    for stream in network.streams:
        encoder = network.encoders[stream]
        if isinstance(encoder, PrecomputedEncoder):
            encoder.start_from(*_scales(examples, stream, encoder.features))


def _scales(examples: Sequence[Example], stream: str, features: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (features,) of a stream over all states of all segments; missing numbers left out."""
    given = [
        each.values for e in examples for segment in e.inputs.segments if (each := segment.get(stream)) is not None
    ]
    if not given:
        raise DataError(f"no segment of the training part has the stream '{stream}'; see segments: streams")
    if odd := [each.shape[1] for each in given if each.shape[1] != features]:
        raise DataError(
            f"stream '{stream}' is {odd[0]} numbers wide in the data, and network.encoders.{stream}.features is "
            f"{features}"
        )
    values = np.concatenate(given).astype(np.float64)
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / counts
    spread = np.sqrt(np.where(known, np.square(values - mean), 0.0).sum(axis=0) / counts)
    spread[spread < _FLAT] = 1.0  # a number that never varies says nothing; it stays at zero
    return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(spread.astype(np.float32))


def start_text(network: CallNetwork, examples: Sequence[Example]) -> None:
    """Start the network's hashed text encoder, if it has one, from the calls it will be trained on."""
    encoder = network.encoders["text"] if "text" in network.streams else None
    if isinstance(encoder, HashedTextEncoder):
        embeddings = latent_embeddings(examples, encoder.embedding.num_embeddings, encoder.embedding.embedding_dim)
        if embeddings is not None:
            encoder.start_from(embeddings)


def latent_embeddings(examples: Sequence[Example], buckets: int, width: int) -> Tensor | None:
    """Embeddings (buckets, width) with a mean square of 1 over what is said; None where the calls are too few.

    Row 0, which stands for no n-gram, is zero.
    """
    rows, columns, counts = _counts(examples)
    calls = len(examples)
    found = np.bincount(columns, minlength=buckets)  # calls that have the n-gram
    kept = found[columns] >= MIN_CALLS
    rows, columns, counts = rows[kept], columns[kept], counts[kept]
    if min(len(set(rows.tolist())), len(set(columns.tolist()))) <= width:
        return None
    rarity = np.log((1 + calls) / (1 + found)) + 1  # (buckets,)
    weights = (1 + np.log(counts)) * rarity[columns]
    norms = np.sqrt(np.bincount(rows, weights**2, minlength=calls))
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([rows, columns])),
        torch.from_numpy(weights / norms[rows]),
        (calls, buckets),
        check_invariants=True,
    )
    _, singular, directions = torch.svd_lowrank(matrix, q=min(width + 10, calls), niter=6)
    usable = singular[:width].clamp(min=1e-6)
    embeddings = directions[:, :width].numpy() / usable.numpy() * rarity[:, None]  # (buckets, width)
    said = np.bincount(columns, counts, minlength=buckets)
    embeddings[said > 0] -= (said @ embeddings) / said.sum()
    embeddings[said == 0] = 0.0
    size = np.sqrt((said @ embeddings**2).sum() / said.sum() / width)
    return torch.from_numpy((embeddings / size).astype(np.float32))


def _counts(
    examples: Sequence[Example],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(call, n-gram, how often) of all that occurs."""
    found: list[NDArray[np.float64]] = []
    for call, example in enumerate(examples):
        texts = [text.values.ravel() for segment in example.inputs.segments if (text := segment.get("text"))]
        ids, counts = np.unique(np.concatenate(texts) if texts else np.zeros(0, np.int64), return_counts=True)
        real = ids != 0
        found.append(np.stack([np.full(real.sum(), call), ids[real], counts[real]]).astype(np.float64))
    rows, columns, counts = np.concatenate(found, axis=1)
    return rows.astype(np.int64), columns.astype(np.int64), counts
