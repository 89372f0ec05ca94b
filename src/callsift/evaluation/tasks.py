"""Figures per task from true labels and predicted classes, with intervals and the majority baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from callsift.evaluation.metrics import METRICS, Classes, bootstrap, majority
from callsift.labels import LabelScheme
from callsift.types import Label

Probabilities = Sequence[Mapping[str, Mapping[str, float]]]


def figures_by_task(
    scheme: LabelScheme,
    labels: Sequence[Label],
    probabilities: Probabilities,
    *,
    train_balance: Mapping[str, float] | None = None,
    draws: int = 2000,
) -> dict[str, dict[str, Any]]:
    """Per task: calls, accuracy, macro and weighted F1, the same of the majority class, all with intervals.

    `probabilities`: per call, task → class → p. A call counts for the tasks that its label settles; a task that
    no label settles, or for one class only, has `calls` 0 and nothing else. `train_balance`: share of every grade in
    training, which decides what the majority baseline answers; without it the calls at hand do.
    """
    found: dict[str, dict[str, Any]] = {}
    for task, classes in scheme.tasks.items():
        names = list(classes)
        pairs = [
            (names.index(known), int(np.argmax([answer[task][name] for name in names])))
            for label, answer in zip(labels, probabilities, strict=True)
            if (known := scheme.class_of(task, label)) is not None
        ]
        # Where labels leave a task open and those that settle it all say the same, there is nothing to tell apart.
        if len(pairs) < len(labels) and len({truth for truth, _ in pairs}) == 1:
            pairs = []
        found[task] = {"calls": len(pairs)}
        if pairs:
            truth, predicted = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
            for name, metric in METRICS.items():
                found[task][name] = asdict(bootstrap(metric, truth, predicted, draws=draws))
            often = _majority(scheme, task, truth, train_balance)
            found[task]["majority"] = {
                name: asdict(bootstrap(metric, truth, often, draws=draws)) for name, metric in METRICS.items()
            }
    return found


def _majority(scheme: LabelScheme, task: str, truth: Classes, train_balance: Mapping[str, float] | None) -> Classes:
    if train_balance is None:
        return majority(truth)
    shares = [sum(train_balance[grade] for grade in members) for members in scheme.tasks[task].values()]
    return np.full_like(truth, int(np.argmax(shares)))


def table_of(figures: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Rows for people: task, calls, then `value [low, high]` of every metric and of the majority's accuracy."""
    rows = []
    for task, found in figures.items():
        if not found["calls"]:
            rows.append((task, "0", *["–"] * (len(METRICS) + 1)))
            continue
        cells = [found[name] for name in METRICS] + [found["majority"]["accuracy"]]
        texts = [f"{cell['value']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]" for cell in cells]
        rows.append((task, str(found["calls"]), *texts))
    return rows
