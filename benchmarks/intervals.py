"""Means over seeds with an interval that knows which items belong together, as a figure of the results file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from numpy.typing import NDArray

from callsift.evaluation import compare
from callsift.evaluation.metrics import Metric

Array = NDArray[Any]


def clustered(
    metric: Metric, truth: Array, predicted: Sequence[Array], groups: Sequence[str], *, draws: int = 1000
) -> dict[str, float]:
    """See `callsift.evaluation.compare.clustered`. Returns: `value`, `low`, `high`."""
    return asdict(compare.clustered(metric, truth, predicted, groups, draws=draws))
