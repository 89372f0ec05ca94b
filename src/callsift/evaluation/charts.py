"""Charts as SVG text, to stand in a page or a file: bars with intervals, and lines with a band.

Drawn by hand: no library, no fonts or scripts from elsewhere. Colours follow the reader's light or dark mode; a title
and a description stand in the picture for those who don't see it, so the description must say what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from math import ceil, floor, isfinite, log10
from typing import TypeVar

WIDTH = 720
ROW_PX = 28
PLOT_PX = 260
LETTER_PX = 7.2
"""Width of a letter at 13 px, about: labels get as much room as the longest needs."""
LONGEST_LABEL = 36

_STYLE = (
    "<style>"
    ".cs-chart{--ink:#1b1f24;--soft:#6a737d;--rule:#d8dde3;--back:#ffffff;--c0:#2f6fb2;--c1:#b4551d;--c2:#2e7d4f;"
    "--c3:#7b4fa3;font:13px system-ui,sans-serif}"
    "@media (prefers-color-scheme:dark){.cs-chart{--ink:#e8eaed;--soft:#a0a8b2;--rule:#3a4149;--back:#16191d;"
    "--c0:#6fa8e6;--c1:#e79a62;--c2:#72c295;--c3:#b998dd}}"
    ".cs-chart .back{fill:var(--back)}.cs-chart text{fill:var(--ink)}.cs-chart .soft{fill:var(--soft)}"
    ".cs-chart .head{font-weight:600;font-size:15px}.cs-chart .rule{stroke:var(--rule)}"
    ".cs-chart .mark{stroke:var(--ink);fill:none}.cs-chart .reference{stroke:var(--soft);stroke-dasharray:4 3}"
    "</style>"
)
_COLOURS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its name, its value, its interval if there is one, and what stands behind it (the value itself)."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a line, with its interval if there is one."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class _Scale:
    """Values to pixels."""

    low: float
    high: float
    start_px: float
    end_px: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start_px + share * (self.end_px - self.start_px), 1)


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
    note = _missing(bar.label for bar in bars if not isfinite(bar.value))
    bars, reference = _finite(bars), _or_none(reference)
    if not bars:
        raise ValueError("a chart needs at least one bar with a finite value")
    values = [bar.value for bar in bars] + ([] if reference is None else [reference])
    bounds = [bound for bar in bars for bound in (bar.low, bar.high) if bound is not None]
    ticks = _ticks(*_range([*values, *bounds, 0.0]))
    texts = [f"{bar.value:.3g}" if bar.text is None else bar.text for bar in bars]
    left = 16 + LETTER_PX * max(len(_short(bar.label)) for bar in bars)
    right = WIDTH - 16 - LETTER_PX * max(map(len, texts))
    scale = _Scale(ticks[0], ticks[-1], left, max(right, left + 80))
    bottom = 44 + ROW_PX * len(bars)
    parts = [_rule(scale(tick), 40, scale(tick), bottom, "rule") for tick in ticks]
    parts += [_text(scale(tick), bottom + 16, _number(tick), "soft", "middle") for tick in ticks]
    for at, (bar, shown) in enumerate(zip(bars, texts, strict=True)):
        parts += _bar(bar, shown, scale, 44 + ROW_PX * at)
    if reference is not None:
        parts.append(_rule(scale(reference), 40, scale(reference), bottom, "reference"))
    parts.append(_text((scale.start_px + scale.end_px) / 2, bottom + 34, axis, "soft", "middle"))
    return _svg(title, description, parts, bottom + 46, note)


def _bar(bar: Bar, shown: str, scale: _Scale, top: float) -> list[str]:
    zero, end, middle = scale(max(scale.low, min(0.0, scale.high))), scale(bar.value), top + ROW_PX / 2 - 2
    x, width = min(zero, end), abs(end - zero)
    parts = [
        _text(scale.start_px - 8, middle + 4, _short(bar.label), "", "end"),
        f'<rect x="{x:g}" y="{top + 3:g}" width="{width:g}" height="{ROW_PX - 10}" rx="2" fill="var(--c0)">'
        f"<title>{escape(bar.label)}: {escape(shown)}</title></rect>",
        _text(scale.end_px + 8, middle + 4, shown, "", "start"),
    ]
    if bar.low is not None and bar.high is not None:
        low, high = scale(bar.low), scale(bar.high)
        path = f"M{low:g} {middle - 4:g}v8M{low:g} {middle:g}H{high:g}M{high:g} {middle - 4:g}v8"
        parts.append(f'<path class="mark" d="{path}"/>')
    return parts


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
    note = _missing(f"{name}, {_number(p.x)}" for name, line in lines.items() for p in line if not isfinite(p.value))
    lines = {name: kept for name, line in lines.items() if (kept := _finite(line))}
    reference = _or_none(reference)
    points = [point for line in lines.values() for point in line]
    values = [point.value for point in points] + ([] if reference is None else [reference])
    bounds = [bound for point in points for bound in (point.low, point.high) if bound is not None]
    y_ticks = _ticks(*_range([*values, *bounds]))
    x_ticks = sorted({point.x for point in points})
    shown = x_ticks if len(x_ticks) <= 8 else _ticks(*_range(x_ticks))
    top, bottom, left = 60, 60 + PLOT_PX, 64
    spread = (min(x_ticks[0], shown[0]), max(x_ticks[-1], shown[-1]))
    across = _Scale(*(spread if spread[0] < spread[1] else (spread[0] - 1, spread[1] + 1)), left, WIDTH - 24)
    up = _Scale(y_ticks[0], y_ticks[-1], bottom, top)
    parts = [_rule(left, up(tick), WIDTH - 24, up(tick), "rule") for tick in y_ticks]
    parts += [_text(left - 8, up(tick) + 4, _number(tick), "soft", "end") for tick in y_ticks]
    parts += [_text(across(tick), bottom + 18, _number(tick), "soft", "middle") for tick in shown]
    if reference is not None:
        parts.append(_rule(left, up(reference), WIDTH - 24, up(reference), "reference"))
    for at, (name, line) in enumerate(lines.items()):
        parts += _line(name, sorted(line, key=lambda point: point.x), across, up, f"var(--c{at % _COLOURS})")
    if len(lines) > 1:
        parts += _legend(list(lines), left)
    parts.append(_text(16, 44, y_axis, "soft", "start") if len(lines) == 1 else "")
    parts.append(_text((left + WIDTH - 24) / 2, bottom + 38, x_axis, "soft", "middle"))
    return _svg(title, description, parts, bottom + 52, note)


Drawn = TypeVar("Drawn", Bar, Point)


def _finite(given: Sequence[Drawn]) -> list[Drawn]:
    """Those with a value, each with its interval if that is finite too."""
    return [
        replace(each, low=None if bare else each.low, high=None if bare else each.high)
        for each in given
        if isfinite(each.value)
        for bare in [_or_none(each.low) is None or _or_none(each.high) is None]
    ]


def _or_none(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _missing(names: Iterable[str]) -> str:
    """The note on what has no figure, empty where everything has one."""
    left_out = ", ".join(names)
    return f"without a figure, left out: {left_out}" if left_out else ""


def _line(name: str, line: Sequence[Point], across: _Scale, up: _Scale, colour: str) -> list[str]:
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
        said = escape(f"{name}, {_number(point.x)}: {point.value:.3f}")
        centre = f'cx="{across(point.x):g}" cy="{up(point.value):g}"'
        parts.append(f'<circle {centre} r="3.5" fill="{colour}"><title>{said}</title></circle>')
    return parts


def _legend(names: Sequence[str], left: float) -> list[str]:
    parts = []
    for at, name in enumerate(names):
        parts.append(f'<rect x="{left:g}" y="36" width="12" height="12" rx="2" fill="var(--c{at % _COLOURS})"/>')
        parts.append(_text(left + 18, 46, _short(name), "", "start"))
        left += 36 + LETTER_PX * len(_short(name))
    return parts


def _svg(title: str, description: str, parts: Sequence[str], height: float, note: str) -> str:
    if note:
        parts, height = [*parts, _text(16, height + 8, note, "soft", "start")], height + 20
        description = f"{description} {note.capitalize()}."
    body = "\n".join(part for part in parts if part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cs-chart" role="img" viewBox="0 0 {WIDTH} {height:g}" '
        f'width="{WIDTH}" height="{height:g}" style="max-width:100%;height:auto">\n'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{_STYLE}\n"
        f'<rect class="back" width="100%" height="100%"/>\n'
        f"{_text(16, 24, title, 'head', 'start')}\n{body}\n</svg>\n"
    )


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{named}>{escape(text)}</text>' if text else ""


def _rule(x: float, y: float, x_end: float, y_end: float, kind: str) -> str:
    return f'<line x1="{x:g}" y1="{y:g}" x2="{x_end:g}" y2="{y_end:g}" class="{kind}"/>'


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def _number(value: float) -> str:
    return f"{value:,.6g}".replace("-", "−")


def _range(values: Sequence[float]) -> tuple[float, float]:
    if not values or not all(map(isfinite, values)):
        raise ValueError(f"a chart needs finite values, at least one, not {list(values)}")
    low, high = min(values), max(values)
    return (low, high) if low < high else (low, low + (abs(low) or 1.0))


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers around low … high, four to nine of them."""
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(step * at, 12) for at in range(first, last + 1)]
