"""Calibration finds what was done to probabilities that were right, and keeps still where there is little to learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from callsift.decision import Calibration, VectorScaling, decide, softmax, task_probabilities
from callsift.evaluation.calibration import (
    allowed_classes,
    fit_calibration,
    fit_temperature,
    fit_vector,
    negative_log_likelihood,
)
from callsift.labels import LabelScheme, load_scheme
from callsift.types import Label

SCHEME = load_scheme("marketcalls")
ABC = LabelScheme(id="abc", grades=("A", "B", "C"), tasks={"grade": {g: (g,) for g in "ABC"}}, positive=("A",))


def _calls(count: int, seed: int = 0) -> tuple[np.ndarray, list[Label], np.ndarray]:
    """Logits whose softmax is the true probability of each grade, labels drawn by it, and the labels as allowed."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, 3)) * 2
    drawn = (softmax(logits).cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    labels: list[Label] = ["ABC"[at] for at in drawn]
    return logits, labels, allowed_classes(ABC, labels)["grade"]


def test_the_temperature_that_was_applied_is_found() -> None:
    logits, _, allowed = _calls(4000)
    assert fit_temperature(logits * 2.5, allowed) == pytest.approx(2.5, rel=0.08)


def test_the_scales_and_biases_that_were_applied_are_undone() -> None:
    logits, _, allowed = _calls(6000)
    scale, bias = np.array([0.7, 1.0, 1.4]), np.array([0.8, 0.0, -0.8])
    found = fit_vector((logits - bias) / scale, allowed)
    assert found.scale == pytest.approx(scale, abs=0.12)
    assert np.array(found.bias) - np.mean(found.bias) == pytest.approx(bias, abs=0.12)


@pytest.mark.parametrize("open_labels", [False, True])
def test_the_vector_is_the_best_by_a_general_optimiser(open_labels: bool) -> None:
    """Against SciPy's BFGS on the same objective: likelihood and a prior of precision 4 on (scale − 1, bias)."""
    logits, _, allowed = _calls(60, seed=3)
    logits = logits * [2.0, 1.0, 0.5] + [0.5, 0.0, -0.5]
    if open_labels:
        allowed = allowed.copy()
        allowed[::4, :2] |= allowed[::4, :2].any(axis=1, keepdims=True)

    def objective(at: np.ndarray) -> float:
        likelihood = len(logits) * negative_log_likelihood(logits * at[:3] + at[3:], allowed)
        return likelihood + 2.0 * float(((at[:3] - 1) ** 2).sum() + (at[3:] ** 2).sum())

    found = fit_vector(logits, allowed)
    best = minimize(objective, [1, 1, 1, 0, 0, 0], method="BFGS")
    assert objective(np.array([*found.scale, *found.bias])) <= best.fun + 1e-6
    assert [*found.scale, *found.bias] == pytest.approx(best.x, abs=1e-3)


def test_few_calls_move_the_vector_little_and_none_not_at_all() -> None:
    logits, _, allowed = _calls(6, seed=1)
    few = fit_vector(logits, allowed)
    assert np.abs(few.bias).max() < 0.5
    assert fit_vector(logits[:0], allowed[:0]) == VectorScaling((1.0,) * 3, (0.0,) * 3)
    everything = np.ones_like(allowed)
    assert fit_vector(logits, everything) == VectorScaling((1.0,) * 3, (0.0,) * 3)


def test_on_new_calls_the_vector_is_better_where_classes_were_moved_and_no_worse_where_not() -> None:
    bias = np.array([1.0, 0.0, -1.0])
    for moved, gains in ((bias, True), (0 * bias, False)):
        differences = []
        for seed in range(10):
            logits, _, allowed = _calls(300, seed)
            fresh, _, truth = _calls(2000, 100 + seed)
            heat = fit_temperature(logits + moved, allowed)
            found = fit_vector((logits + moved) / heat, allowed)
            tempered = (fresh + moved) / heat
            vector = tempered * np.array(found.scale) + np.array(found.bias)
            differences.append(negative_log_likelihood(tempered, truth) - negative_log_likelihood(vector, truth))
        if gains:
            assert np.mean(differences) > 0.05
        else:
            assert np.mean(differences) > -0.01


def test_what_the_setting_says_is_fitted_and_the_vector_stands_on_the_temperature() -> None:
    logits, labels, _ = _calls(200)
    given = {"grade": logits * 3}
    none, heat, vector = (fit_calibration(kind, ABC, given, labels) for kind in ("none", "temperature", "vector"))
    assert dict(none.temperature) == {"grade": 1.0}
    assert not none.vector
    assert not heat.vector
    assert vector.temperature == heat.temperature
    losses = [
        -np.log([p[at] for p, at in zip(task_probabilities(given, ABC, c)["grade"], _numbers(labels), strict=True)])
        for c in (none, heat, vector)
    ]
    assert losses[0].mean() > losses[1].mean() > losses[2].mean()  # in sample: each may do what the one before could


def _numbers(labels: list[Label]) -> list[int]:
    return ["ABC".index(str(label)) for label in labels]


def test_a_number_has_nothing_to_calibrate() -> None:
    number = LabelScheme(id="stars", kind="number", range=(0.0, 5.0))
    assert fit_calibration("vector", number, {"value": np.zeros((3, 1))}, [1.0, 2.0, 3.0]) == Calibration()


def test_unlabelled_items_change_nothing_and_the_answer_stays_coherent() -> None:
    random = np.random.default_rng(5)
    logits = {task: random.normal(size=(60, k)) for task, k in SCHEME.class_counts.items()}
    labels: list[Label | None] = [None if at % 5 == 4 else SCHEME.grades[at % 5] for at in range(60)]
    found = fit_calibration("vector", SCHEME, logits, labels)
    rows = [at for at, label in enumerate(labels) if label is not None]
    some = fit_calibration("vector", SCHEME, {t: v[rows] for t, v in logits.items()}, [labels[at] for at in rows])
    assert found == some
    verdict = decide(logits, SCHEME, found)[0]
    assert sum(verdict.probabilities["five"].values()) == pytest.approx(1.0)
    assert verdict.propensity == pytest.approx(verdict.probabilities["two"]["ABC"])
