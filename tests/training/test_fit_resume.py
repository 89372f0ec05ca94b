"""A training that is killed at any instant ends, resumed, in the very weights of one that was not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from callsift.config import FitConfig
from callsift.errors import DataError
from callsift.files import read_jsonl
from callsift.training.fit import Fitted, fit
from callsift.training.objective import Objective
from tests.training.test_fit_ranks import SCHEME, call, calls, network, same

CONFIG = FitConfig(
    epochs=3, batch_calls=2, accumulate=2, learning_rate=3e-3, ema=0.9, checkpoint_s=0, sampling="balanced"
)
"""Three steps an epoch."""


def train(folder: Path, config: FitConfig = CONFIG, **named: Any) -> Fitted:
    """Calls to learn from, with dropout, an average of the weights and balanced draws."""
    found = network(dropout=0.3, token_dropout=0.2, head_dropout=0.3)
    fitted = fit(
        found, calls(11), [call(90, "yes"), call(91, "no")], Objective(SCHEME, config), config, folder, resume=True,
        **named,
    )  # fmt: skip
    torch.save(found.state_dict(), folder / "final.pt")
    return fitted


def killed(work: Callable[[], Any]) -> bool:
    """Run in a forked process; was it killed?"""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def kill_at(patch: pytest.MonkeyPatch, module: str, owner: str, name: str, count: int) -> None:
    """Let the process kill itself in place of the `count`-th call of something."""
    place: Any = import_module(module)
    place = getattr(place, owner) if owner else place
    ours, seen = getattr(place, name), [0]

    def deadly(*given: Any, **named: Any) -> Any:
        seen[0] += 1
        if seen[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return ours(*given, **named)

    patch.setattr(place, name, deadly)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    return folder


def check_same_end(folder: Path, whole: Path) -> None:
    for name in ("checkpoints/best/network.safetensors", "checkpoints/last/state.safetensors"):
        assert same(load_file(whole / name), load_file(folder / name)), name
    assert same(torch.load(whole / "final.pt"), torch.load(folder / "final.pt"))
    rows = [
        [{key: value for key, value in row.items() if key != "seconds"} for _, row in read_jsonl(at / "log.jsonl")]
        for at in (whole, folder)
    ]
    assert rows[0] == rows[1]
    assert not list((folder / "checkpoints").glob("*/.*"))
    assert events(folder) == [1, 2, 3]


def events(folder: Path) -> list[int]:
    """The steps in TensorBoard's files, as its own reader sees them."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    files = list((folder / "tensorboard").iterdir())
    assert len(files) == 1
    return [event.step for event in EventFileLoader(str(files[0])).Load() if event.HasField("summary")]


# Where a process is killed: before the n-th call of what writes. An epoch saves its state four times (after each step,
# and at its end), beside the best weights if it is better, then the logs.
INSTANTS = {
    "the first step": ("fit", "", "take_step", 1),
    "the second epoch's second step": ("fit", "", "take_step", 5),
    "best written, not the state": ("course", "", "save_state", 4),
    "the state written, best not in its place": ("checkpoint", "BestWeights", "settle", 2),
    "the state written, not the log": ("logs", "", "write_jsonl", 2),
    "the state half written": ("checkpoint", "", "save_file", 3),
}


@pytest.mark.parametrize("instant", INSTANTS)
def test_killed_anywhere_it_ends_in_the_same_weights(
    instant: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, owner, name, count = INSTANTS[instant]
    with monkeypatch.context() as patch:
        kill_at(patch, f"callsift.training.{module}", owner, name, count)
        assert killed(lambda: train(tmp_path))
    train(tmp_path)
    check_same_end(tmp_path, whole)


def test_two_processes_go_on_as_one_training(tmp_path: Path) -> None:
    """The random states of both are kept; dropout is on."""
    config = CONFIG.model_copy(update={"processes": 2, "epochs": 2})
    train(tmp_path / "whole", config)

    def stop(done: int, _: int) -> None:
        if done == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    assert killed(lambda: train(tmp_path / "killed", config, on_step=stop))
    train(tmp_path / "killed", config)
    name = "checkpoints/best/network.safetensors"
    assert same(load_file(tmp_path / "whole" / name), load_file(tmp_path / "killed" / name))


def test_the_steps_and_how_many_there_can_be_are_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    train(tmp_path, on_step=lambda done, total: told.append((done, total)))
    assert told == [(step, 9) for step in range(1, 10)]


def test_a_damaged_state_is_refused(whole: Path, tmp_path: Path) -> None:
    train(tmp_path)
    state = tmp_path / "checkpoints/last/state.safetensors"
    content = state.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"x" * 100):
        state.write_bytes(damaged)
        with pytest.raises(DataError, match="state.safetensors: is no checkpoint, or damaged"):
            train(tmp_path)
    state.write_bytes(content)
    with pytest.raises(DataError, match="of a training with other settings"):
        train(tmp_path, CONFIG.model_copy(update={"ema": 0.0}))
    (tmp_path / "checkpoints/best/network.safetensors").unlink()
    with pytest.raises(DataError, match="does not hold the weights of the kept epoch"):
        train(tmp_path)


def test_killed_at_random_and_resumed(tmp_path: Path) -> None:
    """What `benchmarks.killed_training` does through the command line, here in forked processes."""
    from benchmarks.killed_training import SETTINGS, run_chain, write_calls
    from callsift.config import load_train_config
    from callsift.training.run import train as train_run

    write_calls(tmp_path / "manifest.jsonl")
    config = load_train_config(None, [*SETTINGS, "fit.epochs=12", "fit.patience=12"])

    def start(folder: Path) -> int:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                train_run(tmp_path / "manifest.jsonl", folder, config, asr="none", resume=True)
                code = 0
            finally:
                os._exit(code)
        return pid

    found = run_chain(start, tmp_path, kills=3, seed=2)
    assert found.kills == 3
    assert found.while_learning > 0
    assert found.same
