"""Prepared calls as tensors: examples, and batches of unequal calls with true masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from callsift.labels import LabelScheme
from callsift.network.model import CallBatch
from callsift.types import CallInputs, Label, PreparedCall, StreamInput, Target


@dataclass(frozen=True, slots=True)
class Rows:
    """Which item each row of an example's targets is about, (R,), and how much it counts, (R,)."""

    items: NDArray[np.int64]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Example:
    """A call to learn from, with what is asked about it: one item, the call, or one item per segment.

    `items`: the segments' ids, or ("",) for the call itself. `labels`: of the items, None where unlabelled.
    `targets`: task → (R, K), the classes that each row leaves open, or the number. A row is an item; or one rater's
    vote on it, of which an item may have several.
    """

    inputs: CallInputs
    items: tuple[str, ...]
    labels: tuple[Label | None, ...]
    targets: Mapping[str, NDArray[Any]]
    given: Rows | None = None
    """None: one row per item, each with a label counting once."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """(R,), the item that each row of the targets is about."""
        return np.arange(len(self.items)) if self.given is None else self.given.items

    @property
    def weights(self) -> NDArray[np.float32]:
        """(R,), how much each row counts in the training loss; 0 where there is no label."""
        if self.given is None:
            return np.array([label is not None for label in self.labels], dtype=np.float32)
        return self.given.weights

    @property
    def size(self) -> int:
        """Frames and tokens of all segments: how much work the call is."""
        given = (stream for segment in self.inputs.segments for stream in segment.values())
        return sum(len(stream.values) for stream in given if stream is not None)

    @property
    def labelled(self) -> int:
        """Items with a label."""
        return sum(label is not None for label in self.labels)


class TrainingSet(Protocol):
    """What a training learns from. A call may look different in every epoch; its labels and its size don't."""

    @property
    def examples(self) -> Sequence[Example]:
        """The calls as they are."""
        ...

    def example(self, at: int, epoch: int) -> Example:
        """Call `at` as epoch `epoch` (from 0) sees it: the same for the same two, in any process."""
        ...


@dataclass(frozen=True, slots=True)
class PlainSet:
    """Calls that look the same in every epoch."""

    examples: Sequence[Example]

    def example(self, at: int, epoch: int) -> Example:
        """Call `at`."""
        return self.examples[at]


def make_example(
    inputs: CallInputs, prepared: PreparedCall, scheme: LabelScheme, target: Target, *, votes: bool = False
) -> Example:
    """A prepared call with the labels that `target` says: its own, or its segments'.

    `votes`: of a call that several raters graded, a row of targets for each, which together count once.
    """
    if target == "call":
        example = labelled_example(inputs, {"": prepared.call.label}, scheme)
        return with_votes(example, [vote.label for vote in prepared.call.labels], scheme) if votes else example
    return labelled_example(inputs, {segment.segment_id: segment.label for segment in prepared.segments}, scheme)


def labelled_example(inputs: CallInputs, labels: Mapping[str, Label | None], scheme: LabelScheme) -> Example:
    """A call's inputs with the label of every item, by segment id; the call itself is ""."""
    found = [scheme.target(label) for label in labels.values()]
    targets = {task: np.stack([each[task] for each in found]) for task in found[0]}
    return Example(inputs, tuple(labels), tuple(labels.values()), targets)


def with_votes(example: Example, votes: Sequence[Label], scheme: LabelScheme) -> Example:
    """An example of a call with every rater's label in the place of the call's own; unchanged without any."""
    if not votes:
        return example
    found = [scheme.target(label) for label in votes]
    count = len(found)
    rows = Rows(np.zeros(count, np.int64), np.full(count, 1 / count, np.float32))
    return replace(example, targets={task: np.stack([each[task] for each in found]) for task in found[0]}, given=rows)


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
    """Task → the targets of all rows (R, K), example by example; without votes the rows are the items."""
    return {task: np.concatenate([e.targets[task] for e in examples]) for task in examples[0].targets}


def collate_targets(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Task → (R, K): what `stacked` gives, as tensors."""
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


def epoch_batches(
    examples: Sequence[Example],
    batch_calls: int,
    seed: int,
    epoch: int,
    *,
    sizes: Sequence[int] | None = None,
    chances: NDArray[np.float64] | None = None,
) -> list[list[int]]:
    """Indices of every batch of an epoch; the same for the same seed and epoch.

    Calls of like size share a batch, among a random pick of eight batches' worth: less padding, still mixed.

    Args:
        examples: what there is to learn from.
        batch_calls: calls per batch.
        seed, epoch: what the order depends on.
        sizes: of the examples, where they are known already.
        chances: of each call; as many are then drawn as there are, and put back. Without them each comes once.
    """
    random = np.random.default_rng((seed, epoch))
    count = len(examples)
    order = random.permutation(count) if chances is None else random.choice(count, count, p=chances)
    work = [example.size for example in examples] if sizes is None else sizes
    pool = 8 * batch_calls
    batches: list[list[int]] = []
    for first in range(0, count, pool):
        part = sorted(order[first : first + pool], key=lambda at: work[at])
        batches += [[int(at) for at in part[i : i + batch_calls]] for i in range(0, len(part), batch_calls)]
    return [batches[at] for at in random.permutation(len(batches))]
