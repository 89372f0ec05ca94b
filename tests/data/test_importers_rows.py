"""Rows that are segments, turns and graders at once: nothing of a call is lost, or it is said where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callsift.data.importers import Imported, Request, import_calls
from callsift.errors import DataError, UsageError
from callsift.labels import load_scheme
from callsift.types import RaterLabel, Turn

MARKETCALLS = load_scheme("marketcalls")


def _import(folder: Path, text: str, *, raters: tuple[str, ...] = (), votes: Any = "majority",
            scheme: Any = None, **mapping: str) -> Imported:  # fmt: skip
    path = folder / "calls.csv"
    path.write_text(text, encoding="utf-8")
    return import_calls(path, Request(mapping, scheme=scheme, votes=votes, raters=raters))[1]


# Several graders


def test_segments_of_all_graders_are_kept(tmp_path: Path) -> None:
    rows = "1,1,first,A,ann\n1,2,second,B,bob\n1,3,third,A,ann\n1,1,first,B,bob\n"
    (call,) = _import(tmp_path, "id,segment,text,label,annotator\n" + rows).calls
    assert [(segment.segment_id, segment.turns[0].text) for segment in call.segments] == [
        ("1", "first"), ("2", "second"), ("3", "third"),
    ]  # fmt: skip
    assert call.labels == (RaterLabel("ann", "A"), RaterLabel("bob", "B"))
    assert call.label == ("A", "B")


def test_turns_of_all_graders_are_kept_once_each(tmp_path: Path) -> None:
    """The agent says one thing twice; only the first row is graded by somebody; the second grader saw a part."""
    rows = "1,agent,ok,A,ann\n1,customer,no,,\n1,agent,ok,A,ann\n1,agent,ok,B,bob\n"
    (call,) = _import(tmp_path, "id,role,text,label,rater\n" + rows).calls
    assert call.turns == (Turn("agent", "ok"), Turn("customer", "no"), Turn("agent", "ok"))
    timed = "1,agent,hi,0,1,A,ann\n1,agent,hi,0,1,A,bob\n1,agent,hi,2,3,A,bob\n"
    (call,) = _import(tmp_path, "id,role,text,start_s,end_s,label,rater\n" + timed).calls
    assert [turn.start_s for turn in call.turns] == [0.0, 2.0]


def test_what_one_grader_leaves_open_the_other_fills_in(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    rows = "1,1,,hi,ann,\n1,1,a.wav,,bob,A\n"
    (call,) = _import(tmp_path, "id,segment,audio,text,rater,segment_label\n" + rows).calls
    (segment,) = call.segments
    assert (segment.audio, segment.label, segment.turns[0].text) == (tmp_path / "a.wav", "A", "hi")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,text,label,rater\n1,hi,A,ann\n1,ho,A,bob\n",
         "line 3: text of call '1' by grader 'bob' is another than on line 2 by 'ann'"),
        ("id,segment,text,label,rater\n1,1,hi,A,ann\n1,1,ho,A,bob\n", "line 3: text of call '1', segment '1' by"),
        ("id,file,label,rater\n1,a.wav,A,ann\n1,b.wav,A,bob\n", "line 3: audio of call '1' by grader 'bob' is another"),
        ("id,role,text,rater\n1,agent,hi,ann\n1,customer,no,ann\n1,agent,hello,bob\n",
         "line 4: call '1' has another turn by grader 'bob' than from line 2 on by 'ann'; map segment_id"),
        ("id,segment,text,segment_label,rater\n1,1,hi,A,ann\n1,1,hi,B,bob\n", "line 3: segment_label of call '1', "),
        ("id,role,text,start_s,end_s,rater\n1,agent,hi,0,1,ann\n1,agent,hi,0,2,bob\n", "line 3: end of call '1' by"),
    ],
)  # fmt: skip
def test_graders_rows_with_other_content_are_named(tmp_path: Path, text: str, message: str) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(name.encode())
    with pytest.raises(DataError) as caught:
        _import(tmp_path, text)
    assert message in str(caught.value)


def test_a_column_for_each_grader(tmp_path: Path) -> None:
    rows = "1,hi,A,A,B\n2,hi,A,,B\n3,hi,,,N/A\n4,hi,A/B,B,\n"
    found = _import(tmp_path, "id,text,ann,bob,eve\n" + rows, raters=("ann", "bob", "eve"), scheme=MARKETCALLS)
    assert [call.label for call in found.calls] == ["A", ("A", "B"), None, "B"]
    assert found.calls[1].labels == (RaterLabel("ann", "A"), RaterLabel("eve", "B"))
    assert found.calls[2].labels == ()
    assert not found.unused
    named = _import(tmp_path, "id,text,ann,bob,label\n1,hi,A,B,C\n2,hi,A,B,\n", raters=("ann", "bob"), votes="none")
    assert [(call.label, len(call.labels)) for call in named.calls] == [("C", 2), (None, 2)]
    several = _import(tmp_path, "id,segment,text,ann\n1,1,hi,A\n1,2,ho,A\n", raters=("ann",))
    assert (several.calls[0].label, len(several.calls[0].segments)) == ("A", 2)


def test_wrong_columns_of_graders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--raters bob: there is no column 'bob'; there are id, text, ann"):
        _import(tmp_path, "id,text,ann\n1,hi,A\n", raters=("ann", "bob"))
    with pytest.raises(UsageError, match="'rater' names the grader of a row"):
        _import(tmp_path, "id,text,ann,rater\n1,hi,A,x\n", raters=("ann",))
    with pytest.raises(DataError, match=r"line 2: column 'ann': label 'Z' is not a grade"):
        _import(tmp_path, "id,text,ann\n1,hi,Z\n", raters=("ann",), scheme=MARKETCALLS)
    with pytest.raises(DataError, match=r"line 3: label by 'ann' 'B' of call '1' is another than 'A' on line 2"):
        _import(tmp_path, "id,segment,text,ann\n1,1,hi,A\n1,2,ho,B\n", raters=("ann",))


# Labels of segments


def test_timed_turns_with_a_segment_label_are_segments(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    rows = "1,a.wav,agent,hi,0,1,A\n1,a.wav,customer,yo,1,2,\n"
    (call,) = _import(tmp_path, "id,audio,role,text,start_s,end_s,segment_label\n" + rows).calls
    assert [(segment.label, segment.start_s, segment.turns) for segment in call.segments] == [
        ("A", 0.0, (Turn("agent", "hi", 0.0, 1.0),)),
        (None, 1.0, (Turn("customer", "yo", 1.0, 2.0),)),
    ]
    assert (call.audio, call.turns) == (tmp_path / "a.wav", ())


@pytest.mark.parametrize(
    "text",
    [
        "id,role,text,segment_label\n1,agent,hi,\n1,customer,yo,B\n",
        "id,text,segment_label\n1,hi,A\n",
        "id,audio,segment,text,segment_label\n1,a.wav,1,hi,A\n1,a.wav,2,ho,B\n",
    ],
)
def test_untimed_turns_with_a_segment_label_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    with pytest.raises(DataError, match=r"line \d: call '1' has a segment_label and .*needs segment_id or times"):
        _import(tmp_path, text)


def test_the_only_segment_of_a_recording_keeps_its_label(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    (call,) = _import(tmp_path, "id,audio,segment,segment_label\n1,a.wav,1,A\n").calls
    assert [(segment.audio, segment.label) for segment in call.segments] == [(tmp_path / "a.wav", "A")]
