"""Who speaks when: turns from the speech of each channel, and given lines of text laid over it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from callsift.speech.spans import joined, total_s
from callsift.types import Role, Span, Turn

MAX_GAP_S = 0.8
"""A speaker who pauses no longer than this is still at the same turn."""

BACK_CHANNEL_S = 0.6
"""What is shorter ("mm", "right") takes no turn while the other speaks on."""


def turns_from_speech(
    speech: Sequence[Sequence[Span]], roles: Mapping[int, Role], *, max_gap_s: float = MAX_GAP_S
) -> tuple[Turn, ...]:
    """Turns without text, in order of their start; turns of different channels may overlap.

    `speech`: per channel its spans. A speaker's spans less than `max_gap_s` apart are one turn, unless
    another speaker begins something longer than a back-channel in the gap.
    """
    turns: list[Turn] = []
    for channel, spans in enumerate(speech):
        others = sorted(
            span.start_s
            for other, theirs in enumerate(speech)
            if other != channel
            for span in theirs
            if span.duration_s >= BACK_CHANNEL_S
        )
        role = roles.get(channel, "unknown")
        turns += [
            Turn(role, "", stretch.start_s, stretch.end_s, channel) for stretch in _stretches(spans, others, max_gap_s)
        ]
    return tuple(sorted(turns, key=lambda turn: (turn.start_s, turn.end_s)))


def _stretches(spans: Sequence[Span], others_start_s: Sequence[float], max_gap_s: float) -> list[Span]:
    """One speaker's spans joined over gaps in which nobody else begins."""
    stretches: list[Span] = []
    for span in spans:
        if stretches and span.start_s - stretches[-1].end_s < max_gap_s:
            next_other = bisect_left(others_start_s, stretches[-1].end_s)
            if next_other == len(others_start_s) or others_start_s[next_other] >= span.start_s:
                stretches[-1] = Span(stretches[-1].start_s, span.end_s)
                continue
        stretches.append(span)
    return stretches


def spread_text(turns: Sequence[Turn], speech: Sequence[Sequence[Span]], roles: Mapping[int, Role]) -> tuple[Turn, ...]:
    """Lines without times → turns with times, in order of start: approximate, and to be reported as such.

    Each line gets a stretch of its role's speech in proportion to its characters; a role's lines keep their
    order. Where some line's role has no channel with speech, all lines share the speech of all channels.
    A call without any speech leaves the lines as they are.
    """
    by_role: dict[Role, list[Span]] = {}
    channels: dict[Role, list[int]] = {}
    for channel, spans in enumerate(speech):
        role = roles.get(channel, "unknown")
        by_role.setdefault(role, []).extend(spans)
        channels.setdefault(role, []).append(channel)
    everything = joined(span for spans in speech for span in spans)
    if not everything:
        return tuple(turns)
    if all(by_role.get(turn.role) for turn in turns):
        placed = [replace(turn, channel=_only(channels[turn.role], turn.channel)) for turn in turns]
        groups = [
            (joined(by_role[role]), [turn for turn in placed if turn.role == role])
            for role in dict.fromkeys(turn.role for turn in turns)
        ]
    else:
        groups = [(everything, list(turns))]
    timed = [turn for spans, lines in groups for turn in _spread(lines, spans)]
    return tuple(sorted(timed, key=lambda turn: (turn.start_s, turn.end_s)))


def _only(channels: Sequence[int], given: int | None) -> int | None:
    """The channel of a line: as given, else its role's only one."""
    return given if given is not None or len(channels) > 1 else channels[0]


def _spread(lines: Sequence[Turn], spans: Sequence[Span]) -> list[Turn]:
    """Lines laid over spans one after the other, each as long as its share of the characters."""
    lengths = [max(1, len(line.text)) for line in lines]
    scale = total_s(spans) / max(1, sum(lengths))
    bounds_s = [0.0, *(scale * length for length in accumulate(lengths))]
    passed_s = [0.0, *accumulate(span.duration_s for span in spans)]
    timed: list[Turn] = []
    for line, start_s, end_s in zip(lines, bounds_s, bounds_s[1:], strict=False):
        first = min(bisect_left(passed_s, start_s + 1e-9), len(spans)) - 1
        last = min(max(bisect_left(passed_s, end_s - 1e-9), 1), len(spans)) - 1
        first = max(first, 0)
        begins_s = spans[first].start_s + start_s - passed_s[first]
        ends_s = min(spans[last].start_s + end_s - passed_s[last], spans[last].end_s)
        timed.append(replace(line, start_s=begins_s, end_s=max(begins_s, ends_s)))
    return timed
