"""What is drawn or exchanged by sums and by weights is what the metric itself says of the items, one draw at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from callsift.evaluation.drawn import drawer, exchanger, mass_error, mean_score, units_that_differ
from callsift.evaluation.metrics import Metric, accuracy, correlation, macro_f1, mean_absolute_error
from callsift.evaluation.ranking import auroc
from callsift.evaluation.sentiment import acc2_non0

Array = NDArray[Any]
Random = np.random.Generator


def _classes(random: Random, items: int) -> tuple[Array, Array]:
    return random.integers(0, 4, items), random.integers(0, 4, items)


def _numbers(random: Random, items: int) -> tuple[Array, Array]:
    return random.normal(size=items).round(1), random.normal(size=items).round(1)


def _ordered(random: Random, items: int) -> tuple[Array, Array]:
    """With ties."""
    return random.random(items) < 0.4, random.random(items).round(1)


def _sure(random: Random, items: int) -> tuple[Array, Array]:
    sure = random.random(items).round(1)
    return np.zeros(items), np.stack([sure, random.random(items) < sure], axis=1)


ALL = [
    (accuracy, _classes),
    (macro_f1, _classes),
    (mean_absolute_error, _numbers),
    (mean_score, _numbers),
    (correlation, _numbers),
    (acc2_non0, _numbers),
    (auroc, _ordered),
    (mass_error, _sure),
]
Make = Callable[[Random, int], tuple[Array, Array]]


@pytest.mark.parametrize(("metric", "make"), ALL)
@pytest.mark.parametrize("items", [1, 2, 3, 30])
def test_a_draw_is_what_the_metric_says_of_the_items_drawn(metric: Metric, make: Make, items: int) -> None:
    random = np.random.default_rng(items)
    truth, one = make(random, items)
    other = make(random, items)[1]
    home = np.arange(items) % 7
    units = int(home.max()) + 1
    counts = random.multinomial(units, np.full(units, 1 / units), size=40).astype(np.float64)
    found = drawer(metric, truth, [one, other], home)(counts)
    picks = [np.repeat(np.arange(items), row[home].astype(int)) for row in counts]
    known = [[metric(truth[pick], said[pick]) for pick in picks] for said in (one, other)]
    assert found == pytest.approx(np.array(known), abs=1e-12, nan_ok=True)
    if metric in (accuracy, auroc):
        assert np.array_equal(found, known, equal_nan=True)


@pytest.mark.parametrize(("metric", "make"), [each for each in ALL if each[0] is not mass_error])
def test_an_exchange_is_what_the_metric_says_of_the_answers_exchanged(metric: Metric, make: Make) -> None:
    random = np.random.default_rng(5)
    truth, _ = make(random, 24)
    one, other = ([make(random, 24)[1] for _ in range(2)] for _ in range(2))
    home = np.arange(24) % 8
    swaps = random.integers(0, 2, (40, 8)).astype(np.float64)
    found = exchanger(metric, truth, one, other, home)(swaps)
    for swap, less in zip(swaps[:, home].astype(bool), found, strict=True):
        pairs = [(np.where(swap, b, a), np.where(swap, a, b)) for a, b in zip(one, other, strict=True)]
        assert less == pytest.approx(np.mean([metric(truth, a) - metric(truth, b) for a, b in pairs]), abs=1e-12)


def test_what_does_not_vary_in_a_draw_correlates_with_nothing() -> None:
    """Numbers of which a draw holds one alone, far from zero, where squares of means take everything off."""
    truth, said = np.array([1.0, 2.0, 3.0]), np.array([1e6 + 0.1, 1e6 + 0.1, 1e6 + 0.4])
    counts = np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0], [1.0, 1.0, 1.0]])
    found = drawer(correlation, truth, [said], np.arange(3))(counts)[0]
    assert found[:2].tolist() == [0.0, 0.0]
    assert found[2] == pytest.approx(np.sqrt(0.75), abs=1e-6)


def test_units_differ_by_what_a_metric_sees_of_them() -> None:
    """Two wrong answers are as good as each other for the accuracy, and not for macro F1; what evens out in a unit, or
    over the seeds, is no difference."""
    truth = np.array([0, 0, 1, 1])
    one, other = np.array([1, 0, 1, 0]), np.array([2, 0, 0, 1])
    assert units_that_differ(accuracy, truth, [one], [other], ["a", "b", "c", "d"]) == 2
    assert units_that_differ(accuracy, truth, [one], [other], ["a", "b", "c", "c"]) == 0
    assert units_that_differ(accuracy, truth, [one, other], [other, one], ["a", "b", "c", "d"]) == 0
    assert units_that_differ(macro_f1, truth, [one], [other], ["a", "b", "c", "c"]) == 2
    sure = np.stack([np.ones(4), np.ones(4)], axis=1)
    assert units_that_differ(mass_error, truth, [sure], [sure * [1, 0]], ["a", "a", "b", "c"]) == 3
