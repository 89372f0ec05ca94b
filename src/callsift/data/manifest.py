"""The manifest: JSON Lines, one call a line, paths relative to the file (format fixed in docs/formats.md).

Errors name file and line. Unknown keys are warnings, since other tools add their own.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsift.data.manifest_row import SCHEMA_VERSION, RowReader, suggestion, unknown_keys
from callsift.errors import DataError, WarningCode
from callsift.files import read_jsonl, write_jsonl
from callsift.labels import LabelScheme
from callsift.types import Call, Note, Segment, Turn


@dataclass(frozen=True, slots=True)
class Manifest:
    """Calls in the file's order, the line each stands on, and what was odd about the file."""

    path: Path
    calls: tuple[Call, ...]
    lines: Mapping[str, int]
    notes: tuple[Note, ...] = ()

    def check_labels(self, scheme: LabelScheme) -> None:
        """Every label belongs to the scheme.

        Raises:
            DataError: one does not; names file and line.
        """
        for call in self.calls:
            given = (call.label, *(s.label for s in call.segments), *(rating.label for rating in call.labels))
            for label in given:
                if label is not None:
                    try:
                        scheme.check(label)
                    except DataError as error:
                        raise DataError(
                            f"{error} (call '{call.call_id}')", self.path, self.lines[call.call_id]
                        ) from None


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest. Audio files must exist; their content is not looked at.

    Raises:
        DataError: anything wrong, with file and line; a file that is missing, a folder, or no text.
    """
    calls: list[Call] = []
    lines: dict[str, int] = {}
    unknown: dict[str, int] = {}
    for line, row in _rows(path):
        call = RowReader(path, line).call(row)
        if call.call_id in lines:
            raise DataError(
                f"call_id '{call.call_id}' stands on line {lines[call.call_id]} already; ids must be unique",
                path,
                line,
            )
        lines[call.call_id] = line
        calls.append(call)
        for key in unknown_keys(row):
            unknown.setdefault(key, line)
    if not calls:
        raise DataError("holds no calls; a manifest has one JSON object a line", path)
    notes = tuple(
        Note(WarningCode.UNKNOWN_KEY, f"{path}, line {line}: unknown key '{key}' is not used{suggestion(key)}")
        for key, line in sorted(unknown.items(), key=lambda item: item[1])
    )
    return Manifest(path, tuple(calls), lines, notes)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The lines of a manifest, or in words what else is there."""
    if path.is_dir():
        raise DataError("is a folder; a manifest is a file with one call a line (manifest.jsonl)", path)
    if not path.exists():
        raise DataError("does not exist; a manifest is a file with one call a line (manifest.jsonl)", path)
    try:
        yield from read_jsonl(path)
    except DataError as error:
        if path.suffix.lower() in {".csv", ".tsv", ".xlsx"}:
            raise DataError(
                f"is a table and no manifest; a table becomes one with: callsift import {shlex.quote(str(path))} "
                "-o manifest.jsonl", path,
            ) from error  # fmt: skip
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise DataError("is no manifest (not UTF-8 text); a manifest has one JSON object a line", path) from error
        raise


def manifest_file(path: Path) -> Path:
    """The manifest that a path means: itself, or that of a prepared set."""
    return path / "manifest.jsonl" if path.is_dir() else path


def call_row(call: Call, base: Path) -> dict[str, Any]:
    """A call as a manifest line whose paths are relative to the folder `base`."""
    row: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "call_id": call.call_id,
        "audio": _relative(call.audio, base),
        "rate_hz": call.rate_hz,
        "channels": None if call.channels is None else {str(c): role for c, role in call.channels.items()},
        "language": call.language,
        "group": call.group,
        "split": call.split,
        "label": list(call.label) if isinstance(call.label, tuple) else call.label,
        "labels": [{"rater": r.rater, "label": r.label} for r in call.labels],
        "transcript": _relative(call.transcript, base),
        "turns": [_turn_row(turn) for turn in call.turns],
        "segments": [_segment_row(segment, base) for segment in call.segments],
    }
    return _without_empty(row)


def write_manifest(path: Path, calls: Iterable[Call]) -> None:
    """Write calls as a manifest, atomically."""
    write_jsonl(path, (call_row(call, path.parent) for call in calls))


def _turn_row(turn: Turn) -> dict[str, Any]:
    return _without_empty(
        {
            "role": turn.role,
            "text": turn.text,
            "start_s": _rounded(turn.start_s),
            "end_s": _rounded(turn.end_s),
            "channel": turn.channel,
            "speaker": turn.speaker,
            "confidence": _rounded(turn.confidence),
        }
    )


def _segment_row(segment: Segment, base: Path) -> dict[str, Any]:
    return _without_empty(
        {
            "segment_id": segment.segment_id,
            "audio": _relative(segment.audio, base),
            "start_s": _rounded(segment.start_s),
            "end_s": _rounded(segment.end_s),
            "turns": [_turn_row(turn) for turn in segment.turns],
            "label": list(segment.label) if isinstance(segment.label, tuple) else segment.label,
            "streams": {
                name: {"path": _relative(ref.path, base), "key": ref.key} for name, ref in segment.streams.items()
            },
        }
    )


def _without_empty(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value not in (None, [], {})}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _relative(path: Path | None, base: Path) -> str | None:
    return None if path is None else os.path.relpath(path.resolve(), base.resolve())
