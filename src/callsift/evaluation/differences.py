"""By how much answers are better than a baseline's on the same items, and intervals where a bootstrap has no width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.evaluation.metrics import ALL_METRICS, FEW_GROUPS, Interval, Metric
from callsift.evaluation.reliability import share_interval
from callsift.evaluation.resample import group_weights, owners_of

Array = NDArray[Any]

SHARES: Final = frozenset(ALL_METRICS[name] for name in ("accuracy", "acc2_has0", "acc2_non0", "acc5", "acc7"))
"""Metrics that are a share of right answers; of a single item, 1 or 0, or NaN where it does not count."""
_AT_ONCE: Final = 2_000_000  # weights in memory at a time


def difference(
    truth: Array, said: Array, baseline: Array, *, groups: Sequence[str] | None = None, draws: int = 2000, seed: int = 0
) -> dict[str, dict[str, float]]:
    """The metric that answers are judged by, of `said` less that of `baseline`, both (items,): of classes `accuracy`,
    of numbers `mean_absolute_error`. 95 % bootstrap interval of the paired difference, whole `groups` drawn.

    Where the two differ in few groups, it holds 0 (`unless_few`).

    Raises:
        ValueError: no items.
    """
    if not len(truth):
        raise ValueError("a difference needs at least one item")
    classes = truth.dtype.kind in "iu"
    each = (said == truth) * 1.0 - (baseline == truth) if classes else np.abs(said - truth) - np.abs(baseline - truth)
    found = mean_interval(each, groups, draws=draws, seed=seed)
    owners = np.arange(len(each)) if (known := owners_of(groups, len(each))) is None else known
    found = unless_few(found, int(np.count_nonzero(np.bincount(owners, weights=each))))
    return {"accuracy" if classes else "mean_absolute_error": asdict(found)}


def unless_few(found: Interval, differing: int) -> Interval:
    """The interval of a difference, stretched to hold 0 where it comes from fewer than six groups: no exchange of these
    few has a p-value below 0.05, and a bootstrap, which draws from so little, would not know."""
    few = differing < FEW_GROUPS
    return Interval(found.value, min(found.low, 0.0), max(found.high, 0.0)) if few else found


def mean_interval(values: Array, groups: Sequence[str] | None, *, draws: int = 2000, seed: int = 0) -> Interval:
    """The mean of (items,) with its 95 % percentile bootstrap interval, whole groups drawn."""
    known = owners_of(groups, len(values))
    owners = np.arange(len(values)) if known is None else known
    sums, sizes, random = np.bincount(owners, weights=values), np.bincount(owners), np.random.default_rng(seed)
    rows, drawn = max(1, _AT_ONCE // len(sizes)), []
    for start in range(0, draws, rows):
        weights = group_weights(owners, min(rows, draws - start), random)
        drawn.append((weights @ sums) / (weights @ sizes))
    low, high = np.percentile(np.concatenate(drawn), [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


def with_width(metric: Metric, found: Interval, truth: Array, said: Array, groups: Sequence[str] | None) -> Interval:
    """A share's interval by Wilson (`share_interval`) where the bootstrap's has no width, since all items are right, or
    wrong, or every group alike; other intervals as they are."""
    if metric not in SHARES or not found.low == found.high == found.value:
        return found
    right = np.array([metric(truth[at : at + 1], said[at : at + 1]) for at in range(len(truth))])
    mine = list(groups) if groups is not None else list(map(str, range(len(truth))))
    counted = np.flatnonzero(~np.isnan(right))
    return share_interval(right[counted], [mine[at] for at in counted])
