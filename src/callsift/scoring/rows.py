"""Segments and their moments in a result row (format fixed in docs/formats.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callsift.types import Moment, SegmentEvidence


def segment_row(segment: SegmentEvidence) -> dict[str, Any]:
    """A segment of a call; what it has no answer or no evidence for is not there."""
    row: dict[str, Any] = {
        "segment_id": segment.segment_id,
        "start_s": round_or_none(segment.start_s, 3),
        "end_s": round_or_none(segment.end_s, 3),
        "speech_s": {role: round(seconds, 3) for role, seconds in segment.speech_s.items()},
        "text": segment.text,
        "contribution": round_or_none(segment.contribution, 6),
    }
    if segment.weight is not None:
        row["weight"] = _round(segment.weight)
    if segment.grade is not None:
        row |= {
            "grade": segment.grade,
            "probabilities": {task: rounded(found) for task, found in segment.probabilities.items()},
        }
    if segment.value is not None:
        row["value"] = round(segment.value, 6)
    if segment.moments:
        row["moments"] = [_moment_row(moment) for moment in segment.moments]
    return row


def _moment_row(moment: Moment) -> dict[str, Any]:
    return {
        "stream": moment.stream,
        "kind": moment.kind,
        "text": moment.text,
        "start_s": round_or_none(moment.start_s, 3),
        "end_s": round_or_none(moment.end_s, 3),
        "turn": moment.turn,
        "at": moment.at,
        "contribution": _round(moment.contribution),
    }


def round_or_none(value: float | None, digits: int) -> float | None:
    """A number rounded; None stays."""
    return None if value is None else round(value, digits)


def rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    """Probabilities, or shares, to six digits."""
    return {name: round(value, 6) for name, value in numbers.items()}


def _round(value: float) -> float:
    return round(value, 6) + 0.0  # never -0.0
