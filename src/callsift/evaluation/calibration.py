"""Temperature and vector scaling (Guo et al. 2017, «On Calibration of Modern Neural Networks», §4.2), per task.

One number T divides a task's logits; it is chosen on validation calls by their negative log-likelihood. Vector scaling
then gives each class a scale and a bias of its own, z′_k = s_k · z_k / T + b_k, which can correct a class that is said
too often. With K classes these are 2K numbers from perhaps twenty calls of the rarest: a normal prior holds them at
s = 1, b = 0, where they are temperature scaling. The prior's precision is four (a standard deviation of 0.5): a call
informs the bias of its class by p(1 − p) ≤ 1/4, so that the prior weighs as much as sixteen calls at the very least.

A label that leaves several classes open counts by their summed probability, as in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from callsift.decision import Calibration, VectorScaling, softmax
from callsift.labels import LabelScheme
from callsift.types import BoolArray, Label

_RANGE = (0.25, 8.0)
"""Outside it a temperature says more about too few validation calls than about the model."""

_PRIOR_PRECISION = 4.0
_STEPS = 100
_ENOUGH = 1e-10


def negative_log_likelihood(logits: NDArray[np.floating], allowed: BoolArray) -> float:
    """Mean over calls of −log Σ_{allowed k} softmax(logits)_k; logits and allowed (calls, K)."""
    scores = logits.astype(np.float64)
    everything = np.logaddexp.reduce(scores, axis=1)
    right = np.logaddexp.reduce(np.where(allowed, scores, -np.inf), axis=1)
    return float((everything - right).mean())


def fit_temperature(logits: NDArray[np.floating], allowed: BoolArray) -> float:
    """The T in [0.25, 8] with the least negative log-likelihood; 1 where no label says anything.

    The likelihood has one minimum in 1/T for plain labels; golden-section search on log T finds it.
    """
    telling = _telling(allowed)
    if not telling.any():
        return 1.0
    logits, allowed = logits[telling], allowed[telling]
    ratio = (np.sqrt(5.0) - 1.0) / 2.0
    low, high = np.log(_RANGE[0]), np.log(_RANGE[1])
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if negative_log_likelihood(logits / np.exp(left), allowed) <= negative_log_likelihood(
            logits / np.exp(right), allowed
        ):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2.0))


def fit_temperatures(logits: Mapping[str, NDArray[np.floating]], allowed: Mapping[str, BoolArray]) -> dict[str, float]:
    """The temperature of every task."""
    return {task: fit_temperature(logits[task], allowed[task]) for task in logits}


def fit_vector(logits: NDArray[np.floating], allowed: BoolArray) -> VectorScaling:
    """The scale and bias of every class, given logits (calls, K) that are over their temperature already.

    Newton's steps, each halved until it descends, on the sum of the calls' −log-likelihood and the prior's. For labels
    that leave classes open the curvature of the plain labels' part stands in: it bounds the true one from above.
    """
    count = logits.shape[1]
    telling = _telling(allowed)
    if not telling.any():
        return VectorScaling((1.0,) * count, (0.0,) * count)
    scores, allowed = logits[telling].astype(np.float64), allowed[telling]
    start = np.concatenate([np.ones(count), np.zeros(count)])
    found = start.copy()
    best = _posterior(scores, allowed, found - start, found)
    for _ in range(_STEPS):
        slope, curvature = _slope_and_curvature(scores, allowed, found)
        slope = slope + _PRIOR_PRECISION * (found - start)
        step = np.linalg.solve(curvature + _PRIOR_PRECISION * np.eye(2 * count), slope)
        size = 1.0
        while size > 1e-6 and (at := _posterior(scores, allowed, found - size * step - start, found - size * step)) > (
            best - 1e-4 * size * float(slope @ step)
        ):
            size /= 2
        if size <= 1e-6 or float(slope @ step) < _ENOUGH:
            break
        found, best = found - size * step, at
    return VectorScaling(tuple(map(float, found[:count])), tuple(map(float, found[count:])))


def _posterior(
    scores: NDArray[np.float64], allowed: BoolArray, moved: NDArray[np.float64], at: NDArray[np.float64]
) -> float:
    """Σ of the calls' negative log-likelihood, and the prior's for parameters that `moved` from where it holds them."""
    scale, bias = np.split(at, 2)
    likelihood = len(scores) * negative_log_likelihood(scores * scale + bias, allowed)
    return likelihood + _PRIOR_PRECISION / 2 * float(moved @ moved)


def _slope_and_curvature(
    scores: NDArray[np.float64], allowed: BoolArray, at: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(2K,) and (2K, 2K) of the summed negative log-likelihood, for scales and then biases."""
    scale, bias = np.split(at, 2)
    moved = scores * scale + bias
    everything = softmax(moved)
    right = softmax(np.where(allowed, moved, -np.inf))
    rows = np.concatenate([scores, np.ones_like(scores)], axis=1)  # d z′_k by its scale and its bias
    twice = np.concatenate([everything, everything], axis=1)
    slope = (rows * (twice - np.concatenate([right, right], axis=1))).sum(axis=0)
    weighed = rows * twice
    same = np.tile(np.eye(scores.shape[1], dtype=bool), (2, 2))
    return slope, np.where(same, weighed.T @ rows, 0.0) - weighed.T @ weighed


def fit_calibration(
    kind: str, scheme: LabelScheme, logits: Mapping[str, NDArray[np.floating]], labels: Sequence[Label | None]
) -> Calibration:
    """What `fit.calibration` (`none`, `temperature`, `vector`) says, fitted on logits (items, K) and their labels.

    A number has nothing to calibrate. No class balance is set.
    """
    if kind == "none" or scheme.kind == "number":
        return Calibration(temperature={} if scheme.kind == "number" else dict.fromkeys(scheme.tasks, 1.0))
    allowed = allowed_classes(scheme, labels)
    temperature = fit_temperatures({task: logits[task] for task in scheme.tasks}, allowed)
    if kind == "temperature":
        return Calibration(temperature=temperature)
    vector = {task: fit_vector(logits[task] / temperature[task], allowed[task]) for task in scheme.tasks}
    return Calibration(temperature=temperature, vector=vector)


def allowed_classes(scheme: LabelScheme, labels: Sequence[Label | None]) -> dict[str, BoolArray]:
    """Task → (items, K): the classes that each label leaves open; all False without one."""
    targets = [scheme.target(label) for label in labels]
    return {task: np.stack([target[task] for target in targets]).astype(np.bool_) for task in scheme.tasks}


def _telling(allowed: BoolArray) -> BoolArray:
    """(calls,): the labels that say something of the task."""
    return np.asarray(allowed.any(axis=1) & ~allowed.all(axis=1))
