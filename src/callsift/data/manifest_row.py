"""One line of a manifest → a call. Every complaint says where it stands."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from callsift.errors import DataError
from callsift.types import ROLES, Call, Label, RaterLabel, Role, Segment, StreamRef, Turn

SCHEMA_VERSION = 1
MIN_RATE_HZ, MAX_RATE_HZ = 2000, 384000

_CALL_KEYS = {
    "schema_version", "call_id", "audio", "rate_hz", "channels", "language", "group", "split", "label", "labels",
    "transcript", "turns", "segments",
}  # fmt: skip


_PATHS = {"audio", "transcript", "path"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def unknown_keys(row: Mapping[str, Any]) -> list[str]:
    """The keys of a line that mean nothing here, in order."""
    return [key for key in row if key not in _CALL_KEYS]


def suggestion(key: str) -> str:
    """The known key that an unknown one resembles, as a question; empty if there is none."""
    near = difflib.get_close_matches(key.lower(), _CALL_KEYS, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


class RowReader:
    """Reads one line."""

    def __init__(self, path: Path, line: int) -> None:
        self.path = path
        self.line = line

    def wrong(self, message: str) -> DataError:
        return DataError(message, self.path, self.line)

    def call(self, row: Any) -> Call:
        if not isinstance(row, dict):
            raise self.wrong(f"must be a JSON object, not {type(row).__name__}")
        if (broken := _half_of_a_character(row)) is not None:
            raise self.wrong(
                "{} {} holds half of a character (a lone surrogate), which no file of results can hold: mend or leave "
                "out the text".format(*broken)
            )
        version = row.get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise self.wrong(
                f"schema_version {version!r} is not known; this callsift reads {SCHEMA_VERSION}. Update callsift."
            )
        call_id = row.get("call_id")
        if not isinstance(call_id, str) or not call_id:
            raise self.wrong(f"needs a 'call_id' that is a non-empty text{self.unknown(row)}")
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
            message = f"call '{call_id}' has neither audio nor transcript, turns or segments"
            raise self.wrong(message + self.unknown(row))
        return call

    def unknown(self, row: dict[str, Any]) -> str:
        """What is wrong with a line may be a key that is misspelt."""
        return "".join(f"; unknown key '{key}'{suggestion(key)}" for key in unknown_keys(row)[:3])

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
        confidence = row.get("confidence")
        if confidence is not None and not (_is_number(confidence) and 0 <= confidence <= 1):
            raise self.wrong(f"turn {at}: confidence {confidence!r} must be a number from 0 to 1")
        sure = None if confidence is None else float(confidence)
        return Turn(role, text, start_s, end_s, channel, self.text(row, "speaker"), sure)

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
            for candidate in (path, self.path.parent / value.replace("\\", "/")):  # rec\x.wav, as Windows has it
                if candidate.is_file():
                    return candidate
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


def _half_of_a_character(value: Any, key: str = "a line's key") -> tuple[str, str] | None:
    """Key and text, as Python writes it, of the first text with a surrogate that has no other half; but in paths, where
    such stand for bytes of a name."""
    if isinstance(value, str):
        return (key, f"{value[:60]!r}") if _SURROGATE.search(value) else None
    parts: Iterable[tuple[Any, str]] = ()
    if isinstance(value, dict):
        parts = (pair for name, item in value.items() if name not in _PATHS for pair in ((name, key), (item, name)))
    elif isinstance(value, list):
        parts = ((item, key) for item in value)
    return next((found for part, name in parts if (found := _half_of_a_character(part, name)) is not None), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
