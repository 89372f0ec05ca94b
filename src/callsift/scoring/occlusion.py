"""The parts of a segment that are left out one at a time, and the streams without them.

Words go from the transcript, and the text stream is made anew by the front end: what is scored is the call in which
the word was not said. A stretch of sound keeps its time and loses its content: what the encoder takes as nothing is put
there, the speaker's mean in features relative to it, else the segment's mean; silence in a waveform; a missing value in
precomputed states. A row of the stream `silence` becomes a turn whose timing is not known.
A segment has at most `MOST_PARTS` of each kind, neighbours going together: the cost of a segment is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from callsift.config import FrontEnd
from callsift.pipeline import Pipeline, role_spans
from callsift.pipeline.silence import conversation_of
from callsift.speech.cutting import kept_spans
from callsift.speech.silence import Conversation, Move
from callsift.speech.spans import joined, total_s, within
from callsift.types import FloatArray, IntArray, Moment, PreparedCall, Segment, Span, StreamInput, Turn

MOST_PARTS: Final = 24
"""Parts of one stream of a segment."""
STRETCH_S: Final = 1.0
"""About how long a stretch of sound is."""

_CHINESE = "\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CHINESE}]{{1,2}}[^\w\s]*|[^\s{_CHINESE}]+")
"""A word with the marks that stick to it, or up to two Chinese characters of one clause."""

_CLAUSE_ENDS = ".,;:?!…—。，；：？！、"

Item = TypeVar("Item")
Place = tuple[int, int, int]
"""Where a word stands: number of its turn, first character, end."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is left out: the moment, its contribution not yet known, and the stream without it (None: nothing left)."""

    moment: Moment
    without: StreamInput | None


class Parts:
    """The parts of a call's segments."""

    def __init__(self, pipeline: Pipeline, prepared: PreparedCall) -> None:
        self._pipeline = pipeline
        self._prepared = prepared

    @cached_property
    def _heard(self) -> Conversation:
        return conversation_of(self._prepared, role_spans(self._prepared))

    def of(self, at: int, stream: str, given: StreamInput) -> list[Part]:
        """The parts of one stream of segment `at`, in order; none of a stream that has no moments for people."""
        if stream == "text":
            return self._words(at)
        if stream == "audio":
            return self._sounds(at, given.values)
        return self._turns(at, given.values) if stream == "silence" else []

    def _words(self, at: int) -> list[Part]:
        segment = self._prepared.segments[at]
        groups = _word_groups(segment.turns)
        fewer = tuple(replace(segment, turns=_less(segment.turns, group)) for group in groups)
        inputs, _ = self._pipeline.inputs(replace(self._prepared, segments=fewer), ("text",))
        return [
            Part(_word(segment.turns, group), made["text"]) for group, made in zip(groups, inputs.segments, strict=True)
        ]

    def _sounds(self, at: int, values: FloatArray | IntArray) -> list[Part]:
        front_end, prepared = self._pipeline.front_end, self._prepared
        times = _clock(front_end, prepared, prepared.segments[at], len(values))
        count = _stretches(front_end, prepared.segments[at], len(values))
        edges = np.linspace(0, len(values), count + 1).round().astype(int)
        nothing = _nothing(front_end, values)
        step_s = 1.0 / _rate_hz(front_end)
        found = []
        for first, end in pairwise(edges):
            span = None if times is None else Span(float(times[first]), float(times[end - 1]) + step_s)
            moment = Moment("audio", self._kind(span), None, *_bounds(span), 0.0)
            found.append(Part(moment, StreamInput(partial(_blanked, values, slice(first, end), nothing))))
        return found

    def _kind(self, span: Span | None) -> Literal["sound", "pause"]:
        """A pause, where the detector hears no speech in most of it."""
        if span is None or any(segment.audio for segment in self._prepared.segments):
            return "sound"
        speech = joined(s for spans in self._prepared.speech for s in within(spans, span.start_s, span.end_s))
        return "pause" if total_s(speech) < span.duration_s / 2 else "sound"

    def _turns(self, at: int, values: FloatArray | IntArray) -> list[Part]:
        """The rows of the stream `silence` but the last, which is about the whole segment."""
        start_s, end_s = self._prepared.segments[at].start_s, self._prepared.segments[at].end_s
        if start_s is None or end_s is None:
            return []
        moves = self._heard.moves_in(Span(start_s, end_s))
        found = []
        for group in evenly(list(enumerate(moves))):
            said = " / ".join(_in_words(move) for _, move in group)
            moment = Moment("silence", "pause", said, group[0][1].start_s, max(move.end_s for _, move in group), 0.0)
            rows = slice(group[0][0], group[-1][0] + 1)
            found.append(Part(moment, StreamInput(partial(_blanked, values, rows, np.float32(np.nan)))))
        return found


def evenly(items: Sequence[Item], most: int = MOST_PARTS) -> list[list[Item]]:
    """Items in at most `most` groups of neighbours, of sizes that differ by one at most."""
    groups = np.array_split(np.arange(len(items)), min(most, len(items))) if items else []
    return [[items[number] for number in group] for group in groups]


def _word_groups(turns: Sequence[Turn]) -> list[list[Place]]:
    """Words in at most `MOST_PARTS` groups as small as can be; if these are so few, none across clauses or turns."""
    by_turn = [places for number, turn in enumerate(turns) if (places := _places(number, turn.text))]
    clauses: list[list[Place]] = []
    for places in by_turn:
        begins = True
        for number, start, end in places:
            clauses += [[]] if begins else []
            clauses[-1].append((number, start, end))
            begins = turns[number].text[end - 1] in _CLAUSE_ENDS
    whole = [[place for places in by_turn for place in places]]
    blocks = next(found for found in (clauses, by_turn, whole) if len(found) <= MOST_PARTS)
    size = 1
    while sum(-(-len(places) // size) for places in blocks) > MOST_PARTS:
        size += 1
    return [group for places in blocks for group in evenly(places, -(-len(places) // size))]


def _places(turn: int, text: str) -> list[Place]:
    return [(turn, *found.span()) for found in _WORD.finditer(text) if any(map(str.isalnum, found.group()))]


def _less(turns: Sequence[Turn], group: Sequence[Place]) -> tuple[Turn, ...]:
    """Turns without some words, as if they had never been written."""
    texts = [turn.text for turn in turns]
    for number, start, end in reversed(group):
        before, after = texts[number][:start], texts[number][end:]
        texts[number] = before + (after.lstrip() if not before or before[-1].isspace() else after)
    return tuple(replace(turn, text=text) for turn, text in zip(turns, texts, strict=True))


def _word(turns: Sequence[Turn], group: Sequence[Place]) -> Moment:
    numbers = sorted({number for number, _, _ in group})
    said = []
    for number in numbers:
        mine = [(start, end) for turn, start, end in group if turn == number]
        said.append(turns[number].text[mine[0][0] : mine[-1][1]])
    starts_s, ends_s = [turns[n].start_s for n in numbers], [turns[n].end_s for n in numbers]
    timed = [each for each in starts_s if each is not None], [each for each in ends_s if each is not None]
    whole = len(timed[0]) == len(timed[1]) == len(numbers)
    span = Span(min(timed[0]), max(timed[1])) if whole else None
    number, at, _ = group[0]
    turn = sum(bool(earlier.text.strip()) for earlier in turns[:number])
    return Moment("text", "word", " / ".join(said), *_bounds(span), 0.0, turn, at)


def _bounds(span: Span | None) -> tuple[float | None, float | None]:
    return (None, None) if span is None else (span.start_s, span.end_s)


def _rate_hz(front_end: FrontEnd) -> float:
    """Frames, or samples, of the audio stream in a second."""
    return 1.0 / front_end.logmel.hop_s if front_end.audio_features else float(front_end.encoder_rate_hz)


def _stretches(front_end: FrontEnd, segment: Segment, length: int) -> int:
    """Of how many stretches a segment's audio is."""
    if front_end.input != "precomputed":
        seconds = length / _rate_hz(front_end)
    elif segment.start_s is not None and segment.end_s is not None:
        seconds = segment.end_s - segment.start_s
    else:
        seconds = float(length)
    return max(1, min(MOST_PARTS, length, round(seconds / STRETCH_S)))


def _clock(front_end: FrontEnd, prepared: PreparedCall, segment: Segment, length: int) -> NDArray[np.float64] | None:
    """When each frame, or sample, begins in the recording, (length,); None where that is not known."""
    if front_end.input == "precomputed" or segment.start_s is None or segment.end_s is None:
        return None
    spans: tuple[Span, ...] = (Span(segment.start_s, segment.end_s),)
    if any(each.audio for each in prepared.segments):
        if front_end.silence != "keep":
            return None  # its own recording's speech is found when the stream is made, and not kept
    else:
        spans = kept_spans(spans[0], prepared.speech, front_end.silence)
    rate_hz = _rate_hz(front_end)
    places = np.concatenate([np.arange(round(s.start_s * rate_hz), round(s.end_s * rate_hz)) for s in spans])[:length]
    return places / rate_hz if len(places) == length else None


def _nothing(front_end: FrontEnd, values: FloatArray | IntArray) -> FloatArray:
    """What an encoder of sound takes as nothing: a row (…,) of the stream, or one number for all of it."""
    if front_end.input == "precomputed":
        return np.full(1, np.nan, np.float32)
    if front_end.input == "waveform" or front_end.speaker_reference == "call":
        return np.zeros(1, np.float32)
    mean: FloatArray = values.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _blanked(values: FloatArray | IntArray, rows: slice, nothing: FloatArray | np.float32) -> FloatArray | IntArray:
    """A copy of a stream (L, …) with some rows replaced."""
    copied = values.copy()
    copied[rows] = nothing
    return copied


def _in_words(move: Move) -> str:
    """The timing of a turn, for people."""
    if move.back_channel:
        return f"{move.role} puts in a word"
    if move.interrupts:
        return f"{move.role} interrupts"
    if move.latency_s is not None:
        return f"{move.role} answers after {max(0.0, move.latency_s):.1f} s"
    return f"{move.role} speaks" if move.resumed_s is None else f"{move.role} goes on after {move.resumed_s:.1f} s"
