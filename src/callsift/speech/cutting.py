"""Segments: a call cut into stretches that an encoder can take, in its pauses wherever it has any.

The timeline of a call is its joint speech: where any channel speaks. Everything between is pause. Rounds
begin in the pause nearest to the opening turn; where speakers overlap so long that there is none near it, two
rounds stay together. What is longer than the limit is cut in its best pause.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from callsift.errors import ConfigError, UsageError, WarningCode
from callsift.speech.rounds import rounds
from callsift.speech.spans import joined, total_s, within
from callsift.speech.wording import divide
from callsift.types import Note, Segment, Span, Turn

MIN_PAUSE_S = 0.01
"""A shorter gap is no pause: it is the resolution of the detector."""

EDGE_SILENCE_S = 0.5
"""So much silence is kept before the first and after the last speech of a call."""

MAX_SNAP_S = 1.0
"""A round begins in a pause at most this far from its opening turn."""

SHORT_PAUSE_S = 0.5
"""What `silence: shorten` leaves of a longer pause."""

REMOVED_PAUSE_S = 0.1
"""Longer pauses go with `silence: remove`."""

_TOLERANCE_S = 1e-9


def cut_segments(
    turns: Sequence[Turn],
    speech: Sequence[Sequence[Span]],
    *,
    segmenting: Literal["round", "pack"],
    max_segment_s: float,
    duration_s: float,
    bursts: Sequence[Sequence[Span]] = (),
) -> tuple[tuple[Segment, ...], tuple[Note, ...]]:
    """A call's timed turns → its segments with times, and a note where a cut had to fall inside speech.

    `turns`: in order of start; `speech`: per channel. `round`: a segment is one round; `pack`: as many
    successive rounds as fit. No segment exceeds `max_segment_s`. Segments follow one another from the first
    speech to the last: silence belongs to the segment before it, as far as that stays within the limit.
    A turn across a cut is divided, its text in proportion to its speech on either side. A cut that must fall inside
    speech falls between two of its `bursts` (per channel, `vad.Heard.bursts`), or at the limit where none are given.

    Raises:
        ConfigError: `max_segment_s` is not above 0.
        UsageError: a turn has no times (`spread_text` gives approximate ones).
    """
    if max_segment_s <= 0:
        raise ConfigError(f"max_segment_s {max_segment_s:g} must be above 0")
    spoken = [_spoken(turn, speech, duration_s) for turn in turns]
    channels = [within(spans, 0.0, duration_s) for spans in speech]
    regions = joined((span for spans in (*channels, *spoken) for span in spans), MIN_PAUSE_S)
    if not regions:
        bounds = [Span(0.0, min(duration_s, max_segment_s))] if turns else []
        return _filled(bounds, turns, spoken), ()
    sounds = joined(span for spans in bursts for span in spans)
    pieces: list[Span] = []
    forced_s: list[float] = []
    for block in _blocks(regions, turns):
        pieces += _within_limit(block, max_segment_s, forced_s, sounds)
    if segmenting == "pack":
        pieces = _packed(pieces, max_segment_s)
    segments = _filled(_bounds(pieces, max_segment_s, duration_s), turns, spoken)
    if not forced_s:
        return segments, ()
    message = (
        f"{len(forced_s)} cut(s) fall inside speech, the first at {forced_s[0]:.1f} s: there is no pause "
        f"within {max_segment_s:g} s. A higher max_segment_s avoids it."
    )
    return segments, (Note(WarningCode.CUT_IN_SPEECH, message),)


def _spoken(turn: Turn, speech: Sequence[Sequence[Span]], duration_s: float) -> tuple[Span, ...]:
    """When a turn's speaker really speaks: its channel's speech in it, else the turn's whole stretch."""
    if turn.start_s is None or turn.end_s is None:
        raise UsageError(f"the {turn.role}'s turn '{turn.text[:30]}' has no times. Use spread_text or pack_untimed")
    start_s, end_s = max(0.0, turn.start_s), min(duration_s, turn.end_s)
    channel = turn.channel
    if channel is not None and channel < len(speech):
        own = within(speech[channel], start_s, end_s)
    else:
        own = joined(span for spans in speech for span in within(spans, start_s, end_s))
    return own or ((Span(start_s, end_s),) if end_s - start_s > 0 else ())


def _blocks(regions: Sequence[Span], turns: Sequence[Turn]) -> list[Sequence[Span]]:
    """Regions of joint speech → runs of them, one for each round (or for several that no pause separates)."""
    starts = [0]
    for one in rounds(turns)[1:]:
        first = _pause_near(regions, one[0].start_s or 0.0)
        if first is not None and first > starts[-1]:
            starts.append(first)
    return [regions[a:b] for a, b in zip(starts, [*starts[1:], len(regions)], strict=True)]


def _pause_near(regions: Sequence[Span], time_s: float) -> int | None:
    """The region that follows the pause nearest to a time; None where none is near, or it is no inner one."""
    after = bisect_right(regions, time_s + MIN_PAUSE_S, key=lambda region: region.end_s)
    if after == len(regions):
        return None
    around = [(time_s - regions[after].start_s, after)]
    if time_s > regions[after].start_s:
        around.append((regions[after].end_s - time_s, after + 1))
    near = [(distance_s, index) for distance_s, index in around if distance_s <= MAX_SNAP_S]
    index = min(near)[1] if near else 0
    return index if 0 < index < len(regions) else None


def _within_limit(block: Sequence[Span], limit_s: float, forced_s: list[float], bursts: Sequence[Span]) -> list[Span]:
    """A run of regions → stretches of speech up to the limit; cuts inside speech are added to `forced_s`."""
    pieces: list[Span] = []
    start_s, first = block[0].start_s, 0
    while block[-1].end_s - start_s > limit_s + _TOLERANCE_S:
        best = _best_pause(block, first, start_s, limit_s)
        if best is None:
            end_s = _least_harm(bursts, start_s, limit_s)
            forced_s.append(end_s)
            pieces.append(Span(start_s, end_s))
            start_s = end_s
        else:
            pieces.append(Span(start_s, block[best].end_s))
            first = best + 1
            start_s = block[first].start_s
    pieces.append(Span(start_s, block[-1].end_s))
    return pieces


def _least_harm(bursts: Sequence[Span], start_s: float, limit_s: float) -> float:
    """Where to cut speech without a pause: amid the longest gap between bursts, else at the limit."""
    around = within(bursts, start_s, start_s + limit_s)
    best = _best_pause(around, 0, start_s, limit_s)
    return start_s + limit_s if best is None else (around[best].end_s + around[best + 1].start_s) / 2


def _best_pause(block: Sequence[Span], first: int, start_s: float, limit_s: float) -> int | None:
    """The region before the best pause: the longest that begins in the last half of the window, else any."""
    chosen: tuple[bool, float, int] | None = None
    for index in range(first, len(block) - 1):
        if block[index].end_s > start_s + limit_s:
            break
        is_late = block[index].end_s >= start_s + limit_s / 2
        chosen = max(chosen or (False, 0.0, index), (is_late, block[index + 1].start_s - block[index].end_s, index))
    return None if chosen is None else chosen[2]


def _packed(pieces: Sequence[Span], limit_s: float) -> list[Span]:
    """Successive stretches joined as long as they fit."""
    packed: list[Span] = []
    for piece in pieces:
        if packed and piece.end_s - packed[-1].start_s <= limit_s + _TOLERANCE_S:
            packed[-1] = Span(packed[-1].start_s, piece.end_s)
        else:
            packed.append(piece)
    return packed


def _bounds(pieces: Sequence[Span], limit_s: float, duration_s: float) -> list[Span]:
    """Stretches of speech → segments that reach to the next one, with some silence at the call's edges."""
    starts = [piece.start_s for piece in pieces]
    starts[0] = max(0.0, starts[0] - EDGE_SILENCE_S, pieces[0].end_s - limit_s)
    ends = [*starts[1:], min(duration_s, pieces[-1].end_s + EDGE_SILENCE_S)]
    return [Span(start, min(end, start + limit_s)) for start, end in zip(starts, ends, strict=True)]


def _filled(bounds: Sequence[Span], turns: Sequence[Turn], spoken: Sequence[Sequence[Span]]) -> tuple[Segment, ...]:
    """Segments with these bounds and what each turn says in them."""
    said: list[list[Turn]] = [[] for _ in bounds]
    for turn, spans in zip(turns, spoken, strict=True):
        for index, part in _divided(turn, spans, bounds):
            said[index].append(part)
    return tuple(
        Segment(str(number), tuple(parts), span.start_s, span.end_s)
        for number, (span, parts) in enumerate(zip(bounds, said, strict=True))
    )


def _divided(turn: Turn, spans: Sequence[Span], bounds: Sequence[Span]) -> list[tuple[int, Turn]]:
    """A turn → (segment, part of the turn). Outside all segments, it goes to the nearest before it."""
    start_s, end_s = turn.start_s or 0.0, turn.end_s or 0.0
    first = max(0, bisect_right(bounds, start_s, key=lambda span: span.start_s) - 1)
    shares: list[tuple[int, float]] = []
    for index in range(first, len(bounds)):
        if index > first and bounds[index].start_s >= end_s:
            break
        share_s = total_s(within(spans, bounds[index].start_s, bounds[index].end_s))
        if share_s > 0:
            shares.append((index, share_s))
    shares = shares or [(first, 1.0)]
    texts = divide(turn.text, [share_s for _, share_s in shares])
    parts: list[tuple[int, Turn]] = []
    for (index, _), text in zip(shares, texts, strict=True):
        if text or not turn.text:
            begins_s = min(max(start_s, bounds[index].start_s), bounds[index].end_s)
            ends_s = max(begins_s, min(end_s, bounds[index].end_s))
            parts.append((index, replace(turn, text=text, start_s=begins_s, end_s=ends_s)))
    return parts


def kept_spans(
    segment: Span, speech: Sequence[Sequence[Span]], silence: Literal["keep", "shorten", "remove"]
) -> tuple[Span, ...]:
    """What of a segment is fed to the encoders. `speech`: per channel that is listened to.

    `keep`: all. `shorten`: of a pause longer than `SHORT_PAUSE_S`, half of that on either side (at the edges
    of the segment, all of it next to the speech). `remove`: joint pauses longer than `REMOVED_PAUSE_S` go.
    A segment without speech is kept whole, as an encoder needs something to hear.
    """
    heard = joined(span for spans in speech for span in within(spans, segment.start_s, segment.end_s))
    if silence == "keep" or not heard:
        return (segment,)
    if silence == "remove":
        return joined(heard, REMOVED_PAUSE_S)
    half_s = SHORT_PAUSE_S / 2
    widened = [Span(span.start_s - half_s, span.end_s + half_s) for span in heard]
    widened[0] = Span(heard[0].start_s - SHORT_PAUSE_S, widened[0].end_s)
    widened[-1] = Span(widened[-1].start_s, heard[-1].end_s + SHORT_PAUSE_S)
    return within(joined(widened), segment.start_s, segment.end_s)
