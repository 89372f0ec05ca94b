"""Where one channel holds speech: WebRTC's voice activity detector behind an energy gate.

The detector (a Gaussian mixture on sub-band energies) says whether something is voice-like; on telephone
channels it also fires on line noise and on the other side's echo. The gate demands a level well above the
channel's own noise floor, and smoothing turns frames into spans. The figures below were chosen by
`benchmarks/hearing_spokenwoz.py` on human word times. Ringing, keys and music are left out (`speech/tones.py`).

A channel is read twice, in blocks: once for its levels and tones, once by the detector. What stays in memory are
a few numbers for every frame, 20 MB for an hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import webrtcvad

from callsift.audio.blocks import BLOCK_S, resampled
from callsift.speech.spans import joined
from callsift.speech.tones import ToneListener
from callsift.types import BoolArray, FloatArray, Signal, Span

VAD_NAME = "webrtc"

RATE_HZ = 8000
"""The detector's rate; everything is resampled to it, so a call is cut alike at every rate it comes in."""

FRAME_S = 0.01
"""Resolution of the result. The detector itself is asked once per two frames."""

MODE = 3
"""The detector's own strictness, 0 to 3."""

LEAST_ABOVE_FLOOR_DB, MOST_ABOVE_FLOOR_DB = 4.0, 12.0
ABOVE_FLOOR_SHARE = 0.3
"""Speech rises above the noise floor (10th percentile level) by this share of the range up to loud passages
(95th percentile), within these bounds: less on noisy lines, but always more than steady noise varies by."""

BELOW_LOUD_DB = 40.0
"""What is further below the channel's loud passages is crosstalk or noise."""

SILENCE_DB = -60.0
"""Nothing below this level, relative to full scale, is speech."""

BELOW_LOUD_FOR_TONES_DB = 30.0
"""Tones are looked for down to this far below the loud passages."""

LOUD_TONES_DB, LOUD_TONES_SHARE = 20.0, 0.1
"""Tones are reported where this share of them is at most so far below the loud passages; else it is a hum."""

LOUD_FOR_DETECTOR_DB = -20.0
MAX_GAIN_DB = 30.0
"""Quiet channels are raised to this level, by so much at most: the detector is deaf to soft voices."""

DIP_S = 0.03
"""Shorter gaps between bursts of speech are chance."""

_DIGITAL_SILENCE_DB = -90.0
_WEBRTC_FRAME_S = 0.02
_PCM_FULL_SCALE = 32767


@dataclass(frozen=True, slots=True)
class Heard:
    """What one channel holds, each in order and disjoint.

    `speech`: spans with padding on both sides, to be fed to encoders and recognisers. `voiced`: the same without
    padding, to measure by (response times, overlaps). `bursts`: the same with every gap of `DIP_S` open, to cut by
    where speech has no pause. `tones`: ringing, keys, beeps and music, in none of them.
    """

    speech: tuple[Span, ...] = ()
    voiced: tuple[Span, ...] = ()
    bursts: tuple[Span, ...] = ()
    tones: tuple[Span, ...] = ()


def detect_speech(
    samples: Signal, rate_hz: int, *, min_gap_s: float = 0.3, min_speech_s: float = 0.1, padding_s: float = 0.1
) -> tuple[Span, ...]:
    """Spans of speech in one channel (T,), in order and disjoint; none for silence. See `hear`."""
    return hear(samples, rate_hz, min_gap_s=min_gap_s, min_speech_s=min_speech_s, padding_s=padding_s).speech


def hear(
    samples: Signal,
    rate_hz: int,
    *,
    min_gap_s: float = 0.3,
    min_speech_s: float = 0.1,
    padding_s: float = 0.1,
    block_s: float = BLOCK_S,
) -> Heard:
    """Where one channel (T,) holds speech, and where tones that are none.

    Gaps shorter than `min_gap_s` are closed, but never over tones; then bursts shorter than `min_speech_s`
    dropped; then `padding_s` is added on both sides, within the recording, for the soft beginnings and ends of
    words. `block_s`: how much is read at once; it does not change the result.
    """
    level_db, listener = _first_pass(samples, rate_hz, block_s)
    live = level_db > _DIGITAL_SILENCE_DB
    if not live.any():
        return Heard()
    _, loud_db = _floor_and_loud_db(level_db[live])
    tonal = listener.tonal(level_db > max(loud_db - BELOW_LOUD_FOR_TONES_DB, SILENCE_DB))
    tones = _tone_spans(tonal, level_db > loud_db - LOUD_TONES_DB, min_gap_s, min_speech_s)
    speaking = live & ~tonal  # what the rest is measured by: a loud ring says nothing about a voice
    if not speaking.any():
        return Heard(tones=tones)
    floor_db, loud_db = _floor_and_loud_db(level_db[speaking])
    voiced = (level_db > _gate_db(floor_db, loud_db)) & ~tonal
    if voiced.any():
        gain_db = min(max(0.0, LOUD_FOR_DETECTOR_DB - loud_db), MAX_GAIN_DB)
        voiced &= _voice_like_frames(samples, rate_hz, gain_db, voiced.size, block_s)
    spoken = _spans(voiced, tonal, min_gap_s, min_speech_s)
    duration_s = samples.size / rate_hz
    padded = [Span(max(0.0, span.start_s - padding_s), min(duration_s, span.end_s + padding_s)) for span in spoken]
    return Heard(joined(padded), spoken, _spans(voiced, tonal, DIP_S, 0.0), tones)


def _first_pass(samples: Signal, rate_hz: int, block_s: float) -> tuple[FloatArray, ToneListener]:
    """Level (F,) of 10 ms frames, smoothed over three, in dB of full scale; and what the tone listener heard."""
    listener = ToneListener()
    length = round(FRAME_S * RATE_HZ)
    powers: list[FloatArray] = []
    rest = np.zeros(0, np.float32)
    for block in resampled(samples, rate_hz, RATE_HZ, block_s):
        listener.hear(block)
        narrow = np.concatenate([rest, block])
        whole = narrow.size // length * length
        powers.append(np.square(narrow[:whole].reshape(-1, length)).mean(axis=1))  # (frames,)
        rest = narrow[whole:]
    power = np.concatenate(powers) if powers else np.zeros(0, np.float32)
    smooth = np.convolve(np.pad(power, 1, mode="edge"), np.full(3, 1 / 3), mode="valid") if power.size else power
    return (10 * np.log10(smooth + 1e-12)).astype(np.float32), listener


def _floor_and_loud_db(level_db: FloatArray) -> tuple[float, float]:
    """The noise floor and the loud passages of some frames (F,)."""
    floor_db, loud_db = np.percentile(level_db, (10, 95))
    return float(floor_db), float(loud_db)


def _gate_db(floor_db: float, loud_db: float) -> float:
    """The level that speech has to exceed, from the channel's noise floor and its loud passages."""
    share_db = ABOVE_FLOOR_SHARE * (loud_db - floor_db)
    above_floor_db = min(max(share_db, LEAST_ABOVE_FLOOR_DB), MOST_ABOVE_FLOOR_DB)
    return max(floor_db + above_floor_db, loud_db - BELOW_LOUD_DB, SILENCE_DB)


def _voice_like_frames(samples: Signal, rate_hz: int, gain_db: float, frames: int, block_s: float) -> BoolArray:
    """What WebRTC's detector says of each 10 ms frame (F,) of a channel raised by a gain."""
    detector = webrtcvad.Vad(MODE)
    gain = np.float32(10 ** (gain_db / 20))
    step = round(_WEBRTC_FRAME_S * RATE_HZ) * 2
    said: list[bool] = []
    rest = b""
    for block in resampled(samples, rate_hz, RATE_HZ, block_s):
        pcm = rest + (np.clip(block * gain, -1, 1) * _PCM_FULL_SCALE).astype("<i2").tobytes()
        whole = len(pcm) // step * step
        said += [detector.is_speech(pcm[at : at + step], RATE_HZ) for at in range(0, whole, step)]
        rest = pcm[whole:]
    voiced: BoolArray = np.zeros(frames, dtype=np.bool_)
    repeated = np.repeat(np.asarray(said, dtype=np.bool_), round(_WEBRTC_FRAME_S / FRAME_S))
    voiced[: repeated.size] = repeated[:frames]
    return voiced


def _runs(frames: BoolArray) -> list[tuple[int, int]]:
    """Frames (F,) → where they are true, [start, end)."""
    changes = np.flatnonzero(np.diff(frames, prepend=False, append=False)).reshape(-1, 2)
    return [(start, end) for start, end in changes.tolist()]


def _spans(voiced: BoolArray, tonal: BoolArray, min_gap_s: float, min_speech_s: float) -> tuple[Span, ...]:
    """Runs of frames → spans: short gaps without tones closed, short bursts dropped."""
    passed = np.concatenate([[0], np.cumsum(tonal)])
    merged: list[tuple[int, int]] = []
    for start, end in _runs(voiced):
        if merged and (start - merged[-1][1]) * FRAME_S <= min_gap_s + 1e-9 and passed[start] == passed[merged[-1][1]]:
            merged[-1] = merged[-1][0], end
        else:
            merged.append((start, end))
    spans = [Span(start * FRAME_S, end * FRAME_S) for start, end in merged]
    return tuple(span for span in spans if span.duration_s >= min_speech_s - 1e-9)


def _tone_spans(tonal: BoolArray, loud: BoolArray, min_gap_s: float, min_speech_s: float) -> tuple[Span, ...]:
    """Runs of tones (F,) that people would call so, as spans: the hum of a line is not worth a word."""
    heard = [(start, end) for start, end in _runs(tonal) if loud[start:end].mean() >= LOUD_TONES_SHARE]
    spans = joined((Span(start * FRAME_S, end * FRAME_S) for start, end in heard), min_gap_s)
    return tuple(span for span in spans if span.duration_s >= min_speech_s - 1e-9)
