"""CSV and XLSX: the paper's columns, free mapping, several graders, and what is wrong, in a sentence."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from callsift.data.importers import Imported, Request, import_calls
from callsift.data.importers.fields import _NAMES
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import DataError, UsageError
from callsift.labels import load_scheme
from callsift.types import RaterLabel, Turn

PAPER = """phone,Audio_id,Segment_number,text,label
13800000000,7,10,客服: 再见; 顾客: 再见,B
13800000000,7,2,客服：您好，这里是银行；顾客：我很忙；没空,B
13800000000,8,1,客服: 您好,
13900000000,7,1,顾客: 谁呀,A
"""
MARKETCALLS = load_scheme("marketcalls")


def _csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "calls.csv"
    path.write_bytes(text.encode(encoding))
    return path


def _import(
    path: Path, *, votes: Any = "majority", skip_bad: bool = False, scheme: Any = None, **mapping: str
) -> Imported:
    return import_calls(path, Request(mapping, None, scheme, votes, skip_bad))[1]


def test_the_papers_columns(tmp_path: Path) -> None:
    found = _import(_csv(tmp_path, PAPER))
    assert [call.call_id for call in found.calls] == ["13800000000/7", "13800000000/8", "13900000000/7"]
    first = found.calls[0]
    assert (first.group, first.label) == ("13800000000", "B")
    assert [segment.segment_id for segment in first.segments] == ["2", "10"]
    assert first.segments[0].turns == (
        Turn("agent", "您好，这里是银行"),
        Turn("customer", "我很忙；没空"),
    )
    assert found.calls[1].label is None
    assert found.used["call_id"] == "{phone}/{Audio_id}"
    assert not found.unused


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(tmp_path: Path, encoding: str, delimiter: str) -> None:
    text = (
        delimiter.join(("id", "text", "等级", "备注"))
        + "\r\n"
        + delimiter.join(("a", '"你好\n再见"', "A", "x"))
        + "\r\n"
    )
    found = _import(_csv(tmp_path, text, encoding))
    assert found.calls[0].turns == (Turn("unknown", "你好\n再见"),)
    assert (found.calls[0].label, found.unused) == ("A", ("备注",))


def test_a_workbook_is_read_like_a_csv(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["phone", "Audio_id", "Segment_number", "text", "label", None])
    book.active.append([13800000000, 7.0, 1, "客服: 您好", "B", None])
    book.active.append([])
    book.create_sheet("notes")
    book.save(tmp_path / "calls.xlsx")
    found = _import(tmp_path / "calls.xlsx")
    assert found.calls[0].call_id == "13800000000/7"
    assert found.notes == ("read the sheet 'Sheet', not 'notes'",)


def test_free_mapping_patterns_and_turns(tmp_path: Path) -> None:
    (tmp_path / "rec").mkdir()
    (tmp_path / "rec/x-1.wav").write_bytes(b"1")
    path = _csv(tmp_path, "Kunde,Nr,Wer,Was,von,bis,Note,Teil\nx,1,Agent,hello,0,1.5,A,dev\nx,1,Bob,no,1.5,2,A,dev\n")
    found = _import(path, call_id="{Kunde}-{Nr}", audio="rec/{Kunde}-{Nr}.wav", role="Wer", text="Was", start_s="von",
                    end_s="bis", label="Note", split="Teil", group="Kunde")  # fmt: skip
    call = found.calls[0]
    assert (call.call_id, call.audio, call.split, call.group) == ("x-1", tmp_path / "rec/x-1.wav", "val", "x")
    assert call.turns == (Turn("agent", "hello", 0.0, 1.5), Turn("unknown", "no", 1.5, 2.0, speaker="Bob"))
    write_manifest(tmp_path / "deep/manifest.jsonl", found.calls)
    assert '"../rec/x-1.wav"' in (tmp_path / "deep/manifest.jsonl").read_text("utf-8")
    assert len(read_manifest(tmp_path / "deep/manifest.jsonl").calls) == 1


def test_a_recording_saved_anew_under_another_suffix_is_found_by_its_stem(tmp_path: Path) -> None:
    (tmp_path / "a.b.ogg").write_bytes(b"1")
    found = _import(_csv(tmp_path, "file,label\na.b.wav,A\n"), audio="{file.stem}.ogg", call_id="file")
    assert (found.calls[0].call_id, found.calls[0].audio) == ("a.b.wav", tmp_path / "a.b.ogg")
    with pytest.raises(UsageError, match="there is no column 'name'"):
        _import(tmp_path / "calls.csv", audio="{name.stem}.ogg")


def test_rows_of_graders_become_labels_and_votes(tmp_path: Path) -> None:
    rows = "a,hi,ann,A\na,hi,bob,A\na,hi,eve,B\nb,ho,ann,A\nb,ho,bob,C\nc,hu,ann,D\nd,he,ann,\n"
    found = _import(_csv(tmp_path, "id,text,rater,label\n" + rows))
    assert [call.label for call in found.calls] == ["A", ("A", "C"), "D", None]
    assert found.calls[0].labels == (RaterLabel("ann", "A"), RaterLabel("bob", "A"), RaterLabel("eve", "B"))
    assert found.calls[0].turns == (Turn("unknown", "hi"),)
    assert any(note.startswith("1 calls: graders disagree evenly") for note in found.notes)
    found = _import(_csv(tmp_path, "id,text,rater,label\n" + rows), votes="none")
    assert [call.label for call in found.calls] == [None, None, "D", None]


def test_labels_in_the_form_of_the_scheme(tmp_path: Path) -> None:
    path = _csv(tmp_path, "id,text,label\na,hi,A/B\nb,hi, C \n")
    assert [call.label for call in _import(path, scheme=MARKETCALLS).calls] == [("A", "B"), "C"]
    number = load_scheme({"id": "n", "kind": "number", "range": [-3, 3]})
    assert [call.label for call in _import(_csv(tmp_path, "id,text,label\na,hi,-1.6\n"), scheme=number).calls] == [-1.6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("id,text,label\n", "has a header (id, text, label) and no rows below it"),
        ("id,id\na,b\n", "line 1: has two columns 'id'"),
        ("id,text\na,b,c\n", "line 2: has 3 cells, the header 2"),
        ('id,text\na,"b\n', "line 2: is no CSV from here on"),
        ("id,text\na,\n", "line 2: has neither audio nor text"),
        ("id,note\na,b\n", "no column is found for audio, text or transcript; there are id, note: name one"),
        ("id,text\na,\nb,x\nc,\nd,\n", "line 2: has neither audio nor text: nothing to import (and 2 more; --skip-bad"),
        ("id,text,label\na,b, c\n", "it has A, B, C, D, E (did you mean 'C'?). Correct the label, or name another"),
        ("id,text\n,b\n", "line 2: column 'id' is empty: a call needs an id"),
        ("id,text\na,b\na,c\n", "line 3: call 'a' stands on line 2 already; where rows are segments"),
        ("id,segment,text\na,1,b\na,1,c\n", "line 3: call 'a' with segment '1' stands on line 2 already"),
        ("id,text,rater,label\na,b,ann,A\na,b,ann,A\n", "line 3: call 'a' by 'ann' stands on line 2 already"),
        ("id,text,rater,label\na,b,ann,A\na,b,ann,B\n", "line 3: label 'B' of call 'a' is another than 'A' on line 2"),
        ("id,text,rater,label\na,b,,A\n", "line 2: call 'a' has a label whose column 'rater' is empty"),
        ("id,segment,text,label\na,1,b,A\na,2,c,B\n", "line 3: label 'B' of call 'a' is another than 'A' on line 2"),
        ("id,segment,text,group\na,1,b,x\na,2,c,y\n", "line 3: group 'y' of call 'a' is another than 'x'"),
        ("id,audio\na,absent.wav\n", "line 2: column 'audio': 'absent.wav' does not exist (looked for"),
        ("id,text,start_s,end_s\na,b,nan,2\n", "line 2: column 'start_s': 'nan' is not a number of seconds"),
        ("id,text,start_s,end_s\na,b,3,2\n", "line 2: column 'end_s': end 2 lies before start 3"),
        ("id,text,start_s\na,b,3\n", "line 2: column 'start_s': start 3 has no end"),
        ("id,text,split\na,b,later\n", "line 2: column 'split': 'later' is not one of train, val"),
        ("id,text,label\na,b,Z\n", "line 2: column 'label': label 'Z' is not a grade of scheme 'marketcalls'"),
        ("id,text,channel,role\na,b,left,agent\n", "line 2: column 'channel': 'left' is not 0, 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = _csv(tmp_path, text)
    with pytest.raises(DataError) as caught:
        _import(path, scheme=MARKETCALLS)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_bad_rows_may_be_left_out_with_their_calls_and_are_named(tmp_path: Path) -> None:
    """Never one segment of a call alone, and never one of two rows that contradict each other."""
    path = _csv(tmp_path, "id,text,label\na,hi,A\nb,,A\nc,hi\nd,hi,Z\ne,hi,A\ne,again,A\n")
    found = _import(path, scheme=MARKETCALLS, skip_bad=True)
    assert [call.call_id for call in found.calls] == ["a"]
    assert [sentence.split(": ")[0].rsplit(" ", 1)[1] for sentence in found.left_out] == ["3", "4", "5", "7"]
    path = _csv(tmp_path, "id,segment,text,start_s\na,1,hi,\na,2,ho,soon\na,3,hu,\nb,1,ha,\nc,1\nc,2,ho,\n")
    found = _import(path, skip_bad=True)
    assert [call.call_id for call in found.calls] == ["b"]
    assert [sentence.split(", ", 1)[1] for sentence in found.left_out] == [
        "line 3: column 'start_s': 'soon' is not a number of seconds, 0 or more",
        "line 6: has 2 cells, the header 4; a text with a delimiter in it must stand in quotes",
        "line 2: call 'a' is left out with its line 3",
        "line 7: call 'c' is left out with its line 6",
    ]
    with pytest.raises(DataError, match=r"holds no calls to import \(1 rows are left out; the first"):
        _import(_csv(tmp_path, "id,text\na,\n"), skip_bad=True)


def test_mappings_to_what_does_not_exist(tmp_path: Path) -> None:
    path = _csv(tmp_path, "id,text\na,b\n")
    with pytest.raises(UsageError, match="there is no column 'Grade'; there are id, text"):
        _import(path, label="Grade")
    with pytest.raises(UsageError, match="'grade' is no field of a call"):
        _import(path, grade="text")
    with pytest.raises(UsageError, match="there is no column 'nr'"):
        _import(path, audio="{nr}.wav")


def test_column_names_with_blanks_and_hyphens_and_paths_of_windows(tmp_path: Path) -> None:
    (tmp_path / "rec").mkdir()
    (tmp_path / "rec/x.wav").write_bytes(b"x")
    found = _import(_csv(tmp_path, "Call ID,Audio File,customer-id,GRADE\n7,rec\\x.wav,k,A\n"))
    assert found.used == {"call_id": "Call ID", "audio": "Audio File", "group": "customer-id", "label": "GRADE"}
    assert found.calls[0].audio == tmp_path / "rec/x.wav"


def test_what_is_only_called_a_workbook(tmp_path: Path) -> None:
    (tmp_path / "fake.xlsx").write_text("id,text\na,b\n")
    with pytest.raises(DataError, match="is called a workbook and holds text; .* --format csv"):
        _import(tmp_path / "fake.xlsx")
    assert import_calls(tmp_path / "fake.xlsx", Request(), "csv")[1].calls[0].call_id == "a"
    (tmp_path / "old.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(DataError, match=r"is an old \(.xls\) or an encrypted workbook"):
        _import(tmp_path / "old.xlsx")


def test_damaged_workbooks_and_binary_files(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for at in range(200):
        book.active.append([f"id{at}", f"text {at}"])
    book.save(tmp_path / "whole.xlsx")
    data = (tmp_path / "whole.xlsx").read_bytes()
    for share in (0.01, 0.3, 0.7, 0.99):
        (tmp_path / "cut.xlsx").write_bytes(data[: int(share * len(data))])
        with pytest.raises(DataError, match="is no readable .xlsx workbook, or a truncated one"):
            _import(tmp_path / "cut.xlsx")
    with zipfile.ZipFile(tmp_path / "other.xlsx", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(DataError, match="is no readable .xlsx workbook"):
        _import(tmp_path / "other.xlsx")
    (tmp_path / "calls.csv").write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(DataError, match="is no text in UTF-8"):
        _import(tmp_path / "calls.csv")


def test_segments_with_recordings_of_their_own_or_times_in_one(tmp_path: Path) -> None:
    for name in "xy":
        (tmp_path / f"{name}.wav").write_bytes(name.encode())
    own = _import(_csv(tmp_path, "id,segment,audio,text\na,2,y.wav,two\na,1,x.wav,one\n")).calls[0]
    assert (own.audio, [segment.audio for segment in own.segments]) == (None, [tmp_path / "x.wav", tmp_path / "y.wav"])
    timed = _import(_csv(tmp_path, "id,audio,start_s,end_s,text\na,x.wav,2,3,two\na,x.wav,0,1,one\n")).calls[0]
    assert (timed.audio, [segment.start_s for segment in timed.segments]) == (tmp_path / "x.wav", [0.0, 2.0])
    untimed = _import(_csv(tmp_path, "id,segment,audio,text\na,1,x.wav,one\na,2,x.wav,two\n"))
    assert [turn.text for turn in untimed.calls[0].turns] == ["one", "two"]
    assert untimed.notes[1].startswith("1 calls: its rows share one recording and have no times")
    with pytest.raises(DataError, match="has times, and a recording that not all rows"):
        _import(_csv(tmp_path, "id,audio,start_s,end_s\na,x.wav,0,1\na,y.wav,1,2\n"))


def test_the_tables_in_the_documentation_are_read_as_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/data.md").read_text("utf-8")
    tables = re.findall(r"```csv\n(.*?)```", page, flags=re.DOTALL)
    columns = tables.pop(2)
    paper, graders, turns = (_import(_csv(tmp_path, table)).calls for table in tables)
    found = import_calls(_csv(tmp_path, columns), Request(raters=("ann", "bob", "eve")))[1]
    assert [call.label for call in found.calls] == ["A", ("B", "C"), "D"]
    assert [(call.call_id, len(call.segments)) for call in paper] == [("13800000000/7", 2), ("13900000000/1", 1)]
    assert [(call.label, len(call.labels), len(call.turns)) for call in graders] == [("A", 3, 2)]
    assert [turn.start_s for turn in turns[0].turns] == [0.4, 1.5]
    for field, names in _NAMES.items():
        assert f"`{field}`" in page
        assert all(f"`{name}`" in page or name in page for name in names)
