"""MELD: dialogues as calls, with clips and without, the broken ones, a whole run, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsift.audio.decode import decode
from callsift.benchmarks import meld
from callsift.errors import DataError
from tests.benchmarks.runs import TINY, run_few
from tests.benchmarks.tables_made import change_cell, drop_column, make_meld, save_encoders, write_csv, write_mp4

SMALL_PAPER = (
    "front_end.encoder_rate_hz=8000",
    "network.width=16",
    "network.heads=2",
    "network.feed_forward=16",
    "network.hidden=8",
    "network.cross_layers=1",
    "network.bottleneck_layers=1",
    "fit.batch_calls=2",
)


def test_a_dialogue_is_a_call_of_its_utterances_in_order(tmp_path: Path) -> None:
    make_meld(tmp_path, dialogues=2)
    contents = meld.read(tmp_path, tmp_path)
    assert [(call.call_id, call.split) for call in contents.calls] == [
        ("train-dia0", "train"), ("train-dia1", "train"), ("dev-dia0", "val"), ("dev-dia1", "val"),
        ("test-dia0", "test"), ("test-dia1", "test"),
    ]  # fmt: skip
    first = contents.calls[0]
    assert [segment.segment_id for segment in first.segments] == [f"dia0_utt{at}" for at in range(7)]
    assert [segment.label for segment in first.segments] == list(meld.EMOTIONS)
    assert (first.segments[0].turns[0].text, first.segments[0].turns[0].speaker) == ("It’s yes please, 0", "Joey")
    assert contents.streams == {"text"}
    assert contents.absent == (
        "The clips (train_splits/, dev_splits_complete/, output_repeated_splits_test/) are not there, or not of every "
        "part: the words alone are read.",
    )


def test_clips_lie_beside_as_films_or_as_sound(tmp_path: Path) -> None:
    make_meld(tmp_path, dialogues=1, clips=True)
    for name in ("dia0_utt0", "dia0_utt1"):
        (tmp_path / f"train_splits/{name}.wav").unlink()
    write_mp4(tmp_path / "train_splits/dia0_utt0.mp4")
    contents = meld.read(tmp_path, tmp_path)
    clips = [segment.audio for segment in contents.calls[0].segments]
    assert clips[0] is not None
    assert decode(clips[0]).waveform.duration_s == pytest.approx(0.5, abs=0.15)  # AAC works in frames of 128 ms here
    assert clips[1] is None
    assert contents.streams == {"text", "audio"}
    assert contents.absent == ("1 clips of train are not there, the first being dia0_utt1: they are read alone.",)


def test_the_published_clips_that_hold_nothing_are_left_out(tmp_path: Path) -> None:
    make_meld(tmp_path, dialogues=1, clips=True)
    change_cell(tmp_path / "train_sent_emo.csv", 3, Dialogue_ID="125", Utterance_ID="3")
    (tmp_path / "train_splits/dia125_utt3.mp4").write_bytes(b"")
    contents = meld.read(tmp_path, tmp_path)
    broken = next(call for call in contents.calls if call.call_id == "train-dia125")
    assert broken.segments[0].audio is None
    assert contents.absent == ()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"Emotion": "rage"}, r"train_sent_emo\.csv, line 3: 'Emotion' is 'rage', not one of neutral"),
        ({"Utterance_ID": "0"}, "line 3: stands on line 2 already: 0, 0"),
        ({"Utterance": " "}, "line 3: 'Utterance' is empty"),
        ({"Dialogue_ID": "first"}, "line 3: 'Dialogue_ID' must be a whole number, not 'first'"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path: Path, cells: dict[str, str], message: str) -> None:
    make_meld(tmp_path, dialogues=1)
    change_cell(tmp_path / "train_sent_emo.csv", 1, **cells)
    with pytest.raises(DataError, match=message):
        meld.read(tmp_path, tmp_path)


def test_a_wrong_layout_is_refused(tmp_path: Path) -> None:
    make_meld(tmp_path, dialogues=1)
    drop_column(tmp_path / "dev_sent_emo.csv", "Emotion")
    with pytest.raises(DataError, match=r"dev_sent_emo\.csv, line 1: has no column 'Emotion'"):
        meld.read(tmp_path, tmp_path)
    write_csv(tmp_path / "dev_sent_emo.csv", [], meld.COLUMNS)
    with pytest.raises(DataError, match="no rows below it"):
        meld.read(tmp_path, tmp_path)
    (tmp_path / "dev_sent_emo.csv").unlink()
    with pytest.raises(DataError, match=r"dev_sent_emo\.csv: does not exist"):
        meld.read(tmp_path, tmp_path)


def test_the_words_alone_are_run(tmp_path: Path) -> None:
    make_meld(tmp_path / "data")
    found = run_few(meld.BENCHMARK, tmp_path / "data", tmp_path / "out", ("tiny", "tiny-heard"), TINY)
    assert found["rows"]["tiny"]["items"] == 4 * 7
    assert set(found["rows"]["tiny"]["figures"]) == set(meld.BENCHMARK.metrics)
    assert "needs audio" in found["left_out"]["tiny-heard"]


@pytest.mark.slow
def test_the_paper_is_run_with_random_encoders_in_the_published_format(tmp_path: Path) -> None:
    make_meld(tmp_path / "data", dialogues=2, clips=True)
    encoders = save_encoders(tmp_path / "models", "facebook/hubert-base-ls960", "roberta-base")
    found = run_few(
        meld.BENCHMARK, tmp_path / "data", tmp_path / "out", ("paper",), SMALL_PAPER, encoders=encoders
    )  # fmt: skip
    figure = found["rows"]["paper"]["figures"]["weighted_f1"]
    assert (figure["published"], found["rows"]["paper"]["items"]) == (0.6319, 14)
    assert 0 <= figure["value"] <= 1


@pytest.mark.data
def test_the_real_tables_are_as_published(data_folder: Path, tmp_path: Path) -> None:
    contents = meld.read(data_folder / "meld", tmp_path)
    assert [(count.what, count.found) for count in contents.counts if count.found != count.published] == []
    assert sum(len(call.segments) for call in contents.calls) == 13708
