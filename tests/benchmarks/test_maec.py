"""MAEC: tables made here, sentences with and without all their measures, a whole run, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callsift.benchmarks import maec
from callsift.data.arrays import read_stream
from callsift.errors import DataError, UsageError
from tests.benchmarks.runs import TINY, run_few

PARTS = ("train",) * 6 + ("dev",) * 2 + ("test",) * 2
WORDS = ("our guidance is raised", "the demand is weak", "thank you and good morning")


@pytest.fixture
def pyarrow() -> Any:
    """The extra `parquet`; without it the test is skipped."""
    return pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "callsift[parquet]"')


def make(folder: Path, **changed: Any) -> Path:
    """Ten calls of two to eleven sentences, the last sentence first; of every seventh, a measure is missing."""
    import pyarrow
    from pyarrow import parquet

    random = np.random.default_rng(0)
    names = [f"20160101_C{at}" for at in range(len(PARTS))]
    calls = {"call_id": names, "split": list(PARTS), "log_volatility_3d": [-4.0 - 0.1 * at for at in range(len(PARTS))]}
    turns = [(name, turn) for at, name in enumerate(names) for turn in reversed(range(at + 2))]
    audio = random.normal(size=(len(turns), maec.MEASURES)).astype(np.float32)
    audio[::7, 3] = np.nan
    sentences = {
        "call_id": [name for name, _ in turns],
        "turn": [turn for _, turn in turns],
        "text": [WORDS[at % len(WORDS)] for at in range(len(turns))],
        "audio": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(audio.ravel()), maec.MEASURES),
    }
    for key, value in changed.items():
        table = calls if key in calls else sentences
        table[key] = value(table[key]) if callable(value) else value
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(calls), folder / "calls.parquet")
    parquet.write_table(pyarrow.table({key: value for key, value in sentences.items() if value is not None}),
                        folder / "sentences.parquet")  # fmt: skip
    (folder / "audio_columns.txt").write_text("\n".join(f"measure {at}" for at in range(maec.MEASURES)) + "\n")
    return folder


def test_sentences_are_segments_in_order_with_their_measures(pyarrow: Any, tmp_path: Path) -> None:
    contents = maec.read(make(tmp_path / "maec"), tmp_path / "work")
    assert [count.found for count in contents.counts] == [10, 65, 29]  # 2 + 3 + … + 11 sentences
    assert contents.tested_on == "the test part of calls.parquet, which is not the published division"
    call = contents.calls[1]
    assert (call.label, call.split, call.group) == (pytest.approx(-4.1), "train", call.call_id)
    assert [segment.segment_id for segment in call.segments] == ["000", "001", "002"]
    # Rows 2, 3 and 4 of the table are this call's, the last turn first.
    random = np.random.default_rng(0)
    audio = random.normal(size=(65, maec.MEASURES)).astype(np.float32)
    for segment, row in zip(call.segments, (4, 3, 2), strict=True):
        assert np.array_equal(read_stream(segment.streams["praat"])[0], audio[row])
        assert segment.turns[0].text == WORDS[row % 3]
    last = contents.calls[-1].segments[-1]  # row 54 is no multiple of seven, row 56 is
    assert np.isfinite(read_stream(last.streams["praat"])).all()
    assert np.isnan(read_stream(contents.calls[-1].segments[-3].streams["praat"])).sum() == 1


def test_arrays_that_lie_there_are_not_written_again(pyarrow: Any, tmp_path: Path) -> None:
    folder = make(tmp_path / "maec")
    before = maec.read(folder, tmp_path / "work").calls[0].segments[0].streams["praat"].path
    written = before.stat().st_mtime_ns
    assert maec.read(folder, tmp_path / "work").calls[0].segments[0].streams["praat"].path == before
    assert before.stat().st_mtime_ns == written


def test_calls_in_another_order_keep_their_measures(pyarrow: Any, tmp_path: Path) -> None:
    """The sentences' table is the same, and what is there of it already."""
    folder, work = make(tmp_path / "maec"), tmp_path / "work"
    for change in ({}, {"call_id": lambda old: list(reversed(old))}):
        calls = maec.read(make(folder, **change), work).calls
        found = {call.call_id: read_stream(call.segments[0].streams["praat"]) for call in calls}
        if not change:
            before = found
    assert list(found) == list(reversed(before))
    assert all(np.array_equal(found[name], before[name], equal_nan=True) for name in before)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"split": lambda old: ["other", *old[1:]]}, "is in split 'other'; there are train, dev, test"),
        ({"log_volatility_3d": lambda old: [float("nan"), *old[1:]]}, "call '20160101_C0' has no log_volatility_3d"),
        ({"turn": lambda old: [1, 1, *old[2:]]}, "has two sentences of one turn of call '20160101_C0'"),
        ({"text": None}, "has no column 'text'; it has call_id, turn, audio"),
        ({"audio": [[0.0] * 28] * 65}, "must be 29 numbers a sentence"),
    ],
)
def test_a_wrong_table_is_refused(pyarrow: Any, tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    folder = make(tmp_path / "maec", **changed)
    with pytest.raises(DataError) as refused:
        maec.read(folder, tmp_path / "work")
    assert message in str(refused.value)


def test_a_call_without_sentences_or_unknown_is_refused(pyarrow: Any, tmp_path: Path) -> None:
    from pyarrow import parquet

    folder = make(tmp_path / "maec")
    table = parquet.read_table(folder / "sentences.parquet")
    parquet.write_table(table.slice(2), folder / "sentences.parquet")
    with pytest.raises(DataError, match="has no sentence of call '20160101_C0'"):
        maec.read(folder, tmp_path / "work")
    parquet.write_table(table, folder / "sentences.parquet")
    calls = parquet.read_table(folder / "calls.parquet")
    parquet.write_table(calls.slice(1), folder / "calls.parquet")
    with pytest.raises(DataError, match="of call '20160101_C0', which calls.parquet does not name"):
        maec.read(folder, tmp_path / "work")


def test_a_damaged_file_is_refused(pyarrow: Any, tmp_path: Path) -> None:
    folder = make(tmp_path / "maec")
    (folder / "sentences.parquet").write_bytes((folder / "sentences.parquet").read_bytes()[:400])
    with pytest.raises(DataError, match=r"sentences.parquet: can't be read: .*; fetch it anew"):
        maec.read(folder, tmp_path / "work")


def test_without_its_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"callsift\[parquet\]"):
        maec.read(tmp_path, tmp_path / "work")


def test_it_is_run_from_the_tables(pyarrow: Any, tmp_path: Path) -> None:
    found = run_few(maec.BENCHMARK, make(tmp_path / "maec"), tmp_path / "out", ("msmt-fn",), TINY)
    assert found["rows"]["msmt-fn"]["items"] == 2
    assert found["rows"]["msmt-fn"]["figures"]["mean_absolute_error"]["value"] < 10


@pytest.mark.data
def test_the_real_tables_hold_what_was_counted(pyarrow: Any, data_folder: Path, tmp_path: Path) -> None:
    """2,165 calls and 209,298 sentences, as the copy's README counts them; 495 is its longest call."""
    calls = maec._labelled(data_folder / "maec/calls.parquet")
    said = maec._sentences(data_folder / "maec/sentences.parquet", calls)
    lengths = [len(each.turns) for each in said.values()]
    assert (len(lengths), sum(lengths), max(lengths)) == (2165, 209298, 495)
