"""CPED: dialogues as calls, the training part missing, a whole run, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from callsift.benchmarks import cped
from callsift.errors import DataError
from tests.benchmarks.runs import TINY, run_few
from tests.benchmarks.tables_made import change_cell, drop_column, make_cped


def test_a_dialogue_is_a_call_of_its_utterances(tmp_path: Path) -> None:
    make_cped(tmp_path)
    contents = cped.read(tmp_path, tmp_path)
    assert Counter(call.split for call in contents.calls) == {"train": 4, "val": 4, "test": 4}
    first = contents.calls[0]
    assert (first.call_id, first.language) == ("00_000", "zh")
    assert [segment.label for segment in first.segments] == ["positive", "neutral", "negative"]
    assert first.segments[0].turns[0].text == "好的谢谢好的谢谢"
    assert [count.found for count in contents.counts] == [12, 4, 1] * 3
    assert len(contents.absent) == 1


def test_without_the_training_part_the_validation_part_is_learned_from(tmp_path: Path) -> None:
    make_cped(tmp_path, ("valid", "test"))
    contents = cped.read(tmp_path, tmp_path)
    assert Counter(call.split for call in contents.calls) == {"train": 4, "test": 4}
    assert contents.absent[1].startswith("train_split.csv is not there: the validation part")
    assert [(count.what, count.found) for count in contents.counts][:2] == [
        ("utterances, train", 0), ("dialogues, train", 0),
    ]  # fmt: skip


@pytest.mark.parametrize("parts", [("train", "valid"), ("test",), ()])
def test_nothing_to_learn_from_or_to_test_on_is_refused(tmp_path: Path, parts: tuple[str, ...]) -> None:
    make_cped(tmp_path, parts)
    with pytest.raises(DataError, match=r"_split\.csv: does not exist; CPED is train_split\.csv, valid_split\.csv"):
        cped.read(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"Sentiment": "glad"}, r"test_split\.csv, line 3: 'Sentiment' is 'glad', not one of positive"),
        ({"Utterance_ID": "02_000_000"}, "line 3: stands on line 2 already: 02_000_000"),
        ({"Utterance": ""}, "line 3: 'Utterance' is empty"),
        ({"TV_ID": "00"}, "line 3: play '00' lies in the train part too"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path: Path, cells: dict[str, str], message: str) -> None:
    make_cped(tmp_path)
    change_cell(tmp_path / "test_split.csv", 1, **cells)
    with pytest.raises(DataError, match=message):
        cped.read(tmp_path, tmp_path)


def test_a_missing_column_is_refused(tmp_path: Path) -> None:
    make_cped(tmp_path)
    drop_column(tmp_path / "valid_split.csv", "Sentiment")
    with pytest.raises(DataError, match=r"valid_split\.csv, line 1: has no column 'Sentiment'"):
        cped.read(tmp_path, tmp_path)


def test_it_is_run_from_the_published_layout(tmp_path: Path) -> None:
    make_cped(tmp_path / "data", ("valid", "test"), dialogues=6)
    found = run_few(cped.BENCHMARK, tmp_path / "data", tmp_path / "out", ("tiny",), TINY)
    assert (found["rows"]["tiny"]["items"], found["rows"]["tiny"]["groups"]) == (18, 6)
    assert any("train_split.csv is not there" in sentence for sentence in found["data"]["absent"])


@pytest.mark.data
def test_the_real_tables_are_as_published(data_folder: Path, tmp_path: Path) -> None:
    """Of the three parts the training part is not at hand."""
    contents = cped.read(data_folder / "cped", tmp_path)
    there = [count for count in contents.counts if not count.what.endswith("train")]
    assert [(count.what, count.found) for count in there if count.found != count.published] == []
