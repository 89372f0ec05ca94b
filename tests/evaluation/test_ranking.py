"""Gain, lift and their intervals; AUROC and AUPRC are compared with scikit-learn in test_parity.py."""

from __future__ import annotations

import itertools
from math import erf

import numpy as np
import pytest

from callsift.evaluation.ranking import (
    Gain,
    auprc,
    auroc,
    gain_at,
    gain_at_k,
    gain_curve,
    items_of,
    lift_at,
    lift_at_k,
)


def test_one_kind_alone() -> None:
    scores = np.array([0.1, 0.2])
    none, all_of_them = np.zeros(2, dtype=bool), np.ones(2, dtype=bool)
    assert np.isnan([auroc(none, scores), auroc(all_of_them, scores)]).all()
    assert np.isnan([auprc(none, scores), gain_at_k(none, scores, 1), lift_at_k(none, scores, 1)]).all()
    assert (auprc(all_of_them, scores), lift_at_k(all_of_them, scores, 1)) == (1.0, 1.0)
    assert gain_curve(none, scores) is None
    assert gain_curve(all_of_them, scores) is None


def test_a_score_that_is_no_number() -> None:
    positive, scores = np.array([True, False]), np.array([0.5, np.nan])
    assert np.isnan([auroc(positive, scores), auprc(positive, scores), gain_at(positive, scores, 0.5)]).all()
    with pytest.raises(ValueError, match="some that are no number"):
        gain_curve(positive, scores)


def test_equal_scores_are_called_in_every_order() -> None:
    """The gain is the mean over all orders of the calls that the scores leave open."""
    positive = np.array([True, False, False, True, True])
    scores = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    for k in range(1, 6):
        orders = [order for order in itertools.permutations(range(5)) if (np.diff(scores[list(order)]) <= 0).all()]
        mean = np.mean([positive[list(order[:k])].sum() / 3 for order in orders])
        assert len(orders) == 6
        assert gain_at_k(positive, scores, k) == pytest.approx(mean)
        assert lift_at_k(positive, scores, k) == pytest.approx(mean / (k / 5))


def test_the_order_of_the_file_changes_nothing() -> None:
    random = np.random.default_rng(0)
    positive, scores = random.random(50) < 0.3, random.integers(0, 5, 50) / 5
    order = random.permutation(50)
    for figure in (auroc, auprc, lambda p, s: gain_at(p, s, 0.2)):
        assert figure(positive, scores) == pytest.approx(figure(positive[order], scores[order]))


def test_a_share_is_rounded_up_to_whole_calls() -> None:
    assert [items_of(share, 100) for share in (0.001, 0.07, 0.071, 1.0)] == [1, 7, 8, 100]
    positive, scores = np.array([True, False, True]), np.array([3.0, 2.0, 1.0])
    assert gain_at(positive, scores, 0.1) == gain_at_k(positive, scores, 1) == 0.5
    assert lift_at(positive, scores, 0.1) == lift_at_k(positive, scores, 1) == 1.5
    for share in (0.0, 1.1, -0.5):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            gain_at(positive, scores, share)
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"from 1 to the 3 items there are, not {k}"):
            gain_at_k(positive, scores, k)
    with pytest.raises(ValueError, match="not empty"):
        auroc(positive[:0], scores[:0])


def test_the_curve_is_made_of_the_figures() -> None:
    random = np.random.default_rng(1)
    positive = random.random(40) < 0.3
    scores = np.round(random.random(40) + 0.3 * positive, 1)
    found = gain_curve(positive, scores, shares=(0.05, 0.2, 1.0), draws=200)
    assert isinstance(found, Gain)
    assert (found.calls, found.buyers) == (40, positive.sum())
    assert found.auroc.value == pytest.approx(auroc(positive, scores))
    assert found.auprc.value == pytest.approx(auprc(positive, scores))
    assert found.auroc.low < found.auroc.value < found.auroc.high
    for share, point in zip((0.05, 0.2, 1.0), found.points, strict=True):
        assert point.share == share
        assert point.reached == pytest.approx(gain_at(positive, scores, share))
        assert point.lift == pytest.approx(lift_at(positive, scores, share))
        assert point.ideal == pytest.approx(min(1.0, point.calls / positive.sum()))
        assert point.low <= point.reached <= point.high
    assert found.points[-1].reached == found.points[-1].low == 1.0


def test_every_draw_is_the_figure_of_the_calls_drawn() -> None:
    """Weights of calls stand for copies of them: the interval is that of copies made one by one."""
    random = np.random.default_rng(2)
    positive = random.random(30) < 0.4
    scores = np.round(random.random(30), 1)
    groups = [str(at % 9) for at in range(30)]
    members = [[at for at in range(30) if groups[at] == name] for name in sorted(set(groups))]
    counts = np.random.default_rng(0).multinomial(9, np.full(9, 1 / 9), size=300)
    drawn = [[at for row, times in zip(members, each, strict=True) for at in row * times] for each in counts]
    found = gain_curve(positive, scores, groups=groups, shares=(0.2,), draws=300)
    assert found is not None
    for interval, figure in (
        (found.auroc, auroc),
        (found.auprc, auprc),
        (found.points[0], lambda p, s: gain_at(p, s, 0.2)),
    ):
        known = np.percentile([figure(positive[at], scores[at]) for at in drawn], [2.5, 97.5])
        assert (interval.low, interval.high) == pytest.approx(tuple(known))


def test_intervals_of_an_auroc_cover_the_truth_as_often_as_they_say() -> None:
    """Buyers' scores lie one standard deviation higher: AUROC Φ(1/√2). Five calls a customer, all nearly alike.

    Of 60 intervals 57 should hold it, 52 at least (binomial: with a coverage of 0.95 fewer once in 100). Those that
    take five calls of one customer for five customers reach 1.96/√4.6 standard errors and hold it 38 times.
    """
    truth = 0.5 * (1 + erf(0.5))
    covered = {"customers": 0, "calls": 0}
    for seed in range(60):
        random = np.random.default_rng(seed)
        customer = np.repeat(np.arange(100), 5)
        positive = (random.random(100) < 0.5)[customer]
        scores = positive + np.sqrt(0.9) * random.normal(size=100)[customer] + np.sqrt(0.1) * random.normal(size=500)
        for name, groups in (("customers", list(map(str, customer))), ("calls", None)):
            found = gain_curve(positive, scores, groups=groups, shares=(1.0,), draws=150)
            assert found is not None
            covered[name] += found.auroc.low <= truth <= found.auroc.high
    assert covered["customers"] >= 52
    assert covered["calls"] <= 47
