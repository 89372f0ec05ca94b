"""What `validate` sees: hours, balance, duplicates, leaks; one bad recording ends nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callsift.data.chart import bar_lines, page
from callsift.data.manifest import read_manifest
from callsift.data.survey import Survey, survey
from callsift.labels import load_scheme
from callsift.types import Call, RaterLabel, Segment, Turn

MARKETCALLS = load_scheme("marketcalls")
LONG = "I would like to know what it costs, and whether I can cancel it."


def _messages(found: Survey, kind: str) -> list[str]:
    return [problem.message for problem in found.problems if problem.kind == kind]


def _tone(path: Path, seconds: float, level: float = 0.1) -> Path:
    soundfile.write(path, np.full(int(8000 * seconds), level), 8000)
    return path


def test_hours_come_from_headers_whatever_the_format(demo: Path) -> None:
    """Against the demo's decoded lengths, as the project's own decoder gives them."""
    from callsift.audio.decode import decode

    calls = read_manifest(demo / "manifest.jsonl").calls[:8]
    found = survey(calls, MARKETCALLS)
    decoded = sum(decode(call.audio).waveform.duration_s for call in calls if call.audio)
    assert found.hours == pytest.approx(decoded / 3600, rel=1e-3)
    assert survey(calls, MARKETCALLS, listen=False).hours is None


def test_headerless_recordings_are_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.ulaw").write_bytes(b"\xff\x7f" * 4000)
    call = Call("a", audio=tmp_path / "a.ulaw", rate_hz=8000)
    assert survey([call], MARKETCALLS).hours == pytest.approx(1 / 3600)


def test_bad_recordings_are_named_and_the_rest_is_counted(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "word.wav").write_text("this is no audio at all")
    good = _tone(tmp_path / "good.wav", 3.6)
    calls = [Call(name, audio=tmp_path / f"{name}.wav") for name in ("empty", "word", "good")]
    found = survey(calls, MARKETCALLS)
    assert found.hours == pytest.approx(0.001)
    assert [message.split("': ")[1][:9] for message in _messages(found, "recording")] == ["is empty", "not_audio"]
    assert good.name not in str(found.problems)


def test_duplicates_are_named(tmp_path: Path) -> None:
    one, copy = _tone(tmp_path / "one.wav", 1), _tone(tmp_path / "copy.wav", 1)
    other, clip = _tone(tmp_path / "other.wav", 1, 0.2), _tone(tmp_path / "clip.wav", 0.5)
    halves = [Call(str(at), audio=other, segments=(Segment("0", start_s=at / 2, end_s=at / 2 + 0.5),)) for at in (0, 1)]
    calls = [
        Call("a", audio=one, turns=(Turn("customer", LONG),)),
        Call("b", audio=copy),
        Call("c", segments=(Segment("0", (Turn("customer", LONG.upper()),)),)),
        Call("d", segments=(Segment("0", audio=clip), Segment("1", audio=one))),
        Call("e", segments=(Segment("0", audio=clip),)),
        Call("f", turns=(Turn("customer", "Wrong number."),)),
        Call("g", turns=(Turn("customer", "Wrong number."),)),
        *halves,
    ]
    found = survey(calls, MARKETCALLS)
    assert _messages(found, "same recording") == ["the same recording in 2 calls: 'a', 'b' ('one.wav')"]
    (same,) = _messages(found, "same text")
    assert same.startswith("the same text in 2 calls: 'a', 'c' ('i would like")
    assert not _messages(survey(calls, MARKETCALLS, listen=False), "same recording")
    overlapping = [replace(halves[0]), replace(halves[1], segments=halves[0].segments)]
    assert _messages(survey(overlapping, MARKETCALLS), "same recording")


def test_what_lies_in_two_splits_is_named(tmp_path: Path) -> None:
    one, copy = _tone(tmp_path / "one.wav", 1), _tone(tmp_path / "copy.wav", 1)
    calls = [
        Call("a", audio=one, group="g", split="train"),
        Call("b", group="g", split="test", turns=(Turn("customer", LONG),)),
        Call("c", audio=copy, split="val"),
        Call("d", turns=(Turn("customer", LONG),)),
    ]
    shared = _messages(survey(calls, MARKETCALLS), "in two splits")
    assert [message[:45] for message in shared] == [
        "group 'g' lies in split 'train' and in 'test'",
        "recording 'copy.wav' of call 'c' lies in spli",
        "the text of call 'b' lies in split 'test', an",
    ]
    assert "call 'd' in 'train'" in shared[2]
    assert not _messages(survey([replace(call, split=None) for call in calls], MARKETCALLS), "in two splits")


def test_grades_graders_and_single_calls() -> None:
    turns = (Turn("customer", "hm"),)
    calls = [Call(str(at), turns=turns, label=label) for at, label in enumerate(("A", "B", "B", ("A", "B"), None))]
    calls[4] = replace(calls[4], labels=(RaterLabel("ann", "A"), RaterLabel("bob", "B")))
    found = survey(calls, MARKETCALLS)
    assert found.grades == {"(none)": 1, "A": 1, "A/B": 1, "B": 2}
    assert (found.unlabelled, found.several_raters, dict(found.raters)) == (1, 1, {"ann": 1, "bob": 1})
    assert _messages(found, "single call")[0].startswith("grade 'A' has a single call ('0')")
    assert found.remarks == ("no call has the grade C, D, E of scheme 'marketcalls'",)
    assert found.texts == {"yes": 5}
    none = survey([Call("a", audio=Path("absent.wav")), replace(calls[4], label=None)], MARKETCALLS, listen=False)
    assert (none.texts, none.problems) == ({"no": 1, "yes": 1}, ())
    assert none.remarks == ("no call has a label: callsift raters --majority makes labels of the graders' votes",)
    lone = survey(calls[:1], MARKETCALLS)
    assert not lone.problems
    assert lone.remarks[-1] == "no grade has two calls: too few to learn from"


def test_grades_of_a_single_customer_and_of_segments() -> None:
    turns = (Turn("customer", "hm"),)
    calls = [Call(str(at), turns=turns, label="AB"[at % 2], group="g" if at % 2 == 0 else None) for at in range(8)]
    found = survey(calls, MARKETCALLS, listen=False)
    assert [problem.kind for problem in found.problems] == ["single group"]
    assert _messages(found, "single group")[0].startswith("grade 'A' lies in a single group ('g', 4 calls)")
    segments = [Call(str(at), segments=(Segment("0", turns, label="AAB"[at]),)) for at in range(3)]
    found = survey(segments, MARKETCALLS)
    assert _messages(found, "single call")[0].startswith("grade 'B' has a single call ('2')")
    assert found.remarks == ("no segment has the grade C, D, E of scheme 'marketcalls'",)


def test_bars_and_page_say_the_counts() -> None:
    lines = bar_lines({"A": 40, "long": 10, "none": 0})
    assert [line.count("█") for line in lines] == [40, 10, 0]
    assert [line.split()[-2:] for line in lines] == [["40", "80.0%"], ["10", "20.0%"], ["0", "0.0%"]]
    assert bar_lines({}) == []
    text = page("a <set>", ["3 calls"], {"grade": {"<A>": 3}, "empty": {}}, ["bad & wrong"])
    assert "a &lt;set&gt;" in text
    assert "&lt;A&gt;" in text
    assert "3 (100.0%)" in text
    assert "bad &amp; wrong" in text
    assert text.count("<svg") == 1
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
