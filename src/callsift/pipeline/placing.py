"""A transcript laid over a recording: its turns on the sides that were heard, with their roles, and in segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from callsift.asr.guards import guard
from callsift.errors import WarningCode
from callsift.pipeline.listening import Hearing, Side
from callsift.pipeline.roles import settle_by_transcript, settle_roles, settle_speakers
from callsift.speech.spans import joined, total_s, within
from callsift.speech.turns import spread_text
from callsift.types import Note, Role, Segment, Span, Turn

GIVEN_SLACK_S = 0.5
"""The times of given transcripts are often this far off."""

Speech = tuple[tuple[Span, ...], ...]


def lay_over(
    hearing: Hearing, turns: Sequence[Turn], *, named: bool
) -> tuple[Hearing, tuple[Turn, ...], tuple[Note, ...]]:
    """A transcript over what was heard: with its times, or else approximate ones, and the roles on both.

    `turns`: numbered by the channels of the waveform. `named`: the transcript itself says who is agent and customer.
    """
    untimed = sum(not turn.timed for turn in turns)
    if untimed:
        return _spread(hearing, turns, untimed)
    turns, notes = guard(turns, _widened(hearing.speech))
    tell = _sides_tell(hearing)
    placed = _on_sides(hearing, turns)
    if named:
        hearing, about_roles = settle_by_transcript(hearing, turns)
        filled = by_sides(hearing, placed) if tell else with_roles(turns, hearing.channels)
        turns = tuple(side if turn.role == "unknown" else turn for turn, side in zip(turns, filled, strict=True))
    elif tell:
        hearing, about_roles = settle_roles(hearing, placed)
        turns = by_sides(hearing, placed)
    else:
        turns, about_roles = settle_speakers(turns)
        turns = with_roles(turns, hearing.channels)
    return hearing, turns, (*notes, *about_roles)


def by_sides(hearing: Hearing, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Turns whose `channel` numbers a side → with that side's role and channel."""
    sides = [hearing.sides[turn.channel or 0] for turn in turns]
    return tuple(replace(turn, role=side.role, channel=side.channel) for turn, side in zip(turns, sides, strict=True))


def with_roles(turns: Sequence[Turn], channels: Mapping[int, Role]) -> tuple[Turn, ...]:
    """Turns of unknown role on a channel whose role is known take it."""
    return tuple(
        replace(turn, role=channels[turn.channel])
        if turn.role == "unknown" and turn.channel is not None and turn.channel in channels
        else turn
        for turn in turns
    )


def as_transcribed(hearing: Hearing, turns: Sequence[Turn]) -> Hearing:
    """A hearing in which nothing was heard, with the times of a transcript for speech."""
    spans = speech_of(turns, hearing.channels, hearing.waveform.channels)
    sides = tuple(Side(channel, role, spans[channel]) for channel, role in hearing.channels.items())
    return replace(hearing, sides=sides)


def speech_of(turns: Sequence[Turn], channels: Mapping[int, Role], count: int) -> Speech:
    """The times of a transcript as speech, for a recording in which none was heard, or none at all."""
    spans: list[list[Span]] = [[] for _ in range(count)]
    for turn in turns:
        if turn.start_s is not None and turn.end_s is not None:
            channel = turn.channel
            if channel is None or channel >= count:
                channel = next((c for c, role in channels.items() if role == turn.role), 0)
            spans[channel].append(Span(turn.start_s, turn.end_s))
    return tuple(joined(channel) for channel in spans)


def in_order(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Timed turns by their start; without times the order given is all there is."""
    if not all(turn.timed for turn in turns):
        return turns
    return tuple(sorted(turns, key=lambda turn: turn.start_s or 0.0))


def in_given_segments(
    segments: Sequence[Segment], turns: Sequence[Turn], duration_s: float | None
) -> tuple[tuple[Segment, ...], tuple[Note, ...]]:
    """The segments of a manifest, never re-cut; those without turns get the call's turns by time. And what is odd.

    `duration_s`: of the call's recording, if it has one.
    """
    notes = _beyond(segments, duration_s)
    if not segments or any(segment.turns for segment in segments):
        return tuple(segments), notes
    shares: dict[str, list[Turn]] = {segment.segment_id: [] for segment in segments}
    lost = 0
    for turn in turns:
        best = max(segments, key=lambda segment: _overlap_s(turn, segment))
        if _overlap_s(turn, best) > 0:
            shares[best.segment_id].append(turn)
        else:
            lost += bool(turn.text.strip())
    if lost:
        message = f"{lost} turns lie in none of the given segments, or have no times: left out"
        notes = (*notes, Note(WarningCode.TEXT_CUT, message))
    return tuple(replace(segment, turns=tuple(shares[segment.segment_id])) for segment in segments), notes


def _sides_tell(hearing: Hearing) -> bool:
    """Whether it is by the sides that one knows who speaks, rather than by a transcript's labels of speakers."""
    heard = {side.role for side in hearing.sides if side.speech}  # both voices may be on one of two channels
    return hearing.diarized is not None or {"agent", "customer"} <= heard


def _spread(
    hearing: Hearing, turns: Sequence[Turn], untimed: int
) -> tuple[Hearing, tuple[Turn, ...], tuple[Note, ...]]:
    turns, about_speakers = settle_speakers(with_roles(turns, hearing.channels))
    missing = "the transcript has" if untimed == len(turns) else f"{untimed} of {len(turns)} turns have"
    message = f"{missing} no times; all its lines were laid over the speech in proportion"
    spread, looped = guard(spread_text(turns, hearing.speech, hearing.channels), ())
    notes = (*about_speakers, Note(WarningCode.APPROXIMATE_TIMES, message), *looped)
    return hearing, with_roles(spread, hearing.channels), notes


def _widened(speech: Speech) -> Speech:
    """Speech with `GIVEN_SLACK_S` on both sides, to compare a transcript's times with."""
    return tuple(
        joined(Span(max(0.0, span.start_s - GIVEN_SLACK_S), span.end_s + GIVEN_SLACK_S) for span in spans)
        for spans in speech
    )


def _on_sides(hearing: Hearing, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Timed turns whose `channel` numbers the side of their channel, else the one that speaks most in them."""
    speech = tuple(side.speech for side in hearing.sides)
    around = _widened(speech)
    side_on = {} if hearing.diarized is not None else {side.channel: at for at, side in enumerate(hearing.sides)}

    def side_of(turn: Turn) -> int:
        if turn.channel in side_on:
            return side_on[turn.channel]
        start_s, end_s = turn.start_s or 0.0, turn.end_s or 0.0
        heard_s = [
            (total_s(within(inside, start_s, end_s)), total_s(within(near, start_s, end_s)))
            for inside, near in zip(speech, around, strict=True)
        ]
        return heard_s.index(max(heard_s))

    return tuple(replace(turn, channel=side_of(turn)) for turn in turns)


def _beyond(segments: Sequence[Segment], duration_s: float | None) -> tuple[Note, ...]:
    """A note on segments that end after the recording does."""
    if duration_s is None:
        return ()
    beyond = [s for s in segments if s.audio is None and s.end_s is not None and s.end_s > duration_s + GIVEN_SLACK_S]
    if not beyond:
        return ()
    first = beyond[0]
    others = f" (and {len(beyond) - 1} more)" if len(beyond) > 1 else ""
    message = (
        f"segment {first.segment_id}{others} lasts until {first.end_s:.1f} s, but the recording ends at "
        f"{duration_s:.1f} s. Correct the segment's times."
    )
    return (Note(WarningCode.NO_AUDIO, message),)


def _overlap_s(turn: Turn, segment: Segment) -> float:
    """Seconds of a turn inside a segment; a turn without length inside it has hardly any. 0: outside, or no times."""
    if turn.start_s is None or turn.end_s is None or segment.start_s is None or segment.end_s is None:
        return 0.0
    if segment.start_s <= turn.start_s == turn.end_s < segment.end_s:
        return 1e-9
    return max(0.0, min(turn.end_s, segment.end_s) - max(turn.start_s, segment.start_s))
