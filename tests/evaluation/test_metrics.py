"""Metrics agree with scikit-learn; intervals and calibration do what they say."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from callsift.evaluation.calibration import fit_temperature, negative_log_likelihood
from callsift.evaluation.metrics import (
    METRICS,
    accuracy,
    bootstrap,
    correlation,
    macro_f1,
    majority,
    mean_absolute_error,
    weighted_f1,
)
from callsift.evaluation.tasks import figures_by_task, table_of
from callsift.labels import load_scheme

CLASSES = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 4), min_size=n, max_size=n) for _ in range(2)))
)


@settings(max_examples=200, deadline=None)
@given(CLASSES)
def test_as_scikit_learn(pair: tuple[list[int], list[int]]) -> None:
    truth, predicted = np.array(pair[0]), np.array(pair[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert accuracy(truth, predicted) == pytest.approx(accuracy_score(truth, predicted))
        assert macro_f1(truth, predicted) == pytest.approx(f1_score(truth, predicted, average="macro"))
        assert weighted_f1(truth, predicted) == pytest.approx(f1_score(truth, predicted, average="weighted"))


def test_wrong_input_is_refused() -> None:
    for truth, predicted in ((np.array([], int), np.array([], int)), (np.array([1]), np.array([1, 2]))):
        with pytest.raises(ValueError, match="must be"):
            accuracy(truth, predicted)


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


def test_figures_count_only_what_a_label_settles() -> None:
    scheme = load_scheme("marketcalls")
    even = {task: dict.fromkeys(classes, 1 / len(classes)) for task, classes in scheme.tasks.items()}
    sure = {task: {name: float("A" in members) for name, members in c.items()} for task, c in scheme.tasks.items()}
    found = figures_by_task(scheme, ["A", ("A", "B", "C"), ("D", "E")], [sure, sure, even], draws=50)
    # "A" alone settles task five, "A" and "D or E" the next two: of one class only, five says nothing.
    assert [found[task]["calls"] for task in scheme.tasks] == [0, 2, 2, 3]
    assert found["two"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["two"]["majority"]["accuracy"]["value"] == pytest.approx(2 / 3)
    mostly_de = {"A": 0.1, "B": 0.1, "C": 0.1, "D": 0.3, "E": 0.4}
    found = figures_by_task(scheme, ["A", "A", "E"], [sure, sure, even], train_balance=mostly_de, draws=50)
    assert found["two"]["majority"]["accuracy"]["value"] == pytest.approx(1 / 3)
    head, rows = table_of(found)
    assert head[:3] == ("task", "calls", "accuracy")
    assert [row[0] for row in rows] == list(scheme.tasks)
    assert set(METRICS) <= set(found["two"])


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


def test_metrics_of_numbers_agree_with_scipy_and_scikit_learn() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    truth, said = random.standard_normal(50), random.standard_normal(50)
    assert correlation(truth, said) == pytest.approx(scipy_stats.pearsonr(truth, said).statistic)
    assert mean_absolute_error(truth, said) == pytest.approx(sklearn_metrics.mean_absolute_error(truth, said))
    assert correlation(truth, np.ones(50)) == 0.0
    with pytest.raises(ValueError, match="not empty"):
        mean_absolute_error(truth[:0], said[:0])
