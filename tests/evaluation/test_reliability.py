"""Calibration error, Brier score, likelihood: against scikit-learn, and on answers whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from callsift.decision import Calibration, Verdict, decide, softmax
from callsift.evaluation.reliability import (
    before_and_after,
    brier,
    buyer_of,
    calibration_error,
    cross_fitted,
    curve_of,
    figures_of_answers,
    mass_bins,
    reliability_line,
    reliability_of,
    width_bins,
)
from callsift.evaluation.thresholds import wilson
from callsift.labels import load_scheme
from callsift.types import Label

SCHEME = load_scheme("marketcalls")


def _answers(count: int, sharper: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, `sharper` than the ones by which the truth was drawn."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, 4)) * 1.5
    truth = (softmax(logits).cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    return softmax(logits * sharper), truth


def test_brier_and_likelihood_are_scikit_learns() -> None:
    probabilities, truth = _answers(200)
    found = figures_of_answers(probabilities, truth, draws=10)
    assert found["nll"]["value"] == pytest.approx(log_loss(truth, probabilities))
    ours = sum(brier_score_loss(truth == k, probabilities[:, k]) for k in range(4))
    assert found["brier"]["value"] == pytest.approx(ours)
    binary = figures_of_answers(probabilities, truth, event=2, draws=10)
    assert binary["brier"]["value"] == pytest.approx(brier_score_loss(truth == 2, probabilities[:, 2]))


@pytest.mark.parametrize(("strategy", "bins"), [("uniform", width_bins), ("quantile", mass_bins)])
def test_calibration_error_is_that_of_scikit_learns_bins(strategy: str, bins: object) -> None:
    probabilities, truth = _answers(500)
    sure, right = probabilities[:, 0], (truth == 0).astype(float)
    real, said = calibration_curve(right, sure, n_bins=10, strategy=strategy)
    members = bins(sure)  # type: ignore[operator]
    counts = np.bincount(members)
    expected = float((np.abs(real - said) * counts[counts > 0]).sum() / 500)
    assert calibration_error(sure, right, members) == pytest.approx(expected, abs=2e-3)  # quantiles are interpolated


def test_bins_of_equal_mass_hold_as_many_and_ties_share_one() -> None:
    assert set(np.bincount(mass_bins(np.random.default_rng(0).random(200)))) == {20}
    assert len(set(mass_bins(np.full(50, 0.3)))) == 1
    assert width_bins(np.array([0.0, 0.05, 0.999, 1.0])).tolist() == [0, 0, 9, 9]


def test_an_honest_model_shows_what_chance_would_and_an_overconfident_one_more() -> None:
    honest = figures_of_answers(*_answers(2000))
    boastful = figures_of_answers(*_answers(2000, sharper=3.0))
    assert honest["ece_mass"]["value"] < 2 * honest["ece_mass_chance"]
    assert boastful["ece_mass"]["value"] > 5 * boastful["ece_mass_chance"]
    for found in (honest, boastful):
        for key in ("ece_mass", "ece_width", "brier", "nll"):
            assert found[key]["low"] <= found[key]["high"]
            assert found[key]["value"] >= 0.0


def test_the_interval_of_a_calibration_error_holds_its_value_and_can_reach_zero() -> None:
    """Perfectly calibrated answers have a calibration error of 0, which percentiles of draws never reach."""
    found = [figures_of_answers(*_answers(80, seed=seed), draws=200)["ece_mass"] for seed in range(40)]
    assert all(0.0 <= each["low"] <= each["value"] <= each["high"] for each in found)
    assert sum(each["low"] == 0.0 for each in found) >= 10


def test_intervals_draw_whole_calls() -> None:
    probabilities, truth = _answers(50)
    ten = [str(at) for at in range(50) for _ in range(10)]
    wide = figures_of_answers(np.repeat(probabilities, 10, axis=0), np.repeat(truth, 10), groups=ten)["brier"]
    narrow = figures_of_answers(np.repeat(probabilities, 10, axis=0), np.repeat(truth, 10))["brier"]
    alone = figures_of_answers(probabilities, truth)["brier"]
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])
    assert wide["high"] - wide["low"] == pytest.approx(alone["high"] - alone["low"], rel=0.1)


def test_of_equal_answers_the_first_is_given_as_decisions_give_it() -> None:
    """Sums of the same shares in another order differ in their last digits."""
    found = figures_of_answers(np.array([[0.4, 0.4 + 1e-14, 0.2]]), np.array([0]), draws=10)
    assert found["ece_mass"]["value"] == pytest.approx(0.6)


def test_brier_of_certainty() -> None:
    certain = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert brier(certain, np.array([0, 1])).tolist() == [0.0, 2.0]


@pytest.mark.parametrize(("label", "expected"), [("A", True), ("E", False), (("A", "B"), True), (("C", "D"), None)])
def test_who_is_a_buyer(label: Label, expected: bool | None) -> None:
    assert buyer_of(SCHEME, label) is expected


def _logits(count: int, seed: int) -> tuple[dict[str, np.ndarray], list[Label]]:
    """Overconfident logits of every task, of calls whose grades are drawn by a third of them."""
    random = np.random.default_rng(seed)
    finest = random.normal(size=(count, 5))
    drawn = (softmax(finest).cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    shares = softmax(finest)
    logits = {task: 3 * np.log(shares @ SCHEME.membership(task).T.astype(float)) for task in SCHEME.tasks}
    return logits, [SCHEME.grades[at] for at in drawn]


def test_calibration_is_told_before_and_after_and_cross_fitting_never_judges_what_it_fitted() -> None:
    logits, labels = _logits(300, 0)
    calls = [str(at) for at in range(300)]
    verdicts = cross_fitted("temperature", SCHEME, logits, labels, calls, seed=1)
    assert verdicts is not None
    found = before_and_after(SCHEME, logits, labels, Calibration(dict.fromkeys(SCHEME.tasks, 3.0)), calls)
    crossed = reliability_of(SCHEME, labels, verdicts, groups=calls)
    for task in ("five", "propensity"):
        assert found["after"][task]["nll"]["value"] < found["before"][task]["nll"]["value"]
        assert crossed[task]["nll"]["value"] == pytest.approx(found["after"][task]["nll"]["value"], abs=0.03)
    assert "five (300): ECE 0." in reliability_line(found, "five")
    # A call's own label is no part of what it is judged by.
    changed = ["E" if labels[0] == "A" else "A", *labels[1:]]
    again = cross_fitted("temperature", SCHEME, logits, changed, calls, seed=1)
    assert again is not None
    assert again[0] == verdicts[0]


def test_too_few_calls_are_not_halved_and_open_labels_are_left_out() -> None:
    logits, labels = _logits(3, 0)
    assert cross_fitted("vector", SCHEME, logits, labels, ["a", "b", "c"], seed=1) is None
    verdicts = decide(logits, SCHEME, Calibration())
    found = reliability_of(SCHEME, [("A", "B"), ("A", "E"), "C"], verdicts)
    assert found["five"]["calls"] == 1
    assert found["propensity"]["calls"] == 2


def test_the_curve_of_equal_bins() -> None:
    """Thirty answers in three bins of ten, each with Wilson's interval."""
    sure = np.repeat([0.2, 0.5, 0.9], 10)
    right = np.array([1.0] * 2 + [0.0] * 8 + [1.0] * 5 + [0.0] * 5 + [1.0] * 10)
    low, middle, high = curve_of(sure, right, list(map(str, range(30))))
    assert (low["low"], low["high"], low["count"], low["right"]) == (0.2, 0.2, 10, 0.2)
    assert [middle["right_low"], middle["right_high"]] == pytest.approx(list(wilson(5, 10)))
    assert (high["sure"], high["right"], high["right_high"]) == (pytest.approx(0.9), 1.0, 1.0)
    together = curve_of(sure, right, ["one"] * 30)
    assert together[1]["right_high"] - together[1]["right_low"] > middle["right_high"] - middle["right_low"]


def test_curves_come_with_the_figures_when_asked_for() -> None:
    scheme = load_scheme("donation")
    shares = [{"donated": {"yes": p, "no": 1 - p}} for p in (0.9, 0.8, 0.3, 0.1)]
    verdicts = [Verdict(None, each["donated"]["yes"], None, each, each) for each in shares]
    labels = ["yes", "no", "no", "no"]
    assert "bins" not in reliability_of(scheme, labels, verdicts)["propensity"]
    found = reliability_of(scheme, labels, verdicts, curves=True)
    assert sum(each["count"] for each in found["propensity"]["bins"]) == 4
    assert [each["right"] for each in found["propensity"]["bins"]] == [0.0, 0.0, 1.0]
    assert all(each["low"] >= 0.5 for each in found["donated"]["bins"])


def test_an_honest_model_of_groups_that_are_alike_shows_more_by_chance() -> None:
    """Forty customers of eight calls each, all bought or none: no more evidence than forty calls."""
    sure = np.repeat(np.random.default_rng(0).random(40), 8)
    answers, truth = np.stack([1 - sure, sure], axis=1), (sure > 0.5).astype(np.int64)
    customers = [str(at // 8) for at in range(320)]
    alone = figures_of_answers(answers[::8], truth[::8], event=1, draws=10)["ece_mass_chance"]
    found = figures_of_answers(answers, truth, event=1, draws=10, groups=customers)["ece_mass_chance"]
    one_by_one = figures_of_answers(answers, truth, event=1, draws=10)["ece_mass_chance"]
    assert found > 2 * one_by_one
    assert found == pytest.approx(alone, rel=0.15)


def test_a_calibration_error_is_never_above_one() -> None:
    """Wherever it is high and draws are lower, the basic interval reaches as far above."""
    answers = np.full((4, 2), [0.01, 0.99]) + np.arange(4)[:, None] * 1e-4 * np.array([[1, -1]])
    found = figures_of_answers(answers, np.array([0, 0, 0, 1]))
    assert found["ece_mass"]["high"] == 1.0
    assert found["ece_mass"]["value"] < 1.0
