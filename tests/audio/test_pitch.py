"""Pitch: known tones, no voice, two voices, and the frames of log-mel."""

from __future__ import annotations

import numpy as np
import pytest

from callsift.audio.features import log_mel
from callsift.audio.pitch import VOICED, pitch_track, relative_pitch
from callsift.config import LogMel
from callsift.types import FloatArray, Span

CLOCK = {"window_s": 0.025, "hop_s": 0.01}


def voice(hz: float, seconds: float, rate_hz: int = 8000) -> FloatArray:
    """A buzz of ten harmonics, falling off as a voice's do."""
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    harmonics = [np.sin(2 * np.pi * hz * n * at) / n for n in range(1, 11) if hz * n < rate_hz / 2]
    return np.sum(harmonics, axis=0).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("hz", [80.0, 120.0, 210.0, 400.0])
def test_the_pitch_of_a_voice_is_found(hz: float, rate_hz: int) -> None:
    pitch, periodic = pitch_track(voice(hz, 1.0, rate_hz), rate_hz, **CLOCK)
    inside = slice(5, -10)
    assert 2 ** pitch[inside] == pytest.approx(hz, rel=0.01)
    assert periodic[inside].min() > 0.9


def test_noise_and_silence_are_not_voiced() -> None:
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    assert (pitch_track(noise, 8000, **CLOCK)[1] > VOICED).mean() < 0.02
    silence = np.zeros(16000, np.float32)
    pitch, periodic = pitch_track(silence, 8000, **CLOCK)
    assert np.isfinite(pitch).all()
    assert periodic.max() == 0.0
    assert not relative_pitch(pitch, periodic, [], **CLOCK)[:, 0].any()


@pytest.mark.parametrize("samples", [0, 1, 150, 200, 201, 8000, 8079])
def test_the_frames_are_those_of_log_mel(samples: int) -> None:
    sound = voice(150.0, 2.0)[:samples]
    frames = len(log_mel(sound, 8000, **LogMel().model_dump()))
    pitch, periodic = pitch_track(sound, 8000, **CLOCK)
    assert len(pitch) == len(periodic) == frames


def test_each_voice_is_taken_relative_to_itself() -> None:
    low, high = voice(100.0, 2.0), voice(220.0, 2.0)
    track = pitch_track(np.concatenate([low, high]), 8000, **CLOCK)
    alone = relative_pitch(*track, [[Span(0.0, 2.0)], [Span(2.0, 4.0)]], **CLOCK)
    together = relative_pitch(*track, [], **CLOCK)
    assert np.abs(alone[10:190, 0]).max() < 0.05
    assert np.abs(alone[210:390, 0]).max() < 0.05
    assert (together[210:390, 0] - together[10:190, 0]).min() > 2.5
    assert np.abs(together).max() <= 3.0


def test_a_rise_of_a_third_of_an_octave_is_one() -> None:
    track = pitch_track(np.concatenate([voice(120.0, 3.0), voice(120.0 * 2 ** (1 / 3), 1.0)]), 8000, **CLOCK)
    found = relative_pitch(*track, [[Span(0.0, 4.0)]], **CLOCK)
    assert found[50:250, 0] == pytest.approx(0.0, abs=0.05)
    assert found[330:380, 0] == pytest.approx(1.0, abs=0.1)


def test_unvoiced_frames_are_drawn_through() -> None:
    sound = voice(150.0, 2.0)
    sound[6000:8000] = 0.0
    pitch, periodic = pitch_track(sound, 8000, **CLOCK)
    found = relative_pitch(pitch, periodic, [], **CLOCK)
    assert np.abs(found[:180, 0]).max() < 0.2
    assert found[85, 1] == pytest.approx(-0.5, abs=0.2)
