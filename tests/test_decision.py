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
    by_class,
    combine,
    decide,
    likeliest,
    softmax,
    task_probabilities,
    vector_from,
    vector_rows,
)
from callsift.errors import BundleError, UsageError
from callsift.files import read_json, write_json
from callsift.labels import load_scheme

SCHEME = load_scheme("marketcalls")
TARGET = {"A": 0.05, "B": 0.1, "C": 0.15, "D": 0.3, "E": 0.4}
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


def test_equal_classes_are_equal_however_they_are_summed() -> None:
    """0.1 + 0.2 is 0.30000000000000004: of equals the first class is answered, whatever the last digit says."""
    grades = np.array([[0.3, 0.4, 0.1, 0.2, 0.0], [0.1, 0.2, 0.3, 0.4, 0.0]])
    member = np.array([[1, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 1, 1, 0]], dtype=np.float64)
    assert likeliest(grades[:1] @ member.T).tolist() == [1]
    assert likeliest(np.array([0.3, 0.1 + 0.2, 0.4])) == 2
    assert likeliest(np.array([0.3, 0.1 + 0.2, 0.2])) == 0
    assert likeliest(np.array([[0.2, 0.3, 0.5], [0.5, 0.3, 0.2]])).tolist() == [2, 0]


def test_a_task_has_the_sums_of_its_grades() -> None:
    grades = np.array([[0.1, 0.2, 0.3, 0.15, 0.25]])
    assert by_class(grades, SCHEME, "two") == pytest.approx(np.array([[0.6, 0.4]]))
    assert by_class(grades[0], SCHEME, "five") == pytest.approx(grades[0])


def test_temperature_softens_and_keeps_the_order() -> None:
    logits = {task: np.array([[3.0, *[0.0] * (k - 1)]]) for task, k in SCHEME.class_counts.items()}
    sharp = decide(logits, SCHEME, Calibration())[0]
    soft = decide(logits, SCHEME, Calibration(temperature=dict.fromkeys(SCHEME.tasks, 3.0)))[0]
    assert sharp.grade == soft.grade == "A"
    assert soft.probabilities["five"]["A"] < sharp.probabilities["five"]["A"]


def test_the_vector_stands_on_the_temperature() -> None:
    random = np.random.default_rng(0)
    logits = {task: random.normal(size=(3, k)) for task, k in SCHEME.class_counts.items()}
    scale, bias = (0.5, 1.0, 1.5, 2.0, 1.0), (0.3, 0.0, -0.3, 0.1, 0.0)
    calibration = Calibration({"five": 2.0}, vector={"five": VectorScaling(scale, bias)})
    found = task_probabilities(logits, SCHEME, calibration)
    assert found["five"] == pytest.approx(softmax(logits["five"] / 2.0 * scale + bias))
    assert found["two"] == pytest.approx(softmax(logits["two"]))


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
    """Where the tasks agree on the even balance that they were trained on, the answer is the target balance."""
    found = decide(_agreeing([0.2] * 5), SCHEME, Calibration(train_balance=_shares(0.2), target_balance=TARGET))[0]
    assert found.probabilities["five"] == pytest.approx(TARGET, abs=1e-6)
    assert found.raw["two"] == pytest.approx({"ABC": 0.6, "DE": 0.4}), "each task's own answer, not corrected"


def test_a_shift_within_a_coarse_class_is_corrected_as_bayes_has_it() -> None:
    """Grades drawn from Gaussians: the corrected answer is the posterior under the new balance, for every task."""
    random = np.random.default_rng(0)
    means, train = np.eye(5) * 1.5, np.array([0.4, 0.1, 0.1, 0.2, 0.2])
    target = np.array([0.05, 0.1, 0.45, 0.2, 0.2])  # the buyers A, B and C keep their 0.6
    likelihood = random.normal(size=(50, 5)) @ means.T - (means**2).sum(axis=1) / 2
    exact = softmax(likelihood + np.log(target))
    balances = [dict(zip(SCHEME.grades, shares.tolist(), strict=True)) for shares in (train, target)]
    said = decide(_agreeing(softmax(likelihood + np.log(train))), SCHEME, Calibration({}, *balances))
    found = np.array([list(verdict.probabilities["five"].values()) for verdict in said])
    assert found == pytest.approx(exact, abs=1e-5)
    assert [verdict.propensity for verdict in said] == pytest.approx(exact[:, :3].sum(axis=1), abs=1e-5)


def test_a_grade_that_training_never_had_gets_no_share_and_nothing_is_divided_by_nothing() -> None:
    never = _shares(0.25) | {"E": 0.0}
    with pytest.raises(UsageError, match="never heard a call of grade 'E'.* a share of 0.01"):
        decide(_agreeing([0.2] * 5), SCHEME, Calibration({}, never, never | {"D": 0.24, "E": 0.01}))
    kept = decide(_agreeing([0.2] * 5), SCHEME, Calibration({}, never, never))[0].probabilities["five"]
    assert kept == pytest.approx(never, abs=1e-6)
    sure = {task: np.eye(k)[-1:] * 800 for task, k in SCHEME.class_counts.items()}  # of E, to the last digit
    only_a = decide(sure, SCHEME, Calibration({}, _shares(0.2), _shares(0.0) | {"A": 1.0}))[0]
    assert only_a.probabilities["five"] == {"A": 1.0, "B": 0.0, "C": 0.0, "D": 0.0, "E": 0.0}


def _shares(each: float) -> dict[str, float]:
    return dict.fromkeys(SCHEME.grades, each)


def _agreeing(grades: Any) -> dict[str, np.ndarray]:
    """Logits with which every task says the same."""
    rows = np.atleast_2d(np.asarray(grades))
    return {task: np.log(rows @ SCHEME.membership(task).T.astype(float)) for task in SCHEME.tasks}


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
