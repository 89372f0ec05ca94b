"""Effects on one channel (T,) float32 of full scale 1, each with what it is told; nothing is changed in place.

Noise, loudness, silenced stretches, the telephone's band, lost packets. Each gives as many samples as it got.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from callsift.types import BoolArray, FloatArray, Span

PACKET_S = 0.02
"""What a telephone network sends at once."""

BURST_PACKETS = 2.5
"""How many packets are lost in a row, on average: networks lose them in bursts."""

BAND_HZ = (300.0, 3400.0)
"""What a telephone line lets through."""

FADE_S = 0.005
"""From full level to silence before a silenced stretch, and back after it: its edges don't click."""

_LEVEL_FRAME_S = 0.02
_ACTIVE_MARGIN_DB = 15.9
_KNEE = 0.8
_TRANSITION_HZ, _STOP_DB = 200.0, 50.0
_FFT_SIZE = 1 << 14
_HALVED_PACKETS = 5
_SHORTEST_SHARE = 0.2


def active_power(samples: FloatArray, rate_hz: int) -> float:
    """Mean square of a channel (T,) while somebody speaks, pauses left out; 0 if it is silent throughout.

    After ITU-T P.56: what counts as speech lies above a threshold that is 15.9 dB below the resulting level; here by
    frames of 20 ms in place of an envelope.
    """
    frame = max(1, min(samples.size, round(_LEVEL_FRAME_S * rate_hz)))
    framed = samples[: samples.size // frame * frame].reshape(-1, frame)
    powers = np.sort(np.einsum("ij,ij->i", framed, framed) / frame)[::-1].astype(np.float64)
    powers = powers[powers > 0]
    if not powers.size:
        return 0.0
    levels = np.cumsum(powers) / np.arange(1, powers.size + 1)
    active = np.flatnonzero(levels <= powers * 10 ** (_ACTIVE_MARGIN_DB / 10))
    return float(levels[active[-1]])


def with_noise(samples: FloatArray, rate_hz: int, snr_db: float, random: np.random.Generator) -> FloatArray:
    """Gaussian noise `snr_db` below the speech; a silent channel stays silent."""
    noise = random.standard_normal(samples.size, dtype=np.float32)
    noise *= np.float32(np.sqrt(active_power(samples, rate_hz) * 10 ** (-snr_db / 10)))
    noise += samples
    return noise


def with_gain(samples: FloatArray, gain_db: float) -> FloatArray:
    """Louder or softer by `gain_db`. What would pass full scale is bent back softly from 0.8 on; else it is linear."""
    louder: FloatArray = samples * np.float32(10 ** (gain_db / 20))
    level = np.abs(louder)
    if louder.size and level.max() > 1:
        over = np.flatnonzero(level > _KNEE)
        bent = _KNEE + (1 - _KNEE) * np.tanh((level[over] - _KNEE) / (1 - _KNEE))
        louder[over] = np.copysign(bent, louder[over])
    return louder


def drawn_stretches(duration_s: float, share: float, longest_s: float, random: np.random.Generator) -> tuple[Span, ...]:
    """Stretches at random places, in order and disjoint, none longer than `longest_s`: together `share` of it all."""
    left_s = total_s = share * duration_s
    lengths: list[float] = []
    while left_s > 1e-6:
        lengths.append(min(left_s, longest_s * float(random.uniform(_SHORTEST_SHARE, 1.0))))
        left_s -= lengths[-1]
    before_s = np.cumsum([0.0, *lengths])
    gaps_s = np.sort(random.uniform(0.0, duration_s - total_s, len(lengths)))
    starts_s = (gaps_s + before_s[:-1]).tolist()
    return tuple(Span(start_s, start_s + length_s) for start_s, length_s in zip(starts_s, lengths, strict=True))


def silenced(samples: FloatArray, rate_hz: int, stretches: Sequence[Span]) -> FloatArray:
    """The channel with some stretches silent, faded out before each and in after it."""
    masked = np.array(samples, np.float32)
    fade = max(1, round(FADE_S * rate_hz))
    rising = (np.arange(1, fade + 1) / (fade + 1)).astype(np.float32)
    for stretch in stretches:
        first, end = round(stretch.start_s * rate_hz), min(round(stretch.end_s * rate_hz), masked.size)
        masked[first:end] = 0
        before, after = masked[max(0, first - fade) : first], masked[end : end + fade]
        before *= rising[::-1][fade - before.size :]
        after *= rising[: after.size]
    return masked


def telephone_band(samples: FloatArray, rate_hz: int) -> FloatArray:
    """What passes 300 to 3,400 Hz: a symmetric FIR filter (Kaiser window, −50 dB), its delay taken out."""
    taps = _band_taps(rate_hz)
    half, size = taps.size // 2, max(_FFT_SIZE, 1 << (4 * taps.size).bit_length())
    step = size - taps.size + 1
    response = np.fft.rfft(taps, size)
    padded = np.pad(np.asarray(samples, np.float32), (half, half + size))
    result: FloatArray = np.empty(samples.size, np.float32)
    for at in range(0, samples.size, step):
        part = np.fft.irfft(np.fft.rfft(padded[at : at + size]) * response, size)[taps.size - 1 :]
        result[at : at + step] = part[: samples.size - at]
    return result


@lru_cache(maxsize=8)
def _band_taps(rate_hz: int) -> FloatArray:
    """Taps (odd number,) of the band's filter at a rate; at a low one, only its lower edge remains."""
    width = 2 * np.pi * _TRANSITION_HZ / rate_hz
    half = int(np.ceil((_STOP_DB - 8) / (2.285 * width) / 2))  # Kaiser 1974
    beta = 0.5842 * (_STOP_DB - 21) ** 0.4 + 0.07886 * (_STOP_DB - 21)
    at = np.arange(-half, half + 1)
    low, high = (min(1.0, 2 * edge_hz / rate_hz) for edge_hz in BAND_HZ)
    taps: FloatArray = (high * np.sinc(high * at) - low * np.sinc(low * at)) * np.kaiser(2 * half + 1, beta)
    return taps.astype(np.float32)


def drawn_losses(duration_s: float, share: float, random: np.random.Generator) -> BoolArray:
    """Which packets (P,) of 20 ms are lost: `share` of them, in bursts at random places."""
    count = int(np.ceil(duration_s / PACKET_S - 1e-6))
    lost: BoolArray = np.zeros(count, np.bool_)
    left = total = round(share * count)
    bursts: list[int] = []
    while left > 0:
        bursts.append(min(left, int(random.geometric(1 / BURST_PACKETS))))
        left -= bursts[-1]
    gaps = np.sort(random.integers(0, count - total + 1, len(bursts)))
    for gap, before, burst in zip(gaps.tolist(), np.cumsum([0, *bursts]).tolist()[:-1], bursts, strict=True):
        lost[gap + before : gap + before + burst] = True
    return lost


def without_packets(samples: FloatArray, rate_hz: int, lost: BoolArray, *, repeated: bool) -> FloatArray:
    """The channel without its lost packets (P,): silence, or the last one that came, half as loud each time again."""
    size = max(1, round(PACKET_S * rate_hz))
    count = -(-samples.size // size)
    lost = np.resize(np.append(lost, False), count) if lost.size < count else lost[:count]
    packets = np.pad(np.asarray(samples, np.float32), (0, count * size - samples.size)).reshape(count, size)
    numbers = np.flatnonzero(lost)
    if not repeated:
        packets[numbers] = 0
        return packets.reshape(-1)[: samples.size]
    came = np.maximum.accumulate(np.where(lost, -1, np.arange(count))) if count else numbers
    times = numbers - came[numbers]
    level = np.where((came[numbers] < 0) | (times > _HALVED_PACKETS), 0.0, 0.5 ** (times - 1.0))
    packets[numbers] = packets[np.maximum(came[numbers], 0)] * level[:, None].astype(np.float32)
    return packets.reshape(-1)[: samples.size]
