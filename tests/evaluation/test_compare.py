"""Intervals and paired tests over seeds and groups, against scikit-learn, SciPy and hand-counted cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test, rankdata

from callsift.errors import DataError
from callsift.evaluation.compare import (
    clustered,
    clustered_difference,
    exchange_test,
    holm,
    mean_over_seeds,
)
from callsift.evaluation.metrics import (
    Metric,
    accuracy,
    correlation,
    macro_f1,
    mean_absolute_error,
    quadratic_kappa,
    uar,
)
from callsift.evaluation.ranking import auroc
from callsift.evaluation.sentiment import acc2_has0


def test_what_is_undefined_is_refused_and_never_taken_for_significant() -> None:
    truth, one, other = np.ones(6), np.arange(6.0), np.zeros(6)
    groups = list(range(6))
    for compared in (lambda: exchange_test(auroc, truth, [one], [other], groups),
                     lambda: clustered_difference(auroc, truth, [one], [other], groups),
                     lambda: clustered(auroc, truth, [one], groups)):  # fmt: skip
        with pytest.raises(DataError, match="auroc says nothing of these items: all 6 are 1"):
            compared()

    def but_rarely(truth: np.ndarray, said: np.ndarray) -> float:
        """Defined of the answers as they are, and of no exchange of some of them."""
        return float(said.mean()) if said.std() == 0 else float("nan")

    assert exchange_test(but_rarely, truth, [np.ones(6)], [np.zeros(6)], groups).p == 1.0


def test_by_confusion_tables_it_is_the_same_as_item_by_item() -> None:
    """A metric that is not known to follow from the table goes the long way."""
    random = np.random.default_rng(1)
    truth = random.integers(0, 3, 30)
    one = [random.integers(0, 3, 30) for _ in range(2)]
    other = [np.where(random.random(30) < 0.4, truth, each) for each in one]
    groups = [at % 7 for at in range(30)]
    for metric in (macro_f1, quadratic_kappa):

        def slowly(truth: np.ndarray, said: np.ndarray, metric: Metric = metric) -> float:
            return metric(truth, said)

        for fast, slow in (
            (clustered(metric, truth, one, groups, draws=40), clustered(slowly, truth, one, groups, draws=40)),
            (
                clustered_difference(metric, truth, one, other, groups, draws=40),
                clustered_difference(slowly, truth, one, other, groups, draws=40),
            ),
        ):
            assert [fast.value, fast.low, fast.high] == pytest.approx([slow.value, slow.low, slow.high])
        for draws in (40, 128):  # at random, and in all ways
            fast_test, slow_test = (exchange_test(m, truth, one, other, groups, draws=draws) for m in (metric, slowly))
            assert fast_test.difference == pytest.approx(slow_test.difference)
            assert (fast_test.p, fast_test.exact) == (slow_test.p, slow_test.exact)


def test_an_interval_over_groups_is_wider_than_one_over_items_where_groups_agree() -> None:
    truth = np.zeros(100, dtype=np.int64)
    said = np.repeat(np.arange(10) % 2, 10)  # each of ten groups is all right or all wrong
    groups = [f"g{at // 10}" for at in range(100)]
    by_group = clustered(accuracy, truth, [said], groups)
    by_item = clustered(accuracy, truth, [said], list(range(100)))
    assert by_group.value == by_item.value == 0.5
    # Binomial: 0.5 ± 1.96·√(0.25/10) and ± 1.96·√(0.25/100), to the coarseness of tenths and of the draws.
    assert by_group.low == pytest.approx(0.19, abs=0.11)
    assert by_item.low == pytest.approx(0.402, abs=0.03)


def test_seeds_that_differ_widen_the_interval() -> None:
    truth = np.ones(200, dtype=np.int64)
    alike = [np.r_[np.ones(100), np.zeros(100)].astype(np.int64)] * 4
    apart = [np.full(200, value, dtype=np.int64) for value in (1, 1, 0, 0)]
    names = list(range(200))
    narrow, wide = (clustered(accuracy, truth, each, names) for each in (alike, apart))
    assert narrow.value == wide.value == 0.5
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_draws_without_a_figure_are_left_out() -> None:
    """Two of four draws of two groups hold one kind alone, where the AUROC is undefined."""
    found = clustered(auroc, np.array([True, False]), [np.array([1.0, 0.0])], ["a", "b"])
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_the_difference_of_a_row_to_itself_is_nothing() -> None:
    random = np.random.default_rng(1)
    truth, said = random.integers(0, 3, 50), [random.integers(0, 3, 50) for _ in range(2)]
    found = clustered_difference(macro_f1, truth, said, said, [at % 7 for at in range(50)])
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_the_exact_test_of_an_accuracy_is_the_sign_flip_test_of_scipy() -> None:
    random = np.random.default_rng(2)
    truth = random.integers(0, 2, 12)
    one = [random.integers(0, 2, 12) for _ in range(3)]
    other = [random.integers(0, 2, 12) for _ in range(3)]
    found = exchange_test(accuracy, truth, one, other, list(range(12)))
    differences = np.mean([(a == truth).astype(float) - (b == truth) for a, b in zip(one, other, strict=True)], axis=0)
    known = permutation_test(
        (differences, np.zeros(12)), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    assert found.exact
    assert found.units == 12
    assert found.difference == pytest.approx(differences.mean())
    assert found.p == pytest.approx(known.pvalue)


@pytest.mark.parametrize("metric", [macro_f1, quadratic_kappa, uar, mean_absolute_error, correlation, acc2_has0, auroc])
def test_the_exact_test_of_any_metric_is_the_paired_one_of_scipy(metric: Metric) -> None:
    """All 2⁸ exchanges of two rows' answers; SciPy takes twice the smaller tail, which for exchanges is the same."""
    for seed in range(3):
        random = np.random.default_rng(seed)
        truth = np.array([0, 1, 2, 0, 1, 0, 1, 1]) if metric is not auroc else np.array([0, 1] * 4)
        one, other = random.integers(0, 4, (2, 8)).astype(np.int64)
        found = exchange_test(metric, truth, [one], [other], list(range(8)))

        def difference(mine: np.ndarray, theirs: np.ndarray, truth: np.ndarray = truth) -> float:
            return metric(truth, mine) - metric(truth, theirs)

        known = permutation_test(
            (one, other), difference, permutation_type="samples", n_resamples=np.inf, vectorized=False
        )
        assert found.exact
        assert found.difference == pytest.approx(known.statistic)
        assert found.p == pytest.approx(known.pvalue)


def test_any_metric_is_tested_by_exchanging_answers() -> None:
    """All 2⁴ exchanges of two rows' answers, counted by hand."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 3, 12)
    one, other = random.integers(0, 3, (2, 12))
    units = np.repeat(np.arange(4), 3)
    seen = macro_f1(truth, one) - macro_f1(truth, other)
    every = []
    for swap in itertools.product((False, True), repeat=4):
        mask = np.array(swap)[units]
        every.append(macro_f1(truth, np.where(mask, other, one)) - macro_f1(truth, np.where(mask, one, other)))
    found = exchange_test(macro_f1, truth, [one], [other], list(units))
    assert found.exact
    assert found.p == np.mean(np.abs(every) >= abs(seen) - 1e-12)


def test_many_units_are_drawn_from_and_the_seen_order_counts_among_them() -> None:
    truth = np.zeros(40, dtype=np.int64)
    right, wrong = np.zeros(40, dtype=np.int64), np.ones(40, dtype=np.int64)
    found = exchange_test(accuracy, truth, [right], [wrong], list(range(40)), draws=200)
    assert not found.exact
    assert found.p == 1 / 201
    assert found == exchange_test(accuracy, truth, [right], [wrong], list(range(40)), draws=200)


def test_under_no_difference_the_p_values_are_even() -> None:
    """Of 100 tests of rows that differ by chance, about a third is below 1/3 (binomial: 33 ± 4.7)."""
    random = np.random.default_rng(4)
    low = 0
    for _ in range(100):
        truth = random.normal(size=30)
        one, other = truth + random.normal(size=(2, 30))
        low += exchange_test(mean_absolute_error, truth, [one], [other], list(range(30)), draws=29).p <= 1 / 3
    assert 19 <= low <= 47


def test_unequal_seeds_are_refused() -> None:
    truth = np.zeros(2, dtype=np.int64)
    with pytest.raises(ValueError, match="2 and 1 seeds"):
        exchange_test(accuracy, truth, [truth, truth], [truth], [0, 1])


def test_holm_is_the_step_down_of_bonferroni() -> None:
    """The example of Holm 1979's procedure as R's p.adjust computes it."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
    random = np.random.default_rng(5).random(9)
    assert list(rankdata(holm(list(random)), "min") <= rankdata(random)) == [True] * 9  # the order stays


def test_the_mean_is_over_seeds() -> None:
    truth = np.array([1, 1])
    assert mean_over_seeds(accuracy, truth, [np.array([1, 1]), np.array([1, 0])]) == 0.75
