"""What `callsift prepare` and `callsift validate` take, and what they say of anything else."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from tests.cli.commands import callsift, rows_of


@pytest.fixture(scope="module")
def small(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two recordings, one with a transcript, and a note."""
    folder = tmp_path_factory.mktemp("small")
    for name in ("one", "two"):
        shutil.copy(demo / "calls/en-01-broadband.ogg", folder / f"{name}.ogg")
    (folder / "one.txt").write_text("agent: Hello there.\ncustomer: Hi.", encoding="utf-8")
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    return folder


def test_prepare_takes_what_score_takes(small: Path, tmp_path: Path) -> None:
    out, features = tmp_path / "set", tmp_path / "F.csv"
    done = callsift("prepare", small, "-o", out, "--features", features, "--asr", "none")
    assert done.returncode == 0, done.stderr
    assert [row["call_id"] for row in rows_of(out / "manifest.jsonl")] == ["one.ogg", "two.ogg"]
    assert "warning: approximate_times in 1 call (one.ogg): " in done.stderr
    assert f"2 calls prepared in {out}, 1 other file skipped; features in {features}" in done.stderr
    with features.open(encoding="utf-8", newline="") as file:
        whole = next(csv.DictReader(file))
    assert (whole["start_s"], whole["end_s"]) == ("0", whole["duration_s"])
    again = callsift("validate", out)
    assert again.returncode == 0, again.stderr
    assert "2 calls in" in again.stdout


def test_prepare_writes_over_nothing(small: Path, tmp_path: Path) -> None:
    done, taken, free = tmp_path / "done", tmp_path / "taken.csv", tmp_path / "free"
    done.mkdir()
    for path in (done / "manifest.jsonl", taken):
        path.write_text("as it was", encoding="utf-8")
    cases = {
        ("-o", str(done)): f"{done} holds a manifest.jsonl already",
        ("-o", str(taken)): f"{taken} is a file; --output names a folder",
        ("-o", str(free), "--features", str(taken)): f"{taken} exists",
        ("-o", str(free), "--features", "F.txt"): "--features F.txt: the name must end in .csv",
    }
    for arguments, message in cases.items():
        refused = callsift("prepare", small, *arguments)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert refused.stderr.startswith(f"callsift: {message}")
    assert (done / "manifest.jsonl").read_text("utf-8") == taken.read_text("utf-8") == "as it was"
    assert not free.exists()


def test_what_is_no_manifest_is_said_in_a_sentence(small: Path, tmp_path: Path) -> None:
    cases = {
        ("validate", small): f"'{small}' is a folder; validate takes a manifest.jsonl, one call a line",
        ("validate", small / "one.ogg"): f"{small}/one.ogg: is no manifest (not UTF-8 text)",
        ("validate", small / "none.jsonl"): f"{small}/none.jsonl: does not exist",
        ("prepare", small / "none.jsonl", "-o", tmp_path / "x"): f"'{small}/none.jsonl' does not exist",
        ("prepare", small / "notes.txt", "-o", "/proc/absent"): "/proc/absent: no such file or directory",
    }
    for arguments, message in cases.items():
        refused = callsift(*arguments)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert refused.stderr.startswith(f"callsift: {message}"), refused.stderr
        assert "Errno" not in refused.stderr
