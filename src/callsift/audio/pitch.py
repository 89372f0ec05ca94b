"""Pitch of a voice, frame by frame: the course of a mood is heard in it by ears that never heard the voice before.

By normalised autocorrelation (Boersma 1993, «Accurate short-term analysis of the fundamental frequency…»): the
autocorrelation of a windowed frame over that of the window, its best peak between 65 and 450 Hz refined by a parabola,
shorter lags preferred a little; frames 30 dB below the loud ones are silent. Frames are those of
`callsift.audio.features.log_mel`: same hop, same centres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from callsift.audio.features import frames_in
from callsift.types import FloatArray, Signal, Span

LOW_HZ, HIGH_HZ = 65.0, 450.0
WINDOW_S = 0.05
VOICED = 0.5
"""A frame whose normalised autocorrelation peaks above this is voiced."""

_SILENT = 1e-3
_LOUD_PERCENTILE = 99
_OCTAVE_COST = 0.05  # a multiple of the period fits as well, and on a grid of samples sometimes better
_SMOOTHED = 5
_STEPS_PER_OCTAVE, _FARTHEST = 3.0, 3.0
_CHUNK_FRAMES = 2048
_MIN_VOICED_S = 0.5


def pitch_track(samples: Signal, rate_hz: int, *, window_s: float, hop_s: float) -> tuple[FloatArray, FloatArray]:
    """Samples (T,) → log2 of the pitch in Hz (F,), and how periodic each frame is (F,) in [0, 1].

    The samples are read in stretches. `window_s`, `hop_s`: of the log-mel whose frames these match. The pitch of an
    unvoiced frame means nothing.
    """
    window, hop, width = (round(seconds * rate_hz) for seconds in (window_s, hop_s, WINDOW_S))
    frames = 1 + max(0, samples.size - window) // hop
    before = max(0, (width - window) // 2)
    taper = np.hanning(width)
    shortest, longest = int(rate_hz / HIGH_HZ), int(rate_hz / LOW_HZ) + 1
    size = 1 << (width + longest).bit_length()
    own = _autocorrelation(taper[None], size, longest + 1)[0]
    lags = np.arange(shortest, longest + 1)
    cost = _OCTAVE_COST * np.log2(lags / shortest)
    pitch, periodic, power = (np.empty(frames, np.float32) for _ in range(3))
    for start in range(0, frames, _CHUNK_FRAMES):
        count = min(_CHUNK_FRAMES, frames - start)
        stretch = _stretch(samples, start * hop - before, (count - 1) * hop + width)
        part = sliding_window_view(stretch, width)[::hop].astype(np.float64)  # (chunk, width)
        part = (part - part.mean(axis=1, keepdims=True)) * taper
        found = _autocorrelation(part, size, longest + 1)  # (chunk, lags)
        strength = found[:, shortest:] / (found[:, :1] + 1e-9) / (own[shortest:] / own[0])
        lag, peak = _best(strength, cost)
        pitch[start : start + len(part)] = np.log2(rate_hz / (shortest + lag))
        periodic[start : start + len(part)] = peak
        power[start : start + len(part)] = found[:, 0]
    periodic[power < _SILENT * np.percentile(power, _LOUD_PERCENTILE)] = 0.0  # the last of a tone that just ended
    return pitch, periodic


def _stretch(samples: Signal, start: int, count: int) -> FloatArray:
    """`count` samples from `start` on, zeros where there are none."""
    found: FloatArray = np.zeros(count, np.float32)
    part = samples[max(0, start) : max(0, start + count)]
    found[max(0, -start) : max(0, -start) + part.size] = part
    return found


def relative_pitch(
    pitch: FloatArray, periodic: FloatArray, voices: Sequence[Sequence[Span]], *, window_s: float, hop_s: float
) -> FloatArray:
    """Pitch and periodicity (F,) → (F, 2): the course of the pitch, and how periodic the frame is less a half.

    The course is in thirds of an octave from the median of whoever speaks, smoothed and drawn through unvoiced frames,
    within ±3. `voices`: the spans of each role; where none speaks, and without any, the median of all counts.
    """
    voiced = periodic > VOICED
    shown = (periodic - VOICED)[:, None]
    if not voiced.any():
        return np.concatenate([np.zeros_like(shown), shown], axis=1)
    at = np.arange(len(pitch))
    around = np.pad(pitch[voiced], _SMOOTHED // 2, mode="edge")
    smooth = np.median(sliding_window_view(around, _SMOOTHED), axis=1)  # a frame that errs is outvoted
    course = np.interp(at, at[voiced], smooth)
    course = course - _references(pitch, voiced, voices, window_s=window_s, hop_s=hop_s)
    course = np.clip(course * _STEPS_PER_OCTAVE, -_FARTHEST, _FARTHEST)
    return np.stack([course, shown[:, 0]], axis=1).astype(np.float32)


def _references(
    pitch: FloatArray, voiced: NDArray[np.bool_], voices: Sequence[Sequence[Span]], *, window_s: float, hop_s: float
) -> NDArray[np.float64]:
    """What each frame (F,) is taken relative to: its voice's median, where that has enough voiced frames."""
    found = np.full(len(pitch), np.median(pitch[voiced]), dtype=np.float64)
    for spans in voices:
        inside = frames_in(spans, len(pitch), window_s=window_s, hop_s=hop_s)
        if (inside & voiced).sum() * hop_s >= _MIN_VOICED_S:
            found[inside] = np.median(pitch[inside & voiced])
    return found


def _autocorrelation(frames: NDArray[np.float64], size: int, lags: int) -> NDArray[np.float64]:
    """(F, width) → (F, lags)."""
    spectrum = np.fft.rfft(frames, size)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.asarray(np.fft.irfft(power, size)[:, :lags])


def _best(strength: NDArray[np.float64], cost: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """strength (F, lags), cost (lags,) → the best lag of each frame (F,), between two if need be, and its strength."""
    peak = (strength - cost).argmax(axis=1).clip(1, strength.shape[1] - 2)
    rows = np.arange(len(strength))
    left, top, right = strength[rows, peak - 1], strength[rows, peak], strength[rows, peak + 1]
    bend = left - 2 * top + right
    shift = np.where(np.abs(bend) > 1e-12, 0.5 * (left - right) / np.where(bend == 0, 1.0, bend), 0.0)
    return peak + shift.clip(-0.5, 0.5), np.nan_to_num(top).clip(0.0, 1.0)
