"""Temperature scaling (Guo et al. 2017, «On Calibration of Modern Neural Networks», §4.2), per task.

One number T divides a task's logits; it is chosen on validation calls by their negative log-likelihood.
A label that leaves several classes open counts by their summed probability, as in training.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from callsift.types import BoolArray

_RANGE = (0.25, 8.0)
"""Outside it a temperature says more about too few validation calls than about the model."""


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
    telling = allowed.any(axis=1) & ~allowed.all(axis=1)
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
