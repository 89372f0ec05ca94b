"""`callsift raters` and `callsift suspects` as a user runs them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callsift.cli import app
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import DataError, UsageError
from callsift.types import Call, Label, RaterLabel, Turn

RUNNER = CliRunner()
VOTES: list[tuple[Label, ...]] = [("A", "A", "B"), ("B", "D", "E"), ("E", "E"), ("C", "C", "C"), ("D", "E"), ("A",)]


def _manifest(folder: Path) -> Path:
    calls = [
        Call(
            f"call-{at}",
            label="A",
            labels=tuple(RaterLabel(rater, label) for rater, label in zip(("ann", "bo", "cy"), votes, strict=False)),
            turns=(Turn("customer", "hello"),),
        )
        for at, votes in enumerate(VOTES)
    ]
    write_manifest(folder / "manifest.jsonl", calls)
    return folder / "manifest.jsonl"


def test_agreement_is_told_and_written(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["raters", str(_manifest(tmp_path)), "-o", str(tmp_path / "raters.json")])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "raters.json").read_text())
    assert (found["calls"], found["ratings"]) == (5, 13)
    assert f"alpha, ordinal: {found['alpha']['ordinal']['value']:.3f}" in done.stdout
    assert found["disputed"][0]["call_id"] == "call-1"
    assert found["use"]["cy"] == {"B": 1, "C": 1, "E": 1}


def test_the_majority_becomes_the_label_and_a_tie_stays_open(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    done = RUNNER.invoke(app, ["raters", str(manifest), "--majority", "-o", str(tmp_path / "new.jsonl")])
    assert done.exit_code == 0, done.output
    labels = [call.label for call in read_manifest(tmp_path / "new.jsonl").calls]
    assert labels == ["A", ("B", "D", "E"), "E", "C", ("D", "E"), "A"]
    assert "6 of 6 calls by vote, 2 of them undecided" in done.stderr
    refused = RUNNER.invoke(app, ["raters", str(manifest), "--majority", "-o", str(manifest)])
    assert isinstance(refused.exception, UsageError)
    assert "is the very file that is read" in str(refused.exception)
    again = ["raters", str(manifest), "--majority", "-o", str(tmp_path / "new.jsonl")]
    refused = RUNNER.invoke(app, again)
    assert "new.jsonl exists; --force writes over it" in str(refused.exception)
    assert "Krippendorff" not in refused.stdout
    assert RUNNER.invoke(app, [*again, "--force"]).exit_code == 0


def test_the_majoritys_manifest_keeps_the_keys_of_others(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    rows = [json.loads(line) | {"campaign": "spring"} for line in manifest.read_text("utf-8").splitlines()]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = RUNNER.invoke(app, ["raters", str(manifest), "--majority", "-o", str(tmp_path / "new.jsonl")])
    assert done.exit_code == 0, done.output
    written = [json.loads(line) for line in (tmp_path / "new.jsonl").read_text("utf-8").splitlines()]
    assert [row["campaign"] for row in written] == ["spring"] * len(rows)


def test_a_manifest_of_one_rater_is_refused_in_one_sentence(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [Call("a", label="A", turns=(Turn("customer", "yes"),))])
    done = RUNNER.invoke(app, ["raters", str(tmp_path / "m.jsonl")])
    assert isinstance(done.exception, DataError)
    assert "no call was graded by two people" in str(done.exception)


def test_suspects_are_listed_from_folds(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    words = {"A": "yes send it", "E": "no stop phoning"}
    scheme = {"id": "two", "grades": ["A", "E"], "tasks": {"grade": {"A": ["A"], "E": ["E"]}}, "positive": ["A"]}
    (tmp_path / "l.yaml").write_text(json.dumps(scheme))
    calls = [Call(f"call-{at}", label="AE"[at % 2], turns=(Turn("customer", words["AE"[at % 2]]),)) for at in range(12)]
    write_manifest(tmp_path / "manifest.jsonl", calls)
    small = ("streams=[text]", "fusion=text", "width=8", "heads=2", "feed_forward=8", "embedding_width=8", "hidden=8")
    settings = [part for name in small for part in ("--set", f"network.{name}")]
    settings += [
        "--set",
        "front_end.tokens.buckets=128",
        "--set",
        "fit.epochs=1",
        "--set",
        f"labels={tmp_path / 'l.yaml'}",
    ]
    command = ["suspects", str(tmp_path / "manifest.jsonl"), "-o", str(tmp_path / "out"), "--folds", "2"]
    done = RUNNER.invoke(app, [*command, "--asr", "none", *settings])
    assert done.exit_code == 0, done.output
    with (tmp_path / "out/suspects.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert sorted(row["call_id"] for row in rows) == sorted(call.call_id for call in calls)
    assert "calibration, grade (12): ECE" in done.stderr
    assert "of 12 labels are in doubt" in done.stdout
