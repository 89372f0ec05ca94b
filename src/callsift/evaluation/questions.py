"""What rows of runs are asked side by side: every metric of every task, as arrays of truth and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.decision import by_class, likeliest, propensity
from callsift.errors import UsageError
from callsift.evaluation.answered import Item, Row
from callsift.evaluation.drawn import mass_error, mean_score
from callsift.evaluation.metrics import ALL_METRICS, METRIC_NAMES, Metric, drawn_by
from callsift.evaluation.ranking import auroc
from callsift.evaluation.reliability import brier, buyer_of
from callsift.evaluation.tasks import metrics_of
from callsift.labels import LabelScheme

Array = NDArray[Any]
Answers = Mapping[str, Mapping[int, Array]]
"""Row → seed → (items, …)."""

PROBABILITY_METRICS: Final = {"auroc": "AUROC of buyers", "ece": "ECE", "brier": "Brier"}
"""What is asked of probabilities: of the propensity, and of the finest task."""
LESS_IS_BETTER: Final = frozenset({"mean_absolute_error", "ece", "brier"})
_FEW: Final = ("accuracy", "macro_f1", "auroc", "ece", "brier", "mean_absolute_error", "correlation", "acc2_non0")


@dataclass(frozen=True, slots=True)
class Question:
    """One metric of one task. `truth` (items,), `said`: what every row said of each item with every seed, as the metric
    takes it. `owners`: of every item what is drawn and exchanged together with it, its group or its
    call; `groups`: how many they are of."""

    task: str
    key: str
    name: str
    metric: Metric
    truth: Array
    said: Answers
    owners: list[str]
    groups: int


def known_metrics(scheme: LabelScheme) -> dict[str, str]:
    """The metrics that rows of a scheme can be compared by: key → its name for people."""
    known = {key: METRIC_NAMES[key] for key in metrics_of(scheme)}
    if scheme.kind == "number":
        return known
    return known | {key: name for key, name in PROBABILITY_METRICS.items() if key != "auroc" or scheme.positive}


def chosen_metrics(scheme: LabelScheme, wanted: Sequence[str]) -> dict[str, str]:
    """Those wanted, or a readable few.

    Raises:
        UsageError: one that this scheme does not have.
    """
    known = known_metrics(scheme)
    if unknown := [key for key in wanted if key not in known]:
        raise UsageError(f"--metrics {unknown[0]}: label scheme '{scheme.id}' is compared by {', '.join(known)}")
    return {key: known[key] for key in (dict.fromkeys(wanted) or _FEW) if key in known}


def questions_of(
    rows: Sequence[Row],
    first: Row,
    items: Sequence[Item],
    groups: Sequence[str],
    metrics: Mapping[str, str],
    tasks: Sequence[str],
) -> Iterator[Question]:
    """Every metric of every task that labels settle, by the label scheme of `first`; `groups`: of every item."""
    scheme = first.scheme
    labels = [next(iter(first.seeds.values()))[item].label for item in items]
    said = {
        row.name: {seed: np.stack([answers[item].said for item in items]) for seed, answers in row.seeds.items()}
        for row in rows
    }
    asked = partial(_asked, said=said, groups=groups, calls=[call for call, _ in items])
    if scheme.kind == "number":
        numbers = [scheme.number(label) for label in labels]
        for key, name in metrics.items():
            yield from asked((scheme.finest_task, key, name), ALL_METRICS[key], numbers, _number, kind=np.float64)
        return
    for task in tasks:
        names, shares = list(scheme.tasks[task]), partial(by_class, scheme=scheme, task=task)
        known = [None if (found := scheme.class_of(task, label)) is None else names.index(found) for label in labels]
        for key, name in metrics.items():
            if key not in PROBABILITY_METRICS:
                yield from asked((task, key, name), ALL_METRICS[key], known, partial(_class, shares))
        if task != scheme.finest_task:
            continue
        buyers = [buyer_of(scheme, label) for label in labels]
        if "auroc" in metrics and {True, False} <= set(buyers):
            about = ("propensity", "auroc", metrics["auroc"])
            yield from asked(about, auroc, buyers, partial(_propensity, scheme), kind=np.bool_)
        if "ece" in metrics:
            yield from asked((task, "ece", metrics["ece"]), mass_error, known, partial(_sure_and_right, shares))
        if "brier" in metrics:
            yield from asked((task, "brier", metrics["brier"]), mean_score, known, partial(_brier, shares))


def why_unasked(scheme: LabelScheme, key: str, tasks: Sequence[str]) -> str:
    """Why labels give no figure of a metric for these tasks."""
    if key in PROBABILITY_METRICS and scheme.finest_task not in tasks:
        return f"it is asked of task '{scheme.finest_task}' alone"
    if key == "auroc":
        return "it needs a label that is a buyer's, and one that is not"
    return f"no label of these items settles {' or '.join(tasks)}"


def _asked(
    about: tuple[str, str, str],
    metric: Metric,
    known: Sequence[Any],
    say: Callable[[Array, Array], Array],
    *,
    said: Answers,
    groups: Sequence[str],
    calls: Sequence[str],
    kind: type = np.int64,
) -> Iterator[Question]:
    """The question of the items whose truth is known; none where no item's is. `say`: answers, truth → (items, …)."""
    at = np.array([place for place, value in enumerate(known) if value is not None], dtype=np.int64)
    truth: Array = np.array([value for value in known if value is not None], dtype=kind)
    if len(at):
        mine = {row: {seed: say(each[at], truth) for seed, each in seeds.items()} for row, seeds in said.items()}
        owners, of = [groups[place] for place in at], [calls[place] for place in at]
        yield Question(*about, metric, truth, mine, drawn_by(owners, of), len(set(owners)))


def _number(answers: Array, _: Array) -> Array:
    return answers[:, 0]


def _class(shares: Callable[[Array], Array], answers: Array, _: Array) -> Array:
    return likeliest(shares(answers))


def _propensity(scheme: LabelScheme, answers: Array, _: Array) -> Array:
    return np.asarray(propensity(answers, scheme))


def _sure_and_right(shares: Callable[[Array], Array], answers: Array, truth: Array) -> Array:
    """(items, 2): the probability of the likeliest class, and whether that one is true."""
    probabilities = shares(answers)
    return np.stack([probabilities.max(axis=1), likeliest(probabilities) == truth], axis=1)


def _brier(shares: Callable[[Array], Array], answers: Array, truth: Array) -> Array:
    return brier(shares(answers), truth)
