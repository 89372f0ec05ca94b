"""The worst mistakes as the page shows them: the segments that weighed most, with their moments marked in the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from callsift.evaluation.report.cells import plain
from callsift.scoring.report import places_of
from callsift.types import ROLES

MOST_MISTAKES = 30
MOST_SEGMENTS = 12
MOST_LETTERS = 700
MOST_MOMENTS = 6
"""Sounds and pauses of a segment."""
_STRENGTHS = (20, 45, 75)
"""Per cent of the call's strongest moment from which a word is marked, marked more, and most."""
_LEAST = 0.1
"""Share of the call's strongest moment from which a sound or a pause is told."""

_SAID = ("call_id", "segment_id", "propensity", "probability_of_label", "duration_s")
_BETWEEN_TURNS = " / "
_NEXT_TURN = re.compile(rf"; (?=(?:{'|'.join(ROLES)}): )")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text; of a word that was left out, what it contributes and how strong that is, 0 to 3."""

    text: str
    contribution: float | None = None
    strength: int = 0


def calls_of(mistakes: Sequence[Row]) -> list[dict[str, Any]]:
    """Of each mistake what is said in its line, and its segments as `_segment` gives them, cut to what is readable."""
    return [_call(mistake) for mistake in mistakes[:MOST_MISTAKES]]


def _call(mistake: Row) -> dict[str, Any]:
    row: Row = mistake.get("row") or {}
    segments: Sequence[Row] = row.get("segments") or ()
    kept = _weightiest(segments)
    weights = [abs(_weight(segment) or 0.0) for segment in segments]
    moments = [abs(each["contribution"]) for segment in segments for each in segment.get("moments") or ()]
    weighed = any(_weight(segment) is not None for segment in segments)
    shown = [_segment(segments[at], max(weights), max(moments, default=0.0)) for at in kept]
    for before, at, segment in zip([-1, *kept], kept, shown, strict=False):
        segment["left_out"] = at - before - 1
    said = mistake.get("grade") if mistake.get("grade") is not None else mistake.get("value")
    return {
        **{key: mistake.get(key) for key in _SAID},
        "label": plain(mistake.get("label")),
        "said": plain(said),
        "language": language_tag(mistake.get("language")),
        # Shares of streams are of the whole call, a mistake about a segment is not.
        "streams": _streams(row.get("streams") or {}) if mistake.get("segment_id") is None else [],
        "segments": shown,
        "left_out_after": len(segments) - kept[-1] - 1 if kept else 0,
        "left_out": len(segments) - len(kept),
        "explained": row.get("explained"),
        "chosen": "those that weigh most" if weighed else "those looked into" if moments else "the first",
        "warnings": [f"{note['code']}: {note['message']}" for note in row.get("warnings") or ()],
    }


def language_tag(language: Any) -> str:
    """A language as `lang` takes it; empty where it is none."""
    text = str(language or "")
    return text if text.isascii() and text.replace("-", "").isalnum() and len(text) <= 35 else ""


def _weight(segment: Row) -> float | None:
    """What a segment adds to the quantity that is explained; older rows know it of the propensity only."""
    found: float | None = segment.get("weight", segment.get("contribution"))
    return found


def _weightiest(segments: Sequence[Row]) -> list[int]:
    """Which segments are shown, in their order: those with moments, then of largest contribution, else the first."""

    def weight(at: int) -> tuple[bool, float]:
        return not segments[at].get("moments"), -abs(_weight(segments[at]) or 0.0)

    return sorted(sorted(range(len(segments)), key=weight)[:MOST_SEGMENTS])


def _streams(shares: Mapping[str, float]) -> list[dict[str, Any]]:
    most = max(map(abs, shares.values()), default=0.0)
    return [{"name": name, "share": share, "width": _width(share, most)} for name, share in shares.items()]


def _segment(segment: Row, most: float, most_of_moments: float) -> dict[str, Any]:
    contribution = _weight(segment)
    text, moments = segment.get("text") or "", list(segment.get("moments") or ())
    words = [each for each in moments if each["kind"] == "word" and each.get("text")]
    others = [each for each in moments if each["kind"] != "word" and _counts(each["contribution"], most_of_moments)]
    others.sort(key=lambda each: -abs(each["contribution"]))
    return {
        **{key: segment.get(key) for key in ("segment_id", "start_s", "end_s", "grade", "value")},
        "contribution": contribution,
        "width": _width(contribution or 0.0, most),
        "text": [_by_turns(piece) for piece in marked(text[:MOST_LETTERS], words, most_of_moments)],
        "letters_left_out": max(len(text) - MOST_LETTERS, 0),
        "moments": others[:MOST_MOMENTS],
    }


def _counts(contribution: float, most: float) -> bool:
    """Whether a sound or a pause is worth a line beside the call's strongest moment."""
    return contribution != 0.0 and abs(contribution) >= _LEAST * most


def _width(value: float, most: float) -> int:
    """Per cent of the longest."""
    return round(100.0 * abs(value) / most) if most else 0


def marked(text: str, words: Sequence[Row], most: float) -> list[Piece]:
    """A segment's text in pieces; those of `words` have their contribution and its strength, to 3 for nearly `most`.

    Words that tell their place stand there. Of others longer ones take theirs first, of equal ones the earlier said the
    earlier. A word that is not in the text (cut off) is passed over.
    """
    placed = [word for word in words if word.get("turn") is not None]
    taken = [(start, end, word["contribution"]) for word in placed for start, end in places_of(text, word)]
    others = [word for word in words if word.get("turn") is None]
    parts = [(part, word) for word in others for part in str(word["text"]).split(_BETWEEN_TURNS) if part]
    for part, word in sorted(parts, key=lambda each: (-len(each[0]), each[1].get("start_s") or 0.0)):
        if (start := _free(text, part, taken)) is not None:
            taken.append((start, start + len(part), word["contribution"]))
    return _pieces(text, taken, most)


def _pieces(text: str, taken: Sequence[tuple[int, int, float]], most: float) -> list[Piece]:
    pieces, at = [], 0
    for start, end, contribution in sorted(taken):
        if start < at:
            continue
        if start > at:
            pieces.append(Piece(text[at:start]))
        pieces.append(Piece(text[start:end], contribution, _strength(contribution, most)))
        at = end
    return [*pieces, Piece(text[at:])] if at < len(text) else pieces


def _by_turns(piece: Piece) -> Piece:
    """Every turn on a line of its own."""
    return replace(piece, text=_NEXT_TURN.sub("\n", piece.text))


def _strength(contribution: float, most: float) -> int:
    return sum(_width(contribution, most) >= least for least in _STRENGTHS)


def _free(text: str, part: str, taken: Sequence[tuple[int, int, float]]) -> int | None:
    """Where a word stands that no other has taken, alone rather than within another word."""
    within: int | None = None
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        if all(end <= first or start >= last for first, last, _ in taken):
            inside = text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()
            if not inside or not text[start].isascii():
                return start
            within = start if within is None else within
        start = text.find(part, start + 1)
    return within
