"""Measures of a call and of each of its segments as a table: turn-taking, speaking rate, loudness and pitch.

For people and for spreadsheets: what an analyst would want to set beside the grades. What cannot be said of a call
(a side that isn't known, text that isn't there, a mean of nothing, times that were laid over the speech) stays empty.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from callsift.audio.features import resample
from callsift.audio.pitch import VOICED, WINDOW_S, pitch_track
from callsift.errors import WarningCode
from callsift.files import atomic_writer
from callsift.pipeline.silence import conversation_of
from callsift.pipeline.streams import role_spans
from callsift.speech.silence import SIDES, TIMING_MEASURES, Conversation, timing
from callsift.speech.spans import total_s, within
from callsift.text.normalise import is_chinese
from callsift.types import PreparedCall, Role, Signal, Span, Turn

VOICE_MEASURES = (
    "speaking_rate",
    "loudness_db",
    "loudness_slope_db_per_min",
    "pitch_median_hz",
    "pitch_range_semitones",
    "pitch_slope_semitones_per_min",
)
PLACE = ("start_s", "end_s", "duration_s")
MEASURES = (*PLACE, *TIMING_MEASURES, *(f"{side}_{name}" for side in SIDES for name in VOICE_MEASURES))
"""Names of the measures, in the order of the table's columns; see docs/formats.md."""

LEAST_COURSE_S = 20.0
"""From the first speech to the last: over less, a slope is that of a sentence."""

LEAST_SPEECH_S = 3.0
"""Over less speech a slope says nothing."""

_RATE_HZ = 8000
_HOP_S = 0.02
_LONGEST_S = 30.0  # of speech looked at in one piece, so that memory does not grow with the call
_LEAST_VOICED = 10
_RANGE_PERCENTILES = (10, 90)
_FARTHEST_OCTAVES = 0.75  # from the median: what is farther is a harmonic or half of the pitch, taken for it
_SILENT_DB = -120.0


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """Measures of a call, `segment_id` "" then, or of one of its segments. `values`: by `MEASURES`."""

    call_id: str
    segment_id: str
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class _Voice:
    """One side's speech in frames (F,) of 20 ms: when, the level in dB of full scale, log2 of the pitch, if voiced."""

    times_s: NDArray[np.float64]
    level_db: NDArray[np.float64]
    pitch: NDArray[np.float64]
    voiced: NDArray[np.bool_]


def measures_of(prepared: PreparedCall) -> tuple[MeasuredRow, ...]:
    """The measures of a call, then of its segments in order. The recording is read where somebody speaks, in pieces."""
    heard = conversation_of(prepared, role_spans(prepared))
    voices = {side: voice for side in SIDES if (voice := _voice(prepared, heard, side)) is not None}
    values = _measures(heard, voices, _whole(prepared), _turns(prepared))
    rows = [MeasuredRow(prepared.call.call_id, "", values)]
    for segment in prepared.segments:
        window = None
        if segment.start_s is not None and segment.end_s is not None and segment.audio is None:
            window = Span(segment.start_s, segment.end_s)
        rows.append(
            MeasuredRow(prepared.call.call_id, segment.segment_id, _measures(heard, voices, window, segment.turns))
        )
    if any(note.code == WarningCode.APPROXIMATE_TIMES for note in prepared.notes):
        own = {side for side in SIDES if side in prepared.channels.values()}
        return tuple(replace(row, values=_without_times(row, own)) for row in rows)
    return tuple(rows)


def _without_times(row: MeasuredRow, own: Set[Role]) -> dict[str, float | None]:
    """What is left of measures where a transcript's times were made up: what each channel of one side's `own` says."""
    if len(own) == len(SIDES):  # when they speak is heard; only which words are in which segment is not known
        guessed = {f"{side}_speaking_rate" for side in SIDES} if row.segment_id else set()
        return {name: None if name in guessed else value for name, value in row.values.items()}
    heard = {f"{side}_{name}" for side in own for name in ("speech_s", *VOICE_MEASURES) if name != "speaking_rate"}
    kept = {*PLACE, "silence_share", *heard}
    return {name: value if name in kept else None for name, value in row.values.items()}


def write_features(path: Path, rows: Iterable[MeasuredRow]) -> None:
    """Write rows as CSV, atomically: `call_id`, `segment_id` (empty for the call), then `MEASURES`; None is empty."""
    with atomic_writer(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["call_id", "segment_id", *MEASURES])
        for row in rows:
            writer.writerow([row.call_id, row.segment_id, *(_cell(row.values.get(name)) for name in MEASURES)])


def _cell(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _whole(prepared: PreparedCall) -> Span | None:
    """The window of the call: its recording, or to the end of its last timed segment."""
    if prepared.waveform is not None:
        return Span(0.0, prepared.waveform.duration_s)
    ends = [segment.end_s for segment in prepared.segments if segment.end_s is not None and segment.audio is None]
    return Span(0.0, max(ends)) if ends else None


def _turns(prepared: PreparedCall) -> tuple[Turn, ...]:
    return tuple(turn for segment in prepared.segments for turn in segment.turns)


def _measures(
    heard: Conversation, voices: Mapping[Role, _Voice], window: Span | None, turns: Sequence[Turn]
) -> dict[str, float | None]:
    """`MEASURES` of a window in which `turns` are said; all None without times."""
    found: dict[str, float | None] = dict.fromkeys(MEASURES)
    if window is None:
        return found
    found |= {"start_s": window.start_s, "end_s": window.end_s, "duration_s": window.duration_s}
    found |= timing(heard, window)
    for side in SIDES:
        speech_s = total_s(within(heard.voices.get(side, ()), window.start_s, window.end_s))
        words = sum(count_words(turn.text) for turn in turns if turn.role == side)
        found[f"{side}_speaking_rate"] = words / speech_s if words and speech_s else None
        if side in voices:
            found |= {f"{side}_{name}": value for name, value in _course(voices[side], window).items()}
    return found


def count_words(text: str) -> int:
    """Words, and Chinese characters one by one; punctuation does not count."""
    apart = "".join(f" {character} " if is_chinese(character) else character for character in text)
    return sum(any(character.isalnum() for character in word) for word in apart.split())


def _voice(prepared: PreparedCall, heard: Conversation, side: Role) -> _Voice | None:
    """The frames of a side's speech, on its own channel or the one it shares; None where there are none."""
    spans = heard.voices.get(side, ())
    if prepared.waveform is None or not prepared.speech or not spans:
        return None
    channel = next((channel for channel, role in prepared.channels.items() if role == side), 0)
    signal, rate_hz = prepared.waveform.channel(channel), prepared.waveform.rate_hz
    pieces = [
        _frames(signal, rate_hz, Span(start_s, min(span.end_s, start_s + _LONGEST_S)))
        for span in spans
        for start_s in np.arange(span.start_s, span.end_s, _LONGEST_S).tolist()
    ]
    found = [piece for piece in pieces if piece.times_s.size]
    if not found:
        return None
    return _Voice(
        np.concatenate([piece.times_s for piece in found]),
        np.concatenate([piece.level_db for piece in found]),
        np.concatenate([piece.pitch for piece in found]),
        np.concatenate([piece.voiced for piece in found]),
    )


def _frames(signal: Signal, rate_hz: int, span: Span) -> _Voice:
    """A stretch of speech in frames; none of one shorter than the window that pitch needs."""
    samples = signal[max(0, round(span.start_s * rate_hz)) : max(0, round(span.end_s * rate_hz))]
    narrow = resample(samples, rate_hz, _RATE_HZ)
    hop = round(_HOP_S * _RATE_HZ)
    if narrow.size < WINDOW_S * _RATE_HZ:
        nothing = np.zeros(0)
        return _Voice(nothing, nothing, nothing, nothing.astype(np.bool_))
    pitch, periodic = pitch_track(narrow, _RATE_HZ, window_s=_HOP_S, hop_s=_HOP_S)  # (F,)
    power = np.square(narrow[: len(pitch) * hop].astype(np.float64)).reshape(-1, hop).mean(axis=1)  # (F,)
    return _Voice(
        span.start_s + _HOP_S * (np.arange(len(pitch), dtype=np.float64) + 0.5),
        10 * np.log10(np.maximum(power, 10 ** (_SILENT_DB / 10))),
        pitch.astype(np.float64),
        periodic > VOICED,
    )


def _course(voice: _Voice, window: Span) -> dict[str, float | None]:
    """`VOICE_MEASURES` of a side's speech in a window, but for the speaking rate."""
    inside = (voice.times_s >= window.start_s) & (voice.times_s < window.end_s)
    times_s, level_db = voice.times_s[inside], voice.level_db[inside]
    voiced = _of_one_voice(voice.pitch[inside], voice.voiced[inside])
    pitch, pitch_times_s = voice.pitch[inside][voiced], times_s[voiced]
    found: dict[str, float | None] = {
        "loudness_db": float(level_db.mean()) if level_db.size else None,
        "loudness_slope_db_per_min": _slope(times_s, level_db),
        "pitch_slope_semitones_per_min": _slope(pitch_times_s, 12 * pitch),
    }
    if pitch.size >= _LEAST_VOICED:
        low, high = np.percentile(pitch, _RANGE_PERCENTILES)
        found["pitch_median_hz"] = float(2 ** np.median(pitch))
        found["pitch_range_semitones"] = float(12 * (high - low))
    return found


def _of_one_voice(pitch: NDArray[np.float64], voiced: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which voiced frames (F,) have a pitch near the median: of all of them, then of those near that."""
    near = voiced
    for _ in range(2):
        if near.any():
            near = voiced & (np.abs(pitch - np.median(pitch[near])) <= _FARTHEST_OCTAVES)
    return near


def _slope(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> float | None:
    """Least squares, per minute; None over too little speech or time. `times_s` in order."""
    if len(times_s) * _HOP_S < LEAST_SPEECH_S or times_s[-1] - times_s[0] < LEAST_COURSE_S:
        return None
    minutes = (times_s - times_s.mean()) / 60
    return float((minutes * (values - values.mean())).sum() / np.square(minutes).sum())
