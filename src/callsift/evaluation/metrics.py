"""Classification metrics and bootstrap intervals, in NumPy.

Classes are integers 0 … K−1; `truth` and `predicted` are (items,) arrays of them, or of numbers for the metrics of
a regression. Every metric agrees with
scikit-learn on the same input (tests), with F1 of a class that neither occurs nor is predicted left out of
the macro average, as scikit-learn does with the labels that occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.int64]
Numbers = NDArray[np.float64]
Tables = NDArray[np.float64]
Metric = Callable[[NDArray[Any], NDArray[Any]], float]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its percentile bootstrap interval (Efron & Tibshirani 1993, ch. 13)."""

    value: float
    low: float
    high: float


def accuracy(truth: Classes, predicted: Classes) -> float:
    """Share of equal entries, in [0, 1].

    Raises:
        ValueError: empty or unequal input.

    >>> accuracy(np.array([0, 1, 1]), np.array([0, 1, 0]))
    0.6666666666666666
    """
    _check(truth, predicted)
    return float((truth == predicted).mean())


def confusion(truth: Classes, predicted: Classes) -> NDArray[np.int64]:
    """(K, K): how often each class (row) was taken for each (column); K is the highest class + 1."""
    _check(truth, predicted)
    size = int(max(truth.max(), predicted.max())) + 1
    return np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)


def macro_f1(truth: Classes, predicted: Classes) -> float:
    """Mean over the classes of F1 = 2·TP / (2·TP + FP + FN), every class that occurs or is predicted counting alike,
    in [0, 1].
    """
    return float(_macro_f1(confusion(truth, predicted).astype(np.float64)))


def weighted_f1(truth: Classes, predicted: Classes) -> float:
    """Mean of the classes' F1 weighted by how often each class occurs, in [0, 1]."""
    return float(_weighted_f1(confusion(truth, predicted).astype(np.float64)))


def _f1(tables: Tables) -> tuple[Tables, Tables, Tables]:
    """Tables (..., K, K) → F1 of every class (..., K), how often each is real, and real or given; 0 where neither."""
    real, given = tables.sum(axis=-1), tables.sum(axis=-2)
    either = real + given
    return 2 * np.diagonal(tables, axis1=-2, axis2=-1) / np.maximum(either, 1), real, either


def _accuracy(tables: Tables) -> Tables:
    return np.asarray(np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1)))


def _macro_f1(tables: Tables) -> Tables:
    scores, _, either = _f1(tables)
    return np.asarray(scores.sum(axis=-1) / (either > 0).sum(axis=-1))


def _weighted_f1(tables: Tables) -> Tables:
    scores, real, _ = _f1(tables)
    return np.asarray((scores * real).sum(axis=-1) / real.sum(axis=-1))


def mean_absolute_error(truth: Numbers, predicted: Numbers) -> float:
    """Mean of |truth − predicted|, in [0, ∞).

    Raises:
        ValueError: empty or unequal input.

    >>> mean_absolute_error(np.array([1.0, -1.0]), np.array([0.5, -2.0]))
    0.75
    """
    _check(truth, predicted)
    return float(np.abs(truth - predicted).mean())


def correlation(truth: Numbers, predicted: Numbers) -> float:
    """Pearson's correlation, in [−1, 1]; 0 where either side does not vary.

    Raises:
        ValueError: empty or unequal input.

    >>> round(correlation(np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 4.0])), 6)
    1.0
    """
    _check(truth, predicted)
    one, other = truth - truth.mean(), predicted - predicted.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 0.0 else 0.0


_TABLE_METRICS: dict[Metric, Callable[[Tables], Tables]] = {
    accuracy: _accuracy,
    macro_f1: _macro_f1,
    weighted_f1: _weighted_f1,
}
"""What needs no more of the items than how often which class was taken for which: resampled thousands of times fast."""

NUMBER_METRICS: dict[str, Metric] = {"mean_absolute_error": mean_absolute_error, "correlation": correlation}
METRICS: dict[str, Metric] = {"accuracy": accuracy, "macro_f1": macro_f1, "weighted_f1": weighted_f1}


def bootstrap(
    metric: Metric,
    truth: NDArray[Any],
    predicted: NDArray[Any],
    *,
    groups: Sequence[str] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """A metric with its 95 % interval over `draws` resamplings of the items.

    `groups`: what each item belongs to (a segment's call): whole groups are drawn, since items of one group are no
    independent evidence.
    """
    value = metric(truth, predicted)
    random = np.random.default_rng(seed)
    owners = None
    if groups is not None and len(set(groups)) < len(truth):
        owners = np.unique(np.array(groups), return_inverse=True)[1]
    found = (
        _TABLE_METRICS[metric](_drawn_tables(truth, predicted, owners, draws, random))
        if metric in _TABLE_METRICS
        else np.array([metric(truth[pick], predicted[pick]) for pick in _picks(len(truth), owners, draws, random)])
    )
    low, high = np.percentile(found, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def _drawn_tables(
    truth: Classes, predicted: Classes, owners: NDArray[np.intp] | None, draws: int, random: np.random.Generator
) -> Tables:
    """(draws, K, K): the confusion of every resampling. Which of equal items is drawn makes no difference."""
    whole = confusion(truth, predicted)
    size = len(whole)
    if owners is None:
        drawn = random.multinomial(len(truth), whole.ravel() / len(truth), size=draws)
    else:
        count = int(owners.max()) + 1
        cells = (owners * size + truth) * size + predicted
        tables = np.bincount(cells, minlength=count * size * size).reshape(count, size * size)
        drawn = random.multinomial(count, np.full(count, 1.0 / count), size=draws) @ tables
    return drawn.reshape(draws, size, size).astype(np.float64)


def _picks(
    items: int, owners: NDArray[np.intp] | None, draws: int, random: np.random.Generator
) -> Iterable[NDArray[np.int64]]:
    """The items of every resampling; with `owners` (items,) whole groups of them."""
    if owners is None:
        yield from random.integers(0, items, (draws, items))
        return
    members = [np.flatnonzero(owners == at) for at in range(int(owners.max()) + 1)]
    for row in random.integers(0, len(members), (draws, len(members))):
        yield np.concatenate([members[at] for at in row])


def drawn_by(groups: Sequence[str], calls: Sequence[str]) -> list[str]:
    """What intervals draw: groups; calls where all are of one group, of which nothing else can be drawn."""
    return list(groups if len(set(groups)) > 1 else calls)


def majority(truth: Classes, known: Classes | None = None) -> Classes:
    """What always answering the commonest class of `known` (the training part; else `truth`) predicts."""
    values, counts = np.unique(truth if known is None else known, return_counts=True)
    return np.full_like(truth, values[counts.argmax()])


def _check(truth: NDArray[Any], predicted: NDArray[Any]) -> None:
    if truth.shape != predicted.shape or truth.ndim != 1 or len(truth) == 0:
        raise ValueError(
            f"truth {truth.shape} and predicted {predicted.shape} must be one-dimensional, equal and not empty"
        )
