"""Means over seeds with an interval that knows which items belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def clustered(
    metric: Callable[[Array, Array], float],
    truth: Array,
    predicted: Sequence[Array],
    groups: Sequence[str],
    *,
    draws: int = 1000,
) -> dict[str, float]:
    """Mean of a metric over the seeds' predictions, with its 95 % interval.

    Whole groups (speakers, videos) are drawn anew each time, and a seed with them: items of one group are no
    independent evidence, and neither is a second look at one training.

    Returns: `value`, `low`, `high`.
    """
    random = np.random.default_rng(0)
    names = sorted(set(groups))
    members = {name: np.flatnonzero(np.array([group == name for group in groups])) for name in names}
    found = []
    for _ in range(draws):
        picked = np.concatenate([members[names[at]] for at in random.integers(0, len(names), len(names))])
        seeds = random.integers(0, len(predicted), len(predicted))
        found.append(np.mean([metric(truth[picked], predicted[seed][picked]) for seed in seeds]))
    low, high = np.percentile(found, [2.5, 97.5])
    value = float(np.mean([metric(truth, each) for each in predicted]))
    return {"value": value, "low": float(low), "high": float(high)}
