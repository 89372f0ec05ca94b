"""What answers without a network say of a benchmark's test items: the commonest grade, TF-IDF of the words, and
logistic regression on statistics of the sound.

All learn, fold by fold, from the calls that the rows train on and validate on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from callsift.config import TrainConfig
from callsift.errors import CallsiftError
from callsift.labels import LabelScheme
from callsift.training.studies.answers import Item, calls_of
from callsift.training.studies.compared import Seeds, together
from callsift.training.studies.plan import Job, Study
from callsift.types import Call, Label, Turn

MAJORITY, TFIDF, CLIPS = "majority", "tfidf", "clips"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A labelled item, and its words."""

    item: Item
    text: str


def baseline_items(
    study: Study, scheme: LabelScheme, heard_as: TrainConfig | None = None
) -> tuple[dict[str, dict[str, Seeds]], list[str]]:
    """Baseline → task → its answers to the test items of all folds; and why one is missing, in sentences.

    `heard_as`: the front end whose frames are summed up for a baseline by the sound; None for no such baseline.
    """
    seed = study.design.seeds[0]
    parts = [calls_of(study, Job(study.rows[0], fold, seed)) for fold in study.design.asked]
    folds = [(_labelled(study, calls, test=False), _labelled(study, calls, test=True)) for calls in parts]
    tasks = list(scheme.class_counts)
    commonest = [
        replace(asked.item, said=said)
        for known, test in folds
        for said in [_commonest([each.item.label for each in known], scheme)]
        for asked in test
    ]
    found = {MAJORITY: dict.fromkeys(tasks, together([(0, commonest)]))}
    missing = []
    try:
        found[TFIDF] = _tfidf(folds, scheme)
    except CallsiftError as error:  # no words, or no scikit-learn
        missing.append(f"No TF-IDF baseline: {error}.")
    if heard_as is not None:
        try:
            found[CLIPS] = dict.fromkeys(tasks, together([(0, _by_sound(parts, folds, heard_as))]))
        except CallsiftError as error:
            missing.append(f"No baseline by the sound: {error}.")
    return found, missing


def _by_sound(
    parts: Sequence[Sequence[Call]], folds: Sequence[tuple[list[_Asked], list[_Asked]]], config: TrainConfig
) -> list[Item]:
    from callsift.benchmarks.clip_statistics import clip_answers

    said = clip_answers(parts, config)
    return [replace(asked.item, said=said[asked.item.call_id]) for _, test in folds for asked in test]


def _labelled(study: Study, calls: Sequence[Call], *, test: bool) -> list[_Asked]:
    row = study.rows[0]
    owners = study.owners[row.data]
    found = []
    for call in calls:
        if (call.split == "test") is test:
            own = owners[call.call_id]
            found += [
                _Asked(Item(call.call_id, name, own, label, 0.0), " ".join(turn.text for turn in turns))
                for name, label, turns in _items_of(call, row.config.target)
                if label is not None
            ]
    return found


def _items_of(call: Call, target: str) -> list[tuple[str, Label | None, Sequence[Turn]]]:
    if target == "segment":
        return [(segment.segment_id, segment.label, segment.turns) for segment in call.segments]
    return [("", call.label, call.turns or [turn for segment in call.segments for turn in segment.turns])]


def _commonest(labels: Sequence[Label], scheme: LabelScheme) -> Mapping[str, float] | float:
    """The share of every grade, whose largest sum is each task's commonest class; or the median of numbers."""
    if scheme.kind == "number":
        return float(np.median([scheme.number(label) for label in labels]))
    counts = Counter(label for label in labels if isinstance(label, str))
    total = max(sum(counts.values()), 1)
    return {grade: counts[grade] / total for grade in scheme.grades}


def _tfidf(folds: Sequence[tuple[list[_Asked], list[_Asked]]], scheme: LabelScheme) -> dict[str, Seeds]:
    from callsift.evaluation.baselines import tfidf_answers

    found: dict[str, list[Item]] = {task: [] for task in scheme.class_counts}
    for known, test in folds:
        answers = tfidf_answers([(each.text, each.item.label) for each in known], [each.text for each in test], scheme)
        for asked, answer in zip(test, answers, strict=True):
            for task, said in answer.items():
                found[task].append(replace(asked.item, said=_shares(scheme, task, said)))
    return {task: together([(0, items)]) for task, items in found.items()}


def _shares(scheme: LabelScheme, task: str, said: str | float) -> Mapping[str, float] | float:
    """A class as shares of its grades."""
    if not isinstance(said, str):
        return float(said)
    members = scheme.tasks[task][said]
    return {grade: float(grade in members) / len(members) for grade in scheme.grades}
