"""How something was said, in a few numbers: functionals of pitch, loudness and spectrum over a stretch of speech.

What a voice does with its pitch, its loudness and its timbre is summed up by means, spreads and rates of change, as
the sets of measures that emotion research settled on do (Eyben et al. 2016, «The Geneva Minimalistic Acoustic
Parameter Set (GeMAPS)»; Schuller et al. 2009). Everything is relative to the speaker already, so these say how it is
said and little of who says it: a network that reads them learns less of the voices it was trained on.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from callsift.types import FloatArray

BANDS: Final = 20
"""Into so many neighbouring groups the mel bands are brought together."""
LOUD: Final = -2.0
"""A frame counts as speaking above this: natural log of its power less the speaker's mean, over all bands."""

_TENTHS = (10, 50, 90)
_FEWEST = 3

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


def functionals(mel: FloatArray, pitch: FloatArray) -> FloatArray:
    """Log-mel (F, M) and pitch (F, 2), both relative to the speaker → (`COLUMNS`,) float32.

    `pitch` as `callsift.audio.pitch.relative_pitch` gives it: its course, and periodicity less a half. A stretch with
    too little speech is taken as a whole.

    Raises:
        ValueError: no frames, or another number of them in `pitch`.
    """
    if not len(mel) or len(mel) != len(pitch):
        raise ValueError(f"{len(mel)} frames of log-mel and {len(pitch)} of pitch: both must be one number, at least 1")
    loudness = mel.mean(axis=1, dtype=np.float64)  # (F,)
    speaking = loudness > LOUD
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
