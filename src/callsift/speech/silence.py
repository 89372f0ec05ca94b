"""Turn-taking as arithmetic: who takes how long to answer, who pauses where, who talks over whom.

In the terms of Heldner and Edlund (2010, «Pauses, gaps and overlaps in conversations», Journal of Phonetics 38,
555–568): a silence inside one speaker's speech is a pause, one between two speakers a gap; shorter ones than
`MIN_SILENCE_S`, such as the closure of a stop consonant, are none. How long somebody takes to answer is the offset of
the floor's transfer: from the end of the other's turn to the start of the own one, below zero where that began before.

Everything belongs to the moment at which it ends in speech: a latency and a gap to the turn that follows. So windows
that tile a call share its events out, none counted twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from statistics import fmean, median

from callsift.speech.spans import joined, total_s, within
from callsift.speech.turns import BACK_CHANNEL_S, turns_from_speech
from callsift.types import Role, Span, Turn

MIN_SILENCE_S = 0.2
"""The usual threshold of 200 to 250 ms; the detector closes what one channel pauses for less than 0.3 s."""

MIN_OVERLAP_S = 0.2
"""A start this little before the other's end is a smooth change of turns, no interruption."""

VAD_PADDING_S = 0.1
"""What `speech.vad.detect_speech` adds on both sides of speech, and `unpadded` takes off again."""

SIDES: tuple[Role, ...] = ("agent", "customer")

_TOLERANCE_S = 1e-9


@dataclass(frozen=True, slots=True)
class Move:
    """A turn as a move in a conversation.

    `latency_s`: after the end of the other side's turn, below 0 if before it; None where the floor doesn't change.
    `resumed_s`: after the end of the same speaker's last turn, where that one goes on; else None.
    `pauses_s`: of the speaker, inside the turn. `overlap_s`: how long others speak at the same time.
    """

    role: Role
    start_s: float
    end_s: float
    latency_s: float | None = None
    resumed_s: float | None = None
    pauses_s: tuple[float, ...] = ()
    overlap_s: float = 0.0
    back_channel: bool = False
    """Shorter than `BACK_CHANNEL_S`, while the other speaks on."""

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def interrupts(self) -> bool:
        """Whether it takes the floor while the other is speaking, by more than a word."""
        taken = self.latency_s is not None and self.latency_s <= -MIN_OVERLAP_S + _TOLERANCE_S
        return taken and self.duration_s >= BACK_CHANNEL_S


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch in which nobody speaks, and who speaks before and after it."""

    start_s: float
    end_s: float
    before: Role
    after: Role

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Conversation:
    """Who speaks when, and what follows from it: where anybody does, moves in order of start, silences, overlaps."""

    voices: Mapping[Role, tuple[Span, ...]]
    speech: tuple[Span, ...]
    moves: tuple[Move, ...]
    silences: tuple[Silence, ...]
    overlaps: tuple[Span, ...]

    def moves_in(self, window: Span) -> tuple[Move, ...]:
        """The moves that begin in a window."""
        first, end = (bisect_left(self.moves, time_s, key=lambda move: move.start_s) for time_s in _bounds(window))
        return self.moves[first:end]

    def silences_in(self, window: Span) -> tuple[Silence, ...]:
        """The silences that end in a window."""
        first, end = (bisect_left(self.silences, time_s, key=lambda one: one.end_s) for time_s in _bounds(window))
        return self.silences[first:end]


def conversation(voices: Mapping[Role, Sequence[Span]]) -> Conversation:
    """The spans of each role's speech, unpadded, in order and disjoint → the course of the conversation."""
    spoken = {role: tuple(spans) for role, spans in voices.items() if spans}
    speech = joined(span for spans in spoken.values() for span in spans)
    return Conversation(spoken, speech, _moves(spoken), _silences(spoken), _overlaps(list(spoken.values())))


def unpadded(spans: Iterable[Span], padding_s: float = VAD_PADDING_S) -> tuple[Span, ...]:
    """Spans of the detector as the speech was heard; one that is no longer than its padding stays as it is."""
    return tuple(
        Span(span.start_s + padding_s, span.end_s - padding_s)
        if span.duration_s > 2 * padding_s + _TOLERANCE_S
        else span
        for span in spans
    )


def _moves(voices: Mapping[Role, tuple[Span, ...]]) -> tuple[Move, ...]:
    """Every turn with what it does to the floor: it takes it if it outlasts the turn of whoever has it."""
    speech = list(voices.values())
    found: list[Move] = []
    holder: Role | None = None
    until_s = 0.0
    for turn in turns_from_speech(speech, dict(enumerate(voices))):
        move = _move(turn, speech)
        if holder not in (None, move.role) and move.end_s <= until_s + _TOLERANCE_S:
            found.append(replace(move, back_channel=move.duration_s < BACK_CHANNEL_S))
            continue
        if holder == move.role:
            move = replace(move, resumed_s=max(0.0, move.start_s - until_s))
        elif holder is not None:
            move = replace(move, latency_s=move.start_s - until_s)
        found.append(move)
        holder, until_s = move.role, max(move.end_s, until_s)
    return tuple(found)


def _move(turn: Turn, speech: Sequence[Sequence[Span]]) -> Move:
    """A turn with its own pauses and how long others speak in it; what it does to the floor is open."""
    start_s, end_s, channel = turn.start_s or 0.0, turn.end_s or 0.0, turn.channel or 0
    own = within(speech[channel], start_s, end_s)
    others = joined(span for at, spans in enumerate(speech) if at != channel for span in within(spans, start_s, end_s))
    between_s = [after.start_s - before.end_s for before, after in pairwise(own)]
    return Move(
        turn.role,
        start_s,
        end_s,
        pauses_s=tuple(pause_s for pause_s in between_s if pause_s >= MIN_SILENCE_S - _TOLERANCE_S),
        overlap_s=sum(total_s(within(others, span.start_s, span.end_s)) for span in own),
    )


def _silences(voices: Mapping[Role, tuple[Span, ...]]) -> tuple[Silence, ...]:
    """Where nobody speaks, between the first speech and the last."""
    spoken = sorted(((span, role) for role, spans in voices.items() for span in spans), key=lambda one: one[0].start_s)
    found: list[Silence] = []
    last: tuple[Span, Role] | None = None
    for span, role in spoken:
        if last is not None and span.start_s - last[0].end_s >= MIN_SILENCE_S - _TOLERANCE_S:
            found.append(Silence(last[0].end_s, span.start_s, last[1], role))
        if last is None or span.end_s > last[0].end_s:
            last = span, role
    return tuple(found)


def _overlaps(speech: Sequence[tuple[Span, ...]]) -> tuple[Span, ...]:
    """Where more than one speaks."""
    pairs = ((span, other) for one, other in combinations(speech, 2) for span in one)
    both = (common for span, other in pairs for common in within(other, span.start_s, span.end_s))
    return joined(both)


SIDE_MEASURES = (
    "turns",
    "speech_s",
    "latency_count",
    "latency_median_s",
    "latency_mean_s",
    "latency_max_s",
    "pause_count",
    "pause_total_s",
    "pause_mean_s",
    "pause_longest_s",
    "interruptions",
    "back_channels",
)
CALL_MEASURES = (
    "silence_share",
    "pause_count",
    "pause_total_s",
    "pause_mean_s",
    "pause_longest_s",
    "gap_count",
    "gap_total_s",
    "gap_mean_s",
    "gap_longest_s",
    "overlap_count",
    "overlap_s",
    "talk_ratio",
)
TIMING_MEASURES = (*CALL_MEASURES, *(f"{side}_{name}" for side in SIDES for name in SIDE_MEASURES))
"""Names of what `timing` gives, in its order."""


def timing(heard: Conversation, window: Span) -> dict[str, float | None]:
    """Measures of a window of a conversation, by `TIMING_MEASURES`.

    None: a side that isn't known, a mean of nothing, a ratio to nothing; without any speech in the call, everything.
    `talk_ratio`: the agent's speech over the customer's. `silence_share`: of the window.
    """
    if not heard.voices:
        return dict.fromkeys(TIMING_MEASURES)
    silences = heard.silences_in(window)
    overlaps = within(heard.overlaps, window.start_s, window.end_s)
    spoken_s = total_s(within(heard.speech, window.start_s, window.end_s))
    found: dict[str, float | None] = {
        "silence_share": 1 - spoken_s / window.duration_s if window.duration_s > 0 else None,
        **_lengths("pause", [silence.duration_s for silence in silences if silence.before == silence.after]),
        **_lengths("gap", [silence.duration_s for silence in silences if silence.before != silence.after]),
        "overlap_count": float(len(overlaps)),
        "overlap_s": total_s(overlaps),
        "talk_ratio": None,
    }
    for side in SIDES:
        mine = _of_side(heard, side, window, silences)
        found |= {f"{side}_{name}": mine.get(name) for name in SIDE_MEASURES}
    agent_s, customer_s = (found[f"{side}_speech_s"] for side in SIDES)
    if agent_s is not None and customer_s:
        found["talk_ratio"] = agent_s / customer_s
    return found


def _of_side(heard: Conversation, side: Role, window: Span, silences: Sequence[Silence]) -> dict[str, float | None]:
    """`SIDE_MEASURES` of one side; none of a side that never speaks."""
    if side not in heard.voices:
        return {}
    moves = [move for move in heard.moves_in(window) if move.role == side]
    latencies_s = [move.latency_s for move in moves if move.latency_s is not None]
    return {
        "turns": float(sum(not move.back_channel for move in moves)),
        "speech_s": total_s(within(heard.voices[side], window.start_s, window.end_s)),
        "latency_count": float(len(latencies_s)),
        "latency_median_s": median(latencies_s) if latencies_s else None,
        "latency_mean_s": fmean(latencies_s) if latencies_s else None,
        "latency_max_s": max(latencies_s, default=None),
        **_lengths("pause", [silence.duration_s for silence in silences if silence.before == silence.after == side]),
        "interruptions": float(sum(move.interrupts for move in moves)),
        "back_channels": float(sum(move.back_channel for move in moves)),
    }


def _lengths(name: str, lengths_s: Sequence[float]) -> dict[str, float | None]:
    return {
        f"{name}_count": float(len(lengths_s)),
        f"{name}_total_s": sum(lengths_s, 0.0),
        f"{name}_mean_s": fmean(lengths_s) if lengths_s else None,
        f"{name}_longest_s": max(lengths_s, default=None),
    }


def _bounds(window: Span) -> tuple[float, float]:
    return window.start_s, window.end_s
