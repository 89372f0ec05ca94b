"""Charts of one share against another, from nothing to all: how probabilities come true, and whom phoning reaches.

Reliability: DeGroot & Fienberg 1983. Both are narrow enough for a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from callsift.charts.lines import banded_line
from callsift.charts.marks import NARROW, Point, Scale, finite, or_none, percent_mark, rule, svg, text

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, NARROW - 24, 56, 316
_STEPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_HISTOGRAM_PX = 52
_ACROSS = Scale(0.0, 1.0, _LEFT, _RIGHT)
_UP = Scale(0.0, 1.0, _BOTTOM, _TOP)


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers about as sure as each other: from … to, how sure on average, the share right with its interval."""

    start: float
    end: float
    sure: float
    right: float
    count: int
    low: float | None = None
    high: float | None = None


def reliability_chart(
    title: str, description: str, answers: Sequence[Answers], *, x_axis: str, y_axis: str, counted: str
) -> str:
    """What was stated against what came true, with intervals, and below how many said so. Returns: an SVG's text.

    On the dashed diagonal stated and true agree; below it the answers were too sure. `counted`: what `count` counts.

    Raises:
        ValueError: no answer with finite figures.
    """
    kept = [each for each in answers if isfinite(each.sure) and isfinite(each.right)]
    if not kept:
        raise ValueError("a reliability chart needs at least one bin with answers")
    points = finite([Point(each.sure, each.right, each.low, each.high) for each in kept])
    parts = [*_square(y_axis), rule(_LEFT, _BOTTOM, _RIGHT, _TOP, "reference")]
    for point, each in zip(points, kept, strict=True):
        x = _ACROSS(point.x)
        if point.low is not None and point.high is not None:
            low, high = _UP(point.low), _UP(point.high)
            parts.append(f'<path class="mark" d="M{x - 4:g} {low:g}h8M{x:g} {low:g}V{high:g}M{x - 4:g} {high:g}h8"/>')
        said = escape(f"stated {point.x:.2f}, true {point.value:.2f}, {each.count} {counted}")
        centre = f'cx="{x:g}" cy="{_UP(point.value):g}"'
        parts.append(f'<circle {centre} r="5" fill="var(--c0)"><title>{said}</title></circle>')
    floor_px = _BOTTOM + 24 + _HISTOGRAM_PX
    parts += _histogram(kept, floor_px, counted)
    parts.append(text((_LEFT + _RIGHT) / 2, floor_px + 18, x_axis, "soft", "middle"))
    return svg(title, description, parts, floor_px + 30, width=NARROW)


def _histogram(answers: Sequence[Answers], floor_px: float, counted: str) -> list[str]:
    most = max(*(each.count for each in answers), 1)
    parts = [text(_LEFT - 8, floor_px - _HISTOGRAM_PX + 18, str(most), "soft", "end")]
    for each in answers:
        start, end = _ACROSS(max(each.start, 0.0)), _ACROSS(min(each.end, 1.0))
        height = round((_HISTOGRAM_PX - 8) * each.count / most, 1)
        parts.append(
            f'<rect x="{start:g}" y="{floor_px - height:g}" width="{max(end - start - 1, 1.5):g}" height="{height:g}" '
            f'fill="var(--c0)" opacity="0.55"><title>{each.count} {escape(counted)}</title></rect>'
        )
    return [*parts, rule(_LEFT, floor_px, _RIGHT, floor_px, "rule")]


def gain_chart(
    title: str, description: str, reached: Sequence[Point], ideal: Sequence[Point], *, x_axis: str, y_axis: str
) -> str:
    """Share reached (value, with its band) of whom one looks for, by the share of all that one phones (x), best first.

    The dashed diagonal is phoning in no order; `ideal`, dotted, is knowing beforehand. Returns: the text of an SVG.

    Raises:
        ValueError: no point with a finite value.
    """
    line = sorted(finite(reached), key=lambda point: point.x)
    if not line:
        raise ValueError("a gain chart needs at least one point with a finite value")
    best = " ".join(f"{_ACROSS(p.x):g},{_UP(p.value):g}" for p in ideal if or_none(p.value) is not None)
    parts = [*_square(y_axis), rule(_LEFT, _BOTTOM, _RIGHT, _TOP, "reference")]
    if best:
        parts.append(
            f'<polyline points="{best}" fill="none" stroke="var(--c2)" stroke-width="2" stroke-dasharray="2 4"/>'
        )
    parts += banded_line("phoned", line, _ACROSS, _UP, "var(--c0)")
    parts.append(text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, x_axis, "soft", "middle"))
    for x, colour, dash, name in (
        (_LEFT, "var(--c0)", "", "this model"),
        (_LEFT + 104, "var(--c2)", "2 4", "ideal" if best else ""),
        (_LEFT + 172, "var(--soft)", "4 3", "no order"),
    ):
        y = _BOTTOM + 56
        if name:
            parts.append(f'<path d="M{x} {y}h22" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
            parts.append(text(x + 28, y + 4, name, "", "start"))
    return svg(title, description, parts, _BOTTOM + 68, width=NARROW)


def _square(y_axis: str) -> list[str]:
    """Both axes in steps of 20 %."""
    parts = [text(16, 44, y_axis, "soft", "start")]
    for step in _STEPS:
        parts.append(rule(_LEFT, _UP(step), _RIGHT, _UP(step), "rule"))
        parts.append(text(_LEFT - 8, _UP(step) + 4, percent_mark(step), "soft", "end"))
        parts.append(text(_ACROSS(step), _BOTTOM + 18, percent_mark(step), "soft", "middle"))
    return parts
