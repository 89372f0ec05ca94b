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


def f1_by_class(truth: Classes, predicted: Classes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """F1 = 2·TP / (2·TP + FP + FN) of every class that occurs or is predicted, and how often each occurs."""
    _check(truth, predicted)
    size = int(max(truth.max(), predicted.max())) + 1
    table = np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)  # truth by prediction
    real, given = table.sum(axis=1), table.sum(axis=0)
    occurs = real + given > 0
    return 2 * table.diagonal()[occurs] / (real + given)[occurs], real[occurs]


def macro_f1(truth: Classes, predicted: Classes) -> float:
    """Mean of the classes' F1, every class counting the same, in [0, 1]."""
    scores, _ = f1_by_class(truth, predicted)
    return float(scores.mean())


def weighted_f1(truth: Classes, predicted: Classes) -> float:
    """Mean of the classes' F1 weighted by how often each class occurs, in [0, 1]."""
    scores, support = f1_by_class(truth, predicted)
    return float(np.average(scores, weights=support))


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
    if groups is None or len(set(groups)) == len(truth):
        picks: Iterable[NDArray[Any]] = random.integers(0, len(truth), (draws, len(truth)))
    else:
        names, owners = np.unique(np.array(groups), return_inverse=True)
        members = [np.flatnonzero(owners == at) for at in range(len(names))]
        drawn = random.integers(0, len(names), (draws, len(names)))
        picks = (np.concatenate([members[at] for at in row]) for row in drawn)
    found = np.array([metric(truth[pick], predicted[pick]) for pick in picks])
    low, high = np.percentile(found, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def paired_difference(
    metric: Metric, truth: NDArray[Any], one: NDArray[Any], other: NDArray[Any], *, draws: int = 2000, seed: int = 0
) -> Interval:
    """metric(one) − metric(other) on the same calls, with its 95 % interval over paired resamplings."""
    value = metric(truth, one) - metric(truth, other)
    picks = np.random.default_rng(seed).integers(0, len(truth), (draws, len(truth)))
    found = np.array([metric(truth[p], one[p]) - metric(truth[p], other[p]) for p in picks])
    low, high = np.percentile(found, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def majority(truth: Classes, known: Classes | None = None) -> Classes:
    """What always answering the commonest class of `known` (the training part; else `truth`) predicts."""
    values, counts = np.unique(truth if known is None else known, return_counts=True)
    return np.full_like(truth, values[counts.argmax()])


def _check(truth: NDArray[Any], predicted: NDArray[Any]) -> None:
    if truth.shape != predicted.shape or truth.ndim != 1 or len(truth) == 0:
        raise ValueError(
            f"truth {truth.shape} and predicted {predicted.shape} must be one-dimensional, equal and not empty"
        )
