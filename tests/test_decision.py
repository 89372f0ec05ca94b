"""The decision: calibrated, corrected, coherent."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from callsift.bundle import find_bundle, load_bundle, write_bundle
from callsift.decision import (
    Calibration,
    VectorScaling,
    combine,
    decide,
    softmax,
    task_probabilities,
    vector_from,
    vector_rows,
)
from callsift.errors import BundleError
from callsift.files import read_json, write_json
from callsift.labels import load_scheme

SCHEME = load_scheme("marketcalls")
LOGITS = st.tuples(*(arrays(np.float64, (1, k), elements=st.floats(-8, 8)) for k in SCHEME.class_counts.values()))


def _named(values: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    return dict(zip(SCHEME.tasks, values, strict=True))


@given(LOGITS)
def test_every_task_is_a_sum_of_the_grades(values: tuple[np.ndarray, ...]) -> None:
    verdict = decide(_named(values), SCHEME, Calibration())[0]
    grades = verdict.probabilities["five"]
    assert sum(grades.values()) == pytest.approx(1.0)
    for task, classes in SCHEME.tasks.items():
        for name, members in classes.items():
            assert verdict.probabilities[task][name] == pytest.approx(sum(grades[g] for g in members), abs=1e-9)
    assert verdict.propensity == pytest.approx(verdict.probabilities["two"]["ABC"], abs=1e-9)
    assert verdict.grade == max(grades, key=lambda grade: grades[grade])


@given(arrays(np.float64, (3, 5), elements=st.floats(-6, 6)))
def test_tasks_that_agree_are_left_as_they_are(logits: np.ndarray) -> None:
    five = softmax(logits)
    agreeing = {task: five @ SCHEME.membership(task).T.astype(float) for task in SCHEME.tasks}
    assert combine(agreeing, SCHEME) == pytest.approx(five, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(LOGITS)
def test_the_combination_is_the_best_fit(values: tuple[np.ndarray, ...]) -> None:
    """Against a general-purpose optimiser on the same objective."""
    answers = task_probabilities(_named(values), SCHEME, Calibration())

    def loss(scores: np.ndarray) -> float:
        q = softmax(scores)
        return -sum(
            float(answers[task][0] @ np.log(np.maximum(SCHEME.membership(task) @ q, 1e-300))) for task in SCHEME.tasks
        )

    found = combine(answers, SCHEME)[0]
    reference = min((minimize(loss, np.zeros(5), method="BFGS").fun, minimize(loss, np.log(found + 1e-9)).fun))
    assert loss(np.log(found)) <= reference + 1e-4


def test_one_call_or_many_give_the_same() -> None:
    random = np.random.default_rng(0)
    logits = {task: random.normal(size=(40, k)) * 3 for task, k in SCHEME.class_counts.items()}
    together = decide(logits, SCHEME, Calibration())
    for row in range(40):
        alone = decide({task: values[row : row + 1] for task, values in logits.items()}, SCHEME, Calibration())[0]
        assert alone.propensity == pytest.approx(together[row].propensity, abs=1e-7)


def test_temperature_softens_and_keeps_the_order() -> None:
    logits = {task: np.array([[3.0, *[0.0] * (k - 1)]]) for task, k in SCHEME.class_counts.items()}
    sharp = decide(logits, SCHEME, Calibration())[0]
    soft = decide(logits, SCHEME, Calibration(temperature=dict.fromkeys(SCHEME.tasks, 3.0)))[0]
    assert sharp.grade == soft.grade == "A"
    assert soft.probabilities["five"]["A"] < sharp.probabilities["five"]["A"]


def test_the_vector_stands_on_the_temperature_and_before_the_balance() -> None:
    random = np.random.default_rng(0)
    logits = {task: random.normal(size=(3, k)) for task, k in SCHEME.class_counts.items()}
    scale, bias = (0.5, 1.0, 1.5, 2.0, 1.0), (0.3, 0.0, -0.3, 0.1, 0.0)
    calibration = Calibration({"five": 2.0}, vector={"five": VectorScaling(scale, bias)})
    found = task_probabilities(logits, SCHEME, calibration)
    assert found["five"] == pytest.approx(softmax(logits["five"] / 2.0 * scale + bias))
    assert found["two"] == pytest.approx(softmax(logits["two"]))
    even = dict.fromkeys(SCHEME.grades, 0.2)
    target = {"A": 0.05, "B": 0.1, "C": 0.15, "D": 0.3, "E": 0.4}
    corrected = task_probabilities(logits, SCHEME, replace(calibration, train_balance=even, target_balance=target))
    expected = found["five"] * list(target.values())
    assert corrected["five"] == pytest.approx(expected / expected.sum(axis=1, keepdims=True))


def test_a_vector_is_kept_and_read_back_or_refused() -> None:
    vector = {"two": VectorScaling((1.0, 0.9), (0.1, -0.1))}
    assert vector_from(vector_rows(Calibration(vector=vector)), SCHEME) == vector
    assert vector_from(None, SCHEME) == {}
    for wrong in ({"two": {"scale": [1.0], "bias": [0.0]}}, {"six": {"scale": [1.0], "bias": [0.0]}},
                  {"two": {"scale": [1.0, float("nan")], "bias": [0.0, 0.0]}}):  # fmt: skip
        with pytest.raises(ValueError, match="finite scales and biases"):
            vector_from(wrong, SCHEME)


def test_bundles_with_and_without_a_vector_are_read(tmp_path: Path) -> None:
    """The shipped bundle stands for the old ones; written again with a vector it keeps its format's version."""
    old = load_bundle(find_bundle("starter"))
    assert old.calibration.vector == {}
    contents = tmp_path / "contents"
    shutil.copytree(old.path, contents)
    (contents / "bundle.json").unlink()
    vector = {"two": VectorScaling((1.0, 0.9), (0.1, -0.1))}
    about: dict[str, Any] = {"name": "x", "version": "1", "scheme": old.scheme, "front_end": old.front_end}
    about |= {"graphs": old.graphs, "provenance": {}}
    plain = write_bundle(tmp_path / "plain", contents, calibration=old.calibration, **about)
    assert "vector" not in read_json(plain.path / "bundle.json")["calibration"]
    new = write_bundle(tmp_path / "new", contents, calibration=replace(old.calibration, vector=vector), **about)
    assert new.calibration.vector == vector
    assert read_json(new.path / "bundle.json")["schema_version"] == 1
    written = read_json(new.path / "bundle.json")
    written["calibration"]["vector"]["two"]["bias"] = [0.0]
    write_json(new.path / "bundle.json", written)
    with pytest.raises(BundleError, match="damaged"):
        load_bundle(new.path)


def test_class_balance_correction_moves_the_odds_by_the_ratio() -> None:
    """With equal logits the corrected probabilities are the target balance over the training balance."""
    logits = {task: np.zeros((1, k)) for task, k in SCHEME.class_counts.items()}
    even = dict.fromkeys(SCHEME.grades, 0.2)
    target = {"A": 0.05, "B": 0.1, "C": 0.15, "D": 0.3, "E": 0.4}
    found = task_probabilities(logits, SCHEME, Calibration(train_balance=even, target_balance=target))
    assert found["five"][0] == pytest.approx(list(target.values()))


def test_rank_score_prefers_a_very_positive_call() -> None:
    def scored(grade: str) -> float:
        logits = {
            task: np.array([[6.0 if grade in members else 0.0 for members in classes.values()]])
            for task, classes in SCHEME.tasks.items()
        }
        rank = decide(logits, SCHEME, Calibration())[0].rank_score
        assert rank is not None
        return rank

    ranks = [scored(grade) for grade in SCHEME.grades]
    assert ranks == sorted(ranks, reverse=True)
