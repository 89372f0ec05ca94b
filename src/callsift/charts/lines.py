"""Lines over x, each with the band of its intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite

from callsift.charts.marks import (
    COLOURS,
    LETTER_PX,
    WIDTH,
    Point,
    Scale,
    finite,
    letters,
    missing,
    number,
    or_none,
    rule,
    short,
    spread,
    svg,
    text,
    ticks,
)

PLOT_PX = 260


def line_chart(
    title: str,
    description: str,
    lines: Mapping[str, Sequence[Point]],
    *,
    x_axis: str = "",
    y_axis: str = "",
    reference: float | None = None,
) -> str:
    """Lines over x, each with the band of its intervals. Returns: the text of an SVG.

    Args:
        title: one line above.
        description: what the chart shows, for who can't see it.
        lines: name → points; at most four are told apart by colour. A point without a finite value is left out, and a
            note says so.
        x_axis: what x is.
        y_axis: what the values are.
        reference: a value marked by a dashed line.

    Raises:
        ValueError: no point with a finite value.
    """
    note = missing(f"{name}, {number(p.x)}" for name, line in lines.items() for p in line if not isfinite(p.value))
    lines = {name: kept for name, line in lines.items() if (kept := finite(line))}
    reference = or_none(reference)
    points = [point for line in lines.values() for point in line]
    values = [point.value for point in points] + ([] if reference is None else [reference])
    bounds = [bound for point in points for bound in (point.low, point.high) if bound is not None]
    y_ticks = ticks(*spread([*values, *bounds]))
    x_ticks = sorted({point.x for point in points})
    shown = x_ticks if len(x_ticks) <= 8 else ticks(*spread(x_ticks))
    top, bottom, left = 60, 60 + PLOT_PX, 64
    ends = (min(x_ticks[0], shown[0]), max(x_ticks[-1], shown[-1]))
    across = Scale(*(ends if ends[0] < ends[1] else (ends[0] - 1, ends[1] + 1)), left, WIDTH - 24)
    up = Scale(y_ticks[0], y_ticks[-1], bottom, top)
    parts = [rule(left, up(tick), WIDTH - 24, up(tick), "rule") for tick in y_ticks]
    parts += [text(left - 8, up(tick) + 4, number(tick), "soft", "end") for tick in y_ticks]
    parts += [text(across(tick), bottom + 18, number(tick), "soft", "middle") for tick in shown]
    if reference is not None:
        parts.append(rule(left, up(reference), WIDTH - 24, up(reference), "reference"))
    for at, (name, line) in enumerate(lines.items()):
        parts += banded_line(name, sorted(line, key=lambda point: point.x), across, up, f"var(--c{at % COLOURS})")
    if len(lines) > 1:
        parts += _legend(list(lines), left)
    parts.append(text(16, 44, y_axis, "soft", "start") if len(lines) == 1 else "")
    parts.append(text((left + WIDTH - 24) / 2, bottom + 38, x_axis, "soft", "middle"))
    return svg(title, description, parts, bottom + 52, note=note)


def banded_line(name: str, line: Sequence[Point], across: Scale, up: Scale, colour: str) -> list[str]:
    """A line with its points, which say their values when pointed at, and the band of its intervals."""
    parts = []
    banded = [(point.x, point.low, point.high) for point in line if point.low is not None and point.high is not None]
    if len(banded) > 1:
        edge = [f"{across(x):g},{up(high):g}" for x, _, high in banded]
        edge += [f"{across(x):g},{up(low):g}" for x, low, _ in reversed(banded)]
        parts.append(f'<polygon points="{" ".join(edge)}" fill="{colour}" opacity="0.18"/>')
    elif banded:
        x, low, high = banded[0]
        parts.append(f'<path d="M{across(x):g} {up(low):g}V{up(high):g}" stroke="{colour}" fill="none"/>')
    path = " ".join(f"{across(point.x):g},{up(point.value):g}" for point in line)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for point in line:
        said = escape(f"{name}, {number(point.x)}: {point.value:.3f}")
        centre = f'cx="{across(point.x):g}" cy="{up(point.value):g}"'
        parts.append(f'<circle {centre} r="3.5" fill="{colour}"><title>{said}</title></circle>')
    return parts


def _legend(names: Sequence[str], left: float) -> list[str]:
    parts = []
    for at, name in enumerate(names):
        parts.append(f'<rect x="{left:g}" y="36" width="12" height="12" rx="2" fill="var(--c{at % COLOURS})"/>')
        parts.append(text(left + 18, 46, short(name), "", "start"))
        left += 36 + LETTER_PX * letters(short(name))
    return parts
