"""For which calls a model is good: its accuracy, or mean absolute error, by length, language, group and ASR confidence.

Each row says how many items it is of and carries an interval (shares: `reliability.share_interval`; errors: bootstrap
by group), and whether it is clearly worse than the rest of the calls. Many parts are looked at, and of many one looks
bad by chance: the test allows for that (Bonferroni). The rows of one table are of different calls: that two of them
differ is no proof of a cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callsift.evaluation.differences import mean_interval
from callsift.evaluation.graded import Graded
from callsift.evaluation.reliability import share_interval
from callsift.labels import LabelScheme

FEW = 10
"""Rows of fewer items say so (`few`)."""
RISK = 0.05
_ALIKE = 1e-9
_MOST_GROUPS = 10
_LENGTHS, _CONFIDENCES = 4, 3

Row = tuple[str, Sequence[int]]
"""A name and the items that go by it."""


def metric_of(scheme: LabelScheme) -> str:
    """What breakdowns show."""
    return "mean_absolute_error" if scheme.kind == "number" else "accuracy"


@dataclass(frozen=True, slots=True)
class _Looked:
    """All items that count: what is averaged (1 or 0 for right or wrong, or the absolute error), and what each is drawn
    with."""

    each: NDArray[np.float64]
    owners: NDArray[np.str_]
    numbers: bool


def breakdowns_of(
    scheme: LabelScheme, items: Sequence[Graded], owners: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Tables by name, each a list of rows `name`, `calls`, `few`, `figure`, `clearly_worse`; a table with a single row
    is left out.

    `owners`: what each item is drawn with. Items whose label leaves the grade open count nowhere. Where each row is of
    one group, its calls are drawn; another row whose items are all drawn as one has no interval (`low`, `high` None).
    """
    settled = [at for at, item in enumerate(items) if scheme.kind == "number" or len(scheme.grade_set(item.label)) == 1]
    mine = [items[at] for at in settled]
    tables = {
        "length": _by_length(mine),
        "language": _by_language(mine),
        "group": _by_group(mine),
        "asr_confidence": _by_confidence(mine),
    }
    tables = {name: rows for name, rows in tables.items() if len(rows) > 1}
    if not tables:
        return {}
    numbers = scheme.kind == "number"
    each = np.array([_error(scheme, item) if numbers else float(_right(scheme, item)) for item in mine])
    drawn = _Looked(each, np.array([owners[at] for at in settled]), numbers)
    by_call = _Looked(each, np.array([item.call.call_id for item in mine]), numbers)
    parts = parts_of(tables)
    return {
        name: [_row(by_call if name == "group" else drawn, label, at, parts) for label, at in rows]
        for name, rows in tables.items()
    }


def parts_of(tables: Mapping[str, Sequence[Any]]) -> int:
    """How many parts are looked at."""
    return sum(map(len, tables.values()))


def _right(scheme: LabelScheme, item: Graded) -> bool:
    return scheme.grade_set(item.label) == {item.verdict.grade}


def _error(scheme: LabelScheme, item: Graded) -> float:
    assert item.verdict.value is not None
    return abs(item.verdict.value - scheme.number(item.label))


def _row(of: _Looked, name: str, at: Sequence[int], parts: int) -> dict[str, Any]:
    chosen = np.zeros(len(of.each), dtype=np.bool_)
    chosen[list(at)] = True
    worse = len(at) >= FEW and worse_by_chance(of.each, chosen, of.owners, more_is_worse=of.numbers) < RISK / parts
    return {
        "name": name,
        "calls": len(at),
        "few": len(at) < FEW,
        "figure": _figure(of.each[chosen], of.owners[chosen], numbers=of.numbers),
        "clearly_worse": bool(worse),
    }


def _figure(each: NDArray[np.float64], owners: NDArray[np.str_], *, numbers: bool) -> dict[str, float | None]:
    if len(set(owners.tolist())) == 1:
        return {"value": float(each.mean()), "low": None, "high": None}
    return asdict(mean_interval(each, owners.tolist()) if numbers else share_interval(each, owners.tolist()))


def worse_by_chance(
    each: NDArray[np.float64], chosen: NDArray[np.bool_], owners: NDArray[np.str_], *, more_is_worse: bool
) -> float:
    """The two-sided p-value of the difference between the mean of `chosen` and of the rest, all (items,); 1 where the
    chosen ones are the better, or no worse but by rounding, or there is no rest, or the chosen ones are all drawn as
    one.

    A score test: under the null both have one mean m, and the difference varies as Σ over owners of
    (Σ chosen (v − m)/n₁ − Σ rest (v − m)/n₂)², which holds for items that belong together (Liang & Zeger 1986) and
    where all of the chosen ones are wrong.
    """
    if chosen.all() or len(set(owners[chosen].tolist())) < 2:
        return 1.0
    gap = float(each[chosen].mean() - each[~chosen].mean())
    if (gap if more_is_worse else -gap) <= _ALIKE * float(np.abs(each).max()):
        return 1.0
    weight = np.where(chosen, 1.0 / chosen.sum(), -1.0 / (~chosen).sum())
    of_owner = np.bincount(np.unique(owners, return_inverse=True)[1], weights=(each - each.mean()) * weight)
    return math.erfc(abs(gap) / math.sqrt(2.0 * float((of_owner**2).sum())))


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
        name = f"{len(rest)} other groups"
        while any(name == taken for taken, _ in rows[:_MOST_GROUPS]):
            name = f"({name})"
        return [*rows[:_MOST_GROUPS], (name, others)]
    return rows


def _by_confidence(items: Sequence[Graded]) -> list[Row]:
    sure = [item.confidence for item in items]
    return [*_binned(sure, _CONFIDENCES, _confidence), *_without(sure, "not known")]


def _named(names: Iterable[str]) -> list[Row]:
    """The commonest first."""
    rows: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        rows.setdefault(name, []).append(at)
    return sorted(rows.items(), key=lambda row: (-len(row[1]), row[0]))


def _binned(values: Sequence[float | None], bins: int, show: Callable[[float, float], str]) -> list[Row]:
    """Items with a value in bins of about as many, smallest first, named by their smallest and largest value; bins of
    one name are one."""
    known = [at for at, value in enumerate(values) if value is not None]
    if not known:
        return []
    numbers: NDArray[np.float64] = np.array([values[at] for at in known], dtype=np.float64)
    edges = np.quantile(numbers, np.arange(1, bins) / bins)
    places = np.searchsorted(edges, numbers, side="left")
    rows: dict[str, list[int]] = {}
    for place in np.unique(places):
        inside = np.flatnonzero(places == place)
        low, high = float(numbers[inside].min()), float(numbers[inside].max())
        rows.setdefault(show(low, high), []).extend(known[int(at)] for at in inside)
    return [(name, sorted(members)) for name, members in rows.items()]


def _without(values: Sequence[float | None], name: str) -> list[Row]:
    missing = [at for at, value in enumerate(values) if value is None]
    return [(name, missing)] if missing else []


def _minutes(low_s: float, high_s: float) -> str:
    if high_s < 60:  # clips: many would be of the same whole second
        return f"{_span(f'{low_s:.1f}', f'{high_s:.1f}')} s"
    return _span(*(f"{int(seconds // 60)}:{int(seconds % 60):02d}" for seconds in (low_s, high_s)))


def _confidence(low: float, high: float) -> str:
    return _span(f"{low:.2f}", f"{high:.2f}")


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low}–{high}"


def _segments(low: float, high: float) -> str:
    many = f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
    return f"{many} segment{'' if high == 1 else 's'}"
