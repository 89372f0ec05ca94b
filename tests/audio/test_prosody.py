"""Functionals of how something was said: planted pitch, loudness and pauses are found in them."""

from __future__ import annotations

import numpy as np
import pytest

from callsift.audio.prosody import BANDS, COLUMNS, Manner, functionals, manner_of

FRAMES = 200
USUAL = Manner(np.zeros(40), quiet=-4.0)


def _named(mel: np.ndarray, pitch: np.ndarray) -> dict[str, float]:
    found = functionals(mel.astype(np.float32), pitch.astype(np.float32), USUAL)
    return dict(zip(COLUMNS, found.tolist(), strict=True))


def _spoken(level: float = 0.0) -> np.ndarray:
    return np.full((FRAMES, 40), level)


def _voiced(course: np.ndarray) -> np.ndarray:
    return np.stack([course, np.full(len(course), 0.4)], axis=1)


def test_a_rising_voice_has_the_slope_and_the_mean_that_were_planted() -> None:
    found = _named(_spoken(), _voiced(np.linspace(-1.0, 2.0, FRAMES)))
    assert found["pitch"] == pytest.approx(0.5, abs=1e-5)
    assert found["pitch_slope"] == pytest.approx(3.0, abs=1e-5)
    assert found["pitch_change"] == pytest.approx(3.0 / (FRAMES - 1), abs=1e-5)
    assert found["pitch_90"] == pytest.approx(-1.0 + 0.9 * 3.0, abs=1e-4)
    assert found["voiced_share"] == 1.0


def test_silence_is_left_out_of_loudness_and_counted_in_the_share_and_the_onsets() -> None:
    mel = _spoken(1.0)
    mel[50:100] = -8.0
    found = _named(mel, _voiced(np.zeros(FRAMES)))
    assert found["speaking_share"] == pytest.approx(0.75)
    assert found["loudness_50"] == pytest.approx(1.0)
    assert found["loudness_spread"] == pytest.approx(0.0)
    assert found["onsets"] == pytest.approx(1 / FRAMES)


def test_a_band_that_is_louder_shows_in_its_own_column_alone() -> None:
    mel = _spoken()
    mel[:, 6:8] = 2.0
    found = _named(mel, _voiced(np.zeros(FRAMES)))
    assert [found[f"band_{band}"] for band in range(BANDS)] == [2.0 if band == 3 else 0.0 for band in range(BANDS)]


def test_without_a_voice_the_pitch_is_missing_and_the_rest_is_not() -> None:
    pitch = np.stack([np.zeros(FRAMES), np.full(FRAMES, -0.5)], axis=1)
    found = _named(_spoken(), pitch)
    missing = [name for name, value in found.items() if np.isnan(value)]
    assert missing == [name for name in COLUMNS if name.startswith("pitch")]
    assert found["voiced_share"] == 0.0


@pytest.mark.parametrize("frames", [1, 2])
def test_the_shortest_stretch_has_finite_numbers_besides_the_pitch(frames: int) -> None:
    found = functionals(np.full((frames, 40), -20.0, np.float32), np.zeros((frames, 2), np.float32), USUAL)
    assert np.isfinite(found[7:]).all()


def test_frames_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="3 frames of log-mel and 2 of pitch"):
        functionals(np.zeros((3, 40), np.float32), np.zeros((2, 2), np.float32), USUAL)


def test_the_usual_manner_is_that_of_the_loud_frames_of_all_pieces() -> None:
    loud, silent = np.full((90, 40), 3.0, np.float32), np.full((60, 40), -9.0, np.float32)
    found = manner_of(lambda: [np.concatenate([silent, loud]), loud])
    assert found is not None
    assert found.mel == pytest.approx(np.full(40, 3.0))
    assert found.quiet == pytest.approx(3.0 - np.log(100.0))  # 20 dB of power


def test_of_no_frames_there_is_no_manner() -> None:
    assert manner_of(lambda: [np.zeros((0, 40), np.float32)]) is None
