"""The figures by which CMU-MOSI and CMU-MOSEI are reported, of a sentiment from −3 to 3.

Two-class accuracy is published in two variants, which differ by some points and are often confused:

- `has0`: negative against non-negative, every item counts (Zadeh et al. 2018, «Memory Fusion Network», and before);
- `non0`: negative against positive, items whose TRUTH is 0 are left out (Tsai et al. 2019, «Multimodal Transformer»).

Where the line is drawn follows MMSA (Yu et al. 2021, «Learning Modality-Specific Representations …», whose public code
most later papers use): `has0` takes truth and prediction as non-negative at >= 0; `non0` takes them as positive at > 0,
so that a prediction of exactly 0 counts as negative. F1 is the mean over both classes weighted by how often each is
TRUE; the public code of Tsai et al. has the arguments the other way round and weighs by how often each is predicted.
Accuracy of seven and of five classes rounds truth and prediction, held within ±3 and ±2, to the nearest whole number
(halves to the even one, as NumPy does), as both do. The data and their scale: Zadeh et al. 2016, «MOSI».

All take truth and predicted (items,) as floats, and give NaN where an entry is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callsift.evaluation.tables import Classes, TableMetric, Tables, accuracy_of, check, weighted_f1_of

Numbers = NDArray[np.float64]

_HAS0 = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # negative, zero, positive → negative, non-negative
_NON0_REAL = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])  # truth: zero is left out
_NON0_GIVEN = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # prediction: zero is not positive


def acc2_has0(truth: Numbers, predicted: Numbers) -> float:
    """Share of items with [truth >= 0] = [predicted >= 0], in [0, 1].

    Raises:
        ValueError: empty or unequal input.

    >>> acc2_has0(np.array([-1.0, 0.0, 2.0, 0.0]), np.array([-0.5, -0.1, 1.0, 0.0]))
    0.75
    """
    return _figure(acc2_has0, truth, predicted)


def f1_has0(truth: Numbers, predicted: Numbers) -> float:
    """F1 of negative and of non-negative, Σ_k share true of k · 2·TP_k / (2·TP_k + FP_k + FN_k), in [0, 1].

    Raises:
        ValueError: empty or unequal input.

    >>> round(f1_has0(np.array([-1.0, 0.0, 2.0, 0.0]), np.array([-0.5, -0.1, 1.0, 0.0])), 4)
    0.7667
    """
    return _figure(f1_has0, truth, predicted)


def acc2_non0(truth: Numbers, predicted: Numbers) -> float:
    """Share of the items with truth ≠ 0 that have [truth > 0] = [predicted > 0], in [0, 1]; NaN where there are none.

    Raises:
        ValueError: empty or unequal input.

    >>> acc2_non0(np.array([-1.0, 0.0, 2.0, 1.0]), np.array([-0.5, -0.1, 1.0, 0.0]))
    0.6666666666666666
    """
    return _figure(acc2_non0, truth, predicted)


def f1_non0(truth: Numbers, predicted: Numbers) -> float:
    """F1 of negative and of positive over the items with truth ≠ 0, weighted as in `f1_has0`; NaN where none is.

    Raises:
        ValueError: empty or unequal input.

    >>> round(f1_non0(np.array([-1.0, 0.0, 2.0, 1.0]), np.array([-0.5, -0.1, 1.0, 0.0])), 4)
    0.6667
    """
    return _figure(f1_non0, truth, predicted)


def acc5(truth: Numbers, predicted: Numbers) -> float:
    """Share of items whose truth and prediction, held within ±2, round to the same whole number, in [0, 1].

    Raises:
        ValueError: empty or unequal input.

    >>> acc5(np.array([2.6, -0.4]), np.array([1.8, -0.6]))
    0.5
    """
    return _figure(acc5, truth, predicted)


def acc7(truth: Numbers, predicted: Numbers) -> float:
    """Share of items whose truth and prediction, held within ±3, round to the same whole number, in [0, 1].

    Raises:
        ValueError: empty or unequal input.

    >>> acc7(np.array([2.6, -0.4]), np.array([1.8, 0.4]))
    0.5
    """
    return _figure(acc7, truth, predicted)


def _signs(numbers: Numbers) -> Classes:
    """0 negative, 1 zero, 2 positive."""
    return np.asarray(np.sign(numbers) + 1, dtype=np.int64)


def _fives(numbers: Numbers) -> Classes:
    return np.asarray(np.rint(np.clip(numbers, -2, 2)) + 2, dtype=np.int64)


def _sevens(numbers: Numbers) -> Classes:
    return np.asarray(np.rint(np.clip(numbers, -3, 3)) + 3, dtype=np.int64)


def _has0(figure: Callable[[Tables], Tables]) -> TableMetric:
    return TableMetric(lambda tables: figure(_HAS0.T @ tables @ _HAS0), _signs, 3)


def _non0(figure: Callable[[Tables], Tables]) -> TableMetric:
    return TableMetric(lambda tables: figure(_NON0_REAL.T @ tables @ _NON0_GIVEN), _signs, 3)


BY_TABLE: Final[dict[Callable[[Numbers, Numbers], float], TableMetric]] = {
    acc2_has0: _has0(accuracy_of),
    f1_has0: _has0(weighted_f1_of),
    acc2_non0: _non0(accuracy_of),
    f1_non0: _non0(weighted_f1_of),
    acc5: TableMetric(accuracy_of, _fives, 5),
    acc7: TableMetric(accuracy_of, _sevens, 7),
}
"""The metrics of this module by what they make of a table."""


def _figure(metric: Callable[[Numbers, Numbers], float], truth: Numbers, predicted: Numbers) -> float:
    check(truth, predicted)
    if np.isnan(truth).any() or np.isnan(predicted).any():
        return float("nan")
    return BY_TABLE[metric].of(truth, predicted)
