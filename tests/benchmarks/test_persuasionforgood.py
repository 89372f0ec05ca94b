"""persuasionforgood: roles, outcomes from either table, the same folds as ever, a whole run, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsift.benchmarks import persuasionforgood
from callsift.benchmarks.persuasionforgood import BENCHMARK, read_dialogues
from callsift.canonical import sha256_of_json
from callsift.data.splits import folds
from callsift.errors import DataError
from callsift.types import Turn
from tests.benchmarks.runs import TINY_AUDIO, run_few
from tests.benchmarks.tables_made import change_cell, drop_column, make_persuasion, save_encoders

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.parametrize("full_info", [False, True])
def test_what_the_persuadee_gave_is_the_label(tmp_path: Path, *, full_info: bool) -> None:
    """The persuader gives always, and that does not count."""
    make_persuasion(tmp_path, 4, full_info=full_info)
    contents = persuasionforgood.read(tmp_path, tmp_path)
    assert [(call.call_id, call.label) for call in contents.calls] == [
        ("2018-00_live", "no"), ("2018-01_live", "yes"), ("2018-02_live", "no"), ("2018-03_live", "yes"),
    ]  # fmt: skip
    assert contents.calls[1].turns[:2] == (Turn("agent", "yes please 0 "), Turn("customer", "yes please 0 "))
    assert contents.absent == ("1013 of the 1,017 dialogues are not there, or without a known donation.",)


def test_a_dialogue_without_a_known_donation_is_left_out(tmp_path: Path) -> None:
    make_persuasion(tmp_path, 4)
    change_cell(tmp_path / "donations.csv", 2, persuadee_donation_usd="")
    assert [call.call_id[5:7] for call, _ in read_dialogues(tmp_path)] == ["00", "01", "03"]


@pytest.mark.parametrize(
    ("table", "cells", "message"),
    [
        ("donations", {"persuadee_donation_usd": "-1"}, "line 2: 'persuadee_donation_usd' must be an amount in USD"),
        ("donations", {"persuadee_donation_usd": "nan"}, "must be an amount in USD, not 'nan'"),
        ("donations", {"dialogue_id": "2018-01_live"}, "line 3: stands on line 2 already"),
        ("full_dialog", {"B4": "2"}, r"full_dialog\.csv, line 2: 'B4' is '2', not one of 0, 1"),
        ("full_dialog", {"B2": ""}, "line 2: 'B2' is empty"),
        ("full_dialog", {"B4": "1"}, "line 3: stands on line 2 already: 2018-00_live, 0, 1"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path: Path, table: str, cells: dict[str, str], message: str) -> None:
    make_persuasion(tmp_path, 4)
    change_cell(tmp_path / f"{table}.csv", 0, **cells)
    with pytest.raises(DataError, match=message):
        read_dialogues(tmp_path)


def test_a_file_that_was_pasted_twice_is_refused(tmp_path: Path) -> None:
    lines = (make_persuasion(tmp_path, 2) / "full_dialog.csv").read_text("utf-8").splitlines()
    (tmp_path / "full_dialog.csv").write_text("\n".join([*lines, *lines[1:]]), "utf-8")
    with pytest.raises(DataError, match="line 10: stands on line 2 already"):
        read_dialogues(tmp_path)


def test_a_wrong_layout_is_refused(tmp_path: Path) -> None:
    make_persuasion(tmp_path, 4)
    drop_column(tmp_path / "full_dialog.csv", "B4")
    with pytest.raises(DataError, match=r"full_dialog\.csv, line 1: has no column 'B4'"):
        read_dialogues(tmp_path)
    (tmp_path / "donations.csv").unlink()
    with pytest.raises(DataError, match=r"full_info\.csv: does not exist"):
        read_dialogues(tmp_path)


def test_tables_of_different_dialogues_are_refused(tmp_path: Path) -> None:
    make_persuasion(tmp_path, 1)
    change_cell(tmp_path / "donations.csv", 0, dialogue_id="another")
    with pytest.raises(DataError, match="holds no dialogue of which the donation is known"):
        read_dialogues(tmp_path)


def test_it_is_run_from_the_published_layout(tmp_path: Path) -> None:
    """The first of five folds."""
    make_persuasion(tmp_path / "data", full_info=True)
    found = run_few(BENCHMARK, tmp_path / "data", tmp_path / "out", ("tiny",), TINY_AUDIO)
    assert found["rows"]["tiny"]["items"] == 4


@pytest.mark.slow
def test_frozen_states_are_read(tmp_path: Path) -> None:
    """Those of a small encoder in the published format stand for MiniLM's."""
    make_persuasion(tmp_path / "data", full_info=True)
    model = save_encoders(tmp_path / "models", "unused", MINILM)[1:]
    found = run_few(BENCHMARK, tmp_path / "data", tmp_path / "out", ("minilm",), TINY_AUDIO, encoders=model)
    assert found["rows"]["minilm"]["items"] == 4
    assert 0 <= found["rows"]["minilm"]["figures"]["accuracy"]["value"] <= 1


@pytest.mark.data
def test_the_real_dialogues_and_their_folds_are_as_ever(data_folder: Path, tmp_path: Path) -> None:
    """866 dialogues and 406 who gave nothing, as the data's own description says; folds as in earlier results."""
    calls = persuasionforgood.read(data_folder / "persuasionforgood", tmp_path).calls
    assert (len(calls), sum(call.label == "no" for call in calls)) == (866, 406)
    parts = [[calls[at].call_id for at in part] for part in folds(calls, BENCHMARK.folds, 1)]
    assert sha256_of_json(parts)[:16] == "8318fb646e05e84e"
