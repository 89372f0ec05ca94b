"""Figures per task from true labels and verdicts, with intervals and the baseline of a constant answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.decision import Verdict, likeliest
from callsift.evaluation.differences import difference, with_width
from callsift.evaluation.metrics import (
    CLASS_METRICS,
    METRIC_NAMES,
    NUMBER_METRICS,
    Metric,
    bootstrap_all,
    has_width,
    majority,
)
from callsift.evaluation.tables import Classes, confusion, per_class
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
    train_median: float | None = None,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures of `combined` answers and, where there are tasks to combine, of each task by itself (`raw`).

    `groups`: the call of each answer where a call has several; intervals then draw whole calls. `train_balance`, of
    grades, and `train_median`, of numbers, decide what the constant answer is; without them the calls at hand do.
    """
    if scheme.kind == "number":
        numbers = [verdict.value for verdict in verdicts if verdict.value is not None]
        return {"combined": figures_of_numbers(scheme, labels, numbers, groups=groups, train_median=train_median)}
    return {
        kind: figures_by_task(scheme, labels, answers, groups=groups, train_balance=train_balance)
        for kind, answers in (
            ("combined", [verdict.probabilities for verdict in verdicts]),
            ("raw", [verdict.raw for verdict in verdicts]),
        )
    }


def metrics_of(scheme: LabelScheme) -> dict[str, Metric]:
    """The metrics that say something of a scheme's answers.

    Quadratic kappa needs an order of the classes; Acc2 and its F1 a range symmetrical around zero, of which ±2 is part
    for Acc5, and ±3 for Acc7, as of CMU-MOSI.
    """
    if scheme.range is None:
        ordered = scheme.kind == "ordered"
        return {name: metric for name, metric in CLASS_METRICS.items() if ordered or name != "quadratic_kappa"}
    low, high = scheme.range
    least = {"acc2_has0": 0, "f1_has0": 0, "acc2_non0": 0, "f1_non0": 0, "acc5": 2, "acc7": 3}
    return {
        name: metric
        for name, metric in NUMBER_METRICS.items()
        if name not in least or (low == -high and high >= least[name])
    }


def figures_of_numbers(
    scheme: LabelScheme,
    labels: Sequence[Label],
    values: Sequence[float],
    *,
    groups: Sequence[str] | None = None,
    train_median: float | None = None,
    draws: int = 2000,
) -> dict[str, dict[str, Any]]:
    """`metrics_of` a number, and what answering the median of the training part (where that is not known, of these
    labels) always would give, with the `difference` to it."""
    truth = np.array([scheme.number(label) for label in labels])
    often = np.full_like(truth, np.median(truth) if train_median is None else train_median)
    drawn: dict[str, Any] = {"groups": groups, "draws": draws}
    found: dict[str, Any] = {
        "calls": len(truth),
        **_intervals(scheme, truth, np.array(values), **drawn),
        "majority": _intervals(scheme, truth, often, **drawn)
        | {"difference": difference(truth, np.array(values), often, **drawn)},
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
    """Per task: `calls`, `metrics_of` the classes with intervals, the same of the `majority` class and the
    `difference` to it, precision, recall, F1 and support `per_class`, and the `confusion` table (rows: true).

    `probabilities`: per call, task → class → p. A call counts for the tasks that its label settles; a task that
    no label settles, or for one class only, has `calls` 0 and nothing else. A metric that says nothing of the calls is
    left out. `train_balance`: share of every grade in training, which decides what the majority baseline answers;
    without it the calls at hand do.
    """
    found: dict[str, dict[str, Any]] = {}
    for task, classes in scheme.tasks.items():
        names = list(classes)
        pairs = [
            (names.index(known), int(likeliest(np.array([answer[task][name] for name in names]))), group)
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
            often = _majority(scheme, task, truth, train_balance)
            found[task] |= _intervals(scheme, truth, predicted, **drawn)
            found[task]["majority"] = _intervals(scheme, truth, often, **drawn)
            found[task]["majority"]["difference"] = difference(truth, predicted, often, **drawn)
            each = zip(names, per_class(truth, predicted, len(names)), strict=True)
            found[task]["per_class"] = {name: asdict(figures) for name, figures in each}
            counts = confusion(truth, predicted, len(names)).tolist()
            found[task]["confusion"] = {"classes": names, "counts": counts}
    return found


def _intervals(
    scheme: LabelScheme, truth: NDArray[Any], predicted: NDArray[Any], **drawn: Any
) -> dict[str, dict[str, Any]]:
    """The metrics that have a value; JSON has none for others."""
    metrics = metrics_of(scheme)
    found = bootstrap_all(metrics, truth, predicted, **drawn)
    return {
        name: asdict(with_width(metrics[name], interval, truth, predicted, drawn["groups"]))
        for name, interval in found.items()
        if not np.isnan(interval.value)
    }


def _majority(scheme: LabelScheme, task: str, truth: Classes, train_balance: Mapping[str, float] | None) -> Classes:
    if train_balance is None:
        return majority(truth)
    shares = [sum(train_balance[grade] for grade in members) for members in scheme.tasks[task].values()]
    return np.full_like(truth, int(np.argmax(shares)))


_SHOWN: Final = (
    "accuracy",
    "macro_f1",
    "weighted_f1",
    "uar",
    "mean_absolute_error",
    "correlation",
    "acc2_non0",
    "acc7",
)
"""What a terminal has room for; the others are in the file."""


def table_of(figures: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows for people: task, calls, `value [low, high]` of the main metrics and a constant answer's first."""
    metrics = [name for name in _SHOWN if any(name in found for found in figures.values())] or list(_SHOWN[:1])
    head = ("task", "calls", *(METRIC_NAMES[name] for name in metrics), f"majority {METRIC_NAMES[metrics[0]]}")
    rows = []
    for task, found in figures.items():
        cells = [found.get(name) for name in metrics] + [found.get("majority", {}).get(metrics[0])]
        rows.append((task, str(found["calls"]), *map(shown, cells)))
    return head, rows


def shown(figure: Mapping[str, float] | None) -> str:
    """`0.612 [0.580, 0.645]`; no bounds without width, a dash for nothing."""
    if figure is None:
        return "–"
    bounds = f" [{figure['low']:.3f}, {figure['high']:.3f}]" if has_width(figure["low"], figure["high"]) else ""
    return f"{figure['value']:.3f}{bounds}"
