"""Figures per task from true labels and verdicts, with intervals and the baseline of a constant answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from callsift.decision import Verdict
from callsift.evaluation.metrics import METRICS, NUMBER_METRICS, Classes, bootstrap, majority
from callsift.labels import LabelScheme
from callsift.types import Label

Probabilities = Sequence[Mapping[str, Mapping[str, float]]]


def figures_of(
    scheme: LabelScheme,
    labels: Sequence[Label],
    verdicts: Sequence[Verdict],
    *,
    groups: Sequence[str] | None = None,
    train_balance: Mapping[str, float] | None = None,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures of `combined` answers and, where there are tasks to combine, of each task by itself (`raw`).

    `groups`: the call of each answer where a call has several; intervals then draw whole calls.
    """
    if scheme.kind == "number":
        numbers = [verdict.value for verdict in verdicts if verdict.value is not None]
        return {"combined": figures_of_numbers(scheme, labels, numbers, groups=groups)}
    return {
        kind: figures_by_task(scheme, labels, answers, groups=groups, train_balance=train_balance)
        for kind, answers in (
            ("combined", [verdict.probabilities for verdict in verdicts]),
            ("raw", [verdict.raw for verdict in verdicts]),
        )
    }


def figures_of_numbers(
    scheme: LabelScheme,
    labels: Sequence[Label],
    values: Sequence[float],
    *,
    groups: Sequence[str] | None = None,
    draws: int = 2000,
) -> dict[str, dict[str, Any]]:
    """Mean absolute error and correlation of a number, and what answering the labels' median always would give."""
    truth = np.array([scheme.number(label) for label in labels])
    predicted = np.array(values)
    often = np.full_like(truth, np.median(truth))
    found: dict[str, Any] = {"calls": len(truth)}
    for name, metric in NUMBER_METRICS.items():
        found[name] = asdict(bootstrap(metric, truth, predicted, groups=groups, draws=draws))
    found["majority"] = {
        name: asdict(bootstrap(metric, truth, often, groups=groups, draws=draws))
        for name, metric in NUMBER_METRICS.items()
    }
    return {scheme.finest_task: found}


def figures_by_task(
    scheme: LabelScheme,
    labels: Sequence[Label],
    probabilities: Probabilities,
    *,
    groups: Sequence[str] | None = None,
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
            (names.index(known), int(np.argmax([answer[task][name] for name in names])), group)
            for label, answer, group in zip(labels, probabilities, groups or map(str, range(len(labels))), strict=True)
            if (known := scheme.class_of(task, label)) is not None
        ]
        # Where labels leave a task open and those that settle it all say the same, there is nothing to tell apart.
        if len(pairs) < len(labels) and len({truth for truth, *_ in pairs}) == 1:
            pairs = []
        found[task] = {"calls": len(pairs)}
        if pairs:
            truth, predicted = (np.array([pair[at] for pair in pairs], dtype=np.int64) for at in (0, 1))
            drawn: dict[str, Any] = {"groups": [pair[2] for pair in pairs], "draws": draws}
            for name, metric in METRICS.items():
                found[task][name] = asdict(bootstrap(metric, truth, predicted, **drawn))
            often = _majority(scheme, task, truth, train_balance)
            found[task]["majority"] = {
                name: asdict(bootstrap(metric, truth, often, **drawn)) for name, metric in METRICS.items()
            }
    return found


def _majority(scheme: LabelScheme, task: str, truth: Classes, train_balance: Mapping[str, float] | None) -> Classes:
    if train_balance is None:
        return majority(truth)
    shares = [sum(train_balance[grade] for grade in members) for members in scheme.tasks[task].values()]
    return np.full_like(truth, int(np.argmax(shares)))


_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "mean_absolute_error": "mean absolute error",
    "correlation": "correlation",
}


def table_of(figures: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows for people: task, calls, `value [low, high]` of every metric and of a constant answer's first."""
    metrics = list(NUMBER_METRICS if any("correlation" in found for found in figures.values()) else METRICS)
    head = ("task", "calls", *(_NAMES[name] for name in metrics), f"majority {_NAMES[metrics[0]]}")
    rows = []
    for task, found in figures.items():
        if not found["calls"]:
            rows.append((task, "0", *["–"] * (len(metrics) + 1)))
            continue
        cells = [found[name] for name in metrics] + [found["majority"][metrics[0]]]
        texts = [f"{cell['value']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]" for cell in cells]
        rows.append((task, str(found["calls"]), *texts))
    return head, rows
