"""What a telephone plays when nobody speaks, synthesised: signalling tones, and something like hold music.

Tones by their standards (ITU-T E.180 with its list of national tones, Q.23 for DTMF, T.30 for fax). The music is
made: chords, bass and a melody in several timbres, with vibrato, detuning and percussion; no real recording could
be had, so what is measured on it says how such sounds fare, not how every song does. All are (T,) float32 at 8 kHz.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from callsift.types import FloatArray

RATE_HZ = 8000

TONES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "ringing, North America": ((440, 480), (2.0, 4.0)),
    "ringing, Europe": ((425,), (1.0, 4.0)),
    "ringing, China": ((450,), (1.0, 4.0)),
    "ringing, Britain": ((400, 450), (0.4, 0.2, 0.4, 2.0)),
    "busy, North America": ((480, 620), (0.5, 0.5)),
    "busy, Europe": ((425,), (0.48, 0.48)),
    "busy, China": ((450,), (0.35, 0.35)),
    "dial tone, North America": ((350, 440), (10.0, 0.0)),
    "dial tone, China": ((450,), (10.0, 0.0)),
    "fax calling": ((1100,), (0.5, 3.0)),
    "fax answering": ((2100,), (3.0, 1.0)),
    "recorder's beep": ((1400,), (0.4, 4.6)),
}
"""Name → frequencies in Hz, and the seconds on, off, on, off … of the cadence."""

DTMF_ROWS_HZ, DTMF_COLUMNS_HZ = (697, 770, 852, 941), (1209, 1336, 1477, 1633)

TIMBRES = ("organ", "piano", "strings", "flute", "guitar", "brass")

_SCALE = (0, 2, 4, 5, 7, 9, 11)
_PROGRESSIONS = ((0, 4, 5, 3), (0, 3, 4, 0), (5, 3, 0, 4), (0, 5, 1, 4))

Array = NDArray[np.float64]


def tone(hz: Sequence[float], cadence_s: Sequence[float], seconds: float, level_db: float = -20.0) -> FloatArray:
    """Sines of these frequencies in a cadence of on, off, on, off …; `level_db` of full scale while on."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = np.sum([np.sin(2 * np.pi * each * time_s) for each in hz], axis=0)
    return _scaled(wave * sounding(cadence_s, seconds), wave, level_db)


def sounding(cadence_s: Sequence[float], seconds: float) -> NDArray[np.bool_]:
    """Which samples (T,) of a cadence sound."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ % sum(cadence_s)
    edges_s = np.cumsum(cadence_s)
    return np.asarray(np.searchsorted(edges_s, time_s, side="right") % 2 == 0)


def dialling(seconds: float, *, on_s: float = 0.1, off_s: float = 0.1, seed: int = 0) -> FloatArray:
    """Random keys pressed one after the other."""
    rng = np.random.default_rng(seed)
    keys = []
    for _ in range(int(seconds / (on_s + off_s))):
        pair = rng.choice(DTMF_ROWS_HZ), rng.choice(DTMF_COLUMNS_HZ)
        keys.append(tone(pair, (on_s, off_s), on_s + off_s, level_db=-15.0))
    return np.concatenate(keys)


def music(seconds: float, seed: int, *, level_db: float = -22.0) -> FloatArray:
    """A piece drawn at random: key, tempo, timbres of chords and melody, with or without percussion."""
    rng = np.random.default_rng(seed)
    beat_s = 60 / rng.uniform(70, 130)
    key = int(rng.integers(48, 60))
    chords, melody = rng.choice(TIMBRES), rng.choice(TIMBRES)
    progression = _PROGRESSIONS[rng.integers(len(_PROGRESSIONS))]
    total = round((seconds + 8) * RATE_HZ)
    parts = {name: np.zeros(total) for name in ("chords", "melody", "bass", "percussion")}
    beats = int(seconds / beat_s) + 1
    for beat in range(beats):
        at_s = beat * beat_s
        root = progression[beat // 4 % 4]
        if beat % 4 == 0 or (beat % 2 == 0 and chords in ("piano", "guitar")):
            length_s = beat_s * (4 if chords not in ("piano", "guitar") else 2)
            for step in (0, 2, 4):
                _add(parts["chords"], at_s, _note(_midi(key, root + step), length_s, chords, rng))
        if beat % 2 == 0:
            _add(parts["bass"], at_s, _note(_midi(key - 12, root), 2 * beat_s, "guitar", rng))
        for half in range(int(rng.choice((1, 1, 2, 2, 4)))):
            pitch = _midi(key + 12, root + int(rng.choice((0, 1, 2, 4, 5, 7))))
            count = 2 if half else 1
            _add(parts["melody"], at_s + half * beat_s / 4, _note(pitch, beat_s / count, melody, rng))
        _add(parts["percussion"], at_s, _hit(rng, beat))
        _add(parts["percussion"], at_s + beat_s / 2, 0.3 * _hit(rng, 1))
    drums = float(rng.choice((0.0, 0.15, 0.4)))
    gains = {"chords": 0.5, "melody": float(rng.uniform(0.4, 1.2)), "bass": 0.5, "percussion": drums}
    wave = np.sum([gain * parts[name] for name, gain in gains.items()], axis=0)[: round(seconds * RATE_HZ)]
    return _scaled(telephone_band(wave), wave, level_db)


def melody(seconds: float, seed: int, timbre: str, *, level_db: float = -22.0) -> FloatArray:
    """One instrument alone, notes of a quarter and half a second: hold music of small exchanges."""
    rng = np.random.default_rng(seed)
    wave = np.zeros(round(seconds * RATE_HZ))
    at_s = 0.0
    while at_s < seconds:
        length_s = float(rng.choice((0.25, 0.25, 0.5)))
        _add(wave, at_s, _note(_midi(60, int(rng.integers(0, 12))), length_s, timbre, rng))
        at_s += length_s
    return _scaled(telephone_band(wave), wave, level_db)


def _midi(key: int, degree: int) -> float:
    """Frequency in Hz of a degree of the major scale on a key."""
    return float(440 * 2 ** ((key + 12 * (degree // 7) + _SCALE[degree % 7] - 69) / 12))


def _note(hz: float, seconds: float, timbre: str, rng: np.random.Generator) -> Array:
    """One note: harmonics with the envelope of its instrument, a few cents out of tune."""
    plucked = timbre in ("piano", "guitar")
    time_s = np.arange(round((seconds * (1.6 if plucked else 1.02)) * RATE_HZ)) / RATE_HZ
    hz *= 2 ** (rng.normal(0, 3) / 1200)
    phase = 2 * np.pi * hz * time_s
    if timbre in ("strings", "flute"):
        depth = 2 ** (rng.uniform(10, 35) / 1200) - 1
        rate_hz = rng.uniform(4.5, 6.5)
        phase += hz * depth / rate_hz * np.sin(2 * np.pi * rate_hz * time_s + rng.uniform(0, 6))
    falls = {"organ": 0.7, "piano": 1.2, "strings": 0.9, "flute": 2.2, "guitar": 1.0, "brass": 0.6}[timbre]
    wave = np.zeros(time_s.size)
    for number in range(1, min(12, int(3800 / hz)) + 1):
        decay = np.exp(-time_s * (1.5 + 0.6 * number)) if plucked else 1.0
        stretch = 1 + (2e-4 * number * number if timbre == "piano" else 0.0)
        wave += number**-falls * decay * np.sin(number * stretch * phase + rng.uniform(0, 6))
    attack_s = {"strings": 0.1, "flute": 0.05, "brass": 0.04}.get(timbre, 0.005)
    release = np.clip((time_s[-1] - time_s) / 0.05, 0, 1)
    return np.asarray(wave * np.clip(time_s / attack_s, 0, 1) * release, dtype=np.float64)


def _hit(rng: np.random.Generator, beat: int) -> Array:
    """A drum: a kick on even beats, noise like a snare or hi-hat on odd ones."""
    time_s = np.arange(round(0.2 * RATE_HZ)) / RATE_HZ
    if beat % 2:
        return np.asarray(rng.standard_normal(time_s.size) * np.exp(-time_s / 0.03), dtype=np.float64)
    return np.asarray(2 * np.sin(2 * np.pi * (60 + 120 * np.exp(-time_s / 0.03)) * time_s) * np.exp(-time_s / 0.06))


def _add(wave: Array, at_s: float, part: Array) -> None:
    start = round(at_s * RATE_HZ)
    part = part[: max(0, wave.size - start)]
    wave[start : start + part.size] += part


def telephone_band(wave: Array) -> Array:
    """300 to 3400 Hz."""
    spectrum = np.fft.rfft(wave)
    hz = np.fft.rfftfreq(wave.size, 1 / RATE_HZ)
    passed = 1 / (1 + (250 / np.maximum(hz, 1)) ** 8) / (1 + (hz / 3500) ** 16)
    return np.asarray(np.fft.irfft(spectrum * passed, wave.size), dtype=np.float64)


def _scaled(wave: Array, reference: Array, level_db: float) -> FloatArray:
    gain = 10 ** (level_db / 20) / np.sqrt(np.mean(reference**2))
    return np.asarray(wave * gain, dtype=np.float32)


def mu_law(samples: FloatArray) -> FloatArray:
    """Quantised as on a telephone line (ITU-T G.711, by its formula), and back."""
    squeezed = np.sign(samples) * np.log1p(255 * np.minimum(np.abs(samples), 1)) / np.log(256)
    steps = np.round(squeezed * 127) / 127
    return np.asarray(np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255, dtype=np.float32)


def with_noise(samples: FloatArray, level_db: float, seed: int = 0) -> FloatArray:
    """Line noise added, at a level of full scale."""
    noise = np.random.default_rng(seed).standard_normal(samples.size)
    return np.asarray(samples + noise * 10 ** (level_db / 20), dtype=np.float32)
