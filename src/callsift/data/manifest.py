"""The manifest: JSON Lines, one call a line, paths relative to the file (format fixed in docs/formats.md).

Errors name file and line. Unknown keys are warnings, since other tools add their own.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsift.errors import DataError, WarningCode
from callsift.files import read_jsonl, write_jsonl
from callsift.labels import LabelScheme
from callsift.types import ROLES, Call, Label, Note, RaterLabel, Role, Segment, StreamRef, Turn

SCHEMA_VERSION = 1
MIN_RATE_HZ, MAX_RATE_HZ = 2000, 384000

_CALL_KEYS = {
    "schema_version", "call_id", "audio", "rate_hz", "channels", "language", "group", "split", "label", "labels",
    "transcript", "turns", "segments",
}  # fmt: skip


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
                        raise DataError(str(error), self.path, self.lines[call.call_id]) from None


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest. Audio files must exist; their content is not looked at.

    Raises:
        DataError: anything wrong, with file and line.
    """
    calls: list[Call] = []
    lines: dict[str, int] = {}
    unknown: dict[str, int] = {}
    for line, row in read_jsonl(path):
        reader = _Row(path, line)
        call = reader.call(row)
        if call.call_id in lines:
            raise DataError(
                f"call_id '{call.call_id}' stands on line {lines[call.call_id]} already; ids must be unique",
                path,
                line,
            )
        lines[call.call_id] = line
        calls.append(call)
        for key in set(row) - _CALL_KEYS:
            unknown.setdefault(key, line)
    if not calls:
        raise DataError("holds no calls; a manifest has one JSON object a line", path)
    notes = tuple(
        Note(WarningCode.UNKNOWN_KEY, f"{path}, line {line}: unknown key '{key}' is not used")
        for key, line in sorted(unknown.items(), key=lambda item: item[1])
    )
    return Manifest(path, tuple(calls), lines, notes)


class _Row:
    """Reads one line, so that every complaint can say where it stands."""

    def __init__(self, path: Path, line: int) -> None:
        self.path = path
        self.line = line

    def wrong(self, message: str) -> DataError:
        return DataError(message, self.path, self.line)

    def call(self, row: Any) -> Call:
        if not isinstance(row, dict):
            raise self.wrong(f"must be a JSON object, not {type(row).__name__}")
        version = row.get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise self.wrong(
                f"schema_version {version!r} is not known; this callsift reads {SCHEMA_VERSION}. Update callsift."
            )
        call_id = row.get("call_id")
        if not isinstance(call_id, str) or not call_id:
            raise self.wrong("needs a 'call_id' that is a non-empty text")
        segments = tuple(self.segment(item, at) for at, item in enumerate(self.list_of(row, "segments")))
        if len({segment.segment_id for segment in segments}) < len(segments):
            raise self.wrong(f"call '{call_id}' has two segments with one segment_id")
        call = Call(
            call_id=call_id,
            audio=self.file(row, "audio"),
            rate_hz=self.rate_hz(row.get("rate_hz")),
            channels=self.channels(row.get("channels")),
            language=self.text(row, "language"),
            group=self.text(row, "group"),
            split=self.text(row, "split"),
            label=self.label(row.get("label")),
            labels=tuple(self.rating(item) for item in self.list_of(row, "labels")),
            transcript=self.file(row, "transcript"),
            turns=self.turns(row),
            segments=segments,
        )
        if call.audio is None and not call.turns and not segments and call.transcript is None:
            raise self.wrong(f"call '{call_id}' has neither audio nor transcript, turns or segments")
        return call

    def segment(self, row: Any, at: int) -> Segment:
        if not isinstance(row, dict):
            raise self.wrong(f"segment {at} must be a JSON object, not {type(row).__name__}")
        start_s, end_s = self.times(row, f"segment {at}")
        turns = self.turns(row)
        text = self.text(row, "text")
        if not turns and text:
            turns = (Turn("unknown", text, start_s, end_s),)
        return Segment(
            segment_id=str(at if row.get("segment_id") is None else row["segment_id"]),
            turns=turns,
            start_s=start_s,
            end_s=end_s,
            audio=self.file(row, "audio"),
            label=self.label(row.get("label")),
            streams=self.streams(row.get("streams")),
        )

    def streams(self, rows: Any) -> dict[str, StreamRef]:
        if rows is not None and not isinstance(rows, dict):
            raise self.wrong(f'streams must be like {{"name": {{"path": …, "key": …}}}}, not {rows!r}')
        return {name: self.stream(row) for name, row in (rows or {}).items()}

    def stream(self, row: Any) -> StreamRef:
        path = self.file(row, "path") if isinstance(row, dict) and set(row) == {"path", "key"} else None
        if path is None:
            raise self.wrong(f'a stream must be {{"path": …, "key": …}}, not {row!r}')
        return StreamRef(path, str(row["key"]))

    def turns(self, row: dict[str, Any]) -> tuple[Turn, ...]:
        return tuple(self.turn(item, at) for at, item in enumerate(self.list_of(row, "turns")))

    def turn(self, row: Any, at: int) -> Turn:
        if not isinstance(row, dict):
            raise self.wrong(f"turn {at} must be a JSON object, not {type(row).__name__}")
        channel = row.get("channel")
        if channel is not None and (not isinstance(channel, int) or isinstance(channel, bool) or channel < 0):
            raise self.wrong(f"turn {at}: channel {channel!r} is not 0, 1, …")
        start_s, end_s = self.times(row, f"turn {at}")
        role, text = self.role(row.get("role") or "unknown"), self.text(row, "text") or ""
        return Turn(role, text, start_s, end_s, channel, self.text(row, "speaker"))

    def times(self, row: dict[str, Any], what: str) -> tuple[float | None, float | None]:
        start_s: Any = row.get("start_s")
        end_s: Any = row.get("end_s")
        if start_s is None and end_s is None:
            return None, None
        if not _is_number(start_s) or not _is_number(end_s) or not 0 <= start_s <= end_s:
            raise self.wrong(f"{what}: start_s {start_s!r} and end_s {end_s!r} must be seconds, 0 ≤ start ≤ end")
        return float(start_s), float(end_s)

    def role(self, value: Any) -> Role:
        for role in ROLES:
            if str(value).lower() == role:
                return role
        raise self.wrong(f"role {value!r} is not one of {', '.join(ROLES)}")

    def rate_hz(self, value: Any) -> int | None:
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not MIN_RATE_HZ <= value <= MAX_RATE_HZ:
            raise self.wrong(f"rate_hz must be a whole number from {MIN_RATE_HZ} to {MAX_RATE_HZ}, not {value!r}")
        return value

    def channels(self, value: Any) -> Mapping[int, Role] | None:
        if value is None:
            return None
        if not isinstance(value, dict) or not all(str(key).isdecimal() and str(key).isascii() for key in value):
            raise self.wrong(f'channels must be like {{"0": "agent", "1": "customer"}}, not {value!r}')
        return {int(key): self.role(role) for key, role in value.items()}

    def label(self, value: Any) -> Label | None:
        if value is None or isinstance(value, str):
            return value
        if _is_number(value):
            return float(value)
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise self.wrong(f"label {value!r} must be a grade, a number, or a list of grades")

    def rating(self, row: Any) -> RaterLabel:
        label = self.label(row.get("label")) if isinstance(row, dict) else None
        if label is None or "rater" not in row:
            raise self.wrong(f'labels must be like [{{"rater": "ann", "label": "B"}}], not {row!r}')
        return RaterLabel(str(row["rater"]), label)

    def file(self, row: dict[str, Any], key: str) -> Path | None:
        value = self.text(row, key)
        if value is None:
            return None
        path = self.path.parent / value
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise self.wrong(f"{key} '{value}' can't be looked up: {error}") from error
        raise self.wrong(f"{key} '{value}' does not exist (looked for {path})")

    def text(self, row: dict[str, Any], key: str) -> str | None:
        value = row.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(f"{key} must be a text, not {value!r}")
        return value

    def list_of(self, row: dict[str, Any], key: str) -> list[Any]:
        value = row.get(key)
        if value is not None and not isinstance(value, list):
            raise self.wrong(f"{key} must be a list, not {type(value).__name__}")
        return value or []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _relative(path: Path | None, base: Path) -> str | None:
    return None if path is None else os.path.relpath(path.resolve(), base.resolve())
