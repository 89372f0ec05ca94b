"""Paired differences to a baseline, and intervals where a bootstrap has no width."""

from __future__ import annotations

import numpy as np
import pytest

from callsift.evaluation.differences import difference, with_width
from callsift.evaluation.metrics import FEW_GROUPS, Interval, accuracy, drawn_by, uar

TRUTH = np.array([0, 1] * 20)


def test_a_difference_is_of_the_same_items() -> None:
    """Forty items, of which a baseline has half right and the other thirty: both unsure, their difference is not."""
    said = np.where(np.arange(40) < 30, TRUTH, 1 - TRUTH)
    found = difference(TRUTH, said, np.zeros(40, dtype=np.int64))["accuracy"]
    assert found["value"] == pytest.approx(0.25)
    assert found["low"] < 0.25 < found["high"]
    assert difference(TRUTH, TRUTH, TRUTH)["accuracy"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_of_numbers_less_is_better() -> None:
    truth = np.linspace(-1.0, 1.0, 40)
    found = difference(truth, truth, np.zeros(40))["mean_absolute_error"]
    assert found["value"] == pytest.approx(-np.abs(truth).mean())
    assert found["high"] < 0


def test_few_that_differ_are_no_proof() -> None:
    """Five of forty: the sign test has p = 2 / 2^5 = 0.06; six have 0.03."""
    for many, better in ((5, False), (6, True)):
        other = np.where(np.arange(40) < many, 1 - TRUTH, TRUTH)
        assert (difference(TRUTH, TRUTH, other)["accuracy"]["low"] > 0) == better


def test_a_share_of_all_has_an_interval() -> None:
    """Wilson's of 40 of 40 ends at 1 and starts at 40 / (40 + 1.96²); other figures stay as they are."""
    found = with_width(accuracy, Interval(1.0, 1.0, 1.0), TRUTH, TRUTH, None)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(40 / (40 + 1.959964**2), abs=1e-6)
    assert with_width(uar, Interval(1.0, 1.0, 1.0), TRUTH, TRUTH, None) == Interval(1.0, 1.0, 1.0)
    assert with_width(accuracy, Interval(0.9, 0.8, 1.0), TRUTH, TRUTH, None) == Interval(0.9, 0.8, 1.0)


def test_few_groups_are_not_drawn() -> None:
    calls = [f"c{at}" for at in range(24)]
    for groups in (2, FEW_GROUPS - 1, FEW_GROUPS, 12):
        owners = [f"g{at % groups}" for at in range(24)]
        assert drawn_by(owners, calls) == (calls if groups < FEW_GROUPS else owners)
