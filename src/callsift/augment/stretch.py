"""Another speed at the same pitch, by waveform similarity overlap-add.

WSOLA (Verhelst and Roelands 1993): the result is laid together from stretches of the recording that are moved in time
and overlap by half. Each is taken not just where its time says but where, near there, it goes on most like the stretch
before it would have gone on: periods of the voice stay whole, so that pitch and timbre stay, and onsets are moved and
not smeared, as they are by a phase vocoder. Likeness is the normalised cross-correlation over the overlap.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from callsift.types import FloatArray, IntArray

HOP_S = 0.015
"""Length of an overlap, half that of a stretch: a voice of 67 Hz has one period in it."""

REACH_S = 0.008
"""How far from its time a stretch may be taken, to either side: both together hold a period of a voice of 63 Hz."""

_SILENT = 1e-12
_BLOCK_HOPS = 4096


def stretched_length(length: int, factor: float) -> int:
    """Samples that `length` of them become at a speed of `factor`: length / factor, rounded, and at least one."""
    return max(1, int(length / factor + 0.5)) if length else 0


def stretch(samples: FloatArray, factor: float, rate_hz: int) -> FloatArray:
    """Samples (C, T) → (C, T') float32 at `factor` times the speed, T' = `stretched_length(T, factor)`.

    All channels are cut at the same places, so that they stay together: what is alike in them stays alike.
    """
    length = samples.shape[1]
    wanted = stretched_length(length, factor)
    if factor == 1 or not length:
        return np.array(samples, np.float32)
    hop, reach = max(2, round(HOP_S * rate_hz)), max(1, round(REACH_S * rate_hz))
    before = hop + reach
    # Stretch m lies at (m − 1)·hop of the result; its middle, at m·hop, comes from m·hop·factor.
    nominal = np.rint(np.arange(-(-wanted // hop) + 1) * (hop * factor)).astype(np.int64) + reach
    after = max(0, int(nominal[-1]) + 3 * (hop + reach) - before - length)
    padded = np.pad(np.asarray(samples, np.float32), ((0, 0), (before, after)))
    starts = _starts(padded, nominal, hop, reach)
    result: FloatArray = np.empty((len(samples), wanted), np.float32)
    for first in range(0, len(starts) - 1, _BLOCK_HOPS):
        part = _laid_together(padded, starts[first : first + _BLOCK_HOPS + 1], hop)
        at = first * hop
        result[:, at : at + part.shape[1]] = part[:, : wanted - at]
    return result


def _starts(padded: FloatArray, nominal: IntArray, hop: int, reach: int) -> IntArray:
    """Where each stretch (M,) is best taken from: at its nominal place, or up to `reach` before or after it."""
    found = np.empty_like(nominal)
    found[0] = last = int(nominal[0])
    for number in range(1, len(nominal)):
        centre = int(nominal[number])
        near = padded[:, centre - reach : centre + reach + hop]  # (C, 2·reach + hop)
        wanted = padded[:, last + hop : last + 2 * hop]  # how the stretch before would go on
        likeness = np.correlate(near[0], wanted[0])  # (2·reach + 1,)
        powers = np.square(near[0])
        for channel in range(1, len(near)):
            likeness = likeness + np.correlate(near[channel], wanted[channel])
            powers += np.square(near[channel])
        passed = np.cumsum(powers, dtype=np.float64)
        energy = passed[hop - 1 :]  # (2·reach + 1,)
        energy[1:] -= passed[:-hop]
        likeness = likeness / np.sqrt(np.maximum(energy, _SILENT))
        best = int(likeness.argmax())
        last = centre + best - reach if likeness[best] > 0 else centre
        found[number] = last
    return found


def _laid_together(padded: FloatArray, starts: IntArray, hop: int) -> FloatArray:
    """Stretches (M,) → (C, (M − 1)·hop): every hop is the end of one and the beginning of the next, faded over."""
    rising = (0.5 - 0.5 * np.cos(np.pi * (np.arange(hop) + 0.5) / hop)).astype(np.float32)
    views = sliding_window_view(padded, hop, axis=1)  # (C, T − hop + 1, hop), no copy
    joined = views[:, starts[:-1] + hop] * (1 - rising)  # (C, M − 1, hop)
    joined += views[:, starts[1:]] * rising
    return np.asarray(joined.reshape(len(padded), -1))
