"""The telephone line: 300-3400 Hz, G.711 mu-law, line noise, unequal levels, faint crosstalk.

Mu-law follows ITU-T G.711 (11/88), table 2a: 14-bit magnitudes, 33 added, an exponent of 3 and a mantissa
of 4 bits, all bits inverted on the line. At the exact edge of a step both signs go the same way, as in the
reference code of ITU-T G.191; libsndfile differs there for negative samples by one step.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from recipes.dialogue import RATE_HZ

_BIAS = 33  # of the 14-bit magnitude
_CLIP = 8191 - _BIAS
_ACTIVE_DB = -35.0  # below the channel's peak: what does not count as speech when levels are measured


@dataclass(frozen=True, slots=True)
class Line:
    """What a line may do, as ranges to draw from; levels in dBFS of the active speech, ratios in dB."""

    level_dbfs: tuple[float, float] = (-26.0, -19.0)
    noise_snr_db: tuple[float, float] = (28.0, 40.0)
    crosstalk_db: float = -45.0


def telephone(samples: NDArray[np.float32], rng: np.random.Generator, line: Line | None = None) -> NDArray[np.float32]:
    """`samples` (2, T) float32 at 8000 Hz as the line delivers them: decoded mu-law, same shape and type."""
    line = line or Line()
    speech = _band(samples.astype(np.float64))  # (2, T)
    levels = 10 ** (rng.uniform(*line.level_dbfs, size=(2, 1)) / 20)  # (2, 1)
    speech *= levels / _active_rms(speech)
    snr = 10 ** (rng.uniform(*line.noise_snr_db, size=(2, 1)) / 20)
    noise = _band(rng.standard_normal(samples.shape))
    noise *= levels / snr / np.sqrt(np.mean(noise**2, axis=1, keepdims=True))
    mixed = speech + 10 ** (line.crosstalk_db / 20) * speech[::-1] + noise
    return mulaw_decode(mulaw_encode(np.tanh(mixed / 0.95) * 0.95 if np.abs(mixed).max() > 0.95 else mixed))


def mulaw_encode(samples: NDArray[np.floating]) -> NDArray[np.uint8]:
    """`samples` in -1..1, any shape, as G.711 mu-law bytes; values beyond full scale are clipped."""
    scaled = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int32) >> 2  # 14 bits
    negative = scaled < 0
    # The one's complement maps -1 to 0 and -8192 to 8191, so that both signs have the same steps.
    magnitude = np.minimum(np.where(negative, ~scaled, scaled), _CLIP) + _BIAS
    exponent = np.frexp(magnitude.astype(np.float64))[1] - 6  # magnitude in 32..8191 -> 0..7
    mantissa = (magnitude >> (exponent + 1)) & 0x0F
    code = np.where(negative, 0x80, 0) | (exponent << 4) | mantissa
    return np.asarray(~code & 0xFF, dtype=np.uint8)


def mulaw_decode(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """G.711 mu-law bytes, any shape, as float32 samples in -1..1: the middle of each quantiser step."""
    code = ~codes.astype(np.int32) & 0xFF
    exponent, mantissa = (code >> 4) & 0x07, code & 0x0F
    magnitude = (((2 * mantissa + 33) << exponent) - _BIAS) * 4  # 16-bit scale
    return (np.where(code & 0x80, -magnitude, magnitude) / 32768.0).astype(np.float32)


def _band(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """`samples` (2, T) through the telephone band, without delay."""
    sections = butter(4, (300.0, 3400.0), btype="bandpass", fs=RATE_HZ, output="sos")
    return np.asarray(sosfiltfilt(sections, samples, axis=1), dtype=np.float64)


def _active_rms(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """RMS of each channel's frames of 20 ms with speech in them: (2, T) to (2, 1)."""
    frame = RATE_HZ // 50
    whole = samples[:, : samples.shape[1] // frame * frame]
    energy = np.mean(whole.reshape(2, -1, frame) ** 2, axis=2)  # (2, frames)
    active = energy > energy.max(axis=1, keepdims=True) * 10 ** (_ACTIVE_DB / 10)
    total = np.where(active, energy, 0.0).sum(axis=1, keepdims=True)
    return np.asarray(np.sqrt(np.maximum(total / np.maximum(active.sum(axis=1, keepdims=True), 1), 1e-12)))
