"""What a model said of calls, as the numbers that class balances are estimated from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from callsift.decision import decide
from callsift.errors import DataError
from callsift.evaluation.metrics import drawn_by
from callsift.evaluation.predictions import FinishedRun
from callsift.evaluation.shift import Scored
from callsift.labels import LabelScheme
from callsift.scoring.scorer import Scorer
from callsift.types import Call, Label


@dataclass(frozen=True, slots=True)
class Said:
    """A call or a segment: its call, its label if any, and grade → probability, not corrected for any balance.

    `group`: what it is evidence of together with others, the call's group, else the call.
    """

    call_id: str
    group: str
    label: Label | None
    shares: Mapping[str, float]


def by_grade(scheme: LabelScheme, probabilities: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Grade → its probability, of combined probabilities by task and class."""
    finest = scheme.tasks[scheme.finest_task]
    return {members[0]: probabilities[scheme.finest_task][name] for name, members in finest.items()}


def scored_of(scheme: LabelScheme, said: Sequence[Said], *, graded: bool = False) -> Scored:
    """As arrays. `graded`: only items whose label settles the grade, with it.

    Raises:
        DataError: no such item.
    """
    kept = [each for each in said if not graded or _settled(scheme, each.label)]
    if not kept:
        raise DataError("no validation call whose label settles its grade" if graded else "no call could be scored")
    shares = np.array([[each.shares[grade] for grade in scheme.grades] for each in kept])
    owners = drawn_by([each.group for each in kept], [each.call_id for each in kept])
    if not graded:
        return Scored(shares, groups=owners)
    grades = [scheme.grades.index(next(iter(scheme.grade_set(e.label)))) for e in kept if e.label is not None]
    return Scored(shares, np.array(grades, dtype=np.int64), owners)


def score_calls(scorer: Scorer, calls: Iterable[Call]) -> tuple[list[Said], dict[str, str]]:
    """Score calls with their labels; and of those that can't be scored, why. No balance is corrected for."""
    plain = copy(scorer)
    plain.calibration = replace(scorer.calibration, target_balance=None)
    found: list[Said] = []
    failed: dict[str, str] = {}
    for call in calls:
        score = plain.score(call)
        group = call.group or call.call_id
        if score.error is not None:
            failed[call.call_id] = f"{score.error[0]}: {score.error[1]}"
        elif scorer.target == "call":
            found.append(Said(call.call_id, group, call.label, by_grade(scorer.scheme, score.probabilities)))
        else:
            labels = {segment.segment_id: segment.label for segment in call.segments}
            found += [
                Said(call.call_id, group, labels.get(each.segment_id), by_grade(scorer.scheme, each.probabilities))
                for each in score.segments
            ]
    return found, failed


def said_of_run(run: FinishedRun, split: str) -> list[Said]:
    """What a run's predictions on `val` or `test` say, calibrated and combined.

    Raises:
        DataError: the run has no such predictions.
    """
    found = run.predictions(split)
    if not found.call_ids:
        raise DataError("holds no predictions", run.folder / f"predictions/{split}.csv")
    verdicts = decide(found.logits, run.scheme, replace(run.calibration, target_balance=None))
    return [
        Said(call_id, group, label, by_grade(run.scheme, verdict.probabilities))
        for call_id, group, label, verdict in zip(found.call_ids, found.groups, found.labels, verdicts, strict=True)
    ]


def _settled(scheme: LabelScheme, label: Label | None) -> bool:
    return label is not None and len(scheme.grade_set(label)) == 1
