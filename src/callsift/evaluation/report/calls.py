"""The worst mistakes as the page shows them: the segments that weighed most, with their moments marked in the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callsift.scoring.report import telling
from callsift.types import ROLES

MOST_MISTAKES = 30
MOST_SEGMENTS = 12
MOST_LETTERS = 700
_STRENGTHS = (20, 45, 75)
"""Per cent of the call's strongest moment from which a word is marked, marked more, and most."""

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
    weights = [abs(segment.get("contribution") or 0.0) for segment in segments]
    moments = [abs(each["contribution"]) for at in kept for each in segments[at].get("moments") or ()]
    shown = [_segment(segments[at], max(weights), max(moments, default=0.0)) for at in kept]
    for before, at, segment in zip([-1, *kept], kept, shown, strict=False):
        segment["left_out"] = at - before - 1
    label = mistake.get("label")
    said = mistake.get("grade") if mistake.get("grade") is not None else mistake.get("value")
    return {
        **{key: mistake.get(key) for key in _SAID},
        "label": _plain(list(label) if isinstance(label, list | tuple) else label),
        "said": _plain(said),
        "language": language_tag(mistake.get("language")),
        "streams": _streams(row.get("streams") or {}),
        "segments": shown,
        "left_out_after": len(segments) - kept[-1] - 1 if kept else 0,
        "left_out": len(segments) - len(kept),
        "warnings": [f"{note['code']}: {note['message']}" for note in row.get("warnings") or ()],
    }


def language_tag(language: Any) -> str:
    """A language as `lang` takes it; empty where it is none."""
    text = str(language or "")
    return text if text.isascii() and text.replace("-", "").isalnum() and len(text) <= 35 else ""


def _plain(said: Any) -> str:
    if isinstance(said, list):
        return "/".join(map(str, said))
    return "–" if said is None else f"{said:.2f}".replace("-", "−") if isinstance(said, float) else str(said)


def _weightiest(segments: Sequence[Row]) -> list[int]:
    """Which segments are shown, in their order: those of largest contribution, else the first."""
    order = sorted(range(len(segments)), key=lambda at: -abs(segments[at].get("contribution") or 0.0))
    return sorted(order[:MOST_SEGMENTS])


def _streams(shares: Mapping[str, float]) -> list[dict[str, Any]]:
    most = max(map(abs, shares.values()), default=0.0)
    return [{"name": name, "share": share, "width": _width(share, most)} for name, share in shares.items()]


def _segment(segment: Row, most: float, most_of_moments: float) -> dict[str, Any]:
    contribution = segment.get("contribution")
    text, moments = _NEXT_TURN.sub("\n", segment.get("text") or ""), list(segment.get("moments") or ())
    words = [each for each in moments if each["kind"] == "word" and each.get("text")]
    others = sorted((each for each in moments if each["kind"] != "word"), key=lambda each: -abs(each["contribution"]))
    return {
        **{key: segment.get(key) for key in ("segment_id", "start_s", "end_s", "grade", "value")},
        "contribution": contribution,
        "width": _width(contribution or 0.0, most),
        "text": marked(text[:MOST_LETTERS], words, most_of_moments),
        "letters_left_out": max(len(text) - MOST_LETTERS, 0),
        "moments": telling(others),
    }


def _width(value: float, most: float) -> int:
    """Per cent of the longest."""
    return round(100.0 * abs(value) / most) if most else 0


def marked(text: str, words: Sequence[Row], most: float) -> list[Piece]:
    """The text in pieces; those of `words` have their contribution and its strength, to 3 for nearly `most`.

    Words come without their place: longer ones take theirs first, of equal ones the earlier said the earlier. A word
    that is not in the text (cut off) is passed over.
    """
    taken: list[tuple[int, int, float]] = []
    parts = [(part, word) for word in words for part in str(word["text"]).split(_BETWEEN_TURNS) if part]
    for part, word in sorted(parts, key=lambda each: (-len(each[0]), each[1].get("start_s") or 0.0)):
        if (start := _free(text, part, taken)) is not None:
            taken.append((start, start + len(part), word["contribution"]))
    pieces, at = [], 0
    for start, end, contribution in sorted(taken):
        if start > at:
            pieces.append(Piece(text[at:start]))
        pieces.append(Piece(text[start:end], contribution, _strength(contribution, most)))
        at = end
    return [*pieces, Piece(text[at:])] if at < len(text) else pieces


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
