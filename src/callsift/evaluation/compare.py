"""Several trainings compared on the same items: means over seeds, intervals, paired tests. NumPy alone.

A row of a study has the answers of several seeds to the same items. Items that belong together (one speaker's calls,
one call's segments) are no independent evidence, and neither is a second look at one training: intervals draw whole
groups and seeds anew. Tests exchange the answers of two rows, unit by unit, for all seeds at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.errors import DataError
from callsift.evaluation.drawn import Counts, drawer, exchanger
from callsift.evaluation.metrics import Interval, Metric

Array = NDArray[Any]

TEST_DRAWS: Final = 10_000
"""Most exchanges that a test looks at: all there are, where there are no more."""
INTERVAL_DRAWS: Final = 1000
_AT_ONCE: Final = 200_000  # weights in memory at a time: few, so that they stay near the processor


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
    value = _defined(metric, truth, predicted)
    return Interval(value, *_middle(_drawn(metric, truth, [predicted], groups, draws)[0]))


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
    value = _defined(metric, truth, one) - _defined(metric, truth, other)
    mine, theirs = _drawn(metric, truth, [one, other], groups, draws)
    return Interval(value, *_middle(mine - theirs))


def _defined(metric: Metric, truth: Array, predicted: Sequence[Array]) -> float:
    """The mean over seeds, refused where it is NaN."""
    found = mean_over_seeds(metric, truth, predicted)
    if np.isnan(found):
        said = sorted(set(truth.tolist()))
        what = f"all {len(truth)} are {said[0]:g}" if len(said) == 1 else "an answer is no number"
        raise DataError(f"{metric.__name__} says nothing of these items: {what}; compare on items of both kinds")
    return found


def _drawn(
    metric: Metric, truth: Array, rows: Sequence[Sequence[Array]], groups: Sequence[Hashable], draws: int
) -> NDArray[np.float64]:
    """(rows, draws): the mean over seeds, both groups and seeds drawn with replacement, the same for all rows."""
    home, units = _homes(groups)
    seeds, random = len(rows[0]), np.random.default_rng(0)
    ask = drawer(metric, truth, [said for row in rows for said in row], home)
    each = ((random.integers(0, units, units), random.integers(0, seeds, seeds)) for _ in range(draws))
    found = []
    while block := list(itertools.islice(each, _at_once(truth))):
        counts = np.array([np.bincount(drawn, minlength=units) for drawn, _ in block], dtype=np.float64)
        figures = ask(counts).reshape(len(rows), seeds, len(block))
        chosen = np.array([seed for _, seed in block])  # (draws, seeds)
        found.append(figures[:, chosen.T, np.arange(len(block))].mean(axis=1))
    return np.concatenate(found, axis=1)


def _middle(found: Array) -> tuple[float, float]:
    """The middle 95 % of the figures that are numbers; NaN where none is."""
    kept = found[~np.isnan(found)]
    if not len(kept):
        return float("nan"), float("nan")
    low, high = np.percentile(kept, [2.5, 97.5])
    return float(low), float(high)


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
    home, count = _homes(units)
    exact = 2**count <= draws
    seen = _defined(metric, truth, one) - _defined(metric, truth, other)
    ask, swaps = exchanger(metric, truth, one, other, home), _swaps(count, draws, seed, exact=exact)
    found = np.concatenate([ask(block) for block in _blocks(swaps, _at_once(truth))])
    as_large = int((~(np.abs(found) < abs(seen) - 1e-12)).sum())
    p = as_large / len(found) if exact else (as_large + 1) / (len(found) + 1)
    return Tested(seen, float(p), count, exact)


def _swaps(units: int, draws: int, seed: int, *, exact: bool) -> Iterator[Array]:
    """(units,): 1 for the units that are exchanged, else 0."""
    if exact:
        yield from (np.array(each) for each in itertools.product((0, 1), repeat=units))
        return
    random = np.random.default_rng(seed)
    for _ in range(draws):
        yield random.integers(0, 2, units)


def _blocks(rows: Iterator[Array], size: int) -> Iterator[Counts]:
    while block := list(itertools.islice(rows, size)):
        yield np.array(block, dtype=np.float64)


def _at_once(truth: Array) -> int:
    """How many draws of these items are held in memory together."""
    return max(1, _AT_ONCE // len(truth))


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


def _homes(groups: Sequence[Hashable]) -> tuple[NDArray[np.int64], int]:
    """(items,): the number of every item's group, groups in the order of their names; and how many there are."""
    names, home = np.unique(np.array([str(group) for group in groups]), return_inverse=True)
    return home.astype(np.int64), len(names)


def _check_seeds(one: Sequence[Array], other: Sequence[Array]) -> None:
    if len(one) != len(other) or not one:
        raise ValueError(f"{len(one)} and {len(other)} seeds can't be paired: every seed must answer for both")
