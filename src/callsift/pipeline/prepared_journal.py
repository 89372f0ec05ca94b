"""Prepared calls as they become ready, so that a preparation that was stopped loses nothing when it is begun again.

A line is taken up only if everything that it depends on is the same: settings, engines, the call, its files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from callsift.canonical import sha256_of_json
from callsift.data.manifest import call_row
from callsift.data.manifest_row import RowReader
from callsift.errors import DataError, WarningCode
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
        """Keep a prepared call: it is with the operating system before the next one is begun."""
        row = {
            "key": self._key(call),
            "call": call_row(prepared.call, self._folder),
            "asr": prepared.asr,
            "notes": [{"code": note.code.value, "message": note.message} for note in prepared.notes],
            "measures": [[each.call_id, each.segment_id, dict(each.values)] for each in prepared.measures],
        }
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    def remove(self) -> None:
        """The set is written: nothing is left to be taken up."""
        self.path.unlink(missing_ok=True)

    def _key(self, call: Call) -> str:
        paths = [call.audio, call.transcript, *(segment.audio for segment in call.segments)]
        files = [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path is not None and path.exists()]
        return sha256_of_json({"settings": self._settings, "call": call_row(call, self._folder), "files": files})

    def _read(self) -> dict[str, dict[str, Any]]:
        """Lines by key. A last line that was cut short is passed over."""
        rows: dict[str, dict[str, Any]] = {}
        if not self.path.is_file():
            return rows
        for line in self.path.read_text("utf-8", errors="replace").split("\n"):
            try:
                row = json.loads(line)
                rows[row["key"]] = row
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
        return rows
