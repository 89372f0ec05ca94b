"""What every chart is made of: the picture with its colours, text, rules, scales and round numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from math import ceil, floor, isfinite, log10
from typing import TypeVar
from unicodedata import category, east_asian_width

WIDTH = 720
NARROW = 360
"""Width of a chart that must be readable on a phone: its letters shrink with it."""
LETTER_PX = 7.2
"""Width of a letter at 13 px, about: labels get as much room as the longest needs."""
LONGEST_LABEL = 36
COLOURS = 4
_ALIKE, _LEAST = 1e-9, 1e-300

_STYLE = (
    "<style>"
    ".cs-chart{--ink:#1b1f24;--soft:#5d6670;--rule:#d8dde3;--back:#ffffff;--c0:#2f6fb2;--c1:#b4551d;--c2:#2e7d4f;"
    "--c3:#7b4fa3;font:13px system-ui,sans-serif}"
    "@media (prefers-color-scheme:dark){.cs-chart{--ink:#e8eaed;--soft:#a0a8b2;--rule:#3a4149;--back:#16191d;"
    "--c0:#6fa8e6;--c1:#e79a62;--c2:#72c295;--c3:#b998dd}}"
    ".cs-chart .back{fill:var(--back)}.cs-chart text{fill:var(--ink)}.cs-chart .soft{fill:var(--soft)}"
    ".cs-chart .head{font-weight:600;font-size:15px}.cs-chart .rule{stroke:var(--rule)}"
    ".cs-chart .mark{stroke:var(--ink);fill:none}.cs-chart .reference{stroke:var(--soft);stroke-dasharray:4 3}"
    "</style>"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar or a dot: its name, its value, its interval if there is one, what stands behind it (the value itself).

    `tail`: what follows the name and is shown whole however long that is, as how many there are.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    text: str | None = None
    tail: str = ""

    def named(self, longest: int) -> str:
        """Its name, cut to what fits with the tail, in letters (`letters`)."""
        return short(self.label, max(longest - letters(self.tail), 2)) + self.tail


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a line, with its interval if there is one."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to pixels."""

    low: float
    high: float
    start_px: float
    end_px: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start_px + share * (self.end_px - self.start_px), 1)


Drawn = TypeVar("Drawn", Bar, Point)


def finite(given: Sequence[Drawn]) -> list[Drawn]:
    """Those with a value, each with its interval if that is finite too."""
    return [
        replace(each, low=None if bare else each.low, high=None if bare else each.high)
        for each in given
        if isfinite(each.value)
        for bare in [or_none(each.low) is None or or_none(each.high) is None]
    ]


def or_none(value: float | None) -> float | None:
    """A finite number, else None."""
    return value if value is not None and isfinite(value) else None


def missing(names: Iterable[str]) -> str:
    """The note on what has no figure, empty where everything has one."""
    left_out = ", ".join(names)
    return f"without a figure, left out: {left_out}" if left_out else ""


def svg(
    title: str, description: str, parts: Sequence[str], height: float, *, note: str = "", width: float = WIDTH
) -> str:
    """The whole picture; it shrinks with the page and never grows."""
    if note:
        parts, height = [*parts, text(16, height + 8, note, "soft", "start")], height + 20
        description = f"{description} {note.capitalize()}."
    body = "\n".join(part for part in parts if part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cs-chart" role="img" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" style="max-width:100%;height:auto">\n'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{_STYLE}\n"
        f'<rect class="back" width="100%" height="100%"/>\n'
        f"{text(16, 24, title, 'head', 'start')}\n{body}\n</svg>\n"
    )


def text(x: float, y: float, said: str, kind: str, anchor: str) -> str:
    """A line of text; `anchor`: which end of it lies at x."""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{named}>{escape(said)}</text>' if said else ""


def rule(x: float, y: float, x_end: float, y_end: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x:g}" y1="{y:g}" x2="{x_end:g}" y2="{y_end:g}" class="{kind}"/>'


def letters(said: str) -> int:
    """How many letters wide a text is: a Chinese character is as wide as two, an accent of its own has no width."""
    wide = sum(2 if east_asian_width(each) in "WF" else 1 for each in said)
    return wide - sum(category(each) in ("Mn", "Me", "Cf") for each in said)


def short(label: str, longest: int = LONGEST_LABEL) -> str:
    """A label cut to what fits, in letters."""
    if letters(label) <= longest:
        return label
    while letters(label) >= longest and label:
        label = label[:-1]
    return label + "…"


def number(value: float) -> str:
    """A number for people."""
    return f"{value:,.6g}".replace("-", "−")


def percent_mark(share: float) -> str:
    """A share for people, its parts never apart."""
    return f"{number(round(100.0 * share, 6))}\u00a0%"


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest, never equal; what differs by rounding alone is equal.

    Raises:
        ValueError: none, or one that is not finite.
    """
    if not values or not all(map(isfinite, values)):
        raise ValueError(f"a chart needs finite values, at least one, not {list(values)}")
    low, high = min(values), max(values)
    alike = high - low <= max(_ALIKE * max(abs(low), abs(high)), _LEAST)
    return (low, low + (abs(low) if abs(low) > _LEAST else 1.0)) if alike else (low, high)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers around low … high, four to nine of them."""
    rough = (high - low) / 5
    places = floor(log10(rough))
    power = 10.0**places
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(step * at, 2 - places) for at in range(first, last + 1)]
