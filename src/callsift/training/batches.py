"""Prepared calls as tensors: examples, and batches of unequal calls with true masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from callsift.labels import LabelScheme
from callsift.network.model import CallBatch
from callsift.types import CallInputs, Label, PreparedCall, StreamInput, Target


@dataclass(frozen=True, slots=True)
class Example:
    """A call to learn from, with what is asked about it: one item, the call, or one item per segment.

    `items`: the segments' ids, or ("",) for the call itself. `labels`: of the items, None where unlabelled.
    `targets`: task → (items, K), the classes that each label leaves open, or the number.
    """

    inputs: CallInputs
    items: tuple[str, ...]
    labels: tuple[Label | None, ...]
    targets: Mapping[str, NDArray[Any]]

    @property
    def size(self) -> int:
        """Frames and tokens of all segments: how much work the call is."""
        given = (stream for segment in self.inputs.segments for stream in segment.values())
        return sum(len(stream.values) for stream in given if stream is not None)

    @property
    def labelled(self) -> int:
        """Items with a label."""
        return sum(label is not None for label in self.labels)


def make_example(inputs: CallInputs, prepared: PreparedCall, scheme: LabelScheme, target: Target) -> Example:
    """A prepared call with the labels that `target` says: its own, or its segments'."""
    if target == "call":
        return labelled_example(inputs, {"": prepared.call.label}, scheme)
    return labelled_example(inputs, {segment.segment_id: segment.label for segment in prepared.segments}, scheme)


def labelled_example(inputs: CallInputs, labels: Mapping[str, Label | None], scheme: LabelScheme) -> Example:
    """A call's inputs with the label of every item, by segment id; the call itself is ""."""
    found = [scheme.target(label) for label in labels.values()]
    targets = {task: np.stack([each[task] for each in found]) for task in found[0]}
    return Example(inputs, tuple(labels), tuple(labels.values()), targets)


def collate(examples: Sequence[Example], streams: Sequence[str]) -> CallBatch:
    """Examples → a CallBatch of B calls; a stream that no segment has is left out."""
    segments = [segment for example in examples for segment in example.inputs.segments]
    longest = max(len(example.inputs.segments) for example in examples)
    mask = torch.zeros(len(examples), longest, dtype=torch.bool)
    for row, example in enumerate(examples):
        mask[row, : len(example.inputs.segments)] = True
    padded = {name: _padded([segment.get(name) for segment in segments]) for name in streams}
    return CallBatch({name: stream for name, stream in padded.items() if stream is not None}, mask)


def stacked(examples: Sequence[Example]) -> dict[str, NDArray[Any]]:
    """Task → the targets of all items (M, K), example by example."""
    return {task: np.concatenate([e.targets[task] for e in examples]) for task in examples[0].targets}


def collate_targets(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Task → (M, K): what `stacked` gives, as tensors."""
    return {task: torch.from_numpy(found) for task, found in stacked(examples).items()}


def _padded(streams: Sequence[StreamInput | None]) -> tuple[Tensor, Tensor, Tensor] | None:
    """Streams of N segments → values (N, L, ...), mask (N, L), present (N,)."""
    given = [stream.values for stream in streams if stream is not None and len(stream.values)]
    if not given:
        return None
    length = max(len(values) for values in given)
    shape = (len(streams), length, *given[0].shape[1:])
    # Kept features stay as they are until a group of segments is computed with: a batch of them is large.
    padded = np.zeros(shape, dtype=np.result_type(*{values.dtype for values in given}))
    mask = np.zeros(shape[:2], dtype=np.bool_)
    for row, stream in enumerate(streams):
        if stream is not None:
            padded[row, : len(stream.values)] = stream.values
            mask[row, : len(stream.values)] = True
    present = mask.any(axis=1)
    return torch.from_numpy(padded), torch.from_numpy(mask), torch.from_numpy(present)


def epoch_batches(examples: Sequence[Example], batch_calls: int, seed: int, epoch: int) -> list[list[int]]:
    """Indices of every batch of an epoch; the same for the same seed and epoch.

    Calls of like size share a batch, among a random pick of eight batches' worth: less padding, still mixed.
    """
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(len(examples))
    pool = 8 * batch_calls
    batches: list[list[int]] = []
    for first in range(0, len(order), pool):
        part = sorted(order[first : first + pool], key=lambda at: examples[at].size)
        batches += [[int(at) for at in part[i : i + batch_calls]] for i in range(0, len(part), batch_calls)]
    return [batches[at] for at in random.permutation(len(batches))]
