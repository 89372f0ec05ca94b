"""How well scores bring the positive items to the front: AUROC, AUPRC, gain and lift.

`positive` (items,) says which items are buyers, `scores` (items,) in what order they are called, the highest first.
Equal scores have no order: AUROC counts such a pair half, AUPRC takes them all at once, and gain is what calling them
in random order reaches in the mean. So no figure depends on how a file happens to be sorted. All are NaN where a score
is.

The figures follow from how many items, and how many positive ones, have at least each score; with items weighted by how
often they are drawn, a bootstrap is the same sums over many rows at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.evaluation.metrics import Interval
from callsift.evaluation.resample import group_weights, owners_of
from callsift.evaluation.tables import check

Array = NDArray[Any]
Sums = NDArray[np.float64]

SHARES: Final = tuple(at / 20 for at in range(1, 21))
_AT_ONCE: Final = 2_000_000  # weights in memory at a time


@dataclass(frozen=True, slots=True)
class GainPoint:
    """Calling the best `share` of the items, which are `calls`, reaches `reached` [low, high] of the positive ones.

    `lift`: how many times as many as calling at random. `ideal`: what a perfect order would reach.
    """

    share: float
    calls: int
    reached: float
    low: float
    high: float
    lift: float
    ideal: float


@dataclass(frozen=True, slots=True)
class Gain:
    """The gain curve of `calls` items, of which `buyers` are positive."""

    calls: int
    buyers: int
    auroc: Interval
    auprc: Interval
    points: tuple[GainPoint, ...]


def auroc(positive: Array, scores: Array) -> float:
    """Chance that a positive item has the higher score than a negative one, ties half, in [0, 1]; NaN without both.

    The area under the ROC curve is the Mann–Whitney statistic (Hanley & McNeil 1982).

    Raises:
        ValueError: empty or unequal input.

    >>> auroc(np.array([True, False, True]), np.array([0.9, 0.1, 0.1]))
    0.75
    """
    return _nan_or(_auroc_of, positive, scores)


def auprc(positive: Array, scores: Array) -> float:
    """Average precision Σ_n (R_n − R_{n−1}) · P_n over the distinct scores, highest first, in (0, 1].

    The area under the precision-recall curve without interpolation between its points, which would flatter (Davis &
    Goadrich 2006). Chance is the share of positive items. NaN where none is; 1 where all are.

    Raises:
        ValueError: empty or unequal input.

    >>> round(auprc(np.array([True, False, True]), np.array([0.9, 0.5, 0.1])), 4)
    0.8333
    """
    return _nan_or(_auprc_of, positive, scores)


def gain_at_k(positive: Array, scores: Array, k: int) -> float:
    """Share of the positive items among the k with the highest scores (recall at k), in [0, 1]; NaN where none is.

    Raises:
        ValueError: empty or unequal input, or k outside 1 … items.

    >>> gain_at_k(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.5, 0.1]), 2)
    0.75
    """
    check(positive, scores)
    if not 1 <= k <= len(scores):
        raise ValueError(f"k must be from 1 to the {len(scores)} items there are, not {k}")
    return _nan_or(lambda hits, seen: _gain_of(hits, seen, np.array([k])), positive, scores)


def gain_at(positive: Array, scores: Array, share: float) -> float:
    """`gain_at_k` of the best `share` of the items, rounded up to whole items (Ling & Li 1998).

    Raises:
        ValueError: empty or unequal input, or a share outside (0, 1].

    >>> gain_at(np.array([True, False, True, False, False]), np.array([0.9, 0.5, 0.4, 0.3, 0.1]), 0.2)
    0.5
    """
    return gain_at_k(positive, scores, items_of(share, len(scores)))


def lift_at_k(positive: Array, scores: Array, k: int) -> float:
    """How many times as many positive items as k at random hold: gain · items / k, in [0, ∞); NaN where none is.

    Raises:
        ValueError: empty or unequal input, or k outside 1 … items.

    >>> lift_at_k(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.5, 0.1]), 2)
    1.5
    """
    return gain_at_k(positive, scores, k) * len(scores) / k


def lift_at(positive: Array, scores: Array, share: float) -> float:
    """`lift_at_k` of the best `share` of the items, rounded up to whole items.

    Raises:
        ValueError: empty or unequal input, or a share outside (0, 1].

    >>> lift_at(np.array([True, False, True, False, False]), np.array([0.9, 0.5, 0.4, 0.3, 0.1]), 0.2)
    2.5
    """
    return lift_at_k(positive, scores, items_of(share, len(scores)))


def items_of(share: float, items: int) -> int:
    """How many of the items a share is, rounded up: 1 at least.

    Raises:
        ValueError: a share outside (0, 1].
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"a share of the items must be above 0 and at most 1, not {share:g}")
    return max(1, math.ceil(share * items - 1e-9))  # 0.07 · 100 is a little above 7


def gain_curve(
    positive: Array,
    scores: Array,
    *,
    groups: Sequence[str] | None = None,
    shares: Sequence[float] = SHARES,
    draws: int = 1000,
    seed: int = 0,
) -> Gain | None:
    """Gain at every share, AUROC and AUPRC, with 95 % percentile intervals; None unless both kinds occur.

    `groups`: what each item belongs to; whole groups are drawn. A draw without both kinds is left out.

    Raises:
        ValueError: empty or unequal input, a score that is no number, or a share outside (0, 1].
    """
    check(positive, scores)
    if np.isnan(scores).any():
        raise ValueError("a gain curve needs a score for every item, and there are some that are no number")
    positive = positive.astype(np.bool_)
    items, buyers = len(positive), int(positive.sum())
    if buyers in (0, items):
        return None
    ones = np.ones((1, items))
    value = _figures(*_sums(positive, scores, ones), shares)[0]
    drawn = np.concatenate(
        [_figures(*_sums(positive, scores, weights), shares) for weights in _weights(groups, items, draws, seed)]
    )
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    found = [Interval(*map(float, three)) for three in zip(value, low, high, strict=True)]
    points = []
    for share, each in zip(shares, found[2:], strict=True):
        calls = items_of(share, items)
        lift, ideal = each.value * items / calls, min(1.0, calls / buyers)
        points.append(GainPoint(share, calls, each.value, each.low, each.high, lift, ideal))
    return Gain(items, buyers, found[0], found[1], tuple(points))


def _weights(groups: Sequence[str] | None, items: int, draws: int, seed: int) -> Iterator[Sums]:
    """(some draws, items) at a time: how often each item is drawn."""
    random = np.random.default_rng(seed)
    owners = owners_of(groups, items)
    owners = np.arange(items) if owners is None else owners
    rows = max(1, _AT_ONCE // items)
    for start in range(0, draws, rows):
        yield group_weights(owners, min(rows, draws - start), random)[:, owners]


def _sums(positive: Array, scores: Array, weights: Sums) -> tuple[Sums, Sums]:
    """Weights (draws, items) → positive items and items (draws, 1 + distinct scores) that have at least each score."""
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    drawn = weights[:, order]
    start = np.zeros((len(weights), 1))
    hits, seen = (
        np.concatenate([start, np.cumsum(each, axis=1)[:, ends]], axis=1)
        for each in (drawn * positive[order].astype(np.bool_), drawn)
    )
    return hits, seen


def _nan_or(figure: Any, positive: Array, scores: Array) -> float:
    check(positive, scores)
    if np.isnan(scores).any():
        return float("nan")
    return float(np.ravel(figure(*_sums(positive, scores, np.ones((1, len(scores))))))[0])


def _auroc_of(hits: Sums, seen: Sums) -> Sums:
    """(draws,): the area under the ROC curve by trapezia, each a set of equal scores."""
    misses = seen - hits
    area = (np.diff(misses, axis=1) * (hits[:, 1:] + hits[:, :-1])).sum(axis=1) / 2
    return _over(area, hits[:, -1] * misses[:, -1])


def _auprc_of(hits: Sums, seen: Sums) -> Sums:
    """(draws,)."""
    precision = hits[:, 1:] / np.maximum(seen[:, 1:], 1)
    return _over((np.diff(hits, axis=1) * precision).sum(axis=1), hits[:, -1])


def _gain_of(hits: Sums, seen: Sums, calls: NDArray[np.int64]) -> Sums:
    """(draws,): positive items among the first `calls` (draws,), over all; within equal scores in proportion."""
    reached = [np.interp(k, *row) for k, *row in zip(calls, seen, hits, strict=True)]
    return _over(np.array(reached), hits[:, -1])


def _figures(hits: Sums, seen: Sums, shares: Sequence[float]) -> Sums:
    """(draws, 2 + shares): AUROC, AUPRC and gain at every share of what is drawn."""
    gains = [_gain_of(hits, seen, np.array([items_of(share, int(items)) for items in seen[:, -1]])) for share in shares]
    return np.stack([_auroc_of(hits, seen), _auprc_of(hits, seen), *gains], axis=1)


def _over(part: Sums, whole: Sums) -> Sums:
    """part / whole, NaN where the whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))
