"""`callsift prepare` through the real command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callsift.pipeline.measures import MEASURES
from tests.cli.commands import here, rows_of

SECRET = "my number is five five five one two three four okay"


@pytest.fixture(scope="module")
def calls(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of two shipped recordings, in one of which a number is said, and one file that is no recording."""
    folder = tmp_path_factory.mktemp("calls")
    (folder / "torn.wav").write_bytes(b"RIFF")
    turns = [
        {"role": "agent", "text": "may I have your phone number", "start_s": 1.0, "end_s": 4.0, "channel": 0},
        {"role": "customer", "text": SECRET, "start_s": 20.0, "end_s": 24.0, "channel": 1},
    ]
    rows = [
        {"call_id": "a/said", "audio": str(demo / "calls/en-01-broadband.ogg"), "turns": turns, "label": "A"},
        {"call_id": "plain", "audio": str(demo / "calls/zh-01-wealth.ogg"), "language": "zh"},
        {"call_id": "torn", "audio": "torn.wav"},
    ]
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return manifest


def test_features_are_a_row_for_each_call_and_segment(calls: Path, tmp_path: Path) -> None:
    features = tmp_path / "features.csv"
    done = here("prepare", str(calls), "-o", str(tmp_path / "set"), "--features", str(features), "--asr", "none")
    assert done.returncode == 1, done.stderr
    assert "left out: torn: not_audio" in done.stderr
    assert "Traceback" not in done.stderr
    with features.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["call_id", "segment_id", *MEASURES]
    of_calls = [row for row in rows if not row["segment_id"]]
    assert [row["call_id"] for row in of_calls] == ["a/said", "plain"]
    assert float(of_calls[0]["customer_turns"]) >= 1
    assert 0 < float(of_calls[0]["silence_share"]) < 1
    prepared = {row["call_id"]: row for row in rows_of(tmp_path / "set" / "manifest.jsonl")}
    segments = [row for row in rows if row["segment_id"] and row["call_id"] == "plain"]
    assert len(segments) == len(prepared["plain"]["segments"])


def test_what_is_redacted_is_neither_read_nor_heard(calls: Path, tmp_path: Path, demo: Path) -> None:
    out = tmp_path / "set"
    done = here("prepare", str(calls), "-o", str(out), "--redact", "--export-audio", "--asr", "none")
    assert done.returncode == 1, done.stderr
    assert "redacted" in done.stderr
    assert "left out: plain: bad_transcript: nothing is known of what is said in it" in done.stderr
    text = (out / "manifest.jsonl").read_text(encoding="utf-8")
    assert "five" not in text
    assert "[PHONE]" in text or "[NUMBER]" in text
    row = next(row for row in rows_of(out / "manifest.jsonl") if row["call_id"] == "a/said")
    assert row["label"] == "A"
    heard, rate_hz = soundfile.read(out / row["audio"], always_2d=True)
    before, _ = soundfile.read(demo / "calls/en-01-broadband.ogg", always_2d=True)
    assert np.abs(heard[20 * rate_hz : 24 * rate_hz]).max() == 0.0
    assert np.abs(before[20 * rate_hz : 24 * rate_hz]).max() > 0.01
    np.testing.assert_allclose(heard[: 10 * rate_hz], before[: 10 * rate_hz], atol=1e-3)


def test_a_redacted_set_can_be_scored(calls: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    here("prepare", str(calls), "-o", str(out), "--redact", "--asr", "none")
    again = here("validate", str(out / "manifest.jsonl"))
    assert again.returncode == 0, again.stderr
    scored = here("score", str(out / "manifest.jsonl"), "--redact", "--asr", "none")
    assert scored.returncode == 0, scored.stderr
    rows = [json.loads(line) for line in scored.stdout.splitlines()]
    assert [row["error"] for row in rows] == [None, None]
    refused = here("score", str(out / "manifest.jsonl"), "--asr", "none")
    assert refused.returncode == 2
    assert "prepared with other settings" in refused.stderr
    assert "Give --redact here, too" in " ".join(refused.stderr.split())


def test_export_without_redaction_is_refused(calls: Path, tmp_path: Path) -> None:
    done = here("prepare", str(calls), "-o", str(tmp_path / "set"), "--export-audio")
    assert done.returncode == 2
    assert "give --redact too" in done.stderr
    assert not (tmp_path / "set").exists()
