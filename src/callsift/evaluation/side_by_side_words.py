"""How a comparison is said, in the terminal, in its files and on its page."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from callsift.evaluation.metrics import Interval, has_width
from callsift.evaluation.report.words import counted
from callsift.evaluation.side_by_side import Cell, Figure, SideBySide

LONGEST_VALUE: Final = 60


def title_of(found: SideBySide) -> str:
    """The names of the rows, side by side."""
    return f"{', '.join(row.name for row in found.rows)}: side by side"


def about_of(found: SideBySide) -> str:
    """What was compared on what, and what the numbers mean, for people."""
    groups = f", {counted(found.groups, 'groups')}" if found.groups < found.calls else ""
    items = f"{found.items} items of " if found.items != found.calls else ""
    one_each = all(len(cell.seeds) == 1 for figure in found.figures for cell in figure.cells)
    drawn = f"{found.drawn}s" if one_each else f"{found.drawn}s and seeds"
    said = [
        f"{items}{counted(found.calls, 'calls')}{groups}, split {found.split}.",
        f"Brackets: 95 % intervals, {drawn} drawn anew.",
        f"p: paired permutation test against {found.reference}, two-sided, {found.drawn} by {found.drawn};",
        "in brackets with Holm's correction over the rows.",
    ]
    return " ".join([*said, *(["↓: less is better."] if any(f.less_is_better for f in found.figures) else [])])


def settings_lines(found: SideBySide) -> list[tuple[str, ...]]:
    """The settings that differ: key, then each row's value, shortened."""
    return [(key, *(_short(values[row.name]) for row in found.rows)) for key, values in found.settings.items()]


def _short(value: Any) -> str:
    text = "–" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def name_of(figure: Figure) -> str:
    """`ECE ↓` where less is better."""
    return figure.name + (" ↓" if figure.less_is_better else "")


def shown(found: Interval) -> str:
    """`0.612 [0.580, 0.645]`."""
    return f"{number(found.value)} {bracket(found)}".rstrip()


def signed(found: Interval | None) -> str:
    """The same of a difference; a dash of none."""
    return "–" if found is None else f"{number(found.value, '+')} {bracket(found, '+')}".rstrip()


def bracket(found: Interval, sign: str = "") -> str:
    """`[0.580, 0.645]`; nothing of what has no width."""
    if not has_width(found.low, found.high):
        return ""
    return f"[{number(found.low, sign)}, {number(found.high, sign)}]"


def number(value: float, sign: str = "") -> str:
    """`0.612`; a dash of what is no number."""
    return f"{value:{sign}.3f}".replace("-", "−") if math.isfinite(value) else "–"


def p_of(cell: Cell) -> str:
    """`0.012 (0.024)`: p, and Holm's; a dash where nothing was tested."""
    if cell.tested is None or cell.p_adjusted is None:
        return "–"
    return f"{probability(cell.tested.p)} ({probability(cell.p_adjusted)})"


def probability(p: float) -> str:
    """`0.012`."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
