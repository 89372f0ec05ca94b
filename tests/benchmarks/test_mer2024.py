"""MER2024: clips as calls, features as streams, the pool's manifest, whole runs, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callsift.benchmarks import mer2024
from callsift.benchmarks.mer2024 import BENCHMARK
from callsift.data.arrays import read_stream
from callsift.data.manifest import read_manifest
from callsift.errors import DataError
from tests.benchmarks.runs import TINY, run_few
from tests.benchmarks.tables_made import change_cell, drop_column, make_mer2024, save_encoders, write_csv

SMALL = (*TINY, "front_end.encoder_rate_hz=8000", "fit.batch_calls=8")


def test_a_clip_is_a_call_of_one_segment_with_its_features(tmp_path: Path) -> None:
    make_mer2024(tmp_path / "data", features=True)
    contents = mer2024.read(tmp_path / "data", tmp_path / "work")
    assert Counter(call.split for call in contents.calls) == {"train": 24, "test": 6}
    assert [count.found for count in contents.counts] == [24, 6, 4]
    first = contents.calls[0]
    assert (first.call_id, first.label, first.language) == ("sample_00000000", "neutral", "zh")
    segment = first.segments[0]
    assert (segment.turns[0].text, segment.audio) == (
        "好的谢谢", tmp_path / "data/video-labeled/sample_00000000.wav",
    )  # fmt: skip
    published = np.load(tmp_path / "data/features/clip-vit-large-patch14-UTT/sample_00000000.npy")
    assert np.array_equal(read_stream(segment.streams["clip"]), published[None])
    assert contents.streams == {"text", "audio", "clip", "baichuan", "hubert"}
    assert contents.absent == ()
    assert contents.tested_on is None


def test_the_pool_is_a_manifest_without_labels(tmp_path: Path) -> None:
    """The test clips lie among the unlabelled ones, and are not in it."""
    make_mer2024(tmp_path / "data", features=True)
    mer2024.read(tmp_path / "data", tmp_path / "work")
    pool = read_manifest(tmp_path / "work" / mer2024.POOL_FILE).calls
    assert [(call.call_id, call.label) for call in pool] == [(f"samplepool_{at:08}", None) for at in range(4)]
    assert all(call.segments[0].audio and "clip" in call.segments[0].streams for call in pool)


def test_a_pool_that_is_gone_is_not_there_from_before(tmp_path: Path) -> None:
    make_mer2024(tmp_path / "data")
    mer2024.read(tmp_path / "data", tmp_path / "work")
    assert (tmp_path / "work" / mer2024.POOL_FILE).is_file()
    for path in (tmp_path / "data/video-unlabeled").glob("samplepool_*"):
        path.unlink()
    mer2024.read(tmp_path / "data", tmp_path / "work")
    assert not (tmp_path / "work" / mer2024.POOL_FILE).exists()
    assert any(note.startswith("Clips without label, where there are some,") for note in mer2024.BENCHMARK.notes)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array(["a"]), r"holds <U1 of shape \(1,\); features are numbers"),
        (np.array([1j]), r"holds complex128 of shape \(1,\)"),
        (np.array([True]), r"holds bool of shape \(1,\)"),
        (np.float32(3), r"holds float32 of shape \(\)"),
        (np.zeros((2, 0)), r"holds float64 of shape \(2, 0\)"),
        (np.zeros((1, 2, 3)), r"holds float64 of shape \(1, 2, 3\)"),
        (b"PK\x05\x06" + bytes(18), "is no array as numpy.save writes it"),
    ],
)
def test_features_that_are_no_numbers_of_frames_are_refused(tmp_path: Path, values: Any, words: str) -> None:
    make_mer2024(tmp_path, features=True)
    path = tmp_path / "features/clip-vit-large-patch14-UTT/sample_00000001.npy"
    if isinstance(values, bytes):
        path.write_bytes(values)
    else:
        np.save(path, values)
    with pytest.raises(DataError, match=f"sample_00000001.npy: {words}"):
        mer2024.read(tmp_path, tmp_path / "work")


def test_without_the_tests_labels_a_fifth_is_held_out(tmp_path: Path) -> None:
    make_mer2024(tmp_path, clips=30, pool=0, test=0)
    contents = mer2024.read(tmp_path, tmp_path / "work")
    assert Counter(call.split for call in contents.calls) == {"train": 24, "test": 6}
    assert contents.tested_on == (
        "a fifth of the labelled clips, held out here; the challenge's test clips have no labels here"
    )
    assert contents.absent[0].startswith("test1_name_convert_label.csv, the labels of the challenge's test clips")
    assert contents.absent[-1].startswith("There are no clips without label")


def test_the_taken_out_sound_goes_before_the_film(tmp_path: Path) -> None:
    make_mer2024(tmp_path)
    (tmp_path / "audio").mkdir()
    heard = tmp_path / "audio/sample_00000000.wav"
    heard.write_bytes((tmp_path / "video-labeled/sample_00000000.wav").read_bytes())
    assert mer2024.read(tmp_path, tmp_path / "work").calls[0].segments[0].audio == heard


def test_words_of_the_recogniser_give_way_to_checked_ones(tmp_path: Path) -> None:
    make_mer2024(tmp_path)
    names = ("sample_00000000", "samplepool_00000000")
    write_csv(tmp_path / "transcription.csv", [{"name": name, "sentence": "听错了"} for name in names])
    contents = mer2024.read(tmp_path, tmp_path / "work")
    pool = read_manifest(tmp_path / "work" / mer2024.POOL_FILE).calls
    assert contents.calls[0].segments[0].turns[0].text == "好的谢谢"
    assert pool[0].segments[0].turns[0].text == "听错了"


def test_missing_sound_and_features_are_said(tmp_path: Path) -> None:
    make_mer2024(tmp_path, features=True)
    (tmp_path / "video-labeled/sample_00000003.wav").unlink()
    (tmp_path / "features/Baichuan-13B-Base-UTT/sample_00000005.npy").unlink()
    contents = mer2024.read(tmp_path, tmp_path / "work")
    assert contents.streams == {"text", "clip", "hubert"}
    assert contents.absent == (
        "1 of 30 labelled clips have no sound, the first being 'sample_00000003'.",
        "The features features/Baichuan-13B-Base-UTT (stream 'baichuan') are not there for every labelled clip.",
    )


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"discrete": "bored"}, r"label-disdim\.csv, line 3: 'discrete' is 'bored', not one of neutral"),
        ({"name": "sample_00000000"}, "line 3: stands on line 2 already: sample_00000000"),
        ({"name": "sampletest_00000000"}, r"test1_name_convert_label\.csv: clip 'sampletest_00000000' has its label"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path: Path, cells: dict[str, str], message: str) -> None:
    make_mer2024(tmp_path)
    change_cell(tmp_path / mer2024.LABELS, 1, **cells)
    with pytest.raises(DataError, match=message):
        mer2024.read(tmp_path, tmp_path / "work")


def test_a_wrong_layout_is_refused(tmp_path: Path) -> None:
    make_mer2024(tmp_path, features=True)
    broken = tmp_path / "features/clip-vit-large-patch14-UTT/sample_00000002.npy"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(DataError, match=r"sample_00000002\.npy: is no array as numpy\.save writes it"):
        mer2024.read(tmp_path, tmp_path / "work")
    drop_column(tmp_path / mer2024.WORDS, "chinese")
    with pytest.raises(DataError, match="neither a column 'chinese' nor 'sentence'"):
        mer2024.read(tmp_path, tmp_path / "work")
    (tmp_path / mer2024.LABELS).unlink()
    with pytest.raises(DataError, match=r"label-disdim\.csv: does not exist"):
        mer2024.read(tmp_path, tmp_path / "work")


def test_it_is_run_from_the_published_layout(tmp_path: Path) -> None:
    """AGT of features alone."""
    make_mer2024(tmp_path / "data", features=True)
    found = run_few(BENCHMARK, tmp_path / "data", tmp_path / "out", ("agt-features",), SMALL)
    assert found["rows"]["agt-features"]["items"] == 6
    assert found["tested_on"] == "the published test part"


@pytest.mark.slow
def test_the_clips_are_heard(tmp_path: Path) -> None:
    """Words and log-mel; AGT with a small random HuBERT in the published format."""
    make_mer2024(tmp_path / "data", features=True)
    encoder = save_encoders(tmp_path / "models", "TencentGameMate/chinese-hubert-large", "unused")[:1]
    rows = ("tiny", "agt")
    found = run_few(BENCHMARK, tmp_path / "data", tmp_path / "out", rows, SMALL, encoders=encoder)
    assert [found["rows"][name]["items"] for name in rows] == [6, 6]
    figures = found["rows"]["agt"]["figures"]
    assert (figures["weighted_f1"]["published"], set(figures)) == (0.8983, set(BENCHMARK.metrics))
