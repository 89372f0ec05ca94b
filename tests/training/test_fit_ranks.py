"""Several processes, data workers, and what happens when one of them fails."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from callsift.config import FitConfig
from callsift.errors import ConfigError, DataError, ErrorCode, RecordingError, UsageError
from callsift.labels import load_scheme
from callsift.network.model import CallNetwork, build_network
from callsift.training.batches import Example, PlainSet, TrainingSet, labelled_example
from callsift.training.fit import device_of, fit
from callsift.training.loader import Loader
from callsift.training.objective import Objective
from callsift.types import CallInputs, StreamInput

SCHEME = load_scheme("donation")
CONFIG = FitConfig(epochs=2, batch_calls=4, accumulate=2, learning_rate=3e-3, warmup=0.0)


def call(at: int, label: str | None = None) -> Example:
    """A call of two to four rounds of text."""
    random = np.random.default_rng(at)
    rounds = [random.integers(1, 64, (int(random.integers(2, 7)), 4)) for _ in range(2 + at % 3)]
    inputs = CallInputs(f"call-{at}", tuple({"text": StreamInput(ids)} for ids in rounds))
    return labelled_example(inputs, {"": label}, SCHEME)


def calls(count: int) -> list[Example]:
    """Labelled calls, every fifth of which is without label."""
    return [call(at, None if at % 5 == 4 else ("yes", "no")[at % 2]) for at in range(count)]


def network(**changes: Any) -> CallNetwork:
    """A small network of text alone, without anything random."""
    torch.manual_seed(0)
    still = {"dropout": 0.0, "token_dropout": 0.0, "head_dropout": 0.0, "modality_dropout": 0.0}
    return build_network(
        classes=SCHEME.class_counts, streams=("text",), text_buckets=64, embedding_width=8, width=8, heads=2,
        feed_forward=8, hidden=4, bottleneck_layers=1, tokens=2, **{**still, **changes},
    )  # fmt: skip


def trained(
    folder: Path, train: TrainingSet | Sequence[Example], config: FitConfig = CONFIG, **changes: Any
) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """The weights that a training ends in, and its history without times."""
    found = network(**changes)
    fitted = fit(found, train, [call(90, "yes"), call(91, "no")], Objective(SCHEME, config), config, folder)
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in fitted.history]
    return {name: value.clone() for name, value in found.state_dict().items()}, history


@dataclass(frozen=True)
class Varied:
    """A call looks different in every epoch; `breaks`: what happens when the third is made in epoch 1."""

    examples: Sequence[Example]
    breaks: Callable[[], None] = lambda: None

    def example(self, at: int, epoch: int) -> Example:
        if (at, epoch) == (2, 1):
            self.breaks()
        random = np.random.default_rng((at, epoch))
        segments = tuple(
            {"text": StreamInput(np.where(random.random(s["text"].values.shape) < 0.3, 1, s["text"].values))}  # type: ignore[union-attr]
            for s in self.examples[at].inputs.segments
        )
        return replace(self.examples[at], inputs=replace(self.examples[at].inputs, segments=segments))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_learn_what_one_does(processes: int, tmp_path: Path) -> None:
    """Uneven parts: batches of 4, 4, 4 and 1 call, some of them without label, shared by two and by three."""
    alone, history = trained(tmp_path / "one", calls(13))
    together, theirs = trained(tmp_path / "more", calls(13), CONFIG.model_copy(update={"processes": processes}))
    apart = max(float((value - together[name]).abs().max()) for name, value in alone.items())
    moved = max(float((value - alone[name]).abs().max()) for name, value in network().state_dict().items())
    assert apart < 1e-5
    assert moved > 1e-3
    for one, other in zip(history, theirs, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert not multiprocessing.active_children()


def test_a_process_without_any_label_does_not_hang(tmp_path: Path) -> None:
    """Batches of one call: the second process has nothing to do, and the first sometimes no label."""
    config = CONFIG.model_copy(update={"batch_calls": 1, "accumulate": 1, "epochs": 1})
    alone, _ = trained(tmp_path / "one", calls(5), config)
    together, _ = trained(tmp_path / "two", calls(5), config.model_copy(update={"processes": 2}))
    assert max(float((value - together[name]).abs().max()) for name, value in alone.items()) < 1e-5


def test_processes_work_with_several_threads_and_workers(tmp_path: Path) -> None:
    """A fork leaves OpenMP's threads behind: without care this waits for ever."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.randn(300, 300) @ torch.randn(300, 300)
        config = CONFIG.model_copy(update={"processes": 2, "data_workers": 1, "epochs": 1})
        _, history = trained(tmp_path, Varied(calls(9)), config)
    finally:
        torch.set_num_threads(before)
    assert len(history) == 1


def test_the_first_process_alone_tells_and_its_errors_end_all(tmp_path: Path) -> None:
    told = []

    class StopError(Exception):
        pass

    def stop(row: object) -> None:
        told.append((os.getpid(), row))
        raise StopError

    config = CONFIG.model_copy(update={"processes": 2})
    with pytest.raises(StopError):
        fit(network(), calls(9), calls(2), Objective(SCHEME, config), config, tmp_path, on_epoch=stop)
    assert [pid for pid, _ in told] == [os.getpid()]
    assert not multiprocessing.active_children()


def fail() -> None:
    raise RecordingError(ErrorCode.UNREADABLE, "call-2: the recording is gone")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_elsewhere() -> None:
    if multiprocessing.parent_process() is not None:
        die()


@pytest.mark.parametrize("settings", [{"data_workers": 2}, {"processes": 2}, {}])
def test_a_call_that_fails_is_told_in_one_sentence(settings: dict[str, int], tmp_path: Path) -> None:
    config = CONFIG.model_copy(update=settings)
    with pytest.raises(DataError, match=r"^a training call can no longer be prepared: call-2: the recording is gone$"):
        trained(tmp_path, Varied(calls(9), fail), config)
    assert not [child for child in multiprocessing.active_children() if "rank" in child.name]


def test_a_worker_that_dies_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"DataLoader worker .*set fit.data_workers lower"):
        trained(tmp_path, Varied(calls(9), die_elsewhere), CONFIG.model_copy(update={"data_workers": 1}))


def test_a_process_that_dies_is_told(tmp_path: Path) -> None:
    def die_in_the_second() -> None:
        if "rank 1" in multiprocessing.current_process().name:
            die()

    config = CONFIG.model_copy(update={"processes": 2, "batch_calls": 8})
    with pytest.raises(UsageError, match=r"process 1 of fit.processes ended \(exit code -9\)"):
        for first in range(9):  # one of the orders gives call 2 to the second process
            trained(
                tmp_path / str(first), Varied(calls(9), die_in_the_second), config.model_copy(update={"seed": first})
            )


def test_workers_make_the_very_same_batches(tmp_path: Path) -> None:
    found = []
    for workers in (0, 2):
        loader = Loader(Varied(calls(9)), ("text",), [e.weights for e in calls(9)], workers)
        found.append([list(loader.batches(epoch, [[3, 1, 4], [], [0, 8], [5]])) for epoch in (0, 3)])
        loader.close()
    for one, other in zip(found[0][0] + found[0][1], found[1][0] + found[1][1], strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert all(
                torch.equal(a, b) for a, b in zip(one.calls.streams["text"], other.calls.streams["text"], strict=True)
            )
            assert same(dict(one.targets), dict(other.targets))
            assert torch.equal(one.rows.weights, other.rows.weights)
    text = [batches[0].calls.streams["text"][0] for batches in found[0] if batches[0] is not None]
    assert not torch.equal(*text)  # another epoch, another variation


def test_workers_change_no_weight(tmp_path: Path) -> None:
    """Dropout draws the same numbers too."""
    alone, _ = trained(tmp_path / "none", Varied(calls(9)), dropout=0.3, token_dropout=0.2)
    made, _ = trained(
        tmp_path / "two",
        Varied(calls(9)),
        CONFIG.model_copy(update={"data_workers": 2}),
        dropout=0.3,
        token_dropout=0.2,
    )
    assert same(alone, made)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"device": "cuda"}, "torch sees no GPU"), ({"precision": "fp16"}, "'fp16', which needs a GPU")],
)
def test_what_this_machine_can_not_do(settings: dict[str, str], message: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match=message):
        device_of(FitConfig.model_validate(settings))


def test_bf16_learns(tmp_path: Path) -> None:
    plain, _ = trained(tmp_path / "fp32", PlainSet(calls(9)))
    found, history = trained(tmp_path / "bf16", PlainSet(calls(9)), CONFIG.model_copy(update={"precision": "bf16"}))
    assert all(value.dtype == plain[name].dtype for name, value in found.items())
    assert not same(plain, found)
    assert np.isfinite([row["train_loss"] for row in history]).all()
