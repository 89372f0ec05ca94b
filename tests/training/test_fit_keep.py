"""Which epoch's weights are kept: the best on validation, or the last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from callsift.config import TrainConfig
from callsift.files import read_json
from callsift.training.course import Course
from callsift.training.fit import Fitted
from callsift.training.material import Material
from callsift.training.run import load_run, train
from callsift.training.search_trial import Task, run_task
from tests.training import test_fit_resume as resumed
from tests.training.test_fit_ranks import same

WORSE = 0.4
"""Validation losses from epoch to epoch: the first is the best one."""


@pytest.fixture
def ever_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation says of every epoch that it is worse than the one before."""
    ours = Course.end_epoch

    def planted(course: Course, row: Any, random: Any) -> None:
        ours(course, {**row, "monitor": -WORSE * (len(course.history) + 1)}, random)

    monkeypatch.setattr(Course, "end_epoch", planted)


def fitted(folder: Path, keep: str, **changes: Any) -> Fitted:
    config = resumed.CONFIG.model_copy(update={"keep": keep, "patience": 1, "ema": 0.0, **changes})
    return resumed.train(folder, config)


def test_the_last_epoch_is_kept_and_patience_stops_nothing(tmp_path: Path, ever_worse: None) -> None:
    best, last = fitted(tmp_path / "best", "best"), fitted(tmp_path / "last", "last")
    assert (best.best_epoch, best.epochs) == (1, 2)
    assert (last.best_epoch, last.epochs) == (3, 3)
    state = load_file(tmp_path / "last/checkpoints/last/state.safetensors")
    kept = load_file(tmp_path / "last/checkpoints/best/network.safetensors")
    assert same(kept, {name: state[f"network.{name}"] for name in kept})


@pytest.mark.parametrize("instant", ["the second epoch's second step", "the state written, best not in its place"])
def test_killed_it_ends_in_the_same_last_epoch(
    instant: str, tmp_path: Path, ever_worse: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted(tmp_path / "whole", "last")
    module, owner, name, count = resumed.INSTANTS[instant]
    with monkeypatch.context() as patch:
        resumed.kill_at(patch, f"callsift.training.{module}", owner, name, count)
        assert resumed.killed(lambda: fitted(tmp_path / "killed", "last"))
    fitted(tmp_path / "killed", "last")
    resumed.check_same_end(tmp_path / "killed", tmp_path / "whole")


def test_a_run_and_a_trial_say_which_epoch_was_kept(
    practice: Path, small_config: TrainConfig, tmp_path: Path, ever_worse: None
) -> None:
    fit = {"keep": "last", "epochs": 2, "patience": 1}
    config = small_config.model_copy(update={"fit": small_config.fit.model_copy(update=fit)})
    train(practice, tmp_path / "run", config, asr="none")
    found = read_json(tmp_path / "run/result.json")
    assert (found["kept"], found["best_epoch"], found["epochs"]) == ("last", 2, 2)
    outcome = run_task(
        Task(1, tmp_path / "run", practice, config, asr="none"), lambda *_: True, Material(), lambda c, *_: c
    )
    assert outcome.value == pytest.approx(2 * WORSE)  # the loss that was planted for the last epoch
    from callsift.training.export import model_card

    assert "last of 2 epochs: 2." in model_card(load_run(tmp_path / "run"))
