"""Arithmetic on stretches of time: joining, intersecting. Spans in a sequence are in order and disjoint."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from callsift.types import Span


def joined(spans: Iterable[Span], min_gap_s: float = 0.0) -> tuple[Span, ...]:
    """Any spans → in order and disjoint; those no further apart than `min_gap_s` are one."""
    result: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start_s):
        if result and span.start_s - result[-1].end_s <= min_gap_s:
            result[-1] = Span(result[-1].start_s, max(result[-1].end_s, span.end_s))
        else:
            result.append(span)
    return tuple(result)


def within(spans: Sequence[Span], start_s: float, end_s: float) -> tuple[Span, ...]:
    """What of the spans lies in a window, clipped to it; empty remainders are left out."""
    first = bisect_right(spans, start_s, key=lambda span: span.end_s)
    result: list[Span] = []
    for index in range(first, len(spans)):
        span = spans[index]
        if span.start_s >= end_s:
            break
        clipped = Span(max(span.start_s, start_s), min(span.end_s, end_s))
        if clipped.duration_s > 0:
            result.append(clipped)
    return tuple(result)


def total_s(spans: Iterable[Span]) -> float:
    """Sum of the durations."""
    return sum(span.duration_s for span in spans)


def scaled(spans: Iterable[Span], factor: float) -> tuple[Span, ...]:
    """All times multiplied by a factor: where the spans lie at another speed."""
    return tuple(Span(span.start_s * factor, span.end_s * factor) for span in spans)
