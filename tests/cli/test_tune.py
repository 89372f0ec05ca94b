"""`callsift tune` as a user runs it: what it refuses, before it reads any data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import callsift, refusal

pytest.importorskip("optuna")


def test_wrong_use_is_one_sentence(tmp_path: Path) -> None:
    space = tmp_path / "s.yaml"
    space.write_text("fit.epochs: {low: 9, high: 3}\n")
    wrong: list[tuple[list[str | Path], str]] = [
        ([], "nothing to search: give --space FILE.yaml or --grid paper"),
        (["--space", space], f"space {space}: fit.epochs.low 9 is above high 3; exchange them"),
    ]
    for options, sentence in wrong:
        done = refusal("tune", tmp_path / "none.jsonl", "-o", tmp_path / "study", *options)
        assert done.returncode == 2, options
        (line,) = done.stderr.splitlines()
        assert line.startswith("callsift: ")
        assert sentence in line
    assert not (tmp_path / "study").exists()


def test_a_study_that_is_there_is_not_begun_again(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text("{}")
    done = callsift("tune", tmp_path / "none.jsonl", "-o", tmp_path, "--grid", "paper")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "holds a study already; go on with it by --resume" in done.stderr
