"""Thresholds keep what they promise, on calls whose true probability of a buyer is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from callsift.errors import DataError, UsageError
from callsift.evaluation.thresholds import Graded, at_least, for_capacity, for_precision, wilson


def _drawn(seed: int, calls: int = 400, groups: int | None = None) -> Graded:
    """Calls with a score s, uniform in [0, 1], that are buyers with probability s²."""
    random = np.random.default_rng(seed)
    scores = random.random(calls)
    owners = tuple(str(at if groups is None else at % groups) for at in range(calls))
    return Graded(scores, random.random(calls) < scores**2, owners)


def _single(calls: int) -> tuple[str, ...]:
    return tuple(map(str, range(calls)))


def _true_precision(threshold: float) -> float:
    """E[s² | s ≥ t] for uniform s."""
    return (1 - threshold**3) / (3 * (1 - threshold))


def test_the_promised_precision_is_kept_in_19_of_20_data_sets() -> None:
    wish, found = 0.7, []
    for seed in range(200):
        try:
            found.append(_true_precision(for_precision(_drawn(seed), wish).threshold))
        except UsageError:
            found.append(1.0)  # nothing named, nothing broken
    broken = np.mean(np.array(found) < wish)
    assert broken <= 0.05
    assert np.mean(np.array(found) < 1.0) > 0.8, "it must not buy its honesty with silence"


def test_the_promise_is_kept_where_buyers_are_rare_and_the_wish_is_low() -> None:
    """Scores that say nothing, 8 % buyers: whatever is named for a wish above 8 % is a broken promise."""
    random = np.random.default_rng(1)
    named = 0
    for _ in range(300):
        buyers = random.random(300) < 0.08
        graded = Graded(random.random(300), np.where(buyers.sum() < 10, np.arange(300) < 10, buyers), _single(300))
        try:
            for_precision(graded, 0.08 + 1e-6)
        except UsageError:
            continue
        named += 1
    assert named / 300 <= 0.05


@pytest.mark.parametrize(("right", "of", "risk"), [(1, 1, 0.05), (8, 10, 0.025), (24, 300, 0.00625), (300, 300, 0.01)])
def test_the_exact_bound_is_scipys(right: int, of: int, risk: float) -> None:
    assert at_least(right, of, risk) == pytest.approx(
        binomtest(right, of, alternative="greater").proportion_ci(1 - risk, "exact").low
    )
    assert at_least(0, of, risk) == 0.0


def test_a_customer_with_many_calls_is_one_piece_of_evidence() -> None:
    """40 customers with ten calls each that all buy or all don't assure no more than 40 calls would."""
    customer = np.repeat(np.arange(40), 10)
    graded = Graded(0.5 + customer / 100, (customer >= 20), tuple(map(str, customer)))
    assured = for_precision(graded, 0.6).assured
    assert assured is not None
    assert assured <= at_least(20, 20, 0.05 / 8)
    alone = for_precision(Graded(graded.scores, graded.buyers, _single(400)), 0.6).assured
    assert alone is not None
    assert alone > 0.85


def test_what_is_told_of_a_threshold_is_counted() -> None:
    graded = _drawn(1)
    found = for_precision(graded, 0.6)
    above = graded.scores >= found.threshold
    assert found.above == above.sum()
    assert found.precision.value == pytest.approx(graded.buyers[above].mean())
    assert found.recall.value == pytest.approx(graded.buyers[above].sum() / graded.buyers.sum())
    assert found.share.value == pytest.approx(above.mean())
    assert found.assured is not None
    assert 0.6 <= found.assured < found.precision.value
    assert found.precision.low < found.precision.value < found.precision.high


def test_a_lower_wish_calls_more_people() -> None:
    graded = _drawn(2, calls=2000)
    assert for_precision(graded, 0.5).threshold < for_precision(graded, 0.8).threshold


def test_groups_that_are_alike_widen_the_interval() -> None:
    """Ten customers with forty calls each that all buy or all don't are ten pieces of evidence."""
    scores = np.linspace(0.0, 1.0, 400)
    buyers = (np.arange(400) % 10) < 6
    owners = tuple(str(at % 10) for at in range(400))
    single = tuple(map(str, range(400)))
    alone, together = (for_capacity(Graded(scores, buyers, each), 1, 2).precision for each in (single, owners))
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_capacity_takes_its_share_and_its_precision_is_covered() -> None:
    covered = 0
    for seed in range(20):
        graded = _drawn(seed)
        found = for_capacity(graded, 50, 500)
        assert found.above == 40
        assert found.share.value == pytest.approx(0.1)
        covered += found.precision.low <= _true_precision(0.9) <= found.precision.high
    assert covered >= 17  # 95 % of 20, less two standard deviations


def test_ties_are_all_above() -> None:
    scores = np.repeat([0.2, 0.5, 0.9], 20)
    graded = Graded(scores, np.tile([True, False], 30), tuple(map(str, range(60))))
    assert for_capacity(graded, 1, 4).above == 20
    assert for_capacity(graded, 1, 2).above == 40


def test_a_threshold_written_with_six_decimals_still_holds_its_calls() -> None:
    scores = np.concatenate([np.linspace(0, 0.5, 40), np.full(20, 2 / 3)])
    graded = Graded(scores, scores > 0.4, tuple(map(str, range(60))))
    found = for_capacity(graded, 1, 3)
    assert found.threshold == 0.666666
    assert found.above == 20
    assert round(2 / 3, 6) >= found.threshold


def test_few_buyers_and_wishes_out_of_reach_are_refused_in_words() -> None:
    with pytest.raises(DataError, match="3 of 50 graded calls are of a positive grade"):
        Graded(np.zeros(50), np.arange(50) < 3, ("a",) * 50)
    with pytest.raises(DataError, match="no finite number"):
        Graded(np.full(50, np.nan), np.arange(50) < 20, ("a",) * 50)
    with pytest.raises(UsageError, match="no threshold has a precision of 0.9 for certain"):
        for_precision(Graded(np.random.default_rng(0).random(200), np.arange(200) < 40, ("a",) * 200), 0.9)
    with pytest.raises(UsageError, match="40 graded calls can't assure a precision of 0.99"):
        for_precision(_drawn(3, calls=40), 0.99)
    with pytest.raises(UsageError, match="must lie between 0 and 1"):
        for_precision(_drawn(3), 60)
    with pytest.raises(UsageError, match="at least 1000 graded calls are needed"):
        for_capacity(_drawn(3), 10, 2000)
    with pytest.raises(UsageError, match="no more than --calls-per-day 10"):
        for_capacity(_drawn(3), 20, 10)


@given(st.integers(1, 400), st.data())
def test_wilson_holds_the_share_and_grows_with_confidence(of: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, of))
    low, high = wilson(right, of)
    wider = wilson(right, of, 0.01)
    ends = (0.0, wider[0], low, right / of, high, wider[1], 1.0)
    assert all(one <= other + 1e-12 for one, other in pairwise(ends))
