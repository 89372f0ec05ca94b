"""What sounds on a telephone line and is no speech: ringing, busy and dial tones, keys, fax, beeps, hold music.

Their frequencies stand still, a voice's never do for long: while somebody speaks, the pitch and all its harmonics
glide. Three rules follow from this, all on short spectra at 8 kHz:

- Steadiness: how well the fine structure of the spectrum (its peaks over the local mean) agrees with that of 0.1
  to 0.2 s before, as in continuous frequency activation (Seyerlehner et al. 2007, music detection in broadcasts).
  Sums of it above `STEADY` are followed like a CUSUM (Page 1954), which finds where music begins and ends.
- A pure tone: nearly all power in two narrow peaks, the higher of which keeps its frequency for 0.3 s.
- A key of the telephone (DTMF): one of its pairs of frequencies (ITU-T Q.23), nearly alone.

Somebody may talk over music, and is to be heard then: within what was found, stretches of a syllable and more that are
both louder than the steady frames around them and unsteady are given back (`_talk`). Music alone is hardly ever both:
attacks of notes are short, and what swells is steady.

The bounds keep far from real voices: `benchmarks/hearing_spokenwoz.py` measures both sides, on acted emotional
speech too. The music there is synthesised, as no real recording could be had. Not found: singing, a lone
instrument with strong vibrato, and music that somebody talks over, as far as the voice is the louder. A voice less
than 10 dB above music that plays through a whole call is still lost in part.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from callsift.types import BoolArray, FloatArray

RATE_HZ = 8000
"""What is listened to has this rate."""

HOP_S, WINDOW_S = 0.02, 0.064

STEADY = 0.70
"""Steadiness of more than this speaks for tones: speech has 0.5 in the mean, music 0.9, a tone 1."""

EVIDENCE = 5.5
"""What the excess over `STEADY` must sum up to, over frames: 0.4 s of a tone, half a second and more of music.
Hours of real speech reach 4.8."""

DROP = 3.0
"""The sum may fall by this before the tones are over."""

SILENCE_COSTS = 0.005
"""What a frame of silence takes from the sum: rings 4 s apart belong together, scattered vowels don't."""

SOFT_DB, AROUND_S = 10.0, 1.5
"""A frame counts less the softer it is than the loudest within `AROUND_S`, and nothing from here on: in speech over
music, the louder decides."""

PURE = 0.9
"""Share of the power that a tone's two peaks hold."""

HELD_S, HELD_WITHIN = 0.3, 0.004
"""A tone keeps its frequency within this share of it for so long."""

TWIST_DB = 10.0
"""The two powers of a pair are apart by less."""

KEY_WITHIN, KEY_FRAMES = 0.018, 3
"""A key's frequencies are off by less, for so many frames (Q.24: 40 ms)."""

DIP_FRAMES = 20
"""Silence further than this many frames of 10 ms from anything loud is no part of the tones around it."""

OVER_DB, MUSIC_AROUND_S = 5.0, 4.0
"""Within tones, somebody may talk where it is louder by this than the steady frames (median) within that time."""

UNSTEADY = 1.2
"""What 1 − steadiness of such frames must sum up to: a syllable or two. Attacks of notes are shorter, and a crescendo
is steady."""

NOT_OVER_COSTS = 0.03
"""What every other frame takes from that sum."""

TALK_GAP_S, TALK_PADDING_S = 1.0, 0.2
"""Talk closer than this is one, and its soft edges reach so far."""

_KEY_ROWS_HZ, _KEY_COLUMNS_HZ = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0, 1633.0)
_LAGS = range(5, 11)
_WINDOW, _HOP = round(WINDOW_S * RATE_HZ), round(HOP_S * RATE_HZ)
_BIN_HZ = RATE_HZ / _WINDOW
_LOW, _HIGH = round(200 / _BIN_HZ), round(3600 / _BIN_HZ)
_DEEP_DB = 45.0
_LOCAL_BINS = 13
_PEAK_BINS = 3

Spectra = NDArray[np.float32]


@dataclass(slots=True)
class ToneListener:
    """Hears a channel block by block at `RATE_HZ` and keeps four numbers for every 20 ms."""

    _rest: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    _before: Spectra = field(default_factory=lambda: np.zeros((_LAGS[-1], _HIGH - _LOW), np.float32))
    _steadiness: list[FloatArray] = field(default_factory=list)
    _tone_hz: list[FloatArray] = field(default_factory=list)
    _keys: list[NDArray[np.int8]] = field(default_factory=list)
    _level_db: list[FloatArray] = field(default_factory=list)

    def hear(self, samples: FloatArray) -> None:
        """The next samples (n,); results do not depend on how a channel is divided."""
        samples = np.concatenate([self._rest, samples])
        frames = max(0, 1 + (samples.size - _WINDOW) // _HOP)
        self._rest = samples[frames * _HOP :].copy()
        if not frames:
            return
        windows = sliding_window_view(samples, _WINDOW)[::_HOP][:frames]
        power = _power(windows)  # (F, bins)
        fine = np.concatenate([self._before, _fine_structure(power)])  # (lags + F, bins)
        self._before = fine[-_LAGS[-1] :].copy()
        self._steadiness.append(_steadiness(fine))
        tone_hz, keys = _peaks(power)
        self._tone_hz.append(tone_hz)
        self._keys.append(keys)
        self._level_db.append(10 * np.log10(power[:, _LOW:_HIGH].mean(axis=1) + 1e-12))

    def tonal(self, loud_enough: BoolArray) -> BoolArray:
        """Which frames of 10 ms (F,) are tones or music, dips in them included; `loud_enough` (F,): not silent."""
        found: BoolArray = np.zeros(loud_enough.size, dtype=np.bool_)
        if not self._level_db:
            return found
        level_db = np.concatenate(self._level_db)
        centre = np.arange(level_db.size) * 2 + round(WINDOW_S / 2 / 0.01)
        heard = loud_enough[np.minimum(centre, loud_enough.size - 1)]
        steadiness = np.concatenate(self._steadiness)
        score = (steadiness - STEADY) * _weight(level_db)
        for start, end in _rises(np.where(heard, score, -SILENCE_COSTS), EVIDENCE, DROP):
            found[max(0, 2 * (start - _LAGS[0])) : 2 * end + 4] = True
            part = slice(start, end)
            for first, last in _talk(steadiness[part], level_db[part], heard[part]):
                found[max(0, 2 * (start + first) + 3) : max(0, 2 * (start + last) + 3)] = False
        alone = _held(np.concatenate(self._tone_hz)) | _pressed(np.concatenate(self._keys))
        for at in np.flatnonzero(alone & heard).tolist():
            found[2 * at : 2 * at + 6] = True
        around = np.pad(loud_enough, DIP_FRAMES)
        found &= sliding_window_view(around, 2 * DIP_FRAMES + 1).any(axis=1)
        return found


def _power(windows: FloatArray) -> Spectra:
    """Windows (F, n) → power spectra (F, n / 2 + 1), Hann, per sample."""
    taper = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    spectra = np.fft.rfft(windows * taper, axis=1)
    power = (spectra.real**2 + spectra.imag**2) / np.square(taper).sum()
    return np.asarray(power, dtype=np.float32)


def _fine_structure(power: Spectra) -> Spectra:
    """(F, bins) → by how many dB each bin is above its neighbourhood, as vectors of length 1."""
    level = 10 * np.log10(power[:, _LOW:_HIGH] + 1e-10)
    level = np.maximum(level, level.max(axis=1, keepdims=True) - _DEEP_DB)
    half = _LOCAL_BINS // 2
    sums = np.cumsum(np.pad(level.astype(np.float64), ((0, 0), (half + 1, half)), mode="edge"), axis=1)
    above = np.maximum(level - (sums[:, _LOCAL_BINS:] - sums[:, :-_LOCAL_BINS]) / _LOCAL_BINS, 0)
    length = np.sqrt(np.square(above).sum(axis=1, keepdims=True))
    return np.asarray(above / np.maximum(length, 1e-6), dtype=np.float32)


def _steadiness(fine: Spectra) -> FloatArray:
    """Unit vectors (lags + F, bins) → (F,) the best agreement of each frame with those of 0.1 to 0.2 s before."""
    frames = len(fine) - _LAGS[-1]
    now = fine[_LAGS[-1] :]
    best = np.zeros(frames, np.float32)
    for lag in _LAGS:
        then = fine[_LAGS[-1] - lag : len(fine) - lag]
        best = np.maximum(best, (now * then).sum(axis=1))
    return best


def _peaks(power: Spectra) -> tuple[FloatArray, NDArray[np.int8]]:
    """Spectra (F, bins) → the tone in Hz where two peaks are all (of a pair
    the lower), else 0; the key 0–15, else −1."""
    left = power.copy()
    left[:, : round(125 / _BIN_HZ)] = 0
    left[:, round(3875 / _BIN_HZ) :] = 0
    total = left.sum(axis=1) + 1e-12
    (first_hz, first), (second_hz, second) = _take_peak(left), _take_peak(left)
    pure = (first + second) / total >= PURE
    low_hz, high_hz = np.minimum(first_hz, second_hz), np.maximum(first_hz, second_hz)
    row, column = _nearest(low_hz, _KEY_ROWS_HZ), _nearest(high_hz, _KEY_COLUMNS_HZ)
    alike = second >= first * 10 ** (-TWIST_DB / 10)
    keys = np.where(pure & alike & (row >= 0) & (column >= 0), row * 4 + column, -1)
    tone_hz = np.where(alike, low_hz, first_hz)  # of two alike, noise decides which is the stronger
    return np.where(pure, tone_hz, 0).astype(np.float32), keys.astype(np.int8)


def _take_peak(power: Spectra) -> tuple[FloatArray, FloatArray]:
    """The highest peak of each spectrum (F, bins): its frequency and power; it is taken out of the spectrum."""
    rows = np.arange(len(power))
    at = np.clip(power.argmax(axis=1), _PEAK_BINS + 1, power.shape[1] - _PEAK_BINS - 2)
    below, top, above = (np.log(power[rows, at + step] + 1e-12) for step in (-1, 0, 1))
    offset = np.clip(0.5 * (below - above) / np.minimum(below - 2 * top + above, -1e-6), -0.5, 0.5)
    around = at[:, None] + np.arange(-_PEAK_BINS, _PEAK_BINS + 1)
    held = power[rows[:, None], around].sum(axis=1)
    power[rows[:, None], around] = 0
    return (at + offset) * _BIN_HZ, held


def _nearest(hz: FloatArray, choices_hz: tuple[float, ...]) -> NDArray[np.int64]:
    """Which of some frequencies each one is, −1 for none."""
    off = np.abs(hz[:, None] / np.asarray(choices_hz) - 1)
    return np.where(off.min(axis=1) <= KEY_WITHIN, off.argmin(axis=1), -1)


def _weight(level_db: FloatArray) -> FloatArray:
    """How much a frame (F,) counts: 1 for the loudest around it, 0 for those softer by `SOFT_DB`."""
    around = round(AROUND_S / HOP_S)
    loudest_db = sliding_window_view(np.pad(level_db, around, mode="edge"), 2 * around + 1).max(axis=1)
    weight: FloatArray = np.clip(1 - (loudest_db - level_db) / SOFT_DB, 0, 1)
    return weight


def _talk(steadiness: FloatArray, level_db: FloatArray, heard: BoolArray) -> list[tuple[int, int]]:
    """Stretches [first, last) of some tones (F,) that somebody talks over; padding may reach beyond the frames."""
    over = heard & (level_db > _music_db(level_db, heard & (steadiness > STEADY)) + OVER_DB)
    padding, gap = round(TALK_PADDING_S / HOP_S), round(TALK_GAP_S / HOP_S)
    talk: list[tuple[int, int]] = []
    for start, end in _rises(np.where(over, 1 - steadiness, -NOT_OVER_COSTS), UNSTEADY, UNSTEADY):
        if talk and start - (talk[-1][1] - padding) <= gap:
            talk[-1] = talk[-1][0], end + padding
        else:
            talk.append((start - padding, end + padding))
    return talk


def _music_db(level_db: FloatArray, steady: BoolArray) -> FloatArray:
    """The level of the music itself at each frame (F,): the median of the steady ones around, some there must be."""
    around, step = round(MUSIC_AROUND_S / HOP_S), 25
    music_db = np.full(level_db.size, np.median(level_db[steady]), np.float32)
    for at in range(0, level_db.size, step):
        near = slice(max(0, at - around), at + around)
        if steady[near].sum() > _LAGS[-1]:
            music_db[at : at + step] = np.median(level_db[near][steady[near]])
    return music_db


def _rises(score: FloatArray, evidence: float, drop: float) -> list[tuple[int, int]]:
    """Stretches [start, end) over which the score (F,) sums up to the evidence, from a low to its next high, before
    it falls by `drop`."""
    found: list[tuple[int, int]] = []
    total = best = 0.0
    start = end = 0
    for at, gain in enumerate([*score.tolist(), -np.inf]):
        if total <= 0:
            total, best, start = 0.0, 0.0, at
        total += gain
        if total > best:
            best, end = total, at + 1
        elif total <= max(0.0, best - drop):
            if best >= evidence:
                found.append((start, end))
            total = 0.0
    return found


def _held(tone_hz: FloatArray) -> BoolArray:
    """Frames (F,) within `HELD_S` of one frequency; 0 is none."""
    frames = round((HELD_S - WINDOW_S) / HOP_S)
    held: BoolArray = np.zeros(tone_hz.size, dtype=np.bool_)
    if tone_hz.size < frames:
        return held
    around = sliding_window_view(tone_hz, frames)
    low, high = around.min(axis=1), around.max(axis=1)
    for at in np.flatnonzero((low > 0) & (high - low <= HELD_WITHIN * high)).tolist():
        held[at : at + frames] = True
    return held


def _pressed(keys: NDArray[np.int8]) -> BoolArray:
    """Frames (F,) in which one key has been heard for `KEY_FRAMES` and more."""
    edges = np.flatnonzero(np.diff(keys, prepend=-2, append=-2))
    pressed: BoolArray = np.zeros(keys.size, dtype=np.bool_)
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if keys[start] >= 0 and end - start >= KEY_FRAMES:
            pressed[start:end] = True
    return pressed
