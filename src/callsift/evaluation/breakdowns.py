"""For which calls a model is good: its accuracy, or mean absolute error, by length, language, group and ASR confidence.

Each row says how many items it is of and carries an interval (shares: `reliability.share_interval`; errors: bootstrap
by group). The rows of one table are of different calls: that two of them differ is no proof of a cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callsift.evaluation.graded import Graded
from callsift.evaluation.metrics import bootstrap, mean_absolute_error
from callsift.evaluation.reliability import share_interval
from callsift.labels import LabelScheme

FEW = 10
"""Rows of fewer items say so (`few`)."""
_MOST_GROUPS = 10
_LENGTHS, _CONFIDENCES = 4, 3

Row = tuple[str, Sequence[int]]
"""A name and the items that go by it."""


def metric_of(scheme: LabelScheme) -> str:
    """What breakdowns show."""
    return "mean_absolute_error" if scheme.kind == "number" else "accuracy"


def breakdowns_of(
    scheme: LabelScheme, items: Sequence[Graded], owners: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Tables by name, each a list of rows `name`, `calls`, `few`, `figure`; a table with a single row is left out.

    `owners`: what each item is drawn with. Items whose label leaves the grade open count nowhere.
    """
    settled = [at for at, item in enumerate(items) if scheme.kind == "number" or len(scheme.grade_set(item.label)) == 1]
    mine, drawn_with = [items[at] for at in settled], [owners[at] for at in settled]
    tables = {
        "length": _by_length(mine),
        "language": _by_language(mine),
        "group": _by_group(mine),
        "asr_confidence": _by_confidence(mine),
    }
    return {
        name: [
            {
                "name": label,
                "calls": len(at),
                "few": len(at) < FEW,
                "figure": _figure(scheme, [mine[row] for row in at], [drawn_with[row] for row in at]),
            }
            for label, at in rows
        ]
        for name, rows in tables.items()
        if len(rows) > 1
    }


def _figure(scheme: LabelScheme, items: Sequence[Graded], owners: Sequence[str]) -> dict[str, float]:
    if scheme.kind == "number":
        truth = np.array([scheme.number(item.label) for item in items])
        said = np.array([item.verdict.value for item in items], dtype=np.float64)
        return asdict(bootstrap(mean_absolute_error, truth, said, groups=owners))
    right = [float(scheme.grade_set(item.label) == {item.verdict.grade}) for item in items]
    return asdict(share_interval(np.array(right), owners))


def _by_length(items: Sequence[Graded]) -> list[Row]:
    """By the call's seconds; by its number of segments where no call has a recording."""
    lengths_s = [item.row["duration_s"] for item in items]
    if all(length_s is None for length_s in lengths_s):
        return _binned([len(item.row["segments"]) for item in items], _LENGTHS, _segments)
    return [*_binned(lengths_s, _LENGTHS, _minutes), *_without(lengths_s, "no recording")]


def _by_language(items: Sequence[Graded]) -> list[Row]:
    return _named(item.row["language"] or "unknown" for item in items)


def _by_group(items: Sequence[Graded]) -> list[Row]:
    """The groups of most items, and all others as one; nothing where no two calls are of one group."""
    if len({item.group for item in items}) == len({item.call.call_id for item in items}):
        return []
    rows = _named(item.group for item in items)
    rest = rows[_MOST_GROUPS:]
    if len(rest) > 1:
        others = sorted(at for _, members in rest for at in members)
        return [*rows[:_MOST_GROUPS], (f"{len(rest)} other groups", others)]
    return rows


def _by_confidence(items: Sequence[Graded]) -> list[Row]:
    sure = [item.confidence for item in items]
    return [*_binned(sure, _CONFIDENCES, lambda low, high: f"{low:.2f}–{high:.2f}"), *_without(sure, "not known")]


def _named(names: Iterable[str]) -> list[Row]:
    """The commonest first."""
    rows: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        rows.setdefault(name, []).append(at)
    return sorted(rows.items(), key=lambda row: (-len(row[1]), row[0]))


def _binned(values: Sequence[float | None], bins: int, show: Callable[[float, float], str]) -> list[Row]:
    """Items with a value in bins of about as many, smallest first, named by their smallest and largest value."""
    known = [at for at, value in enumerate(values) if value is not None]
    if not known:
        return []
    numbers: NDArray[np.float64] = np.array([values[at] for at in known], dtype=np.float64)
    edges = np.quantile(numbers, np.arange(1, bins) / bins)
    places = np.searchsorted(edges, numbers, side="left")
    rows: list[Row] = []
    for place in np.unique(places):
        inside = np.flatnonzero(places == place)
        low, high = float(numbers[inside].min()), float(numbers[inside].max())
        rows.append((show(low, high), [known[int(at)] for at in inside]))
    return rows


def _without(values: Sequence[float | None], name: str) -> list[Row]:
    missing = [at for at, value in enumerate(values) if value is None]
    return [(name, missing)] if missing else []


def _minutes(low_s: float, high_s: float) -> str:
    one, other = (f"{int(seconds // 60)}:{int(seconds % 60):02d}" for seconds in (low_s, high_s))
    return one if one == other else f"{one}–{other}"


def _segments(low: float, high: float) -> str:
    many = f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
    return f"{many} segment{'' if high == 1 else 's'}"
