"""Batches for the loop, made in this process, or ahead of time in data workers: the very same ones.

A batch is a function of the epoch and the calls in it, so that neither the number of workers nor how far ahead they
are changes what is learned.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from callsift.errors import CallsiftError, DataError, RecordingError, UsageError
from callsift.network.model import CallBatch
from callsift.training.batches import Example, TrainingSet, collate, collate_targets
from callsift.training.objective import TargetRows
from callsift.training.processes import die_with_parent, forking

_TOLD_S = 1.0

Key = tuple[int, tuple[int, ...]]
"""An epoch, and the calls of a batch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls, and what is asked about them: task → (R, K), with the item and the weight of every row."""

    calls: CallBatch
    targets: Mapping[str, Tensor]
    rows: TargetRows

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        targets = {task: target.to(device) for task, target in self.targets.items()}
        rows = TargetRows(self.rows.items.to(device), self.rows.weights.to(device))
        return Batch(self.calls.to(device), targets, rows)


def make_batch(
    examples: Sequence[Example], streams: Sequence[str], weights: Sequence[NDArray[np.float32]] | None = None
) -> Batch:
    """Examples as a batch. `weights`: of their rows, where they are not the examples' own."""
    firsts = np.cumsum([0, *(len(example.items) for example in examples)])
    items = np.concatenate([first + e.rows for first, e in zip(firsts, examples, strict=False)])
    counted = np.concatenate([e.weights for e in examples] if weights is None else list(weights))
    rows = TargetRows(torch.from_numpy(items), torch.from_numpy(counted))
    return Batch(collate(examples, streams), collate_targets(examples), rows)


class _Batches(Dataset[Any]):
    """Key → batch; a call that fails gives its error in the batch's place, to be raised where it is waited for."""

    def __init__(self, train: TrainingSet, streams: Sequence[str], weights: Sequence[NDArray[np.float32]]) -> None:
        self.train = train
        self.streams = streams
        self.weights = weights

    def __getitem__(self, key: Key) -> Batch | CallsiftError | None:
        epoch, calls = key
        if not calls:
            return None
        try:
            examples = [self.train.example(at, epoch) for at in calls]
        except RecordingError as error:
            return DataError(f"a training call can no longer be prepared: {error}")
        except CallsiftError as error:
            return error
        return make_batch(examples, self.streams, [self.weights[at] for at in calls])


class Loader:
    """The batches of a training part. Close it: its workers end then.

    Args:
        train: what is learned from.
        streams: those that the network reads.
        weights: of the rows of each call, (R,).
        workers: processes that make batches; 0: this one does.
    """

    def __init__(
        self,
        train: TrainingSet,
        streams: Sequence[str],
        weights: Sequence[NDArray[np.float32]],
        workers: int,
    ) -> None:
        self._batches = _Batches(train, tuple(streams), weights)
        self._keys: list[Key] = []
        self._forked = False
        self._loader = _workers(self._batches, self._keys, workers) if workers else None

    def batches(self, epoch: int, calls: Sequence[Sequence[int]]) -> Iterator[Batch | None]:
        """The batches of an epoch, one for each list of calls; None for an empty list.

        Raises:
            CallsiftError: a call can't be made. See also `worker_errors`.
        """
        self._keys[:] = [(epoch, tuple(each)) for each in calls]
        for found in self._made():
            if isinstance(found, CallsiftError):
                raise found
            yield found

    def _made(self) -> Iterator[Batch | CallsiftError | None]:
        if self._loader is None:
            yield from map(self._batches.__getitem__, self._keys)
            return
        with nullcontext() if self._forked else forking():
            self._forked = True
            found = iter(self._loader)
        try:
            yield from found
        except (ConnectionError, EOFError) as error:
            time.sleep(_TOLD_S)  # the system's word that a worker died may come after its connection broke
            raise UsageError(f"a data worker died: {error}; set fit.data_workers=0 to see why") from error

    def close(self) -> None:
        """End the workers."""
        workers: Any = None if self._loader is None else self._loader._iterator
        if workers is not None:
            workers._shutdown_workers()  # at once, not when the last traceback lets go of them
        self._loader = None


def _workers(batches: _Batches, keys: list[Key], count: int) -> DataLoader[Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)  # more workers than cores
        return DataLoader(
            batches,
            batch_size=None,
            sampler=keys,
            num_workers=count,
            collate_fn=_as_it_is,
            worker_init_fn=_begin_worker,
            multiprocessing_context="fork",  # a training set need not be picklable, and is not copied
            persistent_workers=True,
            generator=torch.Generator(),  # its own: the seeds that it draws for workers are nobody's
        )


@contextmanager
def worker_errors() -> Iterator[None]:
    """Say that a data worker died, whatever this process was doing when it heard of it.

    Raises:
        UsageError: one died.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error).startswith("DataLoader worker"):
            raise UsageError(f"{error}: it made batches; set fit.data_workers lower if memory ran out") from error
        raise


def _as_it_is(batch: Any) -> Any:
    return batch


def _begin_worker(_: int) -> None:
    die_with_parent()
