"""Speech of the other side that leaked into a channel, taken out of what counts as this side's speech.

By level alone: a frame in which this channel is hardly louder than the leak would make it holds nothing of its own.
What both say at once survives, as one's own voice is louder than the other's leak.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from callsift.audio.comparing import FRAME_S, LONGEST_DELAY_S, smooth_levels
from callsift.speech.spans import joined
from callsift.types import BoolArray, FloatArray, Span

ABOVE_LEAK_DB: Final = 6.0
"""By so much a side's own voice is louder than the leak of the other's."""

CLOSED_GAP_S: Final = 0.2
LEAST_SPEECH_S: Final = 0.15


def without_leak(speech: Sequence[Span], own_db: FloatArray, other_db: FloatArray, leak_db: float) -> tuple[Span, ...]:
    """A channel's spans of speech less those in which only the other side's leak is heard.

    `own_db`, `other_db`: levels (F,) of this and the other channel per 10 ms, of `audio.health.examine`; `leak_db`: how
    far below the other's level its leak lies.
    """
    expected_db = _latest_loudest(smooth_levels(other_db)) + leak_db + ABOVE_LEAK_DB
    own: BoolArray = smooth_levels(own_db) > expected_db
    kept: list[Span] = []
    for span in speech:
        first, end = round(span.start_s / FRAME_S), min(round(span.end_s / FRAME_S), own.size)
        edges = np.flatnonzero(np.diff(own[first:end], prepend=False, append=False)).reshape(-1, 2)
        runs = [Span((first + a) * FRAME_S, (first + b) * FRAME_S) for a, b in edges.tolist()]
        kept += [run for run in joined(runs, CLOSED_GAP_S) if run.duration_s >= LEAST_SPEECH_S]
    return joined(kept)


def _latest_loudest(levels_db: FloatArray) -> FloatArray:
    """The highest level of the last `LONGEST_DELAY_S` up to each frame (F,)."""
    back = round(LONGEST_DELAY_S / FRAME_S)
    padded = np.pad(levels_db, (back, 0), mode="edge")
    return np.asarray(sliding_window_view(padded, back + 1).max(axis=1))
