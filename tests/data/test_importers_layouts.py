"""Sources as other programs really leave them: parts in one folder, damaged text, sizes that are wrong."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
import soundfile

from callsift.data.importers import Imported, Request, import_calls
from callsift.errors import DataError, UsageError
from callsift.labels import load_scheme
from callsift.types import RaterLabel, Turn

MARKETCALLS = load_scheme("marketcalls")


def _import(path: Path, *, skip_bad: bool = False, scheme: Any = None, raters: tuple[str, ...] = (),
            **mapping: str) -> Imported:  # fmt: skip
    return import_calls(path, Request(mapping, scheme=scheme, skip_bad=skip_bad, raters=raters))[1]


def _lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """A folder with two recordings of ten seconds."""
    for at, name in enumerate(("a.wav", "b.wav")):
        soundfile.write(tmp_path / name, np.full(20000, 0.01 * (at + 1)), 2000)
    return tmp_path


# Tables


def test_a_workbook_that_is_wrong_about_its_size(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["id", "text", "label"], ["1", "hello", "A"], ["2", "bye", None], ["3", "so", "B"]):
        book.active.append(row)
    book.save(tmp_path / "right.xlsx")
    with zipfile.ZipFile(tmp_path / "right.xlsx") as old, zipfile.ZipFile(tmp_path / "calls.xlsx", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', data))
    assert [(call.call_id, call.label) for call in _import(tmp_path / "calls.xlsx").calls] == [
        ("1", "A"), ("2", None), ("3", "B"),
    ]  # fmt: skip


TABLE = "id,label,text\n1,A,您好我想问一下价格\n2,B,好的再见谢谢您的来电\n"
WESTERN = "id,label,text\n" + "".join(f"{at},A,schöne Grüße über Österreich\n" for at in range(20))


@pytest.mark.parametrize(
    ("text", "place", "line"),
    [(TABLE, TABLE.index("价"), 2), (TABLE, len(TABLE) - 2, 3), (WESTERN, WESTERN.index("ü", 300), None)],
)
def test_damaged_utf8_is_not_taken_for_chinese(tmp_path: Path, text: str, place: int, line: int | None) -> None:
    at = len(text[:place].encode())
    data = text.encode()
    (tmp_path / "calls.csv").write_bytes(data[:at] + data[at + 1 :])
    with pytest.raises(DataError) as caught:
        _import(tmp_path / "calls.csv")
    line = line or text[:place].count("\n") + 1
    assert re.search(rf"is damaged UTF-8 at byte {at} \(line {line}\)", str(caught.value))
    (tmp_path / "calls.csv").write_bytes(text.encode("gb18030"))
    assert "GB18030" in _import(tmp_path / "calls.csv").notes[0]


def test_the_line_that_tells_excel_the_delimiter(tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text("sep=|\r\nid|text|label\r\n1|hi, you; there|A\r\n2|x\r\n", encoding="utf-8")
    found = _import(tmp_path / "calls.csv", skip_bad=True)
    assert found.calls[0].turns == (Turn("unknown", "hi, you; there"),)
    assert "line 4: has 2 cells" in found.left_out[0]
    (tmp_path / "calls.csv").write_text('"sep=;"\nid;text\n1;hi\n', encoding="utf-8-sig")
    assert _import(tmp_path / "calls.csv").calls[0].call_id == "1"


def test_labels_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text("id,text,label\n1,a,NaN\n2,b,n/a\n3,c,N/A\n4,d,#N/A\n5,e,A\n", encoding="utf-8")
    assert [call.label for call in _import(tmp_path / "calls.csv", scheme=MARKETCALLS).calls] == [*[None] * 4, "A"]
    own = load_scheme({"id": "own", "grades": ["yes", "N/A"], "tasks": {"two": {"y": ["yes"], "n": ["N/A"]}}})
    assert _import(tmp_path / "calls.csv", scheme=own, skip_bad=True).calls[2].label == "N/A"


def test_a_row_of_the_papers_table_without_phone_and_number(tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text(
        "phone,Audio_id,Segment_number,text,label\n,,1,one,A\n7,,1,two,A\n7,1,1,three,A\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match="line 2: column 'phone' is empty: a call needs an id"):
        _import(tmp_path / "calls.csv")
    found = _import(tmp_path / "calls.csv", skip_bad=True)
    assert [call.call_id for call in found.calls] == ["7/1"]
    assert "line 3: column 'Audio_id' is empty" in found.left_out[1]


# Folders


def test_folders_of_splits(tmp_path: Path) -> None:
    for name in ("train/A/x.wav", "dev/B/y.wav", "test/z.wav", "w.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    found = _import(tmp_path, scheme=MARKETCALLS)
    assert {call.call_id: (call.split, call.label) for call in found.calls} == {
        "train/A/x.wav": ("train", "A"), "dev/B/y.wav": ("val", "B"), "test/z.wav": ("test", None),
        "w.wav": (None, None),
    }  # fmt: skip
    assert found.used == {"split": "the first folder's name", "label": "the second folder's name"}
    (tmp_path / "C").mkdir()
    (tmp_path / "C/v.wav").write_bytes(b"1")
    with pytest.raises(DataError, match="label 'dev' is not a grade"):
        _import(tmp_path, scheme=MARKETCALLS)
    with pytest.raises(UsageError, match="--raters names columns"):
        _import(tmp_path, raters=("ann",))


# Kaldi


def _kaldi(folder: Path, segments: str, **files: str) -> Path:
    for name, text in {"wav.scp": "rec1 a.wav\nrec2 b.wav\n", "segments": segments, **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_kaldi_segments_to_the_end_with_channels_and_labels(audio: Path) -> None:
    texts = {"text": "u1 hello\nu2 bye\nu3 so\n", "grades": "u1 A\nu2 B\n"}
    folder = _kaldi(audio, "u1 rec1 0 1.5 0\nu2 rec1 2 -1 1\nu3 rec2 1 -1\n", **texts)
    one, two = _import(folder).calls
    assert one.turns == (Turn("unknown", "hello", 0.0, 1.5, 0), Turn("unknown", "bye", 2.0, 10.0, 1))
    assert two.turns == (Turn("unknown", "so", 1.0, 10.0),)
    one, two = _import(folder, segment_label="grades").calls
    assert [(segment.label, segment.start_s, segment.end_s) for segment in one.segments] == [
        ("A", 0, 1.5),
        ("B", 2, 10),
    ]
    assert [segment.label for segment in two.segments] == [None]
    (audio / "a.wav").write_bytes(b"no audio")
    with pytest.raises(DataError, match="line 2: the end of recording 'rec1' can't be told: 'a.wav' not_audio"):
        _import(folder)


def test_a_kaldi_recording_is_left_out_with_its_bad_utterance(audio: Path) -> None:
    folder = _kaldi(audio, "u1 rec1 0 1.5\nu2 rec1 2\nu3 rec2 0 1\n", text="u1 a\nu2 b\nu3 c\n")
    found = _import(folder, skip_bad=True)
    assert [call.call_id for call in found.calls] == ["rec2"]
    assert found.left_out[0].endswith("line 2: must be 'utterance recording start end', not 'u2 rec1 2'")
    assert found.left_out[1].endswith("recording 'rec1' is left out whole, with the lines above")


# lhotse


def _recording(name: str, source: str = "a.wav", **more: Any) -> dict[str, Any]:
    sources = [{"type": "file", "channels": [0], "source": source}]
    return {"id": name, "sources": sources, "sampling_rate": 2000, "num_samples": 20000, "duration": 10.0, **more}


def _said(recording: str, **more: Any) -> dict[str, Any]:
    return {"id": "s", "recording_id": recording, "start": 0, "duration": 3.0, "text": "hi", **more}


def _parts(folder: Path, *names: str) -> Path:
    for name, source in zip(names, ("a.wav", "b.wav"), strict=False):
        _lines(folder / f"x_recordings_{name}.jsonl", _recording(f"r-{name}", source))
        _lines(folder / f"x_supervisions_{name}.jsonl", _said(f"r-{name}", speaker="x", custom={"label": "A"}))
    return folder


def test_lhotse_parts_in_one_folder(audio: Path) -> None:
    found = _import(_parts(audio, "train", "dev"))
    assert {call.call_id: (call.split, call.label, len(call.turns)) for call in found.calls} == {
        "r-dev": ("val", "A", 1), "r-train": ("train", "A", 1),
    }  # fmt: skip
    assert found.used["split"] == "the files' names"
    for kind in ("recordings", "supervisions"):
        (call,) = _import(audio / f"x_{kind}_train.jsonl").calls
        assert (call.call_id, call.label, call.split) == ("r-train", "A", None)
    (audio / "x_recordings_dev.jsonl").unlink()
    with pytest.raises(DataError, match="x_supervisions_dev.jsonl belongs to no file of recordings by its name"):
        _import(audio)
    (audio / "x_supervisions_train.jsonl").unlink()
    with pytest.raises(DataError, match=r"none of the supervisions beside it \(x_supervisions_dev.jsonl\) is called"):
        _import(audio / "x_recordings_train.jsonl")


def test_lhotse_parts_that_say_no_split_or_share_calls(audio: Path) -> None:
    _parts(audio, "train", "b1")
    with pytest.raises(DataError, match=r"'x_recordings_b1.jsonl' does not end in train, dev or test; name one of"):
        _import(audio)
    (audio / "x_recordings_b1.jsonl").rename(audio / "x_recordings_test.jsonl")
    (audio / "x_supervisions_b1.jsonl").unlink()
    _lines(audio / "x_recordings_test.jsonl", _recording("r-train"))
    with pytest.raises(DataError, match="has call 'r-train', which another part of the folder has too"):
        _import(audio)


def _cut(supervisions: list[dict[str, Any]], **recording: Any) -> dict[str, Any]:
    return {"id": "c", "start": 2.0, "duration": 5.0, "channel": 0, "type": "MonoCut", "supervisions": supervisions,
            "recording": _recording("r", **recording)}  # fmt: skip


def test_supervisions_of_a_truncated_cut_are_clipped_to_it(audio: Path) -> None:
    spoken = [_said("r", start=-0.5), _said("r", start=4.5, text="so"), _said("r", start=-4, text="before")]
    (call,) = _import(_lines(audio / "cuts.jsonl", _cut(spoken))).calls
    assert [(turn.text, turn.start_s, turn.end_s) for turn in call.segments[0].turns] == [
        ("hi", 2.0, 4.5), ("so", 6.5, 7.0),
    ]  # fmt: skip
    assert (call.segments[0].start_s, call.segments[0].end_s) == (2.0, 7.0)


def test_recordings_that_are_to_be_transformed_are_refused(audio: Path) -> None:
    path = _lines(audio / "cuts.jsonl", _cut([], transforms=[{"name": "Speed", "kwargs": {"factor": 0.5}}]))
    with pytest.raises(DataError, match=r"line 1: recording 'r' is to be transformed \(Speed\); save what results"):
        _import(path)


# Label Studio


def _tasks(folder: Path, *tasks: dict[str, Any]) -> Path:
    path = folder / "export.json"
    path.write_text(json.dumps([{"id": at, "annotations": [], **task} for at, task in enumerate(tasks, start=1)]))
    return path


def _by(who: int, kind: str, value: Any) -> dict[str, Any]:
    result = [{"id": "x", "from_name": f"the {kind}", "to_name": "d", "type": kind, "value": {kind: value}}]
    return {"id": 1, "completed_by": who, "was_cancelled": False, "result": result}


def test_a_dialogue_in_a_task_becomes_turns(tmp_path: Path) -> None:
    said = [{"author": "agent", "text": "hello"}, {"speaker": "Bob", "text": "how much"}, {"text": " "}]
    (call,) = _import(_tasks(tmp_path, {"data": {"dialogue": said}})).calls
    assert call.turns == (Turn("agent", "hello"), Turn("unknown", "how much", speaker="Bob"))
    for bad in (["hello"], [{"author": "agent"}], [{"author": "agent", "text": 3}]):
        with pytest.raises(DataError, match=r"task 1: data.dialogue is a list whose entry 0 is no \{author, text\}"):
            _import(_tasks(tmp_path, {"data": {"dialogue": bad}}))
    with pytest.raises(DataError, match=r"task 1: data.text \{'a': 1\} is neither a text nor a number"):
        _import(_tasks(tmp_path, {"data": {"text": {"a": 1}}}))


def test_ratings_are_labels_where_there_are_no_choices(tmp_path: Path) -> None:
    stars = load_scheme({"id": "stars", "kind": "number", "range": [1, 5]})
    task = {"data": {"text": "hi"}, "annotations": [_by(1, "rating", 4), _by(2, "rating", 5)]}
    (call,) = _import(_tasks(tmp_path, task), scheme=stars).calls
    assert (call.labels, call.label) == ((RaterLabel("1", 4.0), RaterLabel("2", 5.0)), 4.5)
    task = {"data": {"text": "hi"}, "annotations": [_by(1, "rating", 4), _by(1, "choices", ["A"])]}
    found = _import(_tasks(tmp_path, task))
    assert (found.calls[0].label, found.unused) == ("A", ("rating 'the rating'",))
    assert _import(_tasks(tmp_path, task), label="the rating").calls[0].label == 4.0


def test_urls_find_their_files_by_the_longest_path(tmp_path: Path) -> None:
    for name in ("x/a.wav", "y/a.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(name.encode())
    urls = ("s3://b/x/a.wav", "https://h.org/deep/y/a.wav?token=1", "https://h.org/deep/y/a.wav?token=2")
    found = _import(_tasks(tmp_path, *({"data": {"audio": url}} for url in urls)))
    assert [call.audio for call in found.calls] == [tmp_path / "x/a.wav", *[tmp_path / "y/a.wav"] * 2]
    (tmp_path / "a.wav").write_bytes(b"one of them")
    (tmp_path / "x/a.wav").unlink()
    with pytest.raises(DataError, match=r"task 2: audio 's3://b/z/a.wav' and that of task 1 are both found as"):
        _import(_tasks(tmp_path, *({"data": {"audio": f"s3://b/{part}/a.wav"}} for part in "xz")))
