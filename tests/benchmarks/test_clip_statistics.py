"""The baseline on clips: its statistics by hand, and made emotions told apart in an unheard voice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callsift.benchmarks import mood_calls, nemo
from callsift.benchmarks.clip_statistics import clip_answers, clip_statistics
from callsift.config import train_config
from callsift.errors import DataError
from callsift.types import Call
from tests.benchmarks.clips_made import SPEAKERS, make_mood_calls, make_nemo

PARTS = dict(zip(SPEAKERS, ("train", "val", "test"), strict=True))


def _divided(calls: tuple[Call, ...]) -> list[Call]:
    return [replace(call, split=PARTS.get(str(call.group), "train")) for call in calls]


def test_statistics_of_two_frames_by_hand() -> None:
    found = clip_statistics(np.array([[0.0], [2.0]], dtype=np.float32))
    assert found == pytest.approx([1.0, 1.0, 2.0, 0.2, 1.0, 1.8, np.log(2)])  # linear interpolation between the two


def test_emotions_are_told_apart_in_an_unheard_voice(tmp_path: Path) -> None:
    """Each made emotion swings the pitch by its own measure, whoever speaks; chance is 1/6."""
    pytest.importorskip("sklearn", reason='needs scikit-learn: pip install "callsift[train]"')
    calls = _divided(nemo.read_clips(make_nemo(tmp_path, each=3)))
    said = clip_answers([calls], train_config(nemo.BENCHMARK.config, ["front_end.input=pitch"]))
    asked = {call.call_id: call.label for call in calls if call.split == "test"}
    assert set(said) == set(asked)
    assert all(sum(row.values()) == pytest.approx(1) for row in said.values())
    right = [max(row, key=lambda grade: row[grade]) == asked[name] for name, row in said.items()]
    assert np.mean(right) >= 0.6


def test_a_call_of_clips_is_seen_as_a_course(tmp_path: Path) -> None:
    """A and B are the same two clips: only their order tells them apart."""
    pytest.importorskip("sklearn", reason='needs scikit-learn: pip install "callsift[train]"')
    calls = [
        each
        for each in mood_calls.read_calls(make_mood_calls(tmp_path, (*SPEAKERS, "DD0", "EE0")))
        if each.label in ("A", "B")
    ]
    config = train_config(mood_calls.BENCHMARK.config)
    for relative in (False, True):
        said = clip_answers([_divided(tuple(calls))], config, relative=relative)
        assert {name: max(row, key=lambda grade: row[grade]) for name, row in said.items()} == {
            "CC0_A": "A", "CC0_B": "B",
        }  # fmt: skip


def test_a_grade_that_was_never_heard_has_no_probability(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason='needs scikit-learn: pip install "callsift[train]"')
    calls = _divided(nemo.read_clips(make_nemo(tmp_path)))
    known = [call for call in calls if call.split != "train" or call.label != "neutral"]
    config = train_config(nemo.BENCHMARK.config, ["front_end.input=pitch"])
    for row in clip_answers([known], config).values():
        assert set(row) == set(nemo.EMOTIONS)
        assert row["neutral"] == 0
        assert sum(row.values()) == pytest.approx(1)
    alone = [call for call in calls if call.split != "train" or call.label == "neutral"]
    with pytest.raises(DataError, match="the training calls of a fold are all 'neutral'"):
        clip_answers([alone], config)
    silent = replace(calls[0], segments=tuple(replace(each, audio=None) for each in calls[0].segments))
    with pytest.raises(DataError, match="call 'AA0_neutral_1' has no clip that can be heard"):
        clip_answers([[silent, *calls[1:]]], config)
    with pytest.raises(DataError, match="a fold has 6, 0, 6 calls to train, val and test"):
        clip_answers([[call for call in calls if call.split != "val"]], config)
