"""Evaluate a scorer on graded calls, by the very path that scores them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from callsift.errors import UsageError
from callsift.evaluation.tasks import figures_by_task
from callsift.scoring.scorer import Scorer, result_row
from callsift.types import Call, CallScore, Label


def evaluate_calls(scorer: Scorer, calls: Iterable[Call]) -> dict[str, Any]:
    """Score labelled calls and compare: figures of the combined tasks, of each task by itself, and the rows.

    `failed`: call id → why, of calls that could not be scored; they count in no figure.

    Raises:
        UsageError: no call could be scored.
    """
    labels: list[Label] = []
    scores: list[CallScore] = []
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for call in calls:
        score = scorer.score(call)
        rows.append(result_row(score))
        if score.error is not None:
            failed[call.call_id] = f"{score.error[0]}: {score.error[1]}"
        elif call.label is not None:
            labels.append(call.label)
            scores.append(score)
    if not scores:
        raise UsageError(f"none of {len(rows)} calls could be scored; the first: {next(iter(failed.items()), '')}")
    balance = scorer.calibration.train_balance
    return {
        "model": rows[0]["model"],
        "combined": figures_by_task(
            scorer.scheme, labels, [score.probabilities for score in scores], train_balance=balance
        ),
        "raw": figures_by_task(
            scorer.scheme, labels, [score.raw_probabilities for score in scores], train_balance=balance
        ),
        "failed": failed,
        "rows": rows,
    }
