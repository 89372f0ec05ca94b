"""The stream `prosody`: how a segment was said, summed up in one row of numbers for each side that is heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from callsift.audio.prosody import functionals, manner_of
from callsift.types import FloatArray, StreamInput

FRAMES = "logmel+pitch"
"""The `front_end.input` whose frames are summed up."""


def prosody_inputs(frames: Sequence[StreamInput | None], bands: int) -> list[StreamInput | None]:
    """Frames (F, C·(bands + 2)) of every segment → its prosody (C, `callsift.audio.prosody.COLUMNS`); None of nothing.

    Every side is taken relative to how it speaks over the whole call. A segment's frames are read when they are needed
    and not kept.
    """
    width = bands + 2
    heard = [found for found in frames if found is not None and len(found.values)]
    if not heard:
        return [None] * len(frames)
    sides = range(0, heard[0].values.shape[1], width)
    usual = [manner_of(partial(_mel_of, heard, slice(at, at + bands))) for at in sides]

    def rows(found: StreamInput) -> FloatArray:
        values = found.values
        pairs = [(values[:, at : at + width], manner) for at, manner in zip(sides, usual, strict=True)]
        return np.stack(
            [
                functionals(side[:, :bands].astype(np.float32), side[:, bands:].astype(np.float32), manner)
                for side, manner in pairs
                if manner is not None
            ]
        )

    return [None if found is None or not len(found.values) else StreamInput(rows(found)) for found in frames]


def _mel_of(heard: Sequence[StreamInput], columns: slice) -> Iterator[FloatArray]:
    """One side's log-mel (F, M), segment by segment."""
    return (found.values[:, columns].astype(np.float32) for found in heard)
