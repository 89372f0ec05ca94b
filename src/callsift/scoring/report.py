"""The HTML report of scored calls: one self-contained file, a line per call that opens to its segments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsift.files import write_text
from callsift.labels import LabelScheme
from callsift.pages import environment, printable
from callsift.types import ROLES, Label

MOMENTS_SHOWN = 6
LEAST_SHOWN = 0.0005
"""A contribution that is shown as 0 tells nothing."""

_TURN = re.compile(rf"(?:^|; )(?:{'|'.join(ROLES)}): ")
"""What begins a turn in a segment's text (`callsift.pipeline.segment_text`)."""
_BETWEEN_TURNS = " / "


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a segment's text; `contribution` of one whose words are a moment's."""

    text: str
    contribution: float | None = None


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


def heading_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """What stands beside each call: its `value`, its `propensity`, or nothing."""
    return next((name for name in ("value", "propensity") if any(row.get(name) is not None for row in rows)), "")


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
            heading=heading_of(rows),
            with_weights=any(
                segment.get("weight", segment.get("contribution")) is not None
                for row in rows
                for segment in row["segments"]
            ),
            with_rank=any(row["rank_score"] is not None and row.get("value") is None for row in rows),
            with_moments=any("moments" in segment for row in rows for segment in row["segments"]),
            telling=telling,
            marked=marked,
            explained=explained_in(rows),
            by_segment=any("grade" in segment or "value" in segment for row in rows for segment in row["segments"]),
        )
    )
    write_text(path, printable(page))


def telling(moments: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The few moments of a segment, as they stand in its result row, that are worth a look."""
    return [moment for moment in moments if abs(moment["contribution"]) >= LEAST_SHOWN][:MOMENTS_SHOWN]


def explained_in(rows: Sequence[Mapping[str, Any]]) -> str:
    """What evidence explains, for people: the same of all rows but for the grade whose probability it is."""
    found = next((str(row["explained"]) for row in rows if row.get("explained")), "propensity")
    return "probability of its grade" if found.startswith("probability") else found


def marked(segment: Mapping[str, Any]) -> list[Piece]:
    """The text of a segment's result row in pieces, with the words that are worth a look apart from the others."""
    text = str(segment["text"])
    words = [moment for moment in telling(segment.get("moments", ())) if moment["kind"] == "word"]
    found = sorted((start, end, word["contribution"]) for word in words for start, end in places_of(text, word))
    pieces, at = [], 0
    for start, end, contribution in found:
        pieces += [Piece(text[at:start]), Piece(text[start:end], contribution)]
        at = end
    return [piece for piece in (*pieces, Piece(text[at:])) if piece.text]


def places_of(text: str, word: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Where the words of a moment stand in its segment's text, a place for each turn; none where they don't."""
    starts = [found.end() for found in _TURN.finditer(text)]
    if word.get("turn") is None or word["turn"] >= len(starts):
        return []
    start, said = starts[word["turn"]] + word["at"], str(word["text"])
    parts = [said] if text.startswith(said, start) else said.split(_BETWEEN_TURNS)
    if not text.startswith(parts[0], start):
        return []
    places = [(start, start + len(parts[0]))]
    for part in parts[1:]:
        begin = text.find(part, next((each for each in starts if each > places[-1][1]), len(text)))
        if begin < 0:
            break
        places.append((begin, begin + len(part)))
    return places
