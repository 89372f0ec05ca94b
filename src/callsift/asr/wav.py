"""Stretches of a channel as 16-bit WAV, the form in which servers take them."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from typing import IO

import numpy as np

from callsift.audio.features import resample
from callsift.types import FloatArray

_RATES_HZ = (8000, 16000)
_FULL_SCALE = 32767


def sent_rate_hz(rate_hz: int) -> int:
    """The rate at which a channel is sent: its own where it is one of telephony and speech models, else 16 kHz."""
    return rate_hz if rate_hz in _RATES_HZ else _RATES_HZ[-1]


def write_wav(file: IO[bytes], rate_hz: int, pieces: Iterable[FloatArray]) -> list[int]:
    """Pieces (n,) at `rate_hz` as one WAV file of one channel at `sent_rate_hz` → how many samples of it each takes."""
    sent_hz = sent_rate_hz(rate_hz)
    lengths = []
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sent_hz)
        for piece in pieces:
            scaled = np.clip(resample(piece, rate_hz, sent_hz), -1, 1) * _FULL_SCALE
            writer.writeframesraw(scaled.astype("<i2").tobytes())
            lengths.append(scaled.size)
    return lengths
