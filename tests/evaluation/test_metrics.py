"""Intervals and calibration do what they say; the metrics are compared with their references in test_parity.py."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from callsift.evaluation.calibration import fit_temperature, negative_log_likelihood
from callsift.evaluation.metrics import (
    ALL_METRICS,
    CLASS_METRICS,
    METRIC_NAMES,
    NUMBER_METRICS,
    Metric,
    accuracy,
    bootstrap,
    bootstrap_all,
    correlation,
    majority,
    mean_absolute_error,
    over_seeds,
    quadratic_kappa,
    uar,
)
from callsift.evaluation.resample import owners_of, picks
from callsift.evaluation.sentiment import acc2_non0


def test_every_metric_has_a_name_and_a_place() -> None:
    assert set(METRIC_NAMES) == set(ALL_METRICS) == set(CLASS_METRICS) | set(NUMBER_METRICS)
    assert len(set(METRIC_NAMES.values())) == len(METRIC_NAMES)


@pytest.mark.parametrize("name", ALL_METRICS)
def test_wrong_input_is_refused(name: str) -> None:
    kind = int if name in CLASS_METRICS else float
    for truth, predicted in (([], []), ([1], [1, 2]), ([[1]], [[1]])):
        with pytest.raises(ValueError, match="must be one-dimensional, equal and not empty"):
            ALL_METRICS[name](np.array(truth, kind), np.array(predicted, kind))


@pytest.mark.parametrize("name", sorted(set(CLASS_METRICS) - {"accuracy"}))
def test_a_negative_class_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="classes must be 0 to 1, and -1 to 1 are there"):
        CLASS_METRICS[name](np.array([0, 1]), np.array([1, -1]))


@pytest.mark.parametrize("name", NUMBER_METRICS)
def test_a_number_that_is_none_has_no_figure(name: str) -> None:
    for truth, predicted in (([1.0, np.nan], [1.0, 2.0]), ([1.0, 2.0], [np.nan, 2.0])):
        found = bootstrap(NUMBER_METRICS[name], np.array(truth), np.array(predicted), draws=5)
        assert np.isnan([found.value, found.low, found.high]).all()


def test_kappa_of_classes_that_are_absent() -> None:
    """A and E confused is worse than D and E confused: the classes between count, though none of them occurs."""
    truth = np.array([0, 0, 3, 4])
    # By hand: Σ w O = 1, Σ w E = (32 + 32 + 20 + 32) / 4; then 16 and (9 + 9 + 27 + 49) / 4.
    assert quadratic_kappa(truth, np.array([0, 0, 4, 4])) == pytest.approx(1 - 1 / 29)
    assert quadratic_kappa(truth, np.array([0, 0, 3, 0])) == pytest.approx(1 - 16 / 23.5)


def test_over_seeds() -> None:
    """Mean and deviation as the standard library has them; of one seed there is none."""
    values = [0.61, 0.64, 0.58, 0.66]
    assert over_seeds(values) == pytest.approx((statistics.mean(values), statistics.stdev(values)))
    assert over_seeds([0.5]) == (0.5, None)
    with pytest.raises(ValueError, match="one seed at least"):
        over_seeds([])


def test_intervals_together_are_those_of_each_alone() -> None:
    random = np.random.default_rng(0)
    truth, said = random.normal(size=(2, 60)) * 2
    groups = [str(at % 20) for at in range(60)]
    for owners in (None, groups):
        together = bootstrap_all(NUMBER_METRICS, truth, said, groups=owners, draws=50)
        for name, metric in NUMBER_METRICS.items():
            assert together[name] == bootstrap(metric, truth, said, groups=owners, draws=50)


@pytest.mark.parametrize("metric", [uar, quadratic_kappa, acc2_non0])
def test_drawn_tables_are_those_of_the_items_drawn(metric: Metric) -> None:
    """The fast way, drawing tables, against the plain one, items picked: the same distribution of the figure."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 4, 80) - (1 if metric is acc2_non0 else 0)
    said = np.clip(truth + random.integers(-1, 2, 80), truth.min(), 3)
    groups = [str(at // 2) for at in range(80)]
    for owners in (None, groups):
        fast = bootstrap(metric, truth, said, groups=owners, draws=4000)
        drawn = picks(80, owners_of(owners, 80), 1500, np.random.default_rng(1))
        low, high = np.percentile([metric(truth[at], said[at]) for at in drawn], [2.5, 97.5])
        # Percentiles of 1,500 draws are good to about a twentieth of the interval, and the figures are grained.
        assert (fast.low, fast.high) == pytest.approx((low, high), abs=0.05 * (high - low) + 0.01)


def test_draws_that_have_no_figure_are_left_out() -> None:
    """Of two items one is 0 and not counted; a quarter of all draws hold nothing else."""
    found = bootstrap(acc2_non0, np.array([0.0, 1.0]), np.array([1.0, 1.0]), draws=100)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
    found = bootstrap(acc2_non0, np.zeros(3), np.ones(3), draws=100)
    assert np.isnan([found.value, found.low, found.high]).all()


def test_intervals_of_kappa_by_call_cover_the_truth_as_often_as_they_say() -> None:
    """Calls of ten segments, whose grade and answer are the call's: κ of the table that they are drawn from.

    Of 100 intervals 95 should hold it, 88 at least (binomial: with a coverage of 0.95 fewer once in 250); those that
    draw segments, ten to a call, are √10 too narrow and hold it 46 times.
    """
    table = np.array([[0.25, 0.1, 0.02], [0.06, 0.2, 0.06], [0.02, 0.09, 0.2]])
    cost = np.subtract.outer(np.arange(3), np.arange(3)) ** 2
    truth = 1 - (cost * table).sum() / (cost * np.outer(table.sum(1), table.sum(0))).sum()
    covered = {"calls": 0, "segments": 0}
    for seed in range(100):
        cells = np.random.default_rng(seed).choice(9, 120, p=table.ravel()).repeat(10)
        for name, groups in (("calls", list(map(str, np.arange(120).repeat(10)))), ("segments", None)):
            found = bootstrap(quadratic_kappa, cells // 3, cells % 3, groups=groups, draws=400)
            covered[name] += found.low <= truth <= found.high
    assert covered["calls"] >= 88
    assert covered["segments"] <= 65


def test_correlation_of_equal_numbers_is_nothing() -> None:
    """0.1 three times has a mean that is not 0.1; what is left must not be taken for variation."""
    assert correlation(np.full(3, 0.1), np.full(3, 0.7)) == 0.0
    assert correlation(np.array([0.1, 0.2, 0.3]), np.full(3, 0.7)) == 0.0
    assert mean_absolute_error(np.full(3, 0.1), np.full(3, 0.7)) == pytest.approx(0.6)


def test_bootstrap_covers_the_truth_as_often_as_it_says() -> None:
    """95 % intervals of an accuracy of 0.7 over 150 calls: 200 samples should cover it 190 times, 180 at least."""
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        right = (random.random(150) < 0.7).astype(np.int64)
        found = bootstrap(accuracy, np.ones(150, np.int64), right, draws=400, seed=1)
        covered += found.low <= 0.7 <= found.high
    assert 180 <= covered <= 200


def test_majority_takes_the_commonest_known_class() -> None:
    assert majority(np.array([0, 1, 1])).tolist() == [1, 1, 1]
    assert majority(np.array([0, 1, 1]), np.array([2, 2])).tolist() == [2, 2, 2]


def test_temperature_undoes_overconfidence() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(size=(4000, 3)) * 1.5
    drawn = np.array([random.choice(3, p=np.exp(row) / np.exp(row).sum()) for row in honest])
    allowed = np.eye(3, dtype=bool)[drawn]
    assert fit_temperature(honest * 2.5, allowed) == pytest.approx(2.5, rel=0.1)
    scaled = honest * 2.5 / fit_temperature(honest * 2.5, allowed)
    assert negative_log_likelihood(scaled, allowed) < negative_log_likelihood(honest * 2.5, allowed)


def test_temperature_of_labels_that_say_nothing_is_one() -> None:
    assert fit_temperature(np.ones((5, 2)), np.ones((5, 2), dtype=bool)) == 1.0


def test_intervals_draw_whole_groups() -> None:
    """Ten copies of each answer are no more evidence than one: the interval stays as wide."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 400)
    said = np.where(random.random(400) < 0.7, truth, 1 - truth)
    alone = bootstrap(accuracy, truth, said)
    copies = bootstrap(
        accuracy, truth.repeat(10), said.repeat(10), groups=[str(at) for at in np.arange(400).repeat(10)]
    )
    careless = bootstrap(accuracy, truth.repeat(10), said.repeat(10))
    assert copies.value == alone.value
    assert copies.high - copies.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert careless.high - careless.low < 0.5 * (alone.high - alone.low)
