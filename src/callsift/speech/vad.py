"""Where one channel holds speech: WebRTC's voice activity detector behind an energy gate.

The detector (a Gaussian mixture on sub-band energies) says whether something is voice-like; on telephone
channels it also fires on line noise and on the other side's echo. The gate demands a level well above the
channel's own noise floor, and smoothing turns frames into spans. The figures below were chosen by
`benchmarks/vad_spokenwoz.py` on human word times. Tones (ringing, hold music) are not told apart from speech.
"""

from __future__ import annotations

import numpy as np
import webrtcvad

from callsift.audio.features import resample
from callsift.speech.spans import joined
from callsift.types import BoolArray, FloatArray, Span

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

LOUD_FOR_DETECTOR_DB = -20.0
MAX_GAIN_DB = 30.0
"""Quiet channels are raised to this level, by so much at most: the detector is deaf to soft voices."""

_DIGITAL_SILENCE_DB = -90.0
_WEBRTC_FRAME_S = 0.02
_PCM_FULL_SCALE = 32767


def detect_speech(
    samples: FloatArray,
    rate_hz: int,
    *,
    min_gap_s: float = 0.3,
    min_speech_s: float = 0.1,
    padding_s: float = 0.1,
) -> tuple[Span, ...]:
    """Spans of speech in one channel (T,), in order and disjoint; none for silence.

    Gaps shorter than `min_gap_s` are closed, then bursts shorter than `min_speech_s` dropped, then
    `padding_s` is added on both sides, within the recording, for the soft beginnings and ends of words.
    """
    duration_s = samples.size / rate_hz
    narrow = resample(samples, rate_hz, RATE_HZ)
    level_db = _frame_levels_db(narrow)
    live_db = level_db[level_db > _DIGITAL_SILENCE_DB]
    if not live_db.size:
        return ()
    floor_db, loud_db = (float(level) for level in np.percentile(live_db, (10, 95)))
    voiced = level_db > _gate_db(floor_db, loud_db)
    if voiced.any():
        gain_db = min(max(0.0, LOUD_FOR_DETECTOR_DB - loud_db), MAX_GAIN_DB)
        voiced &= _voice_like_frames(narrow * np.float32(10 ** (gain_db / 20)), voiced.size)
    return _smoothed(voiced, duration_s, min_gap_s, min_speech_s, padding_s)


def _frame_levels_db(narrow: FloatArray) -> FloatArray:
    """Level (F,) of 10 ms frames of samples at `RATE_HZ`, smoothed over three, in dB of full scale."""
    length = round(FRAME_S * RATE_HZ)
    frames = narrow[: narrow.size // length * length].reshape(-1, length)  # (F, length)
    power = np.square(frames).mean(axis=1)  # (F,)
    smooth = np.convolve(np.pad(power, 1, mode="edge"), np.full(3, 1 / 3), mode="valid") if power.size else power
    return (10 * np.log10(smooth + 1e-12)).astype(np.float32)


def _gate_db(floor_db: float, loud_db: float) -> float:
    """The level that speech has to exceed, from the channel's noise floor and its loud passages."""
    share_db = ABOVE_FLOOR_SHARE * (loud_db - floor_db)
    above_floor_db = min(max(share_db, LEAST_ABOVE_FLOOR_DB), MOST_ABOVE_FLOOR_DB)
    return max(floor_db + above_floor_db, loud_db - BELOW_LOUD_DB, SILENCE_DB)


def _voice_like_frames(narrow: FloatArray, frames: int) -> BoolArray:
    """What WebRTC's detector says of each 10 ms frame (F,); samples (T,) at `RATE_HZ`."""
    detector = webrtcvad.Vad(MODE)
    pcm = (np.clip(narrow, -1, 1) * _PCM_FULL_SCALE).astype("<i2").tobytes()
    step = round(_WEBRTC_FRAME_S * RATE_HZ) * 2
    said = [detector.is_speech(pcm[at : at + step], RATE_HZ) for at in range(0, len(pcm) - step + 1, step)]
    voiced: BoolArray = np.zeros(frames, dtype=np.bool_)
    repeated = np.repeat(np.asarray(said, dtype=np.bool_), round(_WEBRTC_FRAME_S / FRAME_S))
    voiced[: repeated.size] = repeated[:frames]
    return voiced


def _smoothed(
    voiced: BoolArray, duration_s: float, min_gap_s: float, min_speech_s: float, padding_s: float
) -> tuple[Span, ...]:
    """Runs of frames → spans: short gaps closed, short bursts dropped, padding added."""
    changes = np.flatnonzero(np.diff(voiced, prepend=False, append=False))
    runs = [Span(start * FRAME_S, end * FRAME_S) for start, end in changes.reshape(-1, 2).tolist()]
    bursts = [run for run in joined(runs, min_gap_s) if run.duration_s >= min_speech_s - 1e-9]
    padded = [Span(max(0.0, burst.start_s - padding_s), min(duration_s, burst.end_s + padding_s)) for burst in bursts]
    return joined(padded)
