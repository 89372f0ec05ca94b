"""`callsift evaluate` on the shipped model: the report, the baseline, and what is refused."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from callsift.cli import app
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import DataError, UsageError
from callsift.files import exclusive_lock

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
    assert "95 % intervals draw 4 calls, each as a whole" in done.output
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
    """No torch, no scikit-learn, here and in the processes that score: everything but the baseline."""
    for name in ("torch", "sklearn", "scipy", "transformers", "lightning", "onnx"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('absent')\n")
    code = (
        "import sys\n"
        f"sys.argv = ['callsift', 'evaluate', 'starter', {str(told)!r}, '--asr', 'none', '--evidence', '0', "
        f"'--report', {str(tmp_path / 'report')!r}]\nfrom callsift.cli import main\nmain()"
    )
    path = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=path)
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
        (["-o", str(tmp_path / "same"), "--report", str(tmp_path / "same")], "the one is a file, the other a folder"),
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


def _arguments(told: Path, output: Path, *more: str) -> list[str]:
    return ["evaluate", "starter", str(told), "--asr", "none", "--no-baseline", "--evidence", "1",
            "-o", str(output), *more]  # fmt: skip


def _figures(output: Path) -> dict[str, Any]:
    """What was found, but for when and by what command."""
    found: dict[str, Any] = json.loads(output.read_text())
    for name in ("date", "command"):
        found["made"].pop(name)
    return found


@pytest.fixture(scope="module")
def undisturbed(told: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an evaluation finds that nobody stops."""
    output = tmp_path_factory.mktemp("undisturbed") / "figures.json"
    assert RUNNER.invoke(app, _arguments(told, output)).exit_code == 0
    assert [path.name for path in output.parent.iterdir()] == ["figures.json"]
    return _figures(output)


def _start(arguments: list[str], limit_bytes: int | None = None) -> subprocess.Popen[str]:
    def limit() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "callsift.cli", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=limit,  # noqa: PLW1509 - threads hold no lock that it needs
    )  # fmt: skip


def test_killed_at_any_instant_it_goes_on_and_finds_the_same(
    told: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """kill -9 as soon as a call is kept; then the same again, by two processes."""
    output = tmp_path / "figures.json"
    until = time.monotonic() + 120
    with _start(_arguments(told, output)) as killed:
        while sum(path.read_bytes().count(b"\n") for path in tmp_path.glob(".figures.json-heard_of-*.jsonl")) < 1:
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.001)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate()
    assert not output.exists()
    done = RUNNER.invoke(app, _arguments(told, output, "--jobs", "2"), catch_exceptions=False)
    assert done.exit_code == 0
    assert re.search(r"scoring: [1-4] of 4 were done before this was stopped", done.output)
    assert _figures(output) == undisturbed
    assert json.dumps(_figures(output)) == json.dumps(undisturbed), "in the same order, too"
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


def test_a_full_disk_is_said_and_it_goes_on_when_there_is_room(
    told: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """A limit on the size of a file stands for the disk: the first is met by the answers, the second by the figures."""
    output = tmp_path / "figures.json"
    for limit_bytes, what in ((8_000, r"\.figures\.json-heard_of-\w+\.jsonl"), (35_000, "the results")):
        with _start(_arguments(told, output), limit_bytes) as full:
            _, said = full.communicate()
        assert full.returncode == 2
        assert "Traceback" not in said
        assert re.search(rf"{what} can't be written: file too large\. Mend that, then give the same command", said)
        assert not output.exists()
    done = RUNNER.invoke(app, _arguments(told, output), catch_exceptions=False)
    assert done.exit_code == 0
    for stage in ("scoring: 4 of 4", "looking into mistakes: "):
        assert stage in done.output
    assert _figures(output) == undisturbed


def test_two_on_one_place_and_a_place_where_nobody_can_write_are_refused(told: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with exclusive_lock(tmp_path / "report/.lock"):
        for options, why in (
            (["--report", str(tmp_path / "report")], "another callsift is writing in"),
            (["-o", str(tmp_path / "file/figures.json")], "file can't be written to: "),
        ):
            refused = RUNNER.invoke(app, ["evaluate", "starter", str(told), "--asr", "none", *options])
            assert isinstance(refused.exception, UsageError)
            assert why in str(refused.exception)
