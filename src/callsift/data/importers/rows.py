"""Rows of a table → calls: a row is a call, or one of its segments, turns or graders, as columns are mapped."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from callsift.data.importers.fields import Columns
from callsift.data.importers.merge import merged
from callsift.data.importers.parts import Faults, Imported, Request, winner
from callsift.data.importers.pieces import Piece, Row, RowReader
from callsift.errors import DataError
from callsift.types import Call, Label, RaterLabel, Segment, Turn

Value = TypeVar("Value")


def import_rows(path: Path, rows: Iterable[Row], columns: Columns, request: Request) -> Imported:
    """The calls of a table.

    Raises:
        DataError: rows that can't be imported: file, line, column and value of the first, and how many more there are.
            None are, if they may be left out.
    """
    faults = Faults(skip=True)
    first: DataError | None = None
    reader = RowReader(path, columns, request)
    called: dict[str, list[Piece]] = defaultdict(list)
    spoilt: dict[str, int] = {}
    for row in rows:
        try:
            piece = reader.piece(row)
            called[piece.call_id].append(piece)
        except DataError as error:
            faults.take(error)
            first = first or error
            spoilt.setdefault(reader.name_of(row) or "", row.line)
    _end_with(first, faults, request)
    notes: dict[str, int] = {}
    calls = []
    for call_id, pieces in called.items():
        try:
            if call_id in spoilt:
                raise pieces[0].place.wrong(f"call '{call_id}' is left out with its line {spoilt[call_id]}")
            calls.append(_Builder(columns, request, notes).call(call_id, pieces))
        except DataError as error:
            faults.take(error)
            first = first or error
    _end_with(first, faults, request)
    if not calls:
        raise DataError(f"holds no calls to import{_first_of(faults.sentences)}", path)
    told = tuple(f"{count} calls: {note}" for note, count in notes.items())
    return Imported(tuple(calls), columns.used, columns.unused, tuple(faults.sentences), told)


def _end_with(first: DataError | None, faults: Faults, request: Request) -> None:
    """End an import from which nothing may be left out."""
    if first is None or request.skip_bad:
        return
    more = len(faults.sentences) - 1
    if not more:
        raise first
    error = DataError(f"{first} (and {more} more; --skip-bad leaves them out and names each)")
    error.path, error.line = first.path, first.line
    raise error from first


def _first_of(sentences: Sequence[str]) -> str:
    return f" ({len(sentences)} rows are left out; the first: {sentences[0]})" if sentences else ""


class _Builder:
    """The rows of one call → the call."""

    def __init__(self, columns: Columns, request: Request, notes: dict[str, int]) -> None:
        self.used = columns.used
        self.graders = columns.raters
        self.request = request
        self.notes = notes

    def call(self, call_id: str, pieces: Sequence[Piece]) -> Call:
        ratings = self._ratings(call_id, pieces)
        for rater in dict.fromkeys(piece.rater for piece in pieces):
            self._check_distinct(call_id, [piece for piece in pieces if piece.rater == rater])
        content = self._ordered(merged(call_id, pieces) if "rater" in self.used else list(pieces))
        label = _only_label(call_id, content, "label") if "rater" not in self.used else None
        if label is None and ratings:
            label = winner(ratings, self.request)
            if isinstance(label, tuple) and len(ratings) > 1:
                self._note("graders disagree evenly; its label is several grades, of which one is true")
        audios = {piece.audio for piece in content if piece.audio is not None}
        if self._as_turns(content, audios):
            audio, turns, segments = self._said(call_id, content, audios)
        else:
            audio, turns = next(iter(audios)) if len(audios) == 1 and self._timed(content) else None, ()
            segments = self._segments(call_id, content, audio)
        return Call(
            call_id,
            audio=audio,
            language=_only(call_id, "language", pieces, lambda p: p.language),
            group=_only(call_id, "group", pieces, lambda p: p.group),
            split=_only(call_id, "split", pieces, lambda p: p.split),
            label=label,
            labels=ratings,
            transcript=_only(call_id, "transcript", pieces, lambda p: p.transcript),
            turns=turns,
            segments=segments,
        )

    def _note(self, text: str) -> None:
        self.notes[text] = self.notes.get(text, 0) + 1

    def _timed(self, content: Sequence[Piece]) -> bool:
        return all(piece.start_s is not None for piece in content)

    def _as_turns(self, content: Sequence[Piece], audios: set[Path]) -> bool:
        """Whether the rows are said one after another, and not segments of their own.

        Raises:
            DataError: they are, and have labels of segments.
        """
        timed = self._timed(content)
        graded = next((piece for piece in content if piece.segment_label is not None), None)
        if timed and "segment_label" in self.used:
            return False
        if "segment_id" in self.used:
            found = (
                len(audios) == 1 and not timed and all(piece.audio for piece in content)
                and (graded is None or len(content) > 1)
            )  # fmt: skip
        else:
            found = "role" in self.used or not timed
        if found and graded is not None:
            raise graded.place.wrong(
                f"call '{graded.call_id}' has a segment_label and rows that are turns"
                + (" (its segments share one recording)" if "segment_id" in self.used else "")
                + ": segment_label needs segment_id or times"
            )
        if found and len(audios) == 1 and len(content) > 1 and ("role" not in self.used or "segment_id" in self.used):
            self._note("its rows share one recording and have no times: their texts became its turns")
        return found

    def _said(
        self, call_id: str, content: Sequence[Piece], audios: set[Path]
    ) -> tuple[Path | None, tuple[Turn, ...], tuple[Segment, ...]]:
        if len(audios) > 1:
            names = sorted(str(path) for path in audios)
            raise content[1].place.wrong(
                f"call '{call_id}' has several recordings ({names[0]}, {names[1]}) and rows that are turns; "
                "map segment_id, so that each row is a segment"
            )
        return next(iter(audios), None), tuple(turn for piece in content for turn in piece.turns), ()

    def _segments(self, call_id: str, content: Sequence[Piece], audio: Path | None) -> tuple[Segment, ...]:
        cut: dict[str, list[Piece]] = defaultdict(list)
        for at, piece in enumerate(content):
            cut[str(at) if piece.segment_id is None else piece.segment_id].append(piece)
        return tuple(self._segment(call_id, name, pieces, audio) for name, pieces in cut.items())

    def _segment(self, call_id: str, name: str, pieces: Sequence[Piece], audio: Path | None) -> Segment:
        own = _only(call_id, "audio", pieces, lambda p: p.audio) if audio is None else None
        starts = [piece.start_s for piece in pieces if piece.start_s is not None]
        ends = [piece.end_s for piece in pieces if piece.end_s is not None]
        if own is not None and starts:
            raise pieces[0].place.wrong(
                f"segment '{name}' of call '{call_id}' has times, and a recording that not all rows of the call have; "
                "times count in one recording of the whole call"
            )
        return Segment(
            name,
            tuple(turn for piece in pieces for turn in piece.turns),
            min(starts, default=None),
            max(ends, default=None),
            audio=own,
            label=_only_label(call_id, pieces, "segment_label"),
        )

    def _check_distinct(self, call_id: str, pieces: Sequence[Piece]) -> None:
        """Rows of one grader that say the same place twice are refused."""
        if {"role", "start_s"} & set(self.used):
            return
        lines: dict[str | None, int | None] = {}
        for piece in pieces:
            if piece.segment_id not in lines:
                lines[piece.segment_id] = piece.place.line
                continue
            segment = "" if piece.segment_id is None else f" with segment '{piece.segment_id}'"
            grader = "" if piece.rater is None else f" by '{piece.rater}'"
            hint = "" if piece.segment_id or piece.rater else (
                "; where rows are segments, turns or graders of a call, map segment_id, role or rater"
            )  # fmt: skip
            first = lines[piece.segment_id]
            raise piece.place.wrong(f"call '{call_id}'{segment}{grader} stands on line {first} already{hint}")

    def _ordered(self, pieces: list[Piece]) -> list[Piece]:
        """By segment id, where there is one: 2 comes before 10."""
        if "segment_id" in self.used:
            return sorted(pieces, key=lambda piece: _natural(piece.segment_id or ""))
        return sorted(pieces, key=lambda piece: piece.start_s or 0.0) if self._timed(pieces) else pieces

    def _ratings(self, call_id: str, pieces: Sequence[Piece]) -> tuple[RaterLabel, ...]:
        """The label by each grader: each has rows of his own, or a column."""
        found: dict[str, Label] = {}
        for rater in dict.fromkeys(piece.rater for piece in pieces) if "rater" in self.used else ():
            label = _only_label(call_id, [p for p in pieces if p.rater == rater], "label")
            if label is not None and rater is None:
                column = self.used["rater"]
                raise pieces[0].place.wrong(f"call '{call_id}' has a label whose column '{column}' is empty: by whom?")
            if label is not None and rater is not None:
                found[rater] = label
        for rater in self.graders:
            given = _only_by(call_id, pieces, rater)
            if given is not None:
                found[rater] = given
        return tuple(RaterLabel(rater, label) for rater, label in found.items())


def _only_by(call_id: str, pieces: Sequence[Piece], rater: str) -> Label | None:
    def of(piece: Piece) -> Any:
        return next((rating.label for rating in piece.ratings if rating.rater == rater), None)

    found: Label | None = _only(call_id, f"label by '{rater}'", pieces, of)
    return found


def _only_label(call_id: str, pieces: Sequence[Piece], what: Literal["label", "segment_label"]) -> Label | None:
    found: Label | None = _only(call_id, what, pieces, lambda piece: getattr(piece, what))
    return found


def _natural(name: str) -> list[tuple[bool, int, str]]:
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]


def _only(call_id: str, what: str, pieces: Sequence[Piece], of: Callable[[Piece], Value | None]) -> Value | None:
    """What the rows of a call say alike.

    Raises:
        DataError: two rows say different things.
    """
    told = [(of(piece), piece.place) for piece in pieces if of(piece) is not None]
    for value, place in told[1:]:
        if value != told[0][0]:
            hint = " (labels of segments: --map segment_label=COLUMN; of several graders: --map rater=COLUMN)"
            raise place.wrong(
                f"{what} '{value}' of call '{call_id}' is another than '{told[0][0]}' on line {told[0][1].line}"
                + (hint if what == "label" else "")
            )
    return told[0][0] if told else None
