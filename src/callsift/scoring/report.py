"""The HTML report of scored calls: one self-contained file, a line per call that opens to its segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from callsift.files import write_text
from callsift.labels import LabelScheme
from callsift.pages import environment, printable
from callsift.types import Label

MOMENTS_SHOWN = 6
LEAST_SHOWN = 0.0005
"""A contribution that is shown as 0 tells nothing."""


def ranked(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Scored calls by rank score, else propensity, best first; failed calls last, in their order."""

    def key(row: Mapping[str, Any]) -> tuple[bool, float]:
        value = row["rank_score"] if row["rank_score"] is not None else row["propensity"]
        return row["error"] is not None, -(value or 0.0)

    return sorted(rows, key=key)


def ordered_by(rows: Sequence[Mapping[str, Any]]) -> str:
    """What `ranked` goes by, for people; empty where there is nothing to go by."""
    if any(row.get("value") is not None for row in rows):
        return "ordered by rank, the number that the model gives"
    if any(row["rank_score"] is not None for row in rows):
        return "ordered by rank, the expected worth of the grade"
    return "ordered by propensity" if any(row["propensity"] is not None for row in rows) else ""


def label_text(label: Label | None) -> str:
    """A label for people: `B`, or `A/B/C` where several are possible."""
    return "" if label is None else "/".join(label) if isinstance(label, tuple) else str(label)


def write_report(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    scheme: LabelScheme,
    *,
    title: str,
    true_labels: Mapping[str, Label | None] | None = None,
) -> None:
    """Write the report of result rows (as in the JSONL output), atomically.

    `true_labels`: graded by people, shown beside the given grade; None leaves the column out.
    """
    truth = None if true_labels is None else {call: label_text(label) for call, label in true_labels.items()}
    failed = sum(row["error"] is not None for row in rows)
    page = (
        environment()
        .get_template("scoring/report.html.j2")
        .render(
            title=title,
            rows=ranked(rows),
            scheme=scheme,
            truth=truth,
            failed=failed,
            model=rows[0]["model"] if rows else None,
            finest=scheme.finest_task,
            order=ordered_by(rows),
            with_rank=any(row["rank_score"] is not None and row.get("value") is None for row in rows),
            with_moments=any("moments" in segment for row in rows for segment in row["segments"]),
            telling=telling,
            by_segment=any("grade" in segment or "value" in segment for row in rows for segment in row["segments"]),
        )
    )
    write_text(path, printable(page))


def telling(moments: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The few moments of a segment, as they stand in its result row, that are worth a look."""
    return [moment for moment in moments if abs(moment["contribution"]) >= LEAST_SHOWN][:MOMENTS_SHOWN]
