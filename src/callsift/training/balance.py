"""Uneven grades: weights by which rare ones count more in the loss, and chances by which they are drawn more often.

A label that leaves several grades open counts for each of them in equal parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from callsift.training.batches import Example, stacked

Array = NDArray[np.float64]
_NOTHING = 1e-30


def row_weights(
    examples: Sequence[Example], task: str, class_weights: Literal["none", "balanced", "sqrt"]
) -> list[NDArray[np.float32]]:
    """Per example (R,), how much each row counts in the training loss.

    `balanced`: by the inverse of the class's share among the training labels; `sqrt`: by that inverse's square root;
    of a label that leaves several classes open the mean of theirs. The mean over all labels stays 1.
    """
    weights = [example.weights for example in examples]
    if class_weights == "none":
        return weights
    factors = _factors(examples, task, weights, 1.0 if class_weights == "balanced" else 0.5)
    ends = np.cumsum([len(each) for each in weights])[:-1]
    return [w * f.astype(np.float32) for w, f in zip(weights, np.split(factors, ends), strict=True)]


def drawing_chances(examples: Sequence[Example], task: str) -> Array:
    """(examples,), summing to 1: draws by them bring every class up equally often.

    A call with several labels (one per segment) is as likely as they are in the mean; one without is never drawn.
    """
    weights = [example.weights for example in examples]
    factors = _factors(examples, task, weights, 1.0)
    ends = np.cumsum([len(each) for each in weights])[:-1]
    chances: Array = np.array(
        [float(w @ f) / max(float(w.sum()), _NOTHING) for w, f in zip(weights, np.split(factors, ends), strict=True)]
    )
    return np.asarray(chances / chances.sum())


def _factors(examples: Sequence[Example], task: str, weights: Sequence[NDArray[np.float32]], power: float) -> Array:
    """(R of all examples,): share of the row's class to the power of −`power`, scaled to a weighted mean of 1."""
    allowed = stacked(examples)[task].astype(np.float64)  # (R, K)
    counted = np.concatenate(weights).astype(np.float64) * allowed.any(axis=1)  # (R,)
    parts = allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1.0)  # (R, K)
    shares = counted @ parts / counted.sum()  # (K,)
    by_class = np.where(shares > 0, np.maximum(shares, 1e-300) ** -power, 0.0)
    factors: Array = parts @ by_class
    return np.asarray(factors * counted.sum() / (counted @ factors))
