"""How something was said, in a few numbers: functionals of pitch, loudness and spectrum over a stretch of speech.

What a voice does with its pitch, its loudness and its timbre is summed up by means, spreads and rates of change, as
the sets of measures that emotion research settled on do (Eyben et al. 2016, «The Geneva Minimalistic Acoustic
Parameter Set (GeMAPS)»; Schuller et al. 2009). Everything is relative to the speaker already, so these say how it is
said and little of who says it: a network that reads them learns less of the voices it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callsift.config.training import PROSODY_BANDS
from callsift.types import FloatArray

BANDS: Final = PROSODY_BANDS
QUIET_DB: Final = 20.0
"""A frame counts as speaking unless it is so much quieter than the loud ones of its call."""
LOUD_PERCENTILE: Final = 95

_TENTHS = (10, 50, 90)
_FEWEST = 3
_DB_PER_NEPER = 10.0 / np.log(10.0)  # of power

COLUMNS: Final = (
    "pitch",
    "pitch_spread",
    *(f"pitch_{tenth}" for tenth in _TENTHS),
    "pitch_change",
    "pitch_slope",
    "voiced_share",
    "periodicity",
    "periodicity_spread",
    "length",
    "speaking_share",
    "loudness_spread",
    *(f"loudness_{tenth}" for tenth in _TENTHS),
    "loudness_change",
    "onsets",
    *(f"band_{band}" for band in range(BANDS)),
    *(f"band_{band}_spread" for band in range(BANDS)),
    *(f"band_{band}_change" for band in range(BANDS)),
)
"""What each number of `functionals` is. Pitch in thirds of an octave, loudness and bands in nepers of power."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody usually speaks in a call: the mean spectrum of speaking (M,), and how loud the quietest of it is."""

    mel: NDArray[np.float64]
    quiet: float


def manner_of(pieces: Callable[[], Iterable[FloatArray]]) -> Manner | None:
    """The manner of one side of a call, from the log-mel (F, M) of its segments; None of no frames.

    `pieces` is asked twice, so that a long call's frames need not lie in memory together.
    """
    loudness = [piece.mean(axis=1, dtype=np.float64) for piece in pieces()]
    if not sum(map(len, loudness)):
        return None
    quiet = float(np.percentile(np.concatenate(loudness), LOUD_PERCENTILE)) - QUIET_DB / _DB_PER_NEPER
    count = sum(int((own > quiet).sum()) for own in loudness)
    spoken = [piece[own > quiet].sum(axis=0, dtype=np.float64) for piece, own in zip(pieces(), loudness, strict=True)]
    return Manner(np.sum(spoken, axis=0) / count, quiet)


def functionals(mel: FloatArray, pitch: FloatArray, usual: Manner) -> FloatArray:
    """Log-mel (F, M) and pitch (F, 2) of a stretch, and how its side usually speaks → (`COLUMNS`,) float32.

    `pitch` as `callsift.audio.pitch.relative_pitch` gives it: its course, and periodicity less a half. A stretch with
    too little speech is taken as a whole.

    Raises:
        ValueError: no frames, or another number of them in `pitch`.
    """
    if not len(mel) or len(mel) != len(pitch):
        raise ValueError(f"{len(mel)} frames of log-mel and {len(pitch)} of pitch: both must be one number, at least 1")
    speaking = mel.mean(axis=1, dtype=np.float64) > usual.quiet
    mel = (mel - usual.mel).astype(np.float32)
    loudness = mel.mean(axis=1, dtype=np.float64)  # (F,)
    said = speaking if speaking.sum() >= _FEWEST else np.ones(len(mel), dtype=np.bool_)
    bands = np.stack([part.mean(axis=1) for part in np.array_split(mel[said], BANDS, axis=1)], axis=1)
    found = [
        *_of_pitch(pitch[:, 0].astype(np.float64), pitch[:, 1] > 0.0),
        float((pitch[:, 1] > 0.0).mean()),
        float(pitch[said, 1].mean()),
        float(pitch[said, 1].std()),
        float(np.log(len(mel))),
        float(speaking.mean()),
        float(loudness[said].std()),
        *np.percentile(loudness[said], _TENTHS),
        _change(loudness),
        float(np.count_nonzero(speaking[1:] & ~speaking[:-1])) / len(mel),
        *bands.mean(axis=0),
        *bands.std(axis=0),
        *(np.abs(np.diff(bands, axis=0)).mean(axis=0) if len(bands) > 1 else np.zeros(BANDS)),
    ]
    return np.array(found, dtype=np.float32)


def _of_pitch(course: NDArray[np.float64], voiced: NDArray[np.bool_]) -> list[float]:
    """Mean, spread, tenths, change and slope of the voiced frames' pitch; NaN, taken for the mean, without any."""
    heard = course[voiced]
    if len(heard) < _FEWEST:
        return [float("nan")] * 7
    slope = float(np.polyfit(np.linspace(0.0, 1.0, len(heard)), heard, 1)[0])
    return [float(heard.mean()), float(heard.std()), *np.percentile(heard, _TENTHS), _change(heard), slope]


def _change(values: NDArray[np.float64]) -> float:
    """Mean absolute change from frame to frame."""
    return float(np.abs(np.diff(values)).mean()) if len(values) > 1 else 0.0
