"""Decision: logits of every task → one coherent answer.

In this order: temperature per task (and, where it was fitted, a scale and bias per class), combination, correction for
another class balance. The combination finds the one distribution q over the grades that the tasks' answers make most
likely, reading task t's probabilities p_t as counts of answers to a coarser question:

    maximise  Σ_t Σ_k p_t(k) · log q(k),   q(k) = Σ_{grade in class k} q(grade)

The problem is concave and EM climbs it monotonically (Dempster, Laird & Rubin 1977, grouped data); where the
tasks agree, q is simply the finest task's answer. Every task's reported probabilities are sums of q, so
"A" and "not interested" can't both be said. The balance is corrected for in q, and nowhere else: where the shares of
grades change, so does what a coarser class is made of, which no factor on that class can mend.

A scheme of kind `number` has no grades: its one output is the answer, kept within the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callsift.errors import UsageError
from callsift.labels import NUMBER_TASK, LabelScheme

Array = NDArray[np.float64]

_LEAST = 1e-300
_ALIKE = 1e-12


@dataclass(frozen=True, slots=True)
class VectorScaling:
    """A scale and a bias for every class of a task, (K,) each, in the task's order (Guo et al. 2017, §4.2)."""

    scale: tuple[float, ...]
    bias: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is applied to the logits before they are combined, and the class balances that are corrected for after it.

    `temperature`: per task, > 0. `vector`: per task, applied to the logits over the temperature, so that without it the
    temperature alone still calibrates. `train_balance` and `target_balance`: share of every grade in training and
    where the model is used; the correction (`balanced`) multiplies by their ratio, and is off where either is None.
    """

    temperature: Mapping[str, float] = field(default_factory=dict)
    train_balance: Mapping[str, float] | None = None
    target_balance: Mapping[str, float] | None = None
    vector: Mapping[str, VectorScaling] = field(default_factory=dict)


def vector_rows(calibration: Calibration) -> dict[str, dict[str, list[float]]]:
    """The vector scaling as a run and a bundle keep it: task → scale and bias."""
    return {task: {"scale": list(found.scale), "bias": list(found.bias)} for task, found in calibration.vector.items()}


def vector_from(rows: Mapping[str, Any] | None, scheme: LabelScheme) -> dict[str, VectorScaling]:
    """What `vector_rows` gave, read back; nothing where a run or bundle has none.

    Raises:
        ValueError: a task that the scheme has not, or other than one finite number per class.
    """
    found = {}
    for task, row in (rows or {}).items():
        scaling = VectorScaling(tuple(map(float, row["scale"])), tuple(map(float, row["bias"])))
        count = scheme.class_counts.get(task)
        if {len(scaling.scale), len(scaling.bias)} != {count} or not np.isfinite([scaling.scale, scaling.bias]).all():
            raise ValueError(f"vector scaling of task '{task}' must have {count} finite scales and biases")
        found[task] = scaling
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one call or segment. `raw`: each task's own calibrated answer.

    `probabilities`: of every task, combined and corrected for the balance, so that they agree.

    `value`: the answer of a scheme of kind `number`, which has no grade and no probabilities.
    """

    grade: str | None
    propensity: float | None
    rank_score: float | None
    probabilities: dict[str, dict[str, float]]
    raw: dict[str, dict[str, float]]
    value: float | None = None


def softmax(logits: Array) -> Array:
    """Softmax over the last axis, float64."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def task_probabilities(
    logits: Mapping[str, NDArray[np.floating]], scheme: LabelScheme, calibration: Calibration
) -> dict[str, Array]:
    """Calibrated probabilities (B, K) of every task, not yet combined nor corrected for any balance."""
    found: dict[str, Array] = {}
    for task in scheme.tasks:
        scaled = logits[task].astype(np.float64) / calibration.temperature.get(task, 1.0)
        if (vector := calibration.vector.get(task)) is not None:
            scaled = scaled * np.array(vector.scale) + np.array(vector.bias)
        found[task] = softmax(scaled)
    return found


def combine(probabilities: Mapping[str, Array], scheme: LabelScheme, steps: int = 1000) -> Array:
    """The distribution (B, G) over the grades that fits all tasks' probabilities (B, K) best."""
    q = probabilities[scheme.finest_task] @ scheme.membership(scheme.finest_task).astype(np.float64)
    q = np.maximum(q, 1e-12)
    members = [(probabilities[task], scheme.membership(task).astype(np.float64)) for task in scheme.tasks]
    for _ in range(steps):
        previous = q
        total = np.zeros_like(q)
        for p, member in members:
            total += q * ((p / np.maximum(q @ member.T, 1e-300)) @ member)
        q = total / total.sum(axis=-1, keepdims=True)
        if np.abs(q - previous).max() < 1e-10:
            break
    return np.asarray(q)


def check_target(known: Mapping[str, float], target: Mapping[str, float]) -> None:
    """Refuse a target balance that a model of the known one can't be corrected to.

    Raises:
        UsageError: a grade of which the model never heard a call is to have a share.
    """
    for grade, share in target.items():
        if share > 0 and known[grade] <= 0:
            raise UsageError(
                f"the model never heard a call of grade '{grade}', and can't be corrected for a balance in which it "
                f"has a share of {share:g}: give it 0, or train on calls of that grade"
            )


def balanced(grades: Array, known: Array, target: Array) -> Array:
    """Probabilities of grades (B, G) that imply the balance `known` (G,), where `target` (G,) holds.

    They are ∝ q · target / known: Bayes' rule, if only the balance differs (Saerens, Latinne & Decaestecker 2002,
    eq. 2.4). A grade whose target is 0 gets 0. Taken in logarithms, so that no row is ever 0 / 0.
    """
    wanted = target > 0
    factor = np.full(len(target), -np.inf)
    factor[wanted] = np.log(target[wanted]) - np.log(known[wanted])
    return softmax(np.log(np.maximum(grades, _LEAST)) + factor)


def _corrected(grades: Array, scheme: LabelScheme, calibration: Calibration) -> Array:
    known, target = calibration.train_balance, calibration.target_balance
    if not known or not target:
        return grades
    check_target(known, target)
    return balanced(grades, *(np.array([shares[grade] for grade in scheme.grades]) for shares in (known, target)))


def by_class(grades: Array, scheme: LabelScheme, task: str) -> Array:
    """Probabilities of grades (..., G) → those of a task's classes (..., K)."""
    return np.asarray(grades @ scheme.membership(task).T.astype(np.float64))


def likeliest(probabilities: Array) -> NDArray[np.int64]:
    """(..., K) → (...,): the class that is answered, the most probable; the first of equal ones.

    Sums of the same shares in another order differ in their last digits, and are equal here all the same.
    """
    most = probabilities.max(axis=-1, keepdims=True)
    return np.asarray((probabilities >= most - _ALIKE).argmax(axis=-1))


def propensity(grades: Array, scheme: LabelScheme) -> Array | None:
    """(B, G) → (B,): probability of the positive grades; None where the scheme has none."""
    if not scheme.positive:
        return None
    return np.asarray(grades[:, [scheme.grades.index(grade) for grade in scheme.positive]].sum(axis=-1))


def decide(logits: Mapping[str, NDArray[np.floating]], scheme: LabelScheme, calibration: Calibration) -> list[Verdict]:
    """Logits (B, K) of every task → one verdict per row: a call, or a segment.

    The grade is the most probable one of the combined distribution (earlier grade on a tie). A number ranks by
    itself.
    """
    if scheme.range is not None:
        numbers = np.clip(logits[NUMBER_TASK][:, 0].astype(np.float64), *scheme.range)
        return [Verdict(None, None, float(number), {}, {}, float(number)) for number in numbers]
    raw = task_probabilities(logits, scheme, calibration)
    grades = _corrected(combine(raw, scheme), scheme, calibration)
    likely = propensity(grades, scheme)
    worth = np.array([scheme.worth[g] for g in scheme.grades]) if scheme.worth else None
    verdicts = []
    for row in range(len(grades)):
        coherent = {t: by_class(grades[row], scheme, t) for t in scheme.tasks}
        verdicts.append(
            Verdict(
                grade=scheme.grades[int(likeliest(grades[row]))],
                propensity=None if likely is None else float(likely[row]),
                rank_score=None if worth is None else float(grades[row] @ worth),
                probabilities={t: _named(scheme, t, p) for t, p in coherent.items()},
                raw={t: _named(scheme, t, p[row]) for t, p in raw.items()},
            )
        )
    return verdicts


def _named(scheme: LabelScheme, task: str, probabilities: Array) -> dict[str, float]:
    return dict(zip(scheme.tasks[task], (float(p) for p in probabilities), strict=True))
