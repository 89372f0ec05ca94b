"""`callsift self-train` and `callsift shift` as a user runs them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callsift.cli import app
from callsift.config import load_train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import UsageError
from callsift.evaluation.predictions import read_run
from callsift.evaluation.scored import said_of_run, score_calls
from callsift.training.run import load_run, train
from tests.cli.commands import here, refusal
from tests.training.words import SETTINGS, made

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with graded calls, a pool, a pool that holds a test call, and a run trained on the graded ones."""
    folder = tmp_path_factory.mktemp("sources")
    test = [replace(call, group=f"pair{at // 2}") for at, call in enumerate(made(5, "test", split="test"))]
    graded = [*made(10, "train", split="train"), *made(10, "val", split="val"), *test]
    write_manifest(folder / "data.jsonl", graded)
    write_manifest(folder / "pool.jsonl", made(12, "pool"))
    write_manifest(folder / "bad.jsonl", [*made(12, "pool"), *made(5, "test")])
    train(folder / "data.jsonl", folder / "run", load_train_config(None, SETTINGS), asr="none")
    return folder


def test_self_train(sources: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    command = ["self-train", sources / "data.jsonl", "--pool", sources / "pool.jsonl", "-o", out, "--rounds", "1",
               "--threshold", "0.3", "--asr", "none", *settings]  # fmt: skip
    done = here(*command)
    assert done.returncode == 0, done.stderr
    assert "10 labelled calls to train on, 10 to validate on, 12 in the pool" in done.stderr
    result = json.loads((out / "result.json").read_text("utf-8"))
    assert f"Best run: {out / result['run']}" in done.stderr
    assert f"{result['best_round']} (best)" in done.stdout
    assert f"test, round {result['best_round']}" in done.stdout
    refused = refusal(*command)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 2)
    assert "holds a self-training already; go on with --resume" in refused.stderr


def test_a_pool_with_test_calls_is_refused_in_a_sentence(sources: Path, tmp_path: Path) -> None:
    refused = refusal("self-train", sources / "data.jsonl", "--pool", sources / "bad.jsonl", "-o", tmp_path / "out")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    expected = (
        "call 'test0' (and 4 more) of the pool overlaps with the test calls: the call_id of call 'test0'; take it out"
    )
    assert refused.stderr == f"callsift: {sources / 'bad.jsonl'}: {expected}\n"
    assert not (tmp_path / "out").exists()


def test_shift(sources: Path, tmp_path: Path) -> None:
    file = tmp_path / "balance.json"
    found = here("shift", sources / "run", sources / "pool.jsonl", "-o", file, "--draws", "20", "--asr", "none")
    assert found.returncode == 0, found.stderr
    assert "class balance of 12 calls, by 10 validation calls" in found.stdout
    assert "warning: fewer than 5 validation calls of grade 'A' (2)" in found.stderr
    balance = json.loads(file.read_text("utf-8"))
    assert (balance["schema_version"], balance["method"], balance["scheme"]) == (1, "em", "words")
    assert list(balance["balance"]) == list("ABCDE")
    assert sum(balance["balance"].values()) == pytest.approx(1.0, abs=1e-5)
    assert balance["train_balance"] == dict.fromkeys("ABCDE", 0.2)
    assert "correcting scores for this balance is not advisable" in found.stderr
    assert f"Written: {file}; not advised: score --balance warns of it" in found.stderr
    assert "warning: only 10 validation calls: too few for an interval" in found.stderr
    assert "[" not in found.stdout, "no interval of ten calls"
    assert balance["advised"] is False


def test_a_runs_own_answers_are_what_scoring_says(sources: Path) -> None:
    """Validation calls given by --validation and the run's predictions lead to the same estimate."""
    kept = said_of_run(read_run(sources / "run"), "val")
    calls = [call for call in read_manifest(sources / "data.jsonl").calls if call.split == "val"]
    scored, failed = score_calls(load_run(sources / "run").scorer(asr="none"), calls)
    assert failed == {}
    assert [(each.call_id, each.label) for each in kept] == [(each.call_id, each.label) for each in scored]
    assert read_run(sources / "run").predictions("test").groups == ("pair0", "pair0", "pair1", "pair1", "pair2")
    for one, other in zip(kept, scored, strict=True):
        assert one.shares == pytest.approx(other.shares, abs=1e-4)


def test_what_a_run_learned_from_is_no_measure_of_it(sources: Path, tmp_path: Path) -> None:
    run, data = str(sources / "run"), str(sources / "data.jsonl")
    refused = RUNNER.invoke(app, ["thresholds", run, data, "--precision", "0.5", "--split", "train", "--asr", "none"])
    assert isinstance(refused.exception, UsageError)
    expected = "10 of these 10 calls are training calls of .* the first.*: name --split test, or graded calls"
    assert re.search(expected, str(refused.exception))
    file = tmp_path / "figures.json"
    told = RUNNER.invoke(app, ["evaluate", run, data, "--split", "train", "--asr", "none"])
    assert "WARNING: the run was trained on 10 of these 10 calls" in told.output
    default = RUNNER.invoke(app, ["evaluate", run, data, "--asr", "none", "-o", str(file)])
    assert "its 5 graded calls are asked about, not all 25" in default.output
    assert "WARNING" not in default.output
    assert json.loads(file.read_text())["results"]["combined"]["five"]["calls"] == 5


def test_a_bundle_needs_validation_calls(sources: Path) -> None:
    refused = refusal("shift", "starter", sources / "pool.jsonl")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "is a bundle, which keeps no calls: name graded ones by --validation DATA" in refused.stderr
