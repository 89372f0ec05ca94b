"""Two channels of a recording compared: are they copies of one signal, does one leak into the other?

By levels (F,) in dB per 10 ms first: how far one channel lies below the other while that one is loud. Copies lie at one
distance throughout; a leak at one distance while the other side speaks; two people at any.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from callsift.types import FloatArray, Waveform

FRAME_S: Final = 0.01
SILENT_DB: Final = -120.0
"""The level of nothing at all."""

SAME_ABOVE: Final = 0.97
"""Two channels are copies where their correlation, at the best shift, is above this in the loud passages. Two people
on two channels stay below 0.5, unless one leaks into the other as loudly as he speaks."""

SAME_CONCENTRATION: Final = 0.9
"""And where, while either is loud, so large a share of their levels lies within 3.5 dB of one distance."""

MOST_SHIFT_S: Final = 0.01
_COMPARED_S: Final = 2.0
_COMPARED: Final = 8

LEAST_LEAK_DB, MOST_LEAK_DB = -40.0, -4.0
"""The other side leaking in at less is not heard; at more, the channels hardly differ and nothing can be told."""

LEAK_CONCENTRATION: Final = 0.75
"""While the other side is loud, so large a share of this channel's frames lies within 3.5 dB of one distance below it
where it leaks. On seven real calls: 0.30 to 0.54 as recorded, 0.89 to 1.00 with leaks of −6 to −30 dB both ways, 30 ms
late, mixed in."""

_CONCENTRATION_DB: Final = 3.5
_LOUD_RANGE_DB: Final = 15.0
_LEAST_FRAMES: Final = 200

LEAST_SWING_DB: Final = 15.0
"""A voice's level swings by more than this between its loud passages and its pauses. Noise and hum do not: a channel
with nothing else on it leaks into none."""
_SMOOTHED_FRAMES: Final = 5
_DELAY_STEP: Final = 2

LONGEST_DELAY_S: Final = 0.15
"""An echo from the far end of a line comes back so much later at most."""

_LOUD_PERCENTILE, _FLOOR_PERCENTILE = 95, 10


def are_copies(waveform: Waveform, levels_db: FloatArray) -> bool:
    """Whether the first two channels are one signal, with any gain and a small shift.

    Their levels must lie at one distance throughout (with a leak they lie at two: whoever speaks is louder on his own
    channel), and in the loudest stretches the signals themselves must agree.
    """
    loudest = np.maximum(levels_db[0], levels_db[1])
    if not loudest.size or _percentile(loudest, _LOUD_PERCENTILE) <= SILENT_DB:
        return False
    loud = loudest > _percentile(loudest, _LOUD_PERCENTILE) - _LOUD_RANGE_DB
    if _mode((smooth_levels(levels_db[0]) - smooth_levels(levels_db[1]))[loud])[0] < SAME_CONCENTRATION:
        return False
    rate_hz, width = waveform.rate_hz, round(_COMPARED_S / FRAME_S)
    blocks = loudest[: max(1, loudest.size // width) * width]
    starts = [0] if blocks.size < width else np.argsort(-blocks.reshape(-1, width).mean(axis=1), kind="stable") * width
    found = []
    for start in starts[:_COMPARED]:
        first = round(int(start) * FRAME_S * rate_hz)
        left, right = waveform.samples[:, first : first + round(_COMPARED_S * rate_hz)][:2]
        found.append(_best_correlation(left, right, round(MOST_SHIFT_S * rate_hz)))
    return float(np.median(found)) > SAME_ABOVE


def _best_correlation(left: FloatArray, right: FloatArray, most_shift: int) -> float:
    """The largest correlation in magnitude of two signals (T,) over shifts up to `most_shift` samples."""
    left, right = (side - side.mean(dtype=np.float64) for side in (left, right))
    scale = float(np.sqrt(np.square(left).sum() * np.square(right).sum()))
    if scale == 0.0:
        return 0.0
    size = 1 << (left.size + most_shift).bit_length()
    products = np.fft.irfft(np.fft.rfft(left, size) * np.conj(np.fft.rfft(right, size)), size)
    near = np.concatenate([products[: most_shift + 1], products[-most_shift:]])
    return float(np.abs(near).max() / scale)


def leak_level_db(own_db: FloatArray, other_db: FloatArray) -> float | None:
    """How far below the other side's level this channel follows it; None where it does not.

    Looked at: how far this channel lies below the other while that one is loud and the louder. Room noise and the own
    voice lie at any distance; a leak at one, once its delay is allowed for.
    """
    own_db, other_db = smooth_levels(own_db), smooth_levels(other_db)
    if _percentile(other_db, _LOUD_PERCENTILE) - _percentile(other_db, _FLOOR_PERCENTILE) < LEAST_SWING_DB:
        return None
    best = (0.0, 0.0)
    for delay in range(0, round(LONGEST_DELAY_S / FRAME_S) + 1, _DELAY_STEP):
        here, there = own_db[delay:], other_db[: other_db.size - delay]
        loud = there > _percentile(there, _LOUD_PERCENTILE) - _LOUD_RANGE_DB
        distance = (here - there)[loud & (here < there + MOST_LEAK_DB)]
        if distance.size >= _LEAST_FRAMES:
            best = max(best, _mode(distance))
    concentration, leak_db = best
    return leak_db if LEAST_LEAK_DB <= leak_db <= MOST_LEAK_DB and concentration > LEAK_CONCENTRATION else None


def _mode(values: FloatArray) -> tuple[float, float]:
    """The share of values (in dB) near the most frequent one, and that one."""
    counts, edges = np.histogram(values, bins=np.arange(SILENT_DB, -SILENT_DB))
    around = np.convolve(counts, np.ones(round(2 * _CONCENTRATION_DB)), "same")
    near = np.abs(values - (edges[int(around.argmax())] + 0.5)) <= _CONCENTRATION_DB
    return float(near.mean()), float(np.median(values[near]))


def smooth_levels(levels_db: FloatArray) -> FloatArray:
    """Levels (F,) per 10 ms → of the mean power over five frames, (F,)."""
    if levels_db.size < _SMOOTHED_FRAMES:
        return levels_db
    power = np.pad(10 ** (levels_db / 10), _SMOOTHED_FRAMES // 2, mode="edge")
    return np.asarray(10 * np.log10(sliding_window_view(power, _SMOOTHED_FRAMES).mean(axis=1)), dtype=np.float32)


def _percentile(values: FloatArray, share: float) -> float:
    return float(np.percentile(values, share)) if values.size else SILENT_DB
