"""`callsift evaluate` on the shipped model: the report, the baseline, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callsift.cli import app
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import DataError, UsageError

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def told(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shipped calls by their transcripts: eight to learn from, four to ask about, one without a label."""
    calls = [replace(call, audio=None) for call in read_manifest(demo / "manifest.jsonl").calls if call.turns]
    parts = ["train"] * 8 + ["test"] * 4
    chosen = [replace(call, split=part) for call, part in zip(calls[::2] + calls[1:4:2], parts, strict=False)]
    path = tmp_path_factory.mktemp("told") / "told.jsonl"
    write_manifest(path, [*chosen, replace(calls[-2], label=None, split="train")])
    return path


def test_a_report_of_a_bundle(told: Path, tmp_path: Path) -> None:
    output, report = tmp_path / "figures.json", tmp_path / "new/report"
    done = RUNNER.invoke(
        app, ["evaluate", "starter", str(told), "--asr", "none", "-o", str(output), "--report", str(report),
              "--evidence", "1"], catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0
    assert "its 4 graded calls are asked about, not all 12" in done.output
    assert "TF-IDF baseline (8 training calls), five, accuracy: " in done.output
    assert str(report / "report.html") in done.output
    found = json.loads(output.read_text())
    assert found == json.loads((report / "report.json").read_text())
    assert "rows" not in found
    assert found["schema_version"] == 1
    assert (found["made"]["data"], found["made"]["split"]) == (str(told), "test")
    assert found["data"]["calls"] == 4
    assert found["baselines"]["tfidf"]["calls"] == 8
    page = (report / "report.html").read_text("utf-8")
    assert page.lstrip().lower().startswith("<!doctype html")
    for mistake in found["mistakes"]:
        assert mistake["call_id"] in page
        assert sum("moments" in segment for segment in mistake["row"]["segments"]) == 1


def test_only_the_table_without_a_place_to_write_to(told: Path) -> None:
    before = sorted(told.parent.iterdir())
    done = RUNNER.invoke(app, ["evaluate", "starter", str(told), "--asr", "none", "--no-baseline"])
    assert done.exit_code == 0
    assert "TF-IDF" not in done.output
    assert "combined tasks" in done.output
    assert sorted(told.parent.iterdir()) == before


def test_the_scoring_core_alone_is_enough(told: Path, tmp_path: Path) -> None:
    """No torch, no scikit-learn: everything but the baseline."""
    absent = ("torch", "sklearn", "scipy", "transformers", "lightning", "onnx")
    code = (
        f"import sys\nfor name in {absent!r}: sys.modules[name] = None\n"
        f"sys.argv = ['callsift', 'evaluate', 'starter', {str(told)!r}, '--asr', 'none', '--evidence', '0', "
        f"'--report', {str(tmp_path / 'report')!r}]\nfrom callsift.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "baseline by words: the TF-IDF baseline needs scikit-learn, which is not installed" in done.stderr
    found = json.loads((tmp_path / "report/report.json").read_text())
    assert "scikit-learn" in found["baselines"]["tfidf"]["note"]
    assert found["made"]["command"].startswith("callsift evaluate starter")


def test_one_call_that_fails_is_told_and_ends_in_one(told: Path, tmp_path: Path) -> None:
    calls = read_manifest(told).calls
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    bad = replace(calls[-2], call_id="bad", turns=(), audio=tmp_path / "bad.wav")
    write_manifest(tmp_path / "some.jsonl", [*calls[-4:-1], bad])
    output = tmp_path / "figures.json"
    done = RUNNER.invoke(app, ["evaluate", "starter", str(tmp_path / "some.jsonl"), "--asr", "none", "-o", str(output)])
    assert done.exit_code == 1
    assert "not scored: bad: not_audio" in done.output
    assert list(json.loads(output.read_text())["data"]["failed"]) == ["bad"]


def test_what_is_refused_before_anything_slow(told: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for options, why in (
        (["-o", str(tmp_path)], "is a folder; it names a JSON file"),
        (["--report", str(tmp_path / "file")], "is a file; it names a folder"),
        (["--split", "absent"], "has no labelled call of split 'absent'"),
    ):
        refused = RUNNER.invoke(app, ["evaluate", "starter", str(told), "--asr", "none", *options])
        assert isinstance(refused.exception, UsageError)
        assert why in str(refused.exception)
    assert RUNNER.invoke(app, ["evaluate", "starter", str(told), "--evidence", "-1"]).exit_code == 2
    calls = read_manifest(told).calls
    write_manifest(tmp_path / "none.jsonl", [replace(call, label=None) for call in calls])
    refused = RUNNER.invoke(app, ["evaluate", "starter", str(tmp_path / "none.jsonl")])
    assert "has no labelled call" in str(refused.exception)
    write_manifest(tmp_path / "wrong.jsonl", [replace(calls[0], label="F")])
    refused = RUNNER.invoke(app, ["evaluate", "starter", str(tmp_path / "wrong.jsonl")])
    assert isinstance(refused.exception, DataError)
