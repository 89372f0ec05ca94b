"""One row of a table → what it says of a call. Every complaint names file, line, column and value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsift.asr.transcripts.speakers import who_is
from callsift.data.importers.fields import Columns, plain
from callsift.data.importers.parts import MOST, Place, Request, found_audio, read_label, read_split
from callsift.data.importers.said import turns_in
from callsift.errors import DataError
from callsift.types import Label, RaterLabel, Turn


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stands, its cells by column, and what is wrong with it as a row."""

    line: int
    cells: Mapping[str, Any]
    fault: DataError | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What one row says. `spoken_by`: role and speaker, where a column names them."""

    place: Place
    call_id: str
    audio: Path | None
    transcript: Path | None
    turns: tuple[Turn, ...]
    label: Label | None
    segment_label: Label | None
    group: str | None
    split: str | None
    language: str | None
    rater: str | None
    start_s: float | None
    end_s: float | None
    segment_id: str | None
    spoken_by: tuple[str, str | None] | None = None
    ratings: tuple[RaterLabel, ...] = ()


class RowReader:
    """Cells → values."""

    def __init__(self, path: Path, columns: Columns, request: Request) -> None:
        self.path = path
        self.columns = columns
        self.request = request
        self.root = request.audio_root or path.parent

    def name_of(self, row: Row) -> str | None:
        """The call that a row is of, as far as can be told of a row that can't be imported."""
        field = "call_id" if "call_id" in self.columns.used else "audio"
        return None if self.columns.empty(row.cells, field) else plain(self.columns.value(row.cells, field)) or None

    def piece(self, row: Row) -> Piece:
        """What a row says.

        Raises:
            DataError: something that can't be imported.
        """
        if row.fault is not None:
            raise row.fault
        place = Place(self.path, row.line)

        def text(name: str) -> str | None:
            value = self.columns.value(row.cells, name)
            if isinstance(value, list | dict):
                raise place.wrong(f"{column(name)} {str(value)[:60]} is neither a text nor a number")
            return plain(value) or None

        def column(name: str) -> str:
            return f"column '{self.columns.used.get(name, name)}':"

        def label(name: str) -> Label | None:
            return read_label(self.columns.value(row.cells, name), self.request.scheme, place, column(name))

        start_s, end_s = self._times(text, place, column)
        audio, transcript, said, role = text("audio"), text("transcript"), text("text") or "", text("role")
        who = None if role is None else who_is(role)
        turns = turns_in(said, who)
        if len(turns) == 1:  # the times of the row are those of its only turn
            turns = tuple(Turn(turn.role, turn.text, start_s, end_s, self._channel(text, place, column), turn.speaker)
                          for turn in turns)  # fmt: skip
        if audio is None and transcript is None and not turns:
            raise place.wrong("has neither audio nor text: nothing to import" + self._hint())
        split = text("split")
        return Piece(
            place,
            self._call_id(row, text("call_id") or audio, place),
            None if audio is None else found_audio(audio, self.root, place, column("audio")),
            None if transcript is None else found_audio(transcript, self.root, place, column("transcript")),
            turns,
            label("label"),
            label("segment_label"),
            text("group"),
            None if split is None else read_split(split, place, column("split")),
            text("language"),
            text("rater"),
            start_s,
            end_s,
            text("segment_id"),
            None if who is None else (who.role, who.speaker),
            tuple(
                RaterLabel(rater, given)
                for rater in self.columns.raters
                if (given := read_label(row.cells.get(rater), self.request.scheme, place, f"column '{rater}':"))
                is not None
            ),
        )

    def _call_id(self, row: Row, name: str | None, place: Place) -> str:
        """The id of a call; one that is given none has that of its recording, else of its row."""
        empty = self.columns.empty(row.cells, "call_id")
        if empty:
            raise place.wrong(f"column '{empty[0]}' is empty: a call needs an id")
        return name or f"row-{place.line}"

    def _hint(self) -> str:
        known = {"audio", "text", "transcript"} & set(self.columns.used)
        return "" if known else " (no column is mapped to audio, text or transcript; see --map)"

    def _times(
        self, text: Callable[[str], str | None], place: Place, column: Callable[[str], str]
    ) -> tuple[float | None, float | None]:
        def seconds(name: str) -> float | None:
            value = text(name)
            if value is None:
                return None
            try:
                number = float(value)
            except ValueError:
                number = math.nan
            if not 0 <= number <= MOST:
                raise place.wrong(f"{column(name)} '{value}' is not a number of seconds, 0 or more")
            return number

        start_s, end_s, duration_s = seconds("start_s"), seconds("end_s"), seconds("duration_s")
        if start_s is None:
            return None, None
        end_s = start_s + duration_s if end_s is None and duration_s is not None else end_s
        if end_s is None:
            raise place.wrong(f"{column('start_s')} start {start_s:g} has no end; map end_s or duration_s too")
        if end_s < start_s:
            raise place.wrong(f"{column('end_s')} end {end_s:g} lies before start {start_s:g}")
        return start_s, end_s

    def _channel(self, text: Callable[[str], str | None], place: Place, column: Callable[[str], str]) -> int | None:
        value = text("channel")
        if value is not None and not (value.isascii() and value.isdecimal()):
            raise place.wrong(f"{column('channel')} '{value}' is not 0, 1, …")
        return None if value is None else int(value)
