"""Confusion tables, and the metrics that need no more of the items than how often which class was taken for which.

A table (K, K) has the true classes as rows and the given ones as columns. The functions take any number of tables at
once, (..., K, K), and give a figure for each: a bootstrap asks the same of thousands, and draws tables, not items. What
they mean, and what they give of odd input, is said once, at the metrics of single items (`metrics.py`, `sentiment.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.int64]
Tables = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TableMetric:
    """How a metric follows from the table of `classes(values)`, which are 0 … `count` − 1; None: of values as they are,
    with as many classes as occur."""

    figure: Callable[[Tables], Tables]
    classes: Callable[[NDArray[Any]], Classes] | None = None
    count: int | None = None

    def of(self, truth: NDArray[Any], predicted: NDArray[Any]) -> float:
        """The figure of items (items,).

        Raises:
            ValueError: empty or unequal input.
        """
        return float(self.figure(self.table(truth, predicted).astype(np.float64)))

    def table(self, truth: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.int64]:
        """(K, K) of items (items,)."""
        check(truth, predicted)
        return confusion(*self.classes_of(truth, predicted), self.count)

    def classes_of(self, truth: NDArray[Any], predicted: NDArray[Any]) -> tuple[Classes, Classes]:
        """The items (items,) as classes."""
        return (truth, predicted) if self.classes is None else (self.classes(truth), self.classes(predicted))


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Of one class: TP / (TP + FP), TP / (TP + FN), 2·TP / (2·TP + FP + FN), and how often it occurs.

    A share of nothing is 0: the precision of what is never given, the recall of what never occurs.
    """

    precision: float
    recall: float
    f1: float
    support: int


def check(truth: NDArray[Any], predicted: NDArray[Any]) -> None:
    """Refuse what is no pair of equally long, not empty arrays of one dimension.

    Raises:
        ValueError: gives both shapes.
    """
    if truth.shape != predicted.shape or truth.ndim != 1 or len(truth) == 0:
        raise ValueError(
            f"truth {truth.shape} and predicted {predicted.shape} must be one-dimensional, equal and not empty"
        )


def confusion(truth: Classes, predicted: Classes, classes: int | None = None) -> NDArray[np.int64]:
    """(K, K): how often each class (row) was taken for each (column); K is `classes`, else the highest class + 1.

    Raises:
        ValueError: empty or unequal input, or a class that is not among 0 … K − 1.

    >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0])).tolist()
    [[1, 0], [1, 1]]
    """
    check(truth, predicted)
    least, most = int(min(truth.min(), predicted.min())), int(max(truth.max(), predicted.max()))
    size = most + 1 if classes is None else classes
    if least < 0 or most >= size:
        raise ValueError(f"classes must be 0 to {size - 1}, and {least} to {most} are there")
    return np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)


def precision_recall_f1(tables: Tables) -> tuple[Tables, Tables, Tables]:
    """Of every class, (..., K) each; 0 where a class is never given, never occurs, or neither."""
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    real, given = tables.sum(axis=-1), tables.sum(axis=-2)
    return right / np.maximum(given, 1), right / np.maximum(real, 1), 2 * right / np.maximum(real + given, 1)


def per_class(truth: Classes, predicted: Classes, classes: int | None = None) -> tuple[ClassFigures, ...]:
    """The figures of each of `classes` classes, without it of the highest class + 1.

    Raises:
        ValueError: empty or unequal input, or a class out of range.

    >>> per_class(np.array([0, 1, 1, 1]), np.array([0, 1, 0, 1]))[0]
    ClassFigures(precision=0.5, recall=1.0, f1=0.6666666666666666, support=1)
    """
    table = confusion(truth, predicted, classes)
    parts = (*precision_recall_f1(table.astype(np.float64)), table.sum(axis=1))
    rows = zip(*(part.tolist() for part in parts), strict=True)
    return tuple(ClassFigures(precision, recall, f1, support) for precision, recall, f1, support in rows)


def accuracy_of(tables: Tables) -> Tables:
    """(...,); NaN of an empty table."""
    return _over(np.trace(tables, axis1=-2, axis2=-1), tables.sum(axis=(-2, -1)))


def macro_f1_of(tables: Tables) -> Tables:
    """(...,): over the classes that occur or are given."""
    either = tables.sum(axis=-1) + tables.sum(axis=-2) > 0
    return _over(precision_recall_f1(tables)[2].sum(axis=-1), either.sum(axis=-1))


def weighted_f1_of(tables: Tables) -> Tables:
    """(...,): weighted by how often a class occurs."""
    real = tables.sum(axis=-1)
    return _over((precision_recall_f1(tables)[2] * real).sum(axis=-1), real.sum(axis=-1))


def uar_of(tables: Tables) -> Tables:
    """(...,): the mean recall of the classes that occur."""
    return _over(precision_recall_f1(tables)[1].sum(axis=-1), (tables.sum(axis=-1) > 0).sum(axis=-1))


def quadratic_kappa_of(tables: Tables) -> Tables:
    """(...,); NaN where no disagreement is to be expected by chance."""
    places = np.arange(tables.shape[-1])
    cost = (places[:, None] - places[None, :]) ** 2.0
    real, given = tables.sum(axis=-1), tables.sum(axis=-2)
    by_chance = ((real @ cost) * given).sum(axis=-1)
    return 1.0 - _over((tables * cost).sum(axis=(-2, -1)) * real.sum(axis=-1), by_chance)


def _over(part: Tables, whole: Tables) -> Tables:
    """part / whole, NaN where the whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0))
