"""Metrics of classes and of numbers, and bootstrap intervals, in NumPy.

Classes are integers 0 … K−1; `truth` and `predicted` are (items,) arrays of them, or of numbers for the metrics of
a regression. Every metric agrees with scikit-learn or SciPy on the same input (`tests/evaluation/test_parity.py`), but
where docs/metrics.md says otherwise of input that has no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.evaluation import resample, sentiment
from callsift.evaluation.tables import (
    Classes,
    TableMetric,
    Tables,
    accuracy_of,
    check,
    macro_f1_of,
    quadratic_kappa_of,
    uar_of,
    weighted_f1_of,
)

FEW_GROUPS: Final = 6
"""With fewer groups no exchange of them has a p-value below 0.05 (2 / 2^5), and draws of them are much alike."""

Numbers = NDArray[np.float64]
Metric = Callable[[NDArray[Any], NDArray[Any]], float]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its percentile bootstrap interval (Efron & Tibshirani 1993, ch. 13)."""

    value: float
    low: float
    high: float


def has_width(low: float, high: float) -> bool:
    """Whether bounds say anything: drawn anew, one number alone is always that number, and has no interval to show."""
    return high - low >= 1e-9


def accuracy(truth: Classes, predicted: Classes) -> float:
    """Share of equal entries, in [0, 1].

    Raises:
        ValueError: empty or unequal input.

    >>> accuracy(np.array([0, 1, 1]), np.array([0, 1, 0]))
    0.6666666666666666
    """
    check(truth, predicted)
    return float((truth == predicted).mean())


def macro_f1(truth: Classes, predicted: Classes) -> float:
    """Mean over the classes of F1 = 2·TP / (2·TP + FP + FN), in [0, 1] (van Rijsbergen 1979, ch. 7).

    Every class that occurs or is predicted counts alike; one that does neither is left out.

    Raises:
        ValueError: empty or unequal input, or a negative class.

    >>> round(macro_f1(np.array([0, 1, 1]), np.array([0, 1, 0])), 4)
    0.6667
    """
    return _BY_TABLE[macro_f1].of(truth, predicted)


def weighted_f1(truth: Classes, predicted: Classes) -> float:
    """Mean of the classes' F1 weighted by how often each class occurs, in [0, 1]; the "WAF" of emotion papers.

    Raises:
        ValueError: empty or unequal input, or a negative class.

    >>> round(weighted_f1(np.array([0, 1, 1, 1]), np.array([0, 1, 0, 1])), 4)
    0.7667
    """
    return _BY_TABLE[weighted_f1].of(truth, predicted)


def uar(truth: Classes, predicted: Classes) -> float:
    """Unweighted average recall: mean of TP / (TP + FN) over the classes that occur, in [0, 1] (Schuller et al. 2009).

    Also called balanced accuracy. Chance is 1 / K, whatever the balance.

    Raises:
        ValueError: empty or unequal input, or a negative class.

    >>> uar(np.array([0, 1, 1, 1]), np.array([0, 1, 1, 1]))
    1.0
    >>> uar(np.array([0, 1, 1, 1]), np.array([1, 1, 1, 1]))
    0.5
    """
    return _BY_TABLE[uar].of(truth, predicted)


def quadratic_kappa(truth: Classes, predicted: Classes) -> float:
    """Cohen's kappa of ordered classes with the square of the distance as cost, in [−1, 1] (Cohen 1968).

    κ = 1 − Σ_ij (i − j)² O_ij / Σ_ij (i − j)² E_ij, where O is the confusion table and E that of two who answer with
    the same shares independently. A class that never occurs is a step between its neighbours all the same. 0 where one
    side always gives one class; NaN where both always give the same one.

    Raises:
        ValueError: empty or unequal input, or a negative class.

    >>> round(quadratic_kappa(np.array([0, 1, 2, 3]), np.array([0, 1, 2, 2])), 4)
    0.875
    """
    return _BY_TABLE[quadratic_kappa].of(truth, predicted)


def mean_absolute_error(truth: Numbers, predicted: Numbers) -> float:
    """Mean of |truth − predicted|, in [0, ∞); NaN where an entry is.

    Raises:
        ValueError: empty or unequal input.

    >>> mean_absolute_error(np.array([1.0, -1.0]), np.array([0.5, -2.0]))
    0.75
    """
    check(truth, predicted)
    return float(np.abs(truth - predicted).mean())


def correlation(truth: Numbers, predicted: Numbers) -> float:
    """Pearson's Σ (t − t̄)(p − p̄) / √(Σ (t − t̄)² Σ (p − p̄)²), in [−1, 1] (Pearson 1895).

    0 where either side does not vary, as of a single item; NaN where an entry is.

    Raises:
        ValueError: empty or unequal input.

    >>> round(correlation(np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 4.0])), 6)
    1.0
    """
    check(truth, predicted)
    if np.ptp(truth) == 0.0 or np.ptp(predicted) == 0.0:  # means of equal numbers need not be that number
        return 0.0
    one, other = (each - each.mean() for each in (truth, predicted))
    one, other = one / np.abs(one).max(), other / np.abs(other).max()  # squares of the least numbers would be 0
    return float(np.clip((one @ other) / np.sqrt((one @ one) * (other @ other)), -1.0, 1.0))


_BY_TABLE: Final[dict[Metric, TableMetric]] = {
    accuracy: TableMetric(accuracy_of),
    macro_f1: TableMetric(macro_f1_of),
    weighted_f1: TableMetric(weighted_f1_of),
    uar: TableMetric(uar_of),
    quadratic_kappa: TableMetric(quadratic_kappa_of),
    **sentiment.BY_TABLE,
}
"""What needs no more of the items than how often which class was taken for which: resampled thousands of times fast."""


def table_of(metric: Metric) -> TableMetric | None:
    """How a metric follows from the confusion table, if that is all it needs."""
    return _BY_TABLE.get(metric)


CLASS_METRICS: Final[dict[str, Metric]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
    "uar": uar,
    "quadratic_kappa": quadratic_kappa,
}
NUMBER_METRICS: Final[dict[str, Metric]] = {
    "mean_absolute_error": mean_absolute_error,
    "correlation": correlation,
    "acc2_has0": sentiment.acc2_has0,
    "f1_has0": sentiment.f1_has0,
    "acc2_non0": sentiment.acc2_non0,
    "f1_non0": sentiment.f1_non0,
    "acc5": sentiment.acc5,
    "acc7": sentiment.acc7,
}
ALL_METRICS: Final[dict[str, Metric]] = {**CLASS_METRICS, **NUMBER_METRICS}
METRIC_NAMES: Final[dict[str, str]] = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "uar": "UAR",
    "quadratic_kappa": "quadratic kappa",
    "mean_absolute_error": "MAE",
    "correlation": "correlation",
    "acc2_has0": "Acc2 has0",
    "f1_has0": "F1 has0",
    "acc2_non0": "Acc2 non0",
    "f1_non0": "F1 non0",
    "acc5": "Acc5",
    "acc7": "Acc7",
}
"""What people call them."""


def bootstrap(
    metric: Metric,
    truth: NDArray[Any],
    predicted: NDArray[Any],
    *,
    groups: Sequence[str] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """A metric with its 95 % interval over `draws` resamplings of the items; see `bootstrap_all`."""
    return bootstrap_all({"": metric}, truth, predicted, groups=groups, draws=draws, seed=seed)[""]


def bootstrap_all(
    metrics: Mapping[str, Metric],
    truth: NDArray[Any],
    predicted: NDArray[Any],
    *,
    groups: Sequence[str] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Metrics with their 95 % intervals over the same `draws` resamplings of the items.

    A draw of which a metric is NaN is left out; where the metric itself is NaN, so are its bounds.

    `groups`: what each item belongs to (a segment's call): whole groups are drawn, since items of one group are no
    independent evidence.

    Raises:
        ValueError: empty or unequal input.
    """
    owners = resample.owners_of(groups, len(truth))
    values = {name: metric(truth, predicted) for name, metric in metrics.items()}
    defined = {name: metric for name, metric in metrics.items() if not np.isnan(values[name])}
    found: dict[str, NDArray[np.float64]] = {}
    tables: dict[Any, Tables] = {}
    for name, metric in defined.items():
        if (by_table := _BY_TABLE.get(metric)) is not None:
            key = by_table.classes
            if key not in tables:
                random = np.random.default_rng(seed)
                tables[key] = resample.tables(by_table, truth, predicted, owners, draws, random)
            found[name] = by_table.figure(tables[key])
    slow = {name: metric for name, metric in defined.items() if name not in found}
    if slow:
        picks = resample.picks(len(truth), owners, draws, np.random.default_rng(seed))
        rows = [[metric(truth[pick], predicted[pick]) for metric in slow.values()] for pick in picks]
        found |= dict(zip(slow, np.array(rows).T, strict=True))
    return {name: _interval(value, found.get(name)) for name, value in values.items()}


def _interval(value: float, drawn: NDArray[np.float64] | None) -> Interval:
    kept = np.array([np.nan]) if drawn is None or np.isnan(drawn).all() else drawn[~np.isnan(drawn)]
    low, high = np.percentile(kept, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def over_seeds(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation over trainings that differ in their seed alone; no deviation of one seed.

    √(Σ (x − x̄)² / (n − 1)): how far a training comes out from another, not how sure the mean is.

    Raises:
        ValueError: no values.

    >>> over_seeds([0.5, 0.75, 1.0])
    (0.75, 0.25)
    >>> over_seeds([0.5])
    (0.5, None)
    """
    if not len(values):
        raise ValueError("a mean over seeds needs the figure of one seed at least")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def draws_groups(groups: Sequence[str], calls: Sequence[str]) -> bool:
    """Whether intervals draw, and tests exchange, whole groups: where there are six at least, and more calls."""
    return FEW_GROUPS <= len(set(groups)) < len(set(calls))


def drawn_by(groups: Sequence[str], calls: Sequence[str]) -> list[str]:
    """What each item is drawn with: its group, or its call where groups are few (see `draws_groups`)."""
    return list(groups if draws_groups(groups, calls) else calls)


def majority(truth: Classes, known: Classes | None = None) -> Classes:
    """What always answering the commonest class of `known` (the training part; else `truth`) predicts."""
    values, counts = np.unique(truth if known is None else known, return_counts=True)
    return np.full_like(truth, values[counts.argmax()])
