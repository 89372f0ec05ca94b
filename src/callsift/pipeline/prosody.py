"""The stream `prosody`: how a segment was said, summed up in one row of numbers for each side that is heard."""

from __future__ import annotations

import numpy as np

from callsift.audio.prosody import functionals
from callsift.types import FloatArray, StreamInput

FRAMES = "logmel+pitch"
"""The `front_end.input` whose frames are summed up."""


def prosody_rows(frames: StreamInput | None, bands: int) -> StreamInput | None:
    """Frames (F, C·(bands + 2)) of a segment → its prosody (C, `callsift.audio.prosody.COLUMNS`); None of nothing."""
    if frames is None:
        return None
    values = frames.values
    if not len(values):
        return None
    width = bands + 2
    sides: list[FloatArray] = [values[:, at : at + width].astype(np.float32) for at in range(0, values.shape[1], width)]
    rows: FloatArray = np.stack([functionals(side[:, :bands], side[:, bands:]) for side in sides])
    return StreamInput(rows)
