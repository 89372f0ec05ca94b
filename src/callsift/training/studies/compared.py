"""The answers of a study's rows as figures: means over seeds with intervals, and paired tests against one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from callsift.decision import by_class, likeliest
from callsift.errors import DataError, UsageError
from callsift.evaluation import metrics
from callsift.evaluation.compare import Tested, clustered, clustered_difference, exchange_test, holm
from callsift.evaluation.differences import with_width
from callsift.evaluation.metrics import METRIC_NAMES, Interval, Metric, drawn_by, draws_groups
from callsift.evaluation.ranking import auroc
from callsift.evaluation.tasks import metrics_of
from callsift.labels import LabelScheme
from callsift.training.studies.answers import Answer, Item

ALL_METRICS: Final[dict[str, Metric]] = {**metrics.ALL_METRICS, "auroc": auroc}

Name = tuple[str, str]
Seeds = Mapping[int, Mapping[Name, Item]]
"""Seed → what its trainings answered together, fold by fold."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured: a metric of one task of a label scheme."""

    metric: str
    scheme: LabelScheme
    task: str

    @property
    def name(self) -> str:
        """For a table's head: `accuracy (five)`."""
        words = METRIC_NAMES[self.metric]
        return words if self.scheme.kind == "number" else f"{words} ({self.task})"

    def truth(self, item: Item) -> float | None:
        """The class, or the number, that the label means; None where it leaves the task open."""
        if self.scheme.kind == "number":
            return self.scheme.number(item.label)
        known = self.scheme.class_of(self.task, item.label)
        return None if known is None else float(list(self.scheme.tasks[self.task]).index(known))

    def said(self, item: Item) -> float:
        """The class that was answered, or the number."""
        if isinstance(item.said, Mapping):
            grades = np.array([item.said[grade] for grade in self.scheme.grades])
            return float(likeliest(by_class(grades, self.scheme, self.task)))
        return float(item.said)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether the order that a model brings calls in agrees with an outcome of another scheme: the AUROC.

    `scheme`: the model's. `outcome`: the other, whose positive grades are to come first.
    """

    scheme: LabelScheme
    outcome: LabelScheme
    metric: str = "auroc"
    name: str = "AUROC"

    def truth(self, item: Item) -> float | None:
        """1 for a positive label, 0 for another; None where the label leaves it open."""
        grades = self.outcome.grade_set(item.label)
        positive = grades & set(self.outcome.positive)
        return None if positive and positive != grades else float(bool(positive))

    def said(self, item: Item) -> float:
        """The number, the expected worth of the grade, or the propensity: the first that the scheme has."""
        if not isinstance(item.said, Mapping):
            return float(item.said)
        worth = self.scheme.worth or dict.fromkeys(self.scheme.positive, 1.0)
        return sum(item.said[grade] * worth.get(grade, 0.0) for grade in self.scheme.grades)


def measure_of(scheme: LabelScheme, metric: str | None, task: str | None) -> Measure:
    """The measure that was asked for; without, accuracy of the finest task, or the mean absolute error of a number.

    Raises:
        UsageError: a metric or a task that the scheme does not have.
    """
    known = metrics_of(scheme)
    metric = metric or next(iter(known))
    task = task or scheme.finest_task
    if metric not in known:
        raise UsageError(f"--metric {metric}: label scheme '{scheme.id}' is measured by {', '.join(known)}")
    if task not in scheme.class_counts:
        raise UsageError(f"--task {task}: label scheme '{scheme.id}' has {', '.join(scheme.class_counts)}")
    return Measure(metric, scheme, task)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table; figures are None where a training of the row failed, tests where there is no pair."""

    name: str
    figure: Interval | None = None
    difference: Interval | None = None
    by_call: Tested | None = None
    by_call_adjusted: float | None = None
    by_group: Tested | None = None
    by_group_adjusted: float | None = None
    items: int = 0
    groups: int = 0
    trainings: int = 0
    failed: tuple[str, ...] = ()
    seconds: float | None = None
    train_calls: float | None = None
    train_groups: float | None = None
    x: float | None = None


def together(answers: Sequence[tuple[int, Sequence[Item]]]) -> Seeds:
    """(seed, items) of every training → seed → all its items, each once (of a call answered twice, the first)."""
    found: dict[int, dict[Name, Item]] = {}
    for seed, items in answers:
        mine = found.setdefault(seed, {})
        for item in items:
            mine.setdefault(item.name, item)
    return found


def figure_of(measure: Measure | Agreement, seeds: Seeds) -> tuple[Interval | None, int, int]:
    """The figure of the items that every seed answered; how many these are, and their groups."""
    names, truth, groups = _items(measure, [seeds])
    if not names:
        return None, 0, 0
    said = [_said(measure, seeds[seed], names) for seed in sorted(seeds)]
    drawn = drawn_by(groups, [call_id for call_id, _ in names])
    metric = ALL_METRICS[measure.metric]
    found = with_width(metric, clustered(metric, truth, said, drawn), truth, said[0], drawn)
    return found, len(names), len(set(groups))


def compare(measure: Measure | Agreement, line: Line, one: Seeds, other: Seeds) -> Line:
    """The line with its difference to another row, on the items and seeds that both have, and the paired tests; as it
    is where there are no such items, or the metric says nothing of them."""
    common = sorted(set(one) & set(other))
    both = [{seed: row[seed] for seed in common} for row in (one, other)]
    names, truth, groups = _items(measure, both)
    if not names:
        return line
    mine, theirs = ([_said(measure, row[seed], names) for seed in common] for row in both)
    metric = ALL_METRICS[measure.metric]
    calls = [call_id for call_id, _ in names]
    by_group = draws_groups(groups, calls)
    try:
        return replace(
            line,
            difference=clustered_difference(metric, truth, mine, theirs, drawn_by(groups, calls)),
            by_call=exchange_test(metric, truth, mine, theirs, calls),
            by_group=exchange_test(metric, truth, mine, theirs, groups) if by_group else None,
        )
    except DataError:
        return line


def adjusted(lines: Sequence[Line]) -> list[Line]:
    """The lines with Holm's correction over all tests of the table, by call and by group apart."""
    found = list(lines)
    for kind in ("by_call", "by_group"):
        tested = [at for at, line in enumerate(found) if getattr(line, kind) is not None]
        ps = holm([getattr(found[at], kind).p for at in tested])
        for at, p in zip(tested, ps, strict=True):
            changed: dict[str, Any] = {f"{kind}_adjusted": p}
            found[at] = replace(found[at], **changed)
    return found


def about(line: Line, answers: Sequence[Answer]) -> Line:
    """The line with what its trainings took."""
    if not answers:
        return line

    def mean(*keys: str) -> float:
        values = []
        for answer in answers:
            value: Any = answer.about
            for key in keys:
                value = value[key]
            values.append(value)
        return float(np.mean(values))

    return replace(
        line, seconds=mean("seconds"), train_calls=mean("calls", "train"), train_groups=mean("groups", "train")
    )


def _items(measure: Measure | Agreement, rows: Sequence[Seeds]) -> tuple[list[Name], Any, list[str]]:
    """The items that all seeds of all rows answered and whose label says something; their truth and groups."""
    answers = [mine for seeds in rows for mine in seeds.values()]
    if not answers:
        return [], np.array([]), []
    names = sorted(set.intersection(*(set(mine) for mine in answers)))
    first = answers[0]
    known = [(name, true) for name in names if (true := measure.truth(first[name])) is not None]
    names = [name for name, _ in known]
    truth = np.array([true for _, true in known], dtype=_kind(measure))
    return names, truth, [first[name].group for name in names]


def _said(measure: Measure | Agreement, mine: Mapping[Name, Item], names: Sequence[Name]) -> Any:
    return np.array([measure.said(mine[name]) for name in names], dtype=_kind(measure))


def _kind(measure: Measure | Agreement) -> Any:
    """Classes are whole numbers."""
    classes = isinstance(measure, Measure) and measure.scheme.kind != "number"
    return np.int64 if classes else np.float64
