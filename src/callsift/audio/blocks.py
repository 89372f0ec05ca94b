"""Reading a channel in blocks, at any rate, so that memory does not grow with the length of a call."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soxr

from callsift.types import FloatArray, Signal

BLOCK_S = 30.0
"""Length of a block; results do not depend on it."""


def blocks(signal: Signal, rate_hz: int, block_s: float = BLOCK_S) -> Iterator[FloatArray]:
    """A channel (T,) in successive stretches (n,), which together are all of it."""
    step = max(1, round(block_s * rate_hz))
    for start in range(0, signal.size, step):
        yield signal[start : start + step]


def resampled(signal: Signal, from_hz: int, to_hz: int, block_s: float = BLOCK_S) -> Iterator[FloatArray]:
    """The same at another rate, band-limited: what `features.resample` gives of the whole, block by block."""
    if from_hz == to_hz:
        yield from blocks(signal, from_hz, block_s)
        return
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")
    for block in blocks(signal, from_hz, block_s):
        part = stream.resample_chunk(np.ascontiguousarray(block))
        if part.size:
            yield part
    last = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    if last.size:
        yield last
