"""What a metric comes out as where its items are drawn anew, or exchanged between two rows: thousands of times, fast.

Items belong to units (calls, groups), which are drawn and exchanged whole. Of most metrics the sums over each unit's
items are enough: of a mean the sum of its items' scores, of classes the confusion table. Of an order (AUROC) and of
calibration every item counts, but it is sorted once for all draws. Any other metric is asked item by item. All three
give what the metric itself gives of the items drawn: counts and the AUROC, whose sums are of halves, to the last digit,
others to the rounding of sums that are taken in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.evaluation.metrics import Metric, accuracy, correlation, mean_absolute_error, table_of
from callsift.evaluation.ranking import auroc
from callsift.evaluation.reliability import BINS, calibration_error, mass_bins

Array = NDArray[Any]
Counts = NDArray[np.float64]
"""(draws, units): how often each unit is drawn; of exchanges, whether it is exchanged."""
Weighted = Callable[[Array, Array, Counts], Array]
"""Truth, answers, and how often each item counts (items, draws) → (draws,)."""


_SAME: Final = 1e-12


def mean_score(_: Array, scores: Array) -> float:
    """The mean of items' scores (items,), such as Brier's, that are known without the truth."""
    return float(scores.mean())


def mass_error(_: Array, sure_and_right: Array) -> float:
    """Calibration error with bins of equal mass, of (items, 2): how sure an answer is, and whether it is right."""
    sure, right = sure_and_right.T
    return calibration_error(sure, right, mass_bins(sure))


_SCORES: Final[Mapping[Metric, Callable[[Array, Array], Array]]] = {
    accuracy: lambda truth, said: truth == said,
    mean_absolute_error: lambda truth, said: np.abs(truth - said),
    mean_score: lambda _, scores: scores,
}
"""Metrics that are the mean of these scores of the items."""


def drawer(
    metric: Metric, truth: Array, said: Sequence[Array], home: NDArray[np.int64]
) -> Callable[[Counts], NDArray[np.float64]]:
    """How the metric of each of several answers comes out: counts (draws, units) → (answers, draws).

    `truth` (items,), `said`: each (items, …), `home` (items,): the unit of every item.
    """
    if (sums := _sums(metric, truth, said, home)) is not None:
        parts, figure = sums
        return lambda counts: np.array([figure(counts @ each) for each in parts], dtype=np.float64)
    weighted = _WEIGHTED.get(metric) or _item_by_item(metric)
    return lambda counts: np.array([weighted(truth, each, _of_items(counts, home)) for each in said], dtype=np.float64)


def exchanger(
    metric: Metric, truth: Array, one: Sequence[Array], other: Sequence[Array], home: NDArray[np.int64]
) -> Callable[[Counts], NDArray[np.float64]]:
    """metric(one) − metric(other), the mean over their seeds, with some units exchanged: (exchanges, units) of 0 and 1
    → (exchanges,)."""
    if (sums := _sums(metric, truth, [*one, *other], home)) is not None:
        parts, figure = sums
        mine, theirs = parts[: len(one)], parts[len(one) :]
        pairs = [(a.sum(axis=0), b.sum(axis=0), b - a) for a, b in zip(mine, theirs, strict=True)]

        def by_sums(swaps: Counts) -> NDArray[np.float64]:
            moved = [swaps @ less for *_, less in pairs]
            found = [figure(a + m) - figure(b - m) for (a, b, _), m in zip(pairs, moved, strict=True)]
            return np.asarray(np.mean(found, axis=0))

        return by_sums
    weighted = _WEIGHTED.get(metric) or _item_by_item(metric)
    twice = np.concatenate([truth, truth])
    both = [np.concatenate(pair) for pair in zip(one, other, strict=True)]

    def by_weights(swaps: Counts) -> NDArray[np.float64]:
        swapped = _of_items(swaps, home)
        mine = np.concatenate([1.0 - swapped, swapped])
        theirs = 1.0 - mine
        found = [weighted(twice, each, mine) - weighted(twice, each, theirs) for each in both]
        return np.asarray(np.mean(found, axis=0))

    return by_weights


def units_that_differ(
    metric: Metric, truth: Array, one: Sequence[Array], other: Sequence[Array], owners: Sequence[str]
) -> int:
    """In how many units two rows differ: in the mean over seeds of their scores, of a metric that is a mean of scores;
    else in any answer."""
    units, home = np.unique(np.array(owners), return_inverse=True)
    pairs = list(zip(one, other, strict=True))
    if (score := _SCORES.get(metric)) is not None:
        less = sum(np.subtract(score(truth, a), score(truth, b), dtype=np.float64) for a, b in pairs)
        return int((np.abs(np.bincount(home, weights=less)) > _SAME).sum())
    apart = np.any([(a != b).reshape(len(truth), -1).any(axis=1) for a, b in pairs], axis=0)
    return int((np.bincount(home, weights=apart, minlength=len(units)) > 0).sum())


def _sums(
    metric: Metric, truth: Array, said: Sequence[Array], home: NDArray[np.int64]
) -> tuple[list[Counts], Callable[[Counts], Array]] | None:
    """Per answers what of every unit's items is summed (units, M), and the figure of such sums (draws, M) → (draws,);
    None where sums are not enough."""
    units = 1 + int(home.max())
    if (score := _SCORES.get(metric)) is not None:
        columns = [(score(truth, each), np.ones(len(truth))) for each in said]
        return [_summed(each, home) for each in columns], lambda sums: sums[:, 0] / sums[:, 1]
    if metric is correlation:
        return [_summed(each, home) for each in _moments(truth, said)], _correlation
    if (by_table := table_of(metric)) is None:
        return None
    pairs = [by_table.classes_of(truth, each) for each in said]
    count = by_table.count or 1 + max(int(each.max()) for pair in pairs for each in pair)
    cells = count * count
    tables = [
        np.bincount((home * count + real) * count + given, minlength=units * cells).reshape(units, cells)
        for real, given in pairs
    ]
    return [table.astype(np.float64) for table in tables], lambda sums: by_table.figure(sums.reshape(-1, count, count))


def _summed(columns: Sequence[Array], home: NDArray[np.int64]) -> Counts:
    """(items,) each → (units, columns): the sums over every unit's items."""
    return np.stack([np.bincount(home, weights=column) for column in columns], axis=1)


def _moments(truth: Array, said: Sequence[Array]) -> Iterator[tuple[Array, ...]]:
    """Per answers what a correlation is made of, an item each; both sides on a scale on which they spread by 1, so that
    little is lost where squares of means are taken off."""
    right = (truth - truth.mean()) / (truth.std() or 1.0)
    middle, spread = np.mean(said), np.std(said) or 1.0
    for each in said:
        mine = (each - middle) / spread
        yield np.ones(len(truth)), right, mine, right * right, mine * mine, right * mine


def _correlation(sums: Counts) -> Array:
    """(draws, 6) of `_moments` → (draws,): see `callsift.evaluation.metrics.correlation`; 0 where a side spreads in a
    draw by less than a millionth of what it does over all."""
    mean_truth, mean_said, truths, saids, both = (sums[:, 1:] / sums[:, :1]).T
    spreads = (truths - mean_truth**2, saids - mean_said**2)
    varied = np.minimum(*spreads) > _SAME
    product = np.sqrt(np.where(varied, spreads[0] * spreads[1], 1.0))
    return np.where(varied, np.clip((both - mean_truth * mean_said) / product, -1.0, 1.0), 0.0)


def _of_items(counts: Counts, home: NDArray[np.int64]) -> Counts:
    """(draws, units) → (items, draws): the draws side by side, so that sums over items run over all of them at once."""
    return np.ascontiguousarray(counts.T)[home]


def _item_by_item(metric: Metric) -> Weighted:
    def asked(truth: Array, said: Array, weights: Counts) -> Array:
        picks = (np.repeat(np.arange(len(truth)), drawn) for drawn in weights.T.astype(np.int64))
        return np.array([metric(truth[pick], said[pick]) for pick in picks])

    return asked


def _auroc(positive: Array, scores: Array, weights: Counts) -> Array:
    """See `callsift.evaluation.ranking.auroc`: pairs of a positive item and a negative one that is below, ties half."""
    positive = positive.astype(np.bool_)
    yes, no = np.flatnonzero(positive), np.flatnonzero(~positive)
    no = no[np.argsort(scores[no], kind="stable")]
    hits = weights[yes]
    misses = np.zeros((len(no) + 1, weights.shape[1]))  # at k: those drawn of the k lowest
    np.cumsum(weights[no], axis=0, out=misses[1:])
    below, upto = (np.searchsorted(scores[no], scores[yes], side) for side in ("left", "right"))
    won = misses[below] * 2 if (below == upto).all() else misses[below] + misses[upto]
    pairs = misses[-1] * hits.sum(axis=0)
    area = np.einsum("ij,ij->j", hits, won) / 2
    return np.asarray(np.divide(area, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _mass_error(_: Array, sure_and_right: Array, weights: Counts) -> Array:
    """See `mass_error`: the bins are those of the items drawn."""
    sure, right = sure_and_right.T
    order = np.argsort(sure, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(sure[order]) > 0))
    drawn = weights[order]
    gaps, size = drawn * (sure - right)[order][:, None], drawn
    if len(starts) < len(order):  # equal ones share a bin
        gaps, size = np.add.reduceat(gaps, starts), np.add.reduceat(size, starts)
    upto = np.cumsum(size, axis=0)
    total = upto[-1]
    bins = ((upto - size) * BINS // total).astype(np.int64)  # of whole numbers, which floats hold exactly
    bins = np.minimum(bins, BINS - 1)  # of what is not drawn and would come after all others
    flat = bins * len(total) + np.arange(len(total))
    found = np.bincount(flat.ravel(), weights=gaps.ravel(), minlength=BINS * len(total)).reshape(BINS, -1)
    return np.asarray(np.abs(found).sum(axis=0) / total)


_WEIGHTED: Final[Mapping[Metric, Weighted]] = {auroc: _auroc, mass_error: _mass_error}
