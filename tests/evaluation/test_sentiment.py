"""Where the line between negative and positive is drawn; parity with scikit-learn is in test_parity.py."""

from __future__ import annotations

import numpy as np
import pytest

from callsift.evaluation.sentiment import acc2_has0, acc2_non0, acc5, acc7, f1_has0, f1_non0


def test_zero_is_not_negative_with_zeros_and_not_positive_without() -> None:
    """The conventions of MMSA: has0 takes truth and prediction at >= 0; non0 drops true zeros and takes them at > 0."""
    assert acc2_has0(np.array([0.0, 0.0, 1.0, -1.0]), np.array([0.0, -0.1, 0.0, 0.0])) == 0.5
    assert acc2_non0(np.array([0.0, -1.0, 1.0, 2.0]), np.array([9.0, 0.0, 0.0, 1.0])) == pytest.approx(2 / 3)


def test_f1_is_weighted_by_the_truth() -> None:
    """Three negative, one positive, all taken for negative: F1 6/7 and 0; by the predictions it would be 6/7."""
    truth, said = np.array([-1.0, -2.0, -1.0, 1.0]), np.full(4, -1.0)
    assert f1_non0(truth, said) == f1_has0(truth, said) == pytest.approx(3 / 4 * 6 / 7)


def test_truth_and_prediction_are_held_within_the_scale_and_rounded_half_to_even() -> None:
    assert acc7(np.array([3.0, -3.0]), np.array([9.0, -2.6])) == 1.0
    assert acc7(np.array([2.6]), np.array([2.4])) == 0.0
    assert acc5(np.array([2.6]), np.array([1.6])) == 1.0
    assert acc7(np.array([0.5, 1.5, -0.5]), np.array([0.0, 2.0, 0.2])) == 1.0
    assert acc7(np.array([np.inf]), np.array([3.0])) == 1.0


def test_nothing_but_zeros_has_no_figure_without_zeros() -> None:
    zeros, said = np.zeros(3), np.array([1.0, -1.0, 0.0])
    assert np.isnan([acc2_non0(zeros, said), f1_non0(zeros, said)]).all()
    assert acc2_has0(zeros, said) == pytest.approx(2 / 3)
