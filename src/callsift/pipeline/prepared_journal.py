"""Prepared calls as they become ready, so that a preparation that was stopped loses nothing when it is begun again.

A line is taken up only if everything that it depends on is the same: settings, engines, the call, its files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from callsift.canonical import sha256_of_json
from callsift.data.manifest import call_row
from callsift.data.manifest_row import RowReader
from callsift.errors import DataError, NoRoomError, WarningCode
from callsift.files import append_line, json_text
from callsift.pipeline.call_files import as_read, stamps_of
from callsift.pipeline.measures import MeasuredRow
from callsift.pipeline.prepared_set import PreparedRow
from callsift.types import Call, Note

NAME = ".prepared.jsonl"


class Journal:
    """A file in the set's folder that grows by a line for each prepared call; gone when the set is written."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """`settings`: everything besides the call that a prepared call depends on."""
        self.path = folder / NAME
        self._folder = folder
        self._settings = sha256_of_json(settings)
        self._keys: dict[str, str] = {}
        self._rows = self._read()

    def found(self, call: Call) -> PreparedRow | None:
        """The call as it was prepared before, if nothing has changed since."""
        row = self._rows.get(self._key(call))
        if row is None:
            return None
        try:
            prepared = RowReader(self.path, 0).call(row["call"])
        except DataError:
            return None  # a file of it is gone
        notes = tuple(Note(WarningCode(note["code"]), note["message"]) for note in row["notes"])
        measures = tuple(MeasuredRow(*each) for each in row["measures"])
        return PreparedRow(prepared, row["asr"], notes, measures)

    def add(self, call: Call, prepared: PreparedRow) -> None:
        """Keep a prepared call: it is with the operating system before the next one is begun.

        Raises:
            NoRoomError: it can't be written; the lines before it stay.
        """
        row = {
            "key": self._key(call),
            "call": call_row(prepared.call, self._folder),
            "asr": prepared.asr,
            "notes": [{"code": note.code.value, "message": note.message} for note in prepared.notes],
            "measures": [[each.call_id, each.segment_id, dict(each.values)] for each in prepared.measures],
        }
        try:
            with self.path.open("ab", buffering=0) as stream:
                append_line(stream, json_text(row))
        except OSError as error:
            raise NoRoomError(
                f"{self.path} can't be written: {error.strerror}. Make room, then give the same command again: it goes "
                "on."
            ) from error

    def remove(self) -> None:
        """The set is written: nothing is left to be taken up."""
        self.path.unlink(missing_ok=True)

    def _key(self, call: Call) -> str:
        """Of a call as it was when it was first asked for: its files may change while it is prepared."""
        if call.call_id not in self._keys:
            about = {"call": call_row(call, self._folder), "files": stamps_of(call)}
            self._keys[call.call_id] = sha256_of_json(as_read({"settings": self._settings, **about}))
        return self._keys[call.call_id]

    def _read(self) -> dict[str, dict[str, Any]]:
        """Lines by key. A last line that was cut short is taken off, so that none is added to it."""
        rows: dict[str, dict[str, Any]] = {}
        if not self.path.is_file():
            return rows
        content = self.path.read_bytes()
        *lines, cut_short = content.split(b"\n")
        if cut_short:
            os.truncate(self.path, len(content) - len(cut_short))
        for line in lines:
            try:
                row = json.loads(line)
                rows[row["key"]] = row
            except (ValueError, KeyError, TypeError):
                continue
        return rows
