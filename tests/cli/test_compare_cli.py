"""`callsift compare` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callsift.cli import app
from callsift.errors import UsageError
from tests.cli.commands import refusal
from tests.evaluation.runs import graded_run

RUNNER = CliRunner()
CALLS = [(f"c{at}", "AE"[at % 2], "AE"[at % 2 if at < 8 else 0]) for at in range(12)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two runs."""
    folder = tmp_path_factory.mktemp("compare")
    return [str(graded_run(folder / name, CALLS, settings=[f"fit.epochs={epochs}"])) for name, epochs in
            (("long", 20), ("short", 5))]  # fmt: skip


def test_a_table_and_files(runs: list[str], tmp_path: Path) -> None:
    for suffix in ("json", "html"):
        path = tmp_path / f"out.{suffix}"
        done = RUNNER.invoke(app, ["compare", *runs, "--metrics", "accuracy,ece", "--task", "five", "-o", str(path)])
        assert done.exit_code == 0, done.output
        assert path.stat().st_size > 100
    for said in ("0.833 [", "ECE ↓", "vs long", "setting that differs", "fit.epochs", "12 calls, split test", "Holm"):
        assert said in done.output
    assert json.loads((tmp_path / "out.json").read_text())["schema_version"] == 1


def test_of_a_benchmark_the_first_row_of_its_table_is_compared_with(tmp_path: Path) -> None:
    names = ("b-first", "a-second", "c-third-with-a-name-so-long-that-a-table-of-a-fixed-width-would-cut-its-figures")
    for epochs, name in enumerate(names, start=3):
        graded_run(tmp_path / f"trials/{name}/all-seed-1/run", CALLS, settings=[f"fit.epochs={epochs}"])
        (tmp_path / f"trials/{name}/all-seed-1/answer.json").write_text("{}")
    (tmp_path / "results.json").write_text(json.dumps({"rows": {name: {} for name in names}}))
    asked = ["compare", str(tmp_path), "--metrics", "accuracy", "--task", "five"]
    done = RUNNER.invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "vs b-first" in done.output
    assert "…" not in done.output
    assert "vs a-second" in RUNNER.invoke(app, [*asked, "--reference", "a-second"]).output
    refused = RUNNER.invoke(app, [*asked, "--reference", "d"])
    assert isinstance(refused.exception, UsageError)
    assert f"--reference d: the rows are {', '.join(names)}" in str(refused.exception)
    (tmp_path / "study.json").write_text('{"command": "callsift bench mosi"}')
    (tmp_path / f"trials/{names[2]}/all-seed-1/run/result.json").unlink()
    done = RUNNER.invoke(app, [*asked, "-o", str(tmp_path / "out.json")])
    assert done.exit_code == 0, done.output
    assert done.output.count("1 of 3 trainings") == 1
    assert "1 of 3 trainings" in json.loads((tmp_path / "out.json").read_text())["notes"][0]


def test_wrong_use(runs: list[str], tmp_path: Path) -> None:
    refused = RUNNER.invoke(app, ["compare", *runs, "-o", str(tmp_path / "out.txt")])
    assert isinstance(refused.exception, UsageError)
    assert "written as .json, .csv, .html, .md" in str(refused.exception)


def test_an_error_is_one_sentence(runs: list[str]) -> None:
    done = refusal("compare", runs[0], "/absent")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "callsift: /absent: is not there; name the folder that callsift train wrote\n"
