"""Bars lying under one another, and dots for values whose distance from zero says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isfinite

from callsift.charts.marks import (
    LETTER_PX,
    LONGEST_LABEL,
    NARROW,
    WIDTH,
    Bar,
    Scale,
    finite,
    letters,
    missing,
    number,
    or_none,
    percent_mark,
    rule,
    spread,
    svg,
    text,
    ticks,
)

ROW_PX = 28
DOT_ROW_PX = 40


def bar_chart(
    title: str, description: str, bars: Sequence[Bar], *, axis: str = "", reference: float | None = None
) -> str:
    """Bars lying under one another, each with its interval as a whisker. Returns: the text of an SVG.

    Args:
        title: one line above.
        description: what the chart shows, for who can't see it.
        bars: from top to bottom; one without a finite value is left out, and a note says so.
        axis: what the values are.
        reference: a value marked by a dashed line (chance, the first row).

    Raises:
        ValueError: no bar with a finite value.
    """
    note = missing(bar.label for bar in bars if not isfinite(bar.value))
    bars, reference = finite(bars), or_none(reference)
    if not bars:
        raise ValueError("a chart needs at least one bar with a finite value")
    marks = ticks(*spread([*_values(bars, reference), 0.0]))
    texts = [_shown(bar) for bar in bars]
    left = 16 + LETTER_PX * max(letters(bar.named(LONGEST_LABEL)) for bar in bars)
    right = WIDTH - 16 - LETTER_PX * max(map(letters, texts))
    scale = Scale(marks[0], marks[-1], left, max(right, left + 80))
    bottom = 44 + ROW_PX * len(bars)
    parts = _axis(scale, marks, bottom, axis)
    for at, (bar, shown) in enumerate(zip(bars, texts, strict=True)):
        parts += _bar(bar, shown, scale, 44 + ROW_PX * at)
    if reference is not None:
        parts.append(rule(scale(reference), 40, scale(reference), bottom, "reference"))
    return svg(title, description, parts, bottom + 46, note=note)


def dot_chart(
    title: str, description: str, dots: Sequence[Bar], *, share: bool = False, reference: float | None = None
) -> str:
    """Values with their intervals on one scale, which need not begin at zero; narrow enough for a phone.

    Arguments, result and what is raised as of `bar_chart`; the name stands above its dot. `share`: all lie between 0
    and 1, and so does the scale, in per cent.
    """
    note = missing(dot.label for dot in dots if not isfinite(dot.value))
    dots, reference = finite(dots), or_none(reference)
    if not dots:
        raise ValueError("a chart needs at least one dot with a finite value")
    marks = _share_ticks(_values(dots, reference)) if share else ticks(*spread(_values(dots, reference)))
    scale = Scale(marks[0], marks[-1], 24, NARROW - 24)
    bottom = 44 + DOT_ROW_PX * len(dots)
    parts = _axis(scale, marks, bottom, "", share=share)
    if reference is not None:
        parts.append(rule(scale(reference), 40, scale(reference), bottom, "reference"))
    for at, dot in enumerate(dots):
        parts += _dot(dot, scale, 44 + DOT_ROW_PX * at)
    return svg(title, description, parts, bottom + 28, note=note, width=NARROW)


def _values(bars: Sequence[Bar], reference: float | None) -> list[float]:
    """Everything that the scale must hold."""
    bounds = [bound for bar in bars for bound in (bar.low, bar.high) if bound is not None]
    return [bar.value for bar in bars] + bounds + ([] if reference is None else [reference])


def _shown(bar: Bar) -> str:
    return f"{bar.value:.3g}" if bar.text is None else bar.text


def _share_ticks(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    room = max(0.0, 0.1 - (high - low)) / 2
    return ticks(max(0.0, low - room), min(1.0, high + room))


def _axis(scale: Scale, marks: Sequence[float], bottom: float, axis: str, *, share: bool = False) -> list[str]:
    parts = [rule(scale(mark), 40, scale(mark), bottom, "rule") for mark in marks]
    said = percent_mark if share else number
    parts += [text(scale(mark), bottom + 16, said(mark), "soft", "middle") for mark in marks]
    return [*parts, text((scale.start_px + scale.end_px) / 2, bottom + 34, axis, "soft", "middle")]


def _bar(bar: Bar, shown: str, scale: Scale, top: float) -> list[str]:
    zero, end, middle = scale(max(scale.low, min(0.0, scale.high))), scale(bar.value), top + ROW_PX / 2 - 2
    x, width = min(zero, end), abs(end - zero)
    parts = [
        text(scale.start_px - 8, middle + 4, bar.named(LONGEST_LABEL), "", "end"),
        f'<rect x="{x:g}" y="{top + 3:g}" width="{width:g}" height="{ROW_PX - 10}" rx="2" fill="var(--c0)">'
        f"<title>{escape(bar.label + bar.tail)}: {escape(shown)}</title></rect>",
        text(scale.end_px + 8, middle + 4, shown, "", "start"),
    ]
    return parts + _whisker(bar, scale, middle)


def _dot(dot: Bar, scale: Scale, top: float) -> list[str]:
    shown, middle = _shown(dot), top + 26
    room = int((NARROW - 32 - LETTER_PX * letters(shown)) / LETTER_PX) - 1
    return [
        # Text lies upon the rules of the scale: a strip of background keeps it readable.
        f'<rect class="back" x="8" y="{top:g}" width="{NARROW - 16}" height="17"/>',
        text(16, top + 13, dot.named(min(max(room, 8), LONGEST_LABEL)), "", "start"),
        text(NARROW - 16, top + 13, shown, "soft", "end"),
        *_whisker(dot, scale, middle),
        f'<circle cx="{scale(dot.value):g}" cy="{middle:g}" r="5" fill="var(--c0)">'
        f"<title>{escape(dot.label + dot.tail)}: {escape(shown)}</title></circle>",
    ]


def _whisker(bar: Bar, scale: Scale, middle: float) -> list[str]:
    if bar.low is None or bar.high is None:
        return []
    low, high = scale(bar.low), scale(bar.high)
    path = f"M{low:g} {middle - 4:g}v8M{low:g} {middle:g}H{high:g}M{high:g} {middle - 4:g}v8"
    return [f'<path class="mark" d="{path}"/>']
