"""Published tables: every complaint names its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsift.benchmarks.reading import Row, files_by_stem, mended, read_rows
from callsift.errors import DataError
from tests.benchmarks.tables_made import write_csv


def test_cells_are_asked_for_without_the_blanks_around(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{"name": " x ", "kind": "Joy", "at": "3"}])
    row = read_rows(path, ("name", "kind"))[0]
    assert (row["name"], row.cells["name"], row.one_of("kind", ("joy", "fear")), row.number("at")) == (
        "x", " x ", "joy", 3,
    )  # fmt: skip


def test_a_text_of_several_lines_keeps_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('name,text\na,"one\ntwo"\nb,three\n', "utf-8")
    assert [row.line for row in read_rows(path, ("name",))] == [2, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("name,label\n", "no rows below it"),
        ("name\nx\n", "line 1: has no column 'label'; there are name"),
        ("name,label\nx\n", "line 2: has 1 cells, the header 2"),
        ("name,label\nx,joy\ny,fear\nx,joy\n", "line 4: stands on line 2 already: x"),
        ('name,label\nx,"joy\n', "is no CSV from here on"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content, "utf-8")
    with pytest.raises(DataError, match=message):
        read_rows(path, ("name", "label"), lambda row: row["name"])


def test_a_table_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv: does not exist; name the folder"):
        read_rows(tmp_path / "a.csv", ("name",))


def test_a_wrong_cell_is_named_with_its_line(tmp_path: Path) -> None:
    row = read_rows(write_csv(tmp_path / "a.csv", [{"kind": "rage", "at": "-1", "text": " "}]), ("kind",))[0]
    with pytest.raises(DataError, match=r"a\.csv, line 2: 'kind' is 'rage', not one of joy, fear"):
        row.one_of("kind", ("joy", "fear"))
    with pytest.raises(DataError, match="'at' must be a whole number, not '-1'"):
        row.number("at")
    with pytest.raises(DataError, match=r"line 2: 'at' has 5,000 digits, more than the 18 of any id"):
        Row(row.path, row.line, {"at": "9" * 5000}).number("at")
    with pytest.raises(DataError, match="'text' is empty"):
        row.filled("text")


@pytest.mark.parametrize(
    ("published", "meant"),
    [("I\x92m \x93here\x94", "I’m “here”"), ("Iâ€™m", "I’m"), ("cafÃ©", "café"), ("I’m", "I’m"), ("Ã la", "Ã la")],
)
def test_marks_that_went_through_another_encoding_are_mended(published: str, meant: str) -> None:
    assert mended(published) == meant


def test_of_one_stem_the_first_ending_is_taken(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.wav", "b.mp4", "c.txt"):
        (tmp_path / name).touch()
    found = files_by_stem(tmp_path, (".wav", ".mp4"))
    assert {stem: path.name for stem, path in found.items()} == {"a": "a.wav", "b": "b.mp4"}
    assert files_by_stem(tmp_path / "nowhere", (".wav",)) == {}
