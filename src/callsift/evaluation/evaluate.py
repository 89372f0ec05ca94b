"""Evaluate a scorer on graded calls, by the very path that scores them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from callsift.decision import Verdict
from callsift.errors import UsageError
from callsift.evaluation.metrics import drawn_by
from callsift.evaluation.tasks import figures_of
from callsift.scoring.scorer import Scorer, result_row
from callsift.types import Call, CallScore, Label, SegmentEvidence


def evaluate_calls(scorer: Scorer, calls: Iterable[Call]) -> dict[str, Any]:
    """Score labelled calls and compare: figures of the combined tasks, of each task by itself, and the rows.

    `parts`: the engine and the diarizer, by specification, for calls that need them. `failed`: call id → why, of calls
    that could not be scored; they count in no figure.

    Raises:
        UsageError: no call could be scored.
    """
    labels: list[Label] = []
    verdicts: list[Verdict] = []
    groups: list[str] = []
    call_ids: list[str] = []
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for call in calls:
        score = scorer.score(call)
        rows.append(result_row(score))
        if score.error is not None:
            failed[call.call_id] = f"{score.error[0]}: {score.error[1]}"
            continue
        for label, verdict in _answers(scorer, call, score):
            labels.append(label)
            verdicts.append(verdict)
            groups.append(call.group or call.call_id)
            call_ids.append(call.call_id)
    if not verdicts:
        raise UsageError(f"none of {len(rows)} calls could be scored; the first: {next(iter(failed.items()), '')}")
    return {
        "model": rows[0]["model"],
        "parts": dict(scorer.pipeline.parts),
        **figures_of(
            scorer.scheme,
            labels,
            verdicts,
            groups=drawn_by(groups, call_ids),
            train_balance=scorer.calibration.train_balance,
        ),
        "failed": failed,
        "rows": rows,
    }


def _answers(scorer: Scorer, call: Call, score: CallScore) -> list[tuple[Label, Verdict]]:
    """What is labelled, the call or its segments, with what the scorer said of it."""
    if scorer.target == "call":
        return [] if call.label is None else [(call.label, _verdict(score))]
    labels = {segment.segment_id: segment.label for segment in call.segments}
    found = ((labels.get(segment.segment_id), _verdict(segment)) for segment in score.segments)
    return [(label, verdict) for label, verdict in found if label is not None]


def _verdict(said: CallScore | SegmentEvidence) -> Verdict:
    probabilities, raw = said.probabilities, said.raw_probabilities
    return Verdict(
        said.grade,
        None,
        None,
        {task: dict(found) for task, found in probabilities.items()},
        {task: dict(found) for task, found in raw.items()},
        said.value,
    )
