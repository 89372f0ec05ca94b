"""The mood calls: clips in an order, what is learnt before them, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from callsift.benchmarks import mood_calls
from callsift.benchmarks.clips import MOODS
from callsift.errors import DataError
from tests.benchmarks.clips_made import make_mood_calls, make_ravdess
from tests.benchmarks.runs import TINY, run_few


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three speakers' calls of five grades, and `ravdess` beside it."""
    folder = tmp_path_factory.mktemp("data")
    make_ravdess(folder / "ravdess", [1, 2, 3])
    return make_mood_calls(folder / "nemo")


def test_a_call_is_its_clips_in_order(made: Path, tmp_path: Path) -> None:
    contents = mood_calls.read(made, tmp_path)
    assert [count.found for count in contents.counts] == [15, 3, 12]
    calls = {call.call_id: call for call in contents.calls}
    for grade, clips in (("A", ("neutral", "happiness")), ("B", ("happiness", "neutral"))):
        call = calls[f"AA0_{grade}"]
        assert (call.group, call.label, call.split) == ("AA0", grade, None)
        assert [segment.audio for segment in call.segments] == [made / f"samples/AA0_{each}_1.wav" for each in clips]


def test_nobody_unheard_is_learnt_from_before(made: Path) -> None:
    clips = mood_calls.heard_clips(made, frozenset({"AA0", "CC0"}))
    assert Counter(str(call.group)[:5] for call in clips) == {"BB0": 6, "actor": 21}  # three actors without disgust
    assert {call.label for call in clips} == set(MOODS)


def test_without_ravdess_the_speakers_own_clips_are_learnt_alone(tmp_path: Path) -> None:
    clips = mood_calls.heard_clips(make_mood_calls(tmp_path / "nemo"), frozenset({"AA0"}))
    assert {call.group for call in clips} == {"BB0", "CC0"}


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "mood_calls.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"speaker": None}, "line 2: has no speaker: a line is {call_id"),
        ({"call_id": "AA0_A"}, "line 2: names call 'AA0_A' a second time"),
        ({"segments": []}, "line 2: call 'AA0_B' has no segments"),
        ({"segments": [{"file": "AA0_joy_1.ogg", "text": ""}]}, "1 of 13 clips are not beside it, the first being"),
    ],
)
def test_a_wrong_line_is_refused(made: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "samples").symlink_to(made / "samples")
    rows = _lines(made)
    rows[1] = {key: value for key, value in {**rows[1], **change}.items() if value is not None}
    (tmp_path / "mood_calls.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(DataError) as refused:
        mood_calls.read_calls(tmp_path)
    assert message in str(refused.value)


@pytest.mark.parametrize("key", ["call_id", "speaker", "grade"])
def test_null_is_nobodys_name(made: Path, tmp_path: Path, key: str) -> None:
    rows = _lines(made)
    rows[1][key] = None
    (tmp_path / "mood_calls.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(DataError, match=f"line 2: has no {key}: a line is"):
        mood_calls.read_calls(tmp_path)


@pytest.mark.parametrize(("text", "message"), [(None, "is not there"), ("", "is empty"), ("[1]\n", "has no call")])
def test_a_wrong_file_is_refused(made: Path, tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "mood_calls.jsonl").write_text(text, "utf-8")
    with pytest.raises(DataError, match=message):
        mood_calls.read_calls(tmp_path)


@pytest.mark.parametrize("row", [pytest.param("msmt-fn", marks=pytest.mark.slow), "pretrain"])
def test_it_is_run_from_the_layout(made: Path, tmp_path: Path, row: str) -> None:
    """A fold: the five calls of a speaker are asked about. `pretrain` learns single clips first."""
    found = run_few(mood_calls.BENCHMARK, made, tmp_path, (row,), TINY)["rows"][row]
    assert found["items"] == 5
    assert 0 <= found["figures"]["accuracy"]["value"] <= 1


@pytest.mark.data
def test_the_real_calls_are_a_hundred_a_speaker(data_folder: Path, tmp_path: Path) -> None:
    contents = mood_calls.read(data_folder / "nemo", tmp_path)
    assert set(Counter(call.group for call in contents.calls).values()) == {100}
    assert all(count.published in (None, count.found) for count in contents.counts)
