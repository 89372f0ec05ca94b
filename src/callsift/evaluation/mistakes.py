"""The worst mistakes: the calls whose true grade a model thought least likely, with what was said in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callsift.evaluation.desk import Desk, Progress, Task, desk_of, silently
from callsift.evaluation.graded import Graded
from callsift.evaluation.scored import by_grade
from callsift.isolation import Lost
from callsift.labels import LabelScheme
from callsift.scoring.scorer import Scorer, result_row
from callsift.types import Call

MOST = 20


def worst_of(scheme: LabelScheme, items: Sequence[Graded], most: int = MOST) -> list[Graded]:
    """Items with a wrong grade, that of the least probable true grade first; numbers by their absolute error."""
    if scheme.kind == "number":
        wrong = [item for item in items if error_of(scheme, item) > 0]
        return sorted(wrong, key=lambda item: (-error_of(scheme, item), item.key))[:most]
    wrong = [item for item in items if item.verdict.grade not in scheme.grade_set(item.label)]
    return sorted(wrong, key=lambda item: (likely_of(scheme, item), item.key))[:most]


def likely_of(scheme: LabelScheme, item: Graded) -> float:
    """The probability that was given to the grades that the label allows."""
    shares = by_grade(scheme, item.verdict.probabilities)
    return sum(shares[grade] for grade in sorted(scheme.grade_set(item.label)))


def error_of(scheme: LabelScheme, item: Graded) -> float:
    """How far a number is off."""
    assert item.verdict.value is not None
    return abs(item.verdict.value - scheme.number(item.label))


def mistakes_of(
    scorer: Scorer | Desk, items: Sequence[Graded], *, moments: int = 0, progress: Progress = silently
) -> list[dict[str, Any]]:
    """The worst mistakes as the report shows them. `row`: the result row; of a mistake about a segment, with it alone.

    `moments`: of how many segments of a call the words, sounds and pauses are looked into, those that count most; of
    mistakes about segments (if above 0), of these. A call is scored once more for that, whatever is wrong with it.
    """
    desk = desk_of(scorer)
    scheme = desk.subject.scheme
    worst = worst_of(scheme, items)
    rows = {item.call.call_id: item.row for item in worst}
    if moments:
        tasks = [_task([item for item in worst if item.call.call_id == name], moments) for name in rows]
        for task, again in desk.answers(tasks, progress, "looking into mistakes"):
            name = task.call.call_id
            rows[name] = _looked_into(rows[name], again)
    return [_row_of(scheme, item, rows[item.call.call_id]) for item in worst]


def _task(mistakes: Sequence[Graded], moments: int) -> Task:
    """To look into a call's mistakes."""
    call, row = mistakes[0].call, mistakes[0].row
    names = [each["segment_id"] for each in row["segments"]]
    wrong = sorted(names.index(item.segment_id) for item in mistakes if item.segment_id)
    return Task(explained_of, call, (len(wrong) or moments, wrong), moments=len(wrong) or moments)


def explained_of(scorer: Scorer, call: Call, moments: int, of: Sequence[int]) -> dict[str, Any]:
    """A call's result row with moments."""
    return result_row(scorer.score(call, moments, of))


def _looked_into(row: Any, again: Any) -> Any:
    """A call's result row with moments; without, where it can't be scored, or cut, as it was the first time.

    What was odd, and the hash of what was given, stay as they were: here a call is read that is prepared already.
    """
    names = [each["segment_id"] for each in row["segments"]]
    if isinstance(again, Lost) or [each["segment_id"] for each in again["segments"]] != names:
        return row
    return {**again, "call_sha256": row["call_sha256"], "warnings": row["warnings"], "error": None}


def _row_of(scheme: LabelScheme, item: Graded, row: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "call_id": item.call.call_id,
        "label": list(item.label) if isinstance(item.label, tuple) else item.label,
        "grade": item.verdict.grade,
        "propensity": item.verdict.propensity,
        "probability_of_label": None,
        "duration_s": row["duration_s"],
        "language": row["language"],
        "row": row,
    }
    if scheme.kind == "number":
        found |= {"value": item.verdict.value, "error": error_of(scheme, item)}
    else:
        found["probability_of_label"] = likely_of(scheme, item)
    if item.segment_id:
        found["segment_id"] = item.segment_id
        mine = [each for each in row["segments"] if each["segment_id"] == item.segment_id]
        # What the streams add is of the whole call.
        found["row"] = {name: each for name, each in row.items() if name != "streams"} | {"segments": mine}
    return found
