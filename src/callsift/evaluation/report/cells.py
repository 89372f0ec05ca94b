"""Cells, bars and pictures of the evaluation page: a figure as text, and SVG that is safe to place.

What an evaluation lacks (None, a figure that can't be computed) is a dash, or leaves its picture out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from markupsafe import Markup

from callsift.charts import Bar
from callsift.evaluation.report.words import Found, between, flat
from callsift.pages import percent


def cell(figure: Any) -> dict[str, str]:
    """A figure as text: `value`, `interval`; none where it has no width."""
    if isinstance(figure, Mapping):
        bounds = [figure.get("low"), figure.get("high")]
        given = figure.get("value") is not None and all(each is not None and isfinite(each) for each in bounds)
        low, high = (_decimal(each) for each in bounds)
        shown = given and not flat(figure)
        return {"value": _decimal(figure.get("value")), "interval": f"[{low}, {high}]" if shown else ""}
    return {"value": f"{figure:,}" if isinstance(figure, int) else _decimal(figure), "interval": ""}


def _decimal(value: float | None) -> str:
    return "–" if value is None or not isfinite(value) else f"{value:.3f}".replace("-", "−")


def chance_cell(p: float | None) -> dict[str, str]:
    """A p value; below what three places show it is `<0.001`, never zero."""
    return {"value": "<0.001" if p is not None and p < 0.001 else _decimal(p), "interval": ""}


def plain(said: Any) -> str:
    """A label or an answer for people."""
    if isinstance(said, list | tuple):
        return "/".join(map(str, said))
    return "–" if said is None else f"{said:.2f}".replace("-", "−") if isinstance(said, float) else str(said)


def drawn(chart: Callable[..., str], *given: Any, **named: Any) -> Markup:
    """A chart as markup (its texts are escaped where it is drawn); nothing where there is nothing to draw."""
    try:
        return Markup(chart(*given, **named))
    except ValueError:
        return Markup("")


def known(figure: Any) -> bool:
    """Whether a figure has a value."""
    return isinstance(figure, Mapping) and figure.get("value") is not None and isfinite(figure["value"])


def bar_of(label: str, figure: Found, *, share: bool, tail: str = "") -> Bar:
    """A figure to be drawn; an interval without width is none. `tail`: see `charts.Bar`."""
    low, high = figure.get("low"), figure.get("high")
    value = percent(figure["value"]) if share else f"{figure['value']:.2f}"
    if low is None or high is None or flat(figure):
        return Bar(label, figure["value"], text=value, tail=tail)
    interval = between(figure) if share else f"{low:.2f}–{high:.2f}"
    return Bar(label, figure["value"], low, high, f"{value} ({interval})", tail)
