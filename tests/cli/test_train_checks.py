"""`callsift train` and `export`: what is refused before torch is loaded, and what is said of a weak model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from callsift.cli import app
from callsift.cli.train import doubts_of
from callsift.config import load_train_config
from callsift.errors import CallsiftError
from tests.cli.commands import refusal

RUNNER = CliRunner()


@pytest.fixture
def torchless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command of the test may load the trainer."""
    for name in ("callsift.training.run", "callsift.training.export"):
        monkeypatch.setitem(sys.modules, name, None)


def _refusal(*arguments: str | Path) -> str:
    done = RUNNER.invoke(app, [str(each) for each in arguments])
    assert isinstance(done.exception, CallsiftError), done.output
    return str(done.exception)


@pytest.mark.usefixtures("torchless")
def test_a_folder_that_is_taken_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert _refusal("train", "x", "-o", tmp_path) == f"{tmp_path} holds other files; name a new folder"
    assert "is a file" in _refusal("train", "x", "-o", tmp_path / "notes.txt")
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("name: x\n")
    assert "holds a run already; go on with it by --resume" in _refusal("train", "x", "-o", run)
    assert _refusal("export", tmp_path, "-o", tmp_path / "b") == f"{tmp_path}: is not a run"
    assert "did not finish" in _refusal("export", run, "-o", tmp_path / "b")
    (run / "result.json").write_text("{}")
    assert "exists and is not a bundle" in _refusal("export", run, "-o", tmp_path)


def test_what_a_killed_beginning_left_is_no_other_file(tmp_path: Path) -> None:
    for name in (".lock", "data.json", ".environment.json.x.part"):
        (tmp_path / name).write_text("{}")
    done = refusal("train", tmp_path / "none.jsonl", "-o", tmp_path)
    assert done.returncode == 2
    assert "none.jsonl" in done.stderr


def _figures(calls: int, low: float, constant: float) -> dict[str, Any]:
    accuracy = {"value": low + 0.1, "low": low, "high": low + 0.2}
    return {"five": {"calls": calls, "accuracy": accuracy, "majority": {"accuracy": {"value": constant}}}}


def test_a_model_that_is_no_better_than_a_constant_is_called_so() -> None:
    config = load_train_config(None)
    assert doubts_of(config, _figures(60, low=0.5, constant=0.4)) == []
    weak, few = doubts_of(config, _figures(1, low=0.3, constant=0.4))
    assert weak.startswith("on validation no better than always saying the commonest grade; more or other calls")
    assert few == "only 1 validation call: these figures say little"
