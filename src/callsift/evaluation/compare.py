"""Several trainings compared on the same items: means over seeds, intervals, paired tests. NumPy alone.

A row of a study has the answers of several seeds to the same items. Items that belong together (one speaker's calls,
one call's segments) are no independent evidence, and neither is a second look at one training: intervals draw whole
groups and seeds anew. Tests exchange the answers of two rows, unit by unit, for all seeds at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.errors import DataError
from callsift.evaluation.metrics import Interval, Metric, accuracy, table_of
from callsift.evaluation.tables import TableMetric

Array = NDArray[Any]

TEST_DRAWS: Final = 10_000
"""Most exchanges that a test looks at: all there are, where there are no more."""
INTERVAL_DRAWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Tested:
    """A paired test: the mean difference, its p-value, how many units were exchanged, and whether in all ways."""

    difference: float
    p: float
    units: int
    exact: bool


def mean_over_seeds(metric: Metric, truth: Array, predicted: Sequence[Array]) -> float:
    """The mean of a metric over every seed's answers."""
    return float(np.mean([metric(truth, each) for each in predicted]))


def clustered(
    metric: Metric, truth: Array, predicted: Sequence[Array], groups: Sequence[Hashable], *, draws: int = INTERVAL_DRAWS
) -> Interval:
    """Mean of a metric over the seeds' answers, with its 95 % interval over groups and seeds drawn anew.

    Args:
        metric: of truth and answers; a draw for which it is NaN is left out.
        truth: (items,).
        predicted: per seed (items,).
        groups: of every item what it belongs to.
        draws: resamplings.

    Raises:
        DataError: the metric is NaN of these items.
    """

    def figure(items: Array, seeds: Array) -> float:
        return float(np.mean([metric(truth[items], predicted[seed][items]) for seed in seeds]))

    value = _defined(metric, truth, predicted)
    if (by_table := table_of(metric)) is not None:
        return Interval(value, *_middle(_drawn_tables(by_table, truth, [predicted], groups, draws)[0]))
    low, high = _drawn(figure, groups, len(predicted), draws)
    return Interval(value, low, high)


def clustered_difference(
    metric: Metric,
    truth: Array,
    one: Sequence[Array],
    other: Sequence[Array],
    groups: Sequence[Hashable],
    *,
    draws: int = INTERVAL_DRAWS,
) -> Interval:
    """metric(one) − metric(other), mean over seeds, with its 95 % interval over the same groups and seeds for both.

    Raises:
        DataError: the metric is NaN of these items.
    """
    _check_seeds(one, other)

    def figure(items: Array, seeds: Array) -> float:
        right = truth[items]
        return float(np.mean([metric(right, one[s][items]) - metric(right, other[s][items]) for s in seeds]))

    value = _defined(metric, truth, one) - _defined(metric, truth, other)
    if (by_table := table_of(metric)) is not None:
        mine, theirs = _drawn_tables(by_table, truth, [one, other], groups, draws)
        return Interval(value, *_middle(mine - theirs))
    low, high = _drawn(figure, groups, len(one), draws)
    return Interval(value, low, high)


def _defined(metric: Metric, truth: Array, predicted: Sequence[Array]) -> float:
    """The mean over seeds, refused where it is NaN."""
    found = mean_over_seeds(metric, truth, predicted)
    if np.isnan(found):
        said = sorted(set(truth.tolist()))
        what = f"all {len(truth)} are {said[0]:g}" if len(said) == 1 else "an answer is no number"
        raise DataError(f"{metric.__name__} says nothing of these items: {what}; compare on items of both kinds")
    return found


def _drawn(
    figure: Callable[[Array, Array], float], groups: Sequence[Hashable], seeds: int, draws: int
) -> tuple[float, float]:
    """The middle 95 % of a figure over groups and seeds drawn with replacement."""
    members = _members(groups)
    each = _draws(len(members), seeds, draws)
    return _middle(np.array([figure(np.concatenate([members[at] for at in units]), drawn) for units, drawn in each]))


def _draws(units: int, seeds: int, draws: int) -> Iterator[tuple[Array, Array]]:
    """The units and the seeds of every draw."""
    random = np.random.default_rng(0)
    for _ in range(draws):
        yield random.integers(0, units, units), random.integers(0, seeds, seeds)


def _middle(found: Array) -> tuple[float, float]:
    """The middle 95 % of the figures that are numbers; NaN where none is."""
    kept = found[~np.isnan(found)]
    if not len(kept):
        return float("nan"), float("nan")
    low, high = np.percentile(kept, [2.5, 97.5])
    return float(low), float(high)


def _drawn_tables(
    by_table: TableMetric, truth: Array, rows: Sequence[Sequence[Array]], groups: Sequence[Hashable], draws: int
) -> list[Array]:
    """Per row (draws,): the mean figure over the seeds drawn, of the tables of the groups drawn: the same for all rows
    and the same as of the items themselves, only faster."""
    tables = _unit_tables(by_table, truth, rows, _members(groups))
    _, seeds, units, cells = tables.shape
    drawn = list(_draws(units, seeds, draws))
    counts = np.array([np.bincount(one, minlength=units) for one, _ in drawn], dtype=np.float64)
    chosen = np.array([np.bincount(one, minlength=seeds) for _, one in drawn]).T  # (seeds, draws)
    size = math.isqrt(cells)
    found = []
    for row in tables:
        figures = np.array([by_table.figure((counts @ each).reshape(-1, size, size)) for each in row])
        found.append(np.where(chosen > 0, figures * chosen, 0.0).sum(axis=0) / seeds)
    return found


def _unit_tables(
    by_table: TableMetric, truth: Array, rows: Sequence[Sequence[Array]], members: Sequence[NDArray[np.int64]]
) -> Array:
    """(rows, seeds, units, K · K): the confusion of every unit's items."""
    pairs = [[by_table.classes_of(truth, said) for said in row] for row in rows]
    size = by_table.count or 1 + max(int(each.max()) for row in pairs for pair in row for each in pair)
    home = np.empty(len(truth), dtype=np.int64)
    for at, items in enumerate(members):
        home[items] = at
    cells, units = size * size, len(members)
    found = [
        [np.bincount((home * size + real) * size + given, minlength=units * cells) for real, given in row]
        for row in pairs
    ]
    return np.array(found, dtype=np.float64).reshape(len(rows), -1, units, cells)


def exchange_test(
    metric: Metric,
    truth: Array,
    one: Sequence[Array],
    other: Sequence[Array],
    units: Sequence[Hashable],
    *,
    draws: int = TEST_DRAWS,
    seed: int = 0,
) -> Tested:
    """Paired permutation test, two-sided, of "both rows answer alike" (Good 2005, «Permutation … Tests», ch. 3).

    Each unit (a call, a group) keeps the two rows' answers or has them exchanged, for all seeds at once. p is the
    share of exchanges whose difference is at least as large as the one seen. All 2^units are looked at where there
    are no more than `draws`; else as many random ones, the seen one counted among them.

    Args:
        metric: of truth and answers; a mean over items, such as accuracy, is the sign-flip test of its differences.
        truth: (items,).
        one: per seed (items,).
        other: the same of the row compared with.
        units: of every item what is exchanged together with it.
        draws: most exchanges looked at.
        seed: of the random ones.

    Raises:
        DataError: the metric is NaN of these items. An exchange of which it is NaN counts as one that is as large.
    """
    _check_seeds(one, other)
    members = _members(units)
    exact = 2 ** len(members) <= draws
    seen = _defined(metric, truth, one) - _defined(metric, truth, other)
    swaps = _swaps(len(members), draws, seed, exact=exact)
    if metric is accuracy:
        right = np.mean([(a == truth).astype(float) - (b == truth) for a, b in zip(one, other, strict=True)], axis=0)
        by_unit = np.array([right[items].sum() for items in members]) / len(truth)
        found = np.concatenate([(1 - 2 * block) @ by_unit for block in _blocks(swaps)])
    elif (by_table := table_of(metric)) is not None:
        found = _exchanged_tables(by_table, _unit_tables(by_table, truth, [one, other], members), swaps)
    else:
        home = np.empty(len(truth), dtype=np.int64)
        for at, items in enumerate(members):
            home[items] = at
        found = np.array([_exchanged(metric, truth, one, other, swap[home]) for swap in swaps])
    as_large = int((~(np.abs(found) < abs(seen) - 1e-12)).sum())
    p = as_large / len(found) if exact else (as_large + 1) / (len(found) + 1)
    return Tested(seen, float(p), len(members), exact)


def _exchanged(metric: Metric, truth: Array, one: Sequence[Array], other: Sequence[Array], swap: Array) -> float:
    """The difference with the answers of some items exchanged; swap (items,) bool."""
    pairs = zip(one, other, strict=True)
    return float(np.mean([metric(truth, np.where(swap, b, a)) - metric(truth, np.where(swap, a, b)) for a, b in pairs]))


def _exchanged_tables(by_table: TableMetric, tables: Array, swaps: Iterator[Array]) -> Array:
    """(exchanges,): the differences, of the tables (2, seeds, units, K · K) of both rows."""
    size = math.isqrt(tables.shape[-1])
    mine, theirs = tables.sum(axis=2)
    found = []
    for block in _blocks(swaps):
        moved = [block @ each for each in tables[1] - tables[0]]
        less = [
            by_table.figure((a + gained).reshape(-1, size, size))
            - by_table.figure((b - gained).reshape(-1, size, size))
            for a, b, gained in zip(mine, theirs, moved, strict=True)
        ]
        found.append(np.mean(less, axis=0))
    return np.concatenate(found)


def _swaps(units: int, draws: int, seed: int, *, exact: bool) -> Iterator[Array]:
    """(units,) bool: which units are exchanged."""
    if exact:
        yield from (np.array(each, dtype=np.bool_) for each in itertools.product((False, True), repeat=units))
        return
    random = np.random.default_rng(seed)
    for _ in range(draws):
        yield random.integers(0, 2, units).astype(np.bool_)


def _blocks(rows: Iterator[Array], size: int = 1000) -> Iterator[NDArray[np.int64]]:
    while block := list(itertools.islice(rows, size)):
        yield np.array(block, dtype=np.int64)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values of several tests (Holm 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(ps)
    most = 0.0
    for place, at in enumerate(sorted(range(len(ps)), key=lambda at: ps[at])):
        most = max(most, min(1.0, (len(ps) - place) * ps[at]))
        adjusted[at] = most
    return adjusted


def _members(groups: Sequence[Hashable]) -> list[NDArray[np.int64]]:
    """The items of every group, groups in the order of their names."""
    found: dict[str, list[int]] = {}
    for at, group in enumerate(groups):
        found.setdefault(str(group), []).append(at)
    return [np.array(found[name]) for name in sorted(found)]


def _check_seeds(one: Sequence[Array], other: Sequence[Array]) -> None:
    if len(one) != len(other) or not one:
        raise ValueError(f"{len(one)} and {len(other)} seeds can't be paired: every seed must answer for both")
