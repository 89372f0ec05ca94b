"""RAVDESS: what a file name says, a whole run on a few made clips, and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from callsift.benchmarks import ravdess
from callsift.benchmarks.clips import MOODS
from callsift.data.splits import folds
from callsift.errors import DataError
from callsift.training.studies.plan import FOLDS_SEED
from tests.benchmarks.clips_made import make_ravdess, write_clip
from tests.benchmarks.runs import TINY_AUDIO, run_few


def test_a_name_says_emotion_statement_and_actor(tmp_path: Path) -> None:
    make_ravdess(tmp_path, [1, 12], song=True)
    contents = ravdess.read(tmp_path, tmp_path / "work")
    assert [count.found for count in contents.counts] == [16, 2, 8]
    assert contents.absent == ("1 sung clips are left out.",)
    calls = {call.call_id: call for call in contents.calls}
    fearful = calls["03-01-06-01-02-01-12"]  # the example of RAVDESS' own page
    assert (fearful.label, fearful.group, fearful.language) == ("fearful", "actors-11-12", "en")
    assert fearful.segments[0].turns[0].text == "Dogs are sitting by the door."


def test_every_fold_has_as_many_women_as_men(tmp_path: Path) -> None:
    """Of the published actors odd numbers are men, even ones women; a try of all 24, with a clip of each emotion."""
    for actor in range(1, 25):
        for kind in range(8):
            path = tmp_path / f"03-01-{kind + 1:02d}-01-01-01-{actor:02d}.wav"
            path.write_bytes(f"{actor} {kind}".encode())
    calls = ravdess.read(tmp_path, tmp_path / "work").calls
    parts = folds(calls, ravdess.BENCHMARK.folds, FOLDS_SEED)
    actors = [{int(calls[at].call_id[-2:]) for at in part} for part in parts]
    assert [len(some) for some in actors] == [4] * 6
    assert all(sum(actor % 2 for actor in some) == 2 for some in actors)
    assert set.union(*actors) == set(range(1, 25))
    assert {call.group for call in ravdess.read_clips(tmp_path)} == {f"actor-{actor:02d}" for actor in range(1, 25)}


def test_the_moods_take_calm_for_neutral_and_leave_out_disgust(tmp_path: Path) -> None:
    moods = Counter(call.label for call in ravdess.mood_clips(make_ravdess(tmp_path, [1])))
    assert moods == Counter(MOODS) + Counter(["neutral"])


@pytest.mark.parametrize("name", ["03-01-09-01-01-01-01.wav", "03-01-01-01-01-01-25.wav", "hello.wav"])
def test_another_name_is_refused(tmp_path: Path, name: str) -> None:
    write_clip(tmp_path / "Actor_01" / name, 0, 0)
    with pytest.raises(DataError, match=f"{name}: is not named as RAVDESS' clips are"):
        ravdess.read_clips(tmp_path)


def test_a_clip_in_two_folders_is_refused(tmp_path: Path) -> None:
    make_ravdess(tmp_path, [1])
    write_clip(tmp_path / "03-01-01-01-01-01-01.ogg", 0, 0)
    with pytest.raises(DataError, match="is the same clip as"):
        ravdess.read_clips(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no clip"):
        ravdess.read_clips(tmp_path)


def test_it_is_run_from_the_published_layout(tmp_path: Path) -> None:
    """One of three folds of six actors: a pair is asked about, whole."""
    make_ravdess(tmp_path / "data", range(1, 7))
    found = run_few(replace(ravdess.BENCHMARK, folds=3), tmp_path / "data", tmp_path / "out", ("audio",), TINY_AUDIO)
    assert (found["rows"]["audio"]["items"], found["rows"]["audio"]["groups"]) == (16, 1)
    assert 0 <= found["rows"]["audio"]["figures"]["uar"]["value"] <= 1


@pytest.mark.data
def test_the_real_clips_are_all_there(data_folder: Path, tmp_path: Path) -> None:
    contents = ravdess.read(data_folder / "ravdess", tmp_path)
    assert all(count.found == count.published for count in contents.counts)
