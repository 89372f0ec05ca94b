"""Rows of several graders → what is in a call: what they all were shown, each piece once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from callsift.data.importers.pieces import Piece

Place = tuple[str | None, float | None, tuple[str, str | None] | None]


def merged(call_id: str, pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces of a call by every grader, each place once, in the order in which they first stand.

    A place is a segment, a time or, without either, the row's number among those in which the same is said.

    Raises:
        DataError: two graders' rows of one place have other content, or graders have other turns; names both lines.
    """
    kept: dict[tuple[Place, object, int], Piece] = {}
    number: Counter[tuple[str | None, Place, object]] = Counter()
    shown: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        place = _place(piece)
        loose = place[:2] == (None, None) and place[2] is not None
        said = _texts(piece) if loose else None
        at = (place, said, number[piece.rater, place, said])
        number[piece.rater, place, said] += 1
        if loose and piece.rater is not None:
            shown[piece.rater].append(piece)
        kept[at] = _same(call_id, kept[at], piece) if at in kept else piece
    _check_turns(call_id, list(shown.values()))
    return list(kept.values())


def _place(piece: Piece) -> Place:
    return piece.segment_id, piece.start_s, piece.spoken_by


def _texts(piece: Piece) -> tuple[str, ...]:
    return tuple(turn.text for turn in piece.turns)


def _same(call_id: str, one: Piece, other: Piece) -> Piece:
    """One piece of two rows that say the same, or of which one leaves something open."""
    for what, mine, its in (
        ("audio", one.audio, other.audio),
        ("text", _texts(one), _texts(other)),
        ("end", one.end_s, other.end_s),
        ("segment_label", one.segment_label, other.segment_label),
    ):
        if mine and its and mine != its:
            where = "" if one.segment_id is None else f", segment '{one.segment_id}'"
            raise other.place.wrong(
                f"{what} of call '{call_id}'{where} by grader '{other.rater or 'nobody'}' is another than on line "
                f"{one.place.line} by '{one.rater or 'nobody'}'; graders' rows must show the same call"
            )
    return replace(
        one,
        audio=one.audio or other.audio,
        turns=one.turns or other.turns,
        end_s=one.end_s if one.end_s is not None else other.end_s,
        segment_label=one.segment_label if one.segment_label is not None else other.segment_label,
    )


def _check_turns(call_id: str, shown: Sequence[Sequence[Piece]]) -> None:
    """Turns without times: of two graders one saw all that the other saw, as it can't be told where a turn belongs."""
    longest = max(shown, key=len, default=())
    for rows in shown:
        left = iter(longest)
        for row in rows:
            if not any((row.spoken_by, _texts(row)) == (other.spoken_by, _texts(other)) for other in left):
                raise row.place.wrong(
                    f"call '{call_id}' has another turn by grader '{row.rater}' than from line "
                    f"{longest[0].place.line} on by '{longest[0].rater}'; map segment_id, or start_s and end_s"
                )
