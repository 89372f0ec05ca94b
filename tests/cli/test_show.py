"""What commands show a person."""

from __future__ import annotations

import time
from typing import Any

import pytest

from callsift.cli import show
from callsift.errors import WarningCode
from callsift.types import Note


def row(call_id: str, **more: Any) -> dict[str, Any]:
    segment = {"segment_id": "0", "start_s": 0.0, "end_s": 5.0, "text": "agent: hi", "contribution": None}
    plain = {"call_id": call_id, "grade": "B", "value": None, "propensity": 0.6, "rank_score": 0.7, "duration_s": 5.0}
    return {**plain, "segments": [segment], "warnings": [], "error": None, **more}


def moment(text: str, contribution: float) -> list[dict[str, Any]]:
    return [
        {"segment_id": "0", "start_s": 0.0, "end_s": 5.0, "text": text, "contribution": contribution},
        {"segment_id": "1", "start_s": 5.0, "end_s": 9.0, "text": "agent: bye", "contribution": 0.01},
    ]


def test_a_warning_names_its_first_calls_and_says_what_of_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    calls = [(f"{number}.wav", [Note(WarningCode.TONES, f"{number} s of tones")]) for number in range(5)]
    calls[1][1].append(Note(WarningCode.TONES, "and more"))
    show.print_notes([*calls, ("x.wav", [Note(WarningCode.REDACTED, "a number")])])
    assert capsys.readouterr().err.splitlines() == [
        "warning: tones in 5 calls (0.wav, 1.wav, 2.wav, …): 0 s of tones",
        "warning: redacted in 1 call (x.wav): a number",
    ]
    show.print_warnings([row("a", warnings=[{"code": "clipping", "message": "loud"}]), row("b")])
    assert capsys.readouterr().err == "warning: clipping in 1 call (a): loud\n"


def test_the_table_says_what_its_order_and_moments_mean(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_table([row("a", segments=moment("customer: sure", 0.1)), row("b", segments=moment("", -0.2))])
    table = capsys.readouterr().out
    assert "+0.10 customer: sure" in table
    assert "-0.20" not in table, "nobody said anything in it"
    show.print_table([row("a", segments=[moment("customer: well", -0.004)[0]])])
    assert "  0.00 customer: well" in capsys.readouterr().out
    assert "ordered by rank, the expected worth of the grade; ±0.10: what that moment adds" in table
    show.print_table([row("a", rank_score=None)])
    assert "ordered by propensity\n" in capsys.readouterr().out


def test_without_a_terminal_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(show.progress([1, 2], 2, "scoring")) == [1, 2]
    assert capsys.readouterr().err == "", "a quick run says nothing"
    monkeypatch.setattr(show, "LINE_EVERY_S", 0.05)
    for item in show.progress(range(3), 3, "scoring"):
        time.sleep(0.4 if item == 1 else 0.0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert set(lines) == {"scoring: 2 of 3, 0 s"}, "while the second call is worked on"
