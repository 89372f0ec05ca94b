"""nEMO: the published layout, a whole run on a few made clips, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsift.benchmarks import nemo
from callsift.errors import DataError
from tests.benchmarks.clips_made import EMOTIONS, SPEAKERS, make_nemo, make_ravdess, write_clip
from tests.benchmarks.runs import TINY_AUDIO, run_few
from tests.hugging_face import save_small


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `nemo` with three speakers, and `ravdess` beside it."""
    folder = tmp_path_factory.mktemp("data")
    make_ravdess(folder / "ravdess", [1, 2, 3])
    return make_nemo(folder / "nemo")


def test_a_clip_is_a_call_of_one_segment(made: Path, tmp_path: Path) -> None:
    contents = nemo.read(made, tmp_path)
    assert [(count.what, count.published, count.found) for count in contents.counts] == [
        ("clips", 4481, 18), ("speakers", 9, 3), ("emotions", 6, 6),
    ]  # fmt: skip
    first = contents.calls[0]
    assert (first.call_id, first.group, first.label, first.split) == ("AA0_neutral_1", "AA0", "neutral", None)
    (segment,) = first.segments
    assert segment.audio == made / "samples/AA0_neutral_1.wav"
    assert [turn.text for turn in segment.turns] == ["To jest zdanie."]
    assert not list(tmp_path.iterdir())  # nothing is written


def test_clips_of_another_format_may_lie_beside_the_table(made: Path, tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_bytes((made / "data.tsv").read_bytes())
    for clip in (made / "samples").iterdir():
        write_clip(tmp_path / f"{clip.stem}.flac", 0, 0)
    assert {call.segments[0].audio for call in nemo.read_clips(tmp_path)} == set(tmp_path.glob("*.flac"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\temotion\t", "\tmood\t", "line 1: has no column 'emotion'; there are file_id, mood"),
        ("AA0_fear_1.wav\tfear", "AA0_fear_1.wav\tboredom", "line 6: 'emotion' is 'boredom', not one of neutral"),
        ("AA0_fear_1.wav", "AA0_anger_1.wav", "line 6: stands on line 5 already: AA0_anger_1"),
        ("AA0_fear_1.wav", "AA0_fear_2.wav", "1 of 18 clips are not beside it, the first being 'AA0_fear_2'"),
        ("\tAA0\tfemale", "\t\tfemale", "line 2: 'speaker_id' is empty"),
    ],
)
def test_a_wrong_table_is_refused_by_line(made: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "samples").symlink_to(made / "samples")
    text = (made / "data.tsv").read_text("utf-8")
    assert old in text
    (tmp_path / "data.tsv").write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(DataError) as refused:
        nemo.read_clips(tmp_path)
    assert message in str(refused.value)


def test_a_clip_that_lies_twice_is_refused(made: Path, tmp_path: Path) -> None:
    folder = make_nemo(tmp_path, SPEAKERS[:1])
    write_clip(folder / "AA0_anger_1.wav", 0, 0)
    with pytest.raises(DataError, match="is the same clip as .*AA0_anger_1.wav"):
        nemo.read_clips(folder)


def test_without_any_clip_it_says_where_they_belong(made: Path, tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_bytes((made / "data.tsv").read_bytes())
    with pytest.raises(DataError, match=r"no clip \(.wav, .flac, .ogg\) lies here or in samples"):
        nemo.read_clips(tmp_path)


def test_it_is_run_from_the_published_layout_after_ravdess(made: Path, tmp_path: Path) -> None:
    """A fold of the row that learns RAVDESS' clips first, which have other labels."""
    found = run_few(nemo.BENCHMARK, made, tmp_path, ("pretrain",), TINY_AUDIO)
    row = found["rows"]["pretrain"]
    assert row["items"] == len(EMOTIONS)  # of the one speaker of the fold
    assert 0 <= row["figures"]["uar"]["value"] <= 1


@pytest.mark.slow
def test_the_row_of_the_papers_size_takes_a_published_hubert(made: Path, tmp_path: Path) -> None:
    """Random weights in the published format stand for the model; its last two layers learn."""
    model = save_small("hubert", tmp_path / "hubert")
    settings = ("network.width=16", "network.heads=2", "network.feed_forward=16", "network.encoder_layers=0")
    found = run_few(
        nemo.BENCHMARK, made, tmp_path / "out", ("hubert",), settings, encoders=(f"facebook/hubert-base-ls960={model}",)
    )
    assert found["rows"]["hubert"]["items"] == len(EMOTIONS)
    assert found["left_out"] == {}


@pytest.mark.data
def test_the_real_clips_are_those_of_seven_speakers(data_folder: Path, tmp_path: Path) -> None:
    """Counted with awk in data.tsv; two speakers of the published nine are not in this copy."""
    contents = nemo.read(data_folder / "nemo", tmp_path)
    assert [count.found for count in contents.counts] == [3493, 7, 6]
