"""How voices sound, frame by frame, and models of them: cepstra of the telephone band and Gaussian mixtures.

Cepstra (Davis & Mermelstein 1980) c1 … c19 of 24 mel bands; c0, the loudness, is left out. They are not normalised
within turns: when two telephones were mixed, the lines tell their speakers apart as well as the voices do. A voice is
a Gaussian mixture with diagonal covariances (Reynolds & Rose 1995). Everything is computed at 8 kHz, block by block,
so a call is heard alike at every rate and from disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callsift.audio.blocks import resampled
from callsift.audio.features import log_mel
from callsift.types import BoolArray, FloatArray, IntArray, Signal, Span

RATE_HZ = 8000
WINDOW_S, HOP_S = 0.03, 0.02
"""Speaker models lose nothing by half as many frames as is usual in recognition, and take half the time."""

CEPSTRA = 19
"""As is usual in speaker recognition on telephones (Reynolds, Quatieri & Dunn 2000)."""

STRONG_DB = 30.0
"""Frames further below the loud ones (95th percentile) are pauses and line noise: they say nothing of a voice."""

_BANDS = 24
_LOW_HZ, _HIGH_HZ = 200.0, 3500.0
_FLOOR = 1e-9
_DB_PER_NEPER = 10 / np.log(10)
_SPLIT = 0.3  # of a standard deviation: how far apart the halves of a divided Gaussian begin
_LEAST_VARIANCE = 0.1  # of all frames' variance
_FRAMES_PER_GAUSSIAN = 40
_ROUNDS = 4
_CHUNK_FRAMES = 65536


@dataclass(frozen=True, slots=True)
class VoiceFrames:
    """The frames whose centres lie in speech. `cepstra`: (F, CEPSTRA) float32, each of zero mean and unit variance
    over the strong frames; `strong`: (F,) loud enough to tell a voice; `span`: (F,) number of the span of speech;
    `centre_s`: (F,) in the recording's time.
    """

    cepstra: FloatArray
    strong: BoolArray
    span: IntArray
    centre_s: NDArray[np.float64]


def voice_frames(samples: Signal, rate_hz: int, speech: Sequence[Span]) -> VoiceFrames:
    """The voices in the speech (in order, disjoint) of one channel (T,)."""
    starts = np.array([span.start_s for span in speech])
    ends = np.array([span.end_s for span in speech])
    cepstra, levels, spans, centres = [np.zeros((0, CEPSTRA), np.float32)], [np.zeros(0)], [np.zeros(0, np.int64)], []
    basis = _cosines()
    for first, mel in _mel_blocks(samples, rate_hz):
        centre_s = (first + np.arange(len(mel))) * HOP_S + WINDOW_S / 2  # (chunk,)
        owner = np.searchsorted(starts, centre_s, side="right") - 1
        spoken = (owner >= 0) & (centre_s < ends[owner]) if len(speech) else np.zeros(len(mel), np.bool_)
        cepstra.append((mel[spoken] @ basis).astype(np.float32))
        levels.append(mel[spoken].mean(axis=1, dtype=np.float64) * _DB_PER_NEPER)
        spans.append(owner[spoken])
        centres.append(centre_s[spoken])
    frames, level_db = np.concatenate(cepstra), np.concatenate(levels)
    loud_db = np.percentile(level_db, 95) if level_db.size else 0.0
    strong: BoolArray = level_db > loud_db - STRONG_DB
    if strong.any():
        for at in range(CEPSTRA):  # one at a time, as there may be a million frames
            loud = frames[strong, at]
            frames[:, at] -= loud.mean(dtype=np.float64)
            frames[:, at] /= max(float(loud.std(dtype=np.float64)), 1e-3)
    return VoiceFrames(frames, strong, np.concatenate(spans), np.concatenate(centres or [np.zeros(0)]))


def _mel_blocks(samples: Signal, rate_hz: int) -> Iterator[tuple[int, FloatArray]]:
    """Number of the first frame, log-mel (chunk, bands), block by block; together the frames of the whole."""
    window, hop = round(WINDOW_S * RATE_HZ), round(HOP_S * RATE_HZ)
    first, rest = 0, np.zeros(0, np.float32)
    for block in resampled(samples, rate_hz, RATE_HZ):
        rest = np.concatenate([rest, block])
        if rest.size < window:
            continue
        mel = log_mel(
            rest, RATE_HZ, n_mels=_BANDS, window_s=WINDOW_S, hop_s=HOP_S, low_hz=_LOW_HZ, high_hz=_HIGH_HZ, floor=_FLOOR
        )
        yield first, mel
        first, rest = first + len(mel), rest[len(mel) * hop :]


def _cosines() -> FloatArray:
    """(bands, CEPSTRA) of the cosine transform, without its constant."""
    band = np.arange(_BANDS) + 0.5
    order = np.arange(1, CEPSTRA + 1)
    return np.asarray(np.cos(np.pi / _BANDS * np.outer(band, order)) * np.sqrt(2 / _BANDS), dtype=np.float32)


class Mixture:
    """A Gaussian mixture with diagonal covariances, fitted by expectation and maximisation.

    It begins as one Gaussian and is doubled by splitting (Linde, Buzo & Gray 1980), so there is no chance in it.
    """

    def __init__(self, frames: FloatArray, gaussians: int) -> None:
        """Fit to frames (F, D) of about unit variance; fewer Gaussians where frames are few."""
        wanted = max(1, min(gaussians, len(frames) // _FRAMES_PER_GAUSSIAN))
        values = frames.astype(np.float64)
        self._means = values.mean(axis=0, keepdims=True)  # (K, D)
        self._variances = np.maximum(values.var(axis=0, keepdims=True), _LEAST_VARIANCE)  # (K, D)
        self._shares = np.ones(1)  # (K,)
        while len(self._shares) < wanted:
            step = _SPLIT * np.sqrt(self._variances)
            self._means = np.concatenate([self._means + step, self._means - step])
            self._variances = np.concatenate([self._variances] * 2)
            self._shares = np.concatenate([self._shares] * 2) / 2
            for _ in range(_ROUNDS):
                self._refit(values)

    def log_likelihood(self, frames: FloatArray) -> NDArray[np.float64]:
        """Frames (F, D) → natural log of the density at each (F,)."""
        found = np.empty(len(frames))
        for at in range(0, len(frames), _CHUNK_FRAMES):
            found[at : at + _CHUNK_FRAMES] = _log_sum(self._joint(frames[at : at + _CHUNK_FRAMES].astype(np.float64)))
        return found

    def _refit(self, values: NDArray[np.float64]) -> None:
        joint = self._joint(values)
        belongs = np.exp(joint - _log_sum(joint)[:, None])  # (F, K)
        counts = belongs.sum(axis=0) + 1e-3
        self._means = belongs.T @ values / counts[:, None]
        squares = belongs.T @ np.square(values) / counts[:, None]
        self._variances = np.maximum(squares - np.square(self._means), _LEAST_VARIANCE)
        self._shares = counts / counts.sum()

    def _joint(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(F, D) → log density times share of every Gaussian (F, K)."""
        precisions = 1 / self._variances
        constant = np.log(2 * np.pi * self._variances) + np.square(self._means) * precisions  # (K, D)
        squares = np.square(values) @ precisions.T
        joint: NDArray[np.float64] = (
            values @ (self._means * precisions).T - 0.5 * squares + np.log(self._shares) - 0.5 * constant.sum(axis=1)
        )
        return joint


def _log_sum(joint: NDArray[np.float64]) -> NDArray[np.float64]:
    """(F, K) → log of the sum of exponentials (F,)."""
    highest = joint.max(axis=1, keepdims=True)
    summed: NDArray[np.float64] = highest[:, 0] + np.log(np.exp(joint - highest).sum(axis=1))
    return summed
