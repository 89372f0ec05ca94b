"""MarketCalls: rows of a phone as a call, its tasks and metrics, whole runs, and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from callsift.benchmarks import marketcalls
from callsift.benchmarks.marketcalls import BENCHMARK
from callsift.config import train_config
from callsift.errors import DataError
from callsift.types import Turn
from tests.benchmarks.runs import TINY, run_few
from tests.benchmarks.tables_made import change_cell, drop_column, make_marketcalls, save_encoders, write_csv

SMALL = (
    "network.width=16",
    "network.heads=2",
    "network.feed_forward=16",
    "network.hidden=8",
    "network.cross_layers=1",
    "network.bottleneck_layers=1",
    "augment=none",
    "fit.batch_calls=4",
    "fit.threads=1",
)


def test_the_rows_of_a_phone_are_a_call_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    make_marketcalls(tmp_path)
    contents = marketcalls.read(tmp_path, tmp_path)
    assert Counter(call.split for call in contents.calls) == {"train": 10, "val": 10, "test": 10}
    first = contents.calls[0]
    assert (first.call_id, first.group, first.label, first.language) == ("dialog_train-0", "dialog_train-0", "A", "zh")
    assert [segment.segment_id for segment in first.segments] == ["dialog_train_0_1.wav", "dialog_train_0_2.wav"]
    assert first.segments[0].turns == (Turn("agent", "真的吗"), Turn("customer", "好的谢谢"))
    assert first.segments[0].audio == tmp_path / "dialog_train/dialog_train_0_1.wav"
    assert contents.streams == {"text", "audio"}


def test_a_recording_may_be_named_without_its_ending(tmp_path: Path) -> None:
    make_marketcalls(tmp_path)
    change_cell(tmp_path / "dialog_train.csv", 0, Audio_id="dialog_train_0_2")
    assert marketcalls.read(tmp_path, tmp_path).calls[0].segments[1].audio == (
        tmp_path / "dialog_train/dialog_train_0_2.wav"
    )


def test_without_recordings_the_words_are_read(tmp_path: Path) -> None:
    make_marketcalls(tmp_path / "data", calls=5, recordings=False)
    found = run_few(BENCHMARK, tmp_path / "data", tmp_path / "out", ("tiny", "tiny-text"), TINY)
    assert "needs audio" in found["left_out"]["tiny"]
    assert len(found["data"]["absent"]) == 3
    figures = found["rows"]["tiny-text"]["figures"]
    assert set(figures) == set(BENCHMARK.metrics)
    assert all(0 <= figures[name]["value"] <= 1 for name in ("accuracy", "accuracy (four)", "accuracy (two)"))
    assert found["rows"]["tiny-text"]["items"] == 5


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"label": "F"}, r"dialog_verify\.csv, line 3: 'label' is 'F', not one of A, B, C, D, E"),
        ({"label": "B"}, "line 3: grades call 'dialog_verify-0' B, line 2 A; a call has one grade"),
        ({"Audio_id": "dialog_verify_0_2.wav"}, "line 3: stands on line 2 already: dialog_verify_0_2"),
        ({"Audio_id": "lost.wav"}, "line 3: recording 'lost.wav' is not in"),
        ({"phone": "dialog_train-0"}, r"line 3: call 'dialog_train-0' lies in dialog_train\.csv too"),
        ({"Segment_number": "one"}, "'Segment_number' must be a whole number, not 'one'"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path: Path, cells: dict[str, str], message: str) -> None:
    make_marketcalls(tmp_path)
    change_cell(tmp_path / "dialog_verify.csv", 1, **cells)
    with pytest.raises(DataError, match=message):
        marketcalls.read(tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["dialog_train_0_1.wav", "dialog_train_0_1"])
def test_a_recording_in_two_tables_is_refused_by_text_alone_too(tmp_path: Path, name: str) -> None:
    make_marketcalls(tmp_path, recordings=False)
    change_cell(tmp_path / "dialog_test.csv", 1, Audio_id=name)
    with pytest.raises(DataError, match=r"dialog_test\.csv, line 3: recording 'dialog_train_0_1' lies in dialog_train"):
        marketcalls.read(tmp_path, tmp_path)


def test_a_wrong_layout_is_refused(tmp_path: Path) -> None:
    make_marketcalls(tmp_path)
    drop_column(tmp_path / "dialog_test.csv", "label")
    with pytest.raises(DataError, match=r"dialog_test\.csv, line 1: has no column 'label'"):
        marketcalls.read(tmp_path, tmp_path)
    write_csv(tmp_path / "dialog_test.csv", [], marketcalls.COLUMNS)
    with pytest.raises(DataError, match="no rows below it"):
        marketcalls.read(tmp_path, tmp_path)
    (tmp_path / "dialog_test.csv").unlink()
    with pytest.raises(DataError, match=r"dialog_test\.csv: does not exist"):
        marketcalls.read(tmp_path, tmp_path)


def test_every_row_is_a_configuration() -> None:
    """The paper's settings are those of the preset; each ablation changes what it says."""
    configs = {row.name: train_config(BENCHMARK.config, row.settings) for row in BENCHMARK.rows}
    paper = configs["paper"]
    assert (paper.network.width, paper.network.bottleneck_layers, paper.fit.learning_rate) == (768, 2, 1e-5)
    assert (paper.augment.audio.on, paper.augment.text.on) == (True, False)
    assert (configs["text-varied"].augment.audio.on, configs["text-varied"].augment.text.homophones) == (False, 0.1)
    assert not configs["not-varied"].augment.on
    for ablation in ("no-silence", "no-bottleneck", "no-context", "mmml"):
        assert configs[ablation].augment == paper.augment, ablation
    assert configs["no-silence"].front_end.silence == "remove"
    assert configs["no-bottleneck"].network.bottleneck_layers == 0
    assert configs["no-context"].network.context == "none"
    assert configs["mmml"].network.fusion == "mmml"
    assert configs["tiny"].network.encoder("audio").model == "tiny"
    sources = {row.name: row.source for row in BENCHMARK.rows if row.paper}
    assert sources.pop("no-context") == "MSMT-FN, notes on the final paper"
    assert set(sources.values()) == {"MSMT-FN, draft's table on MarketCalls"}


def test_the_paper_is_run_with_random_encoders_in_the_published_format(tmp_path: Path) -> None:
    make_marketcalls(tmp_path / "data", calls=5)
    encoders = save_encoders(tmp_path / "models", "TencentGameMate/chinese-hubert-base", "hfl/chinese-roberta-wwm-ext")
    benchmark = replace(BENCHMARK, metrics=("accuracy", "accuracy (two)"))
    found = run_few(benchmark, tmp_path / "data", tmp_path / "out", ("paper",), SMALL, encoders=encoders)
    figures = found["rows"]["paper"]["figures"]
    assert (figures["accuracy"]["published"], figures["accuracy (two)"]["published"]) == (0.6028, 0.766)
    assert found["rows"]["paper"]["items"] == 5
