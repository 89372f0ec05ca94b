"""Existing transcripts → turns: our JSON, SubRip (.srt) and WebVTT (.vtt).

JSON is `{"turns": [{"role", "text", "start_s"?, "end_s"?, "channel"?}]}` or the bare list. In subtitles the
speaker stands in front of the text (`agent: …`, `客服：…`) or, in WebVTT, in a voice tag (`<v agent>`); a cue
without one is by `unknown`. Files are UTF-8, with or without a byte order mark, UTF-16 with one, or GB18030.
"""

from __future__ import annotations

import codecs
import html
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from callsift.errors import DataError
from callsift.types import ROLES, Role, Turn

SUFFIXES = (".json", ".srt", ".vtt")

_NAMES: dict[Role, tuple[str, ...]] = {
    "agent": ("agent", "operator", "seller", "sales", "客服", "坐席", "座席", "销售", "业务员"),
    "customer": ("customer", "client", "caller", "顾客", "客户", "用户"),
    "unknown": ("unknown", "未知"),
}
_ROLE_OF: dict[str, Role] = {name: role for role, names in _NAMES.items() for name in names}
_PREFIX = re.compile(r"\s*-?\s*([^\s:：]{1,20})\s*[:：]\s*")
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)*\s+([^>]*)>")
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|\{\\[^}]*\}")


def find_transcript(audio: Path) -> Path | None:
    """The transcript beside a recording: the same name with .json, .srt or .vtt, in this order.

    A JSON file that is an object without `turns` is something else (recorders leave such files) and passed over.
    """
    for suffix in SUFFIXES:
        path = audio.with_suffix(suffix)
        if path.is_file() and not (suffix == ".json" and _is_other_json(path)):
            return path
    return None


def read_transcript(path: Path) -> tuple[Turn, ...]:
    """The turns of a transcript; in order of start if they have times, else in the file's order.

    Raises:
        DataError: the file can't be read, is of another kind, or an entry is wrong; names file and line.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"'{path.suffix}' is no known kind of transcript; use {', '.join(SUFFIXES)}", path)
    text = _read_text(path)
    turns = _json_turns(path, text) if path.suffix.lower() == ".json" else tuple(_cues(path, text))
    if not turns:
        raise DataError("holds no turns; delete it or write a transcript into it", path)
    untimed = [number for number, turn in enumerate(turns) if not turn.timed]
    if untimed and len(untimed) < len(turns):
        raise DataError(f"turn {untimed[0]} has no times, others have: give them to all turns or to none", path)
    return turns if untimed else tuple(sorted(turns, key=lambda turn: (turn.start_s, turn.end_s)))


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror or error}", path) from error
    marked_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked_utf16 else ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError("is neither UTF-8 nor GB18030 text; save it as UTF-8", path)


def _is_other_json(path: Path) -> bool:
    try:
        content = json.loads(_read_text(path))
    except (ValueError, DataError):
        return False
    return isinstance(content, dict) and "turns" not in content


def _json_turns(path: Path, text: str) -> tuple[Turn, ...]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"is not valid JSON: {error.msg} (column {error.colno})", path, error.lineno) from error
    rows = content.get("turns") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise DataError('must be {"turns": […]} or a list of turns', path)
    return tuple(_json_turn(path, row, number) for number, row in enumerate(rows))


def _json_turn(path: Path, row: Any, number: int) -> Turn:
    if not isinstance(row, dict):
        raise DataError(f"turn {number} must be an object, not {type(row).__name__}", path)
    role, text, channel = row.get("role", "unknown"), row.get("text", ""), row.get("channel")
    if not isinstance(role, str) or (role := _ROLE_OF.get(role.strip().lower(), role)) not in ROLES:
        raise DataError(f"turn {number} has role {role!r}; use {', '.join(ROLES)}", path)
    if not isinstance(text, str):
        raise DataError(f"turn {number} has text {text!r}, which is not a string", path)
    if channel is not None and (not isinstance(channel, int) or isinstance(channel, bool) or channel < 0):
        raise DataError(f"turn {number} has channel {channel!r}; use 0, 1, …", path)
    start_s, end_s = (_seconds(path, row.get(key), f"turn {number}'s {key}") for key in ("start_s", "end_s"))
    if (start_s is None) != (end_s is None):
        raise DataError(f"turn {number} has only one of start_s and end_s; give both or none", path)
    if start_s is not None and end_s is not None and end_s < start_s:
        raise DataError(f"turn {number} ends at {end_s:g} s, before it starts at {start_s:g} s", path)
    return Turn(role, text, start_s, end_s, channel)


def _seconds(path: Path, value: Any, what: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise DataError(f"{what} is {value!r}; it must be seconds from the start of the recording", path)
    return float(value)


def _cues(path: Path, text: str) -> Iterator[Turn]:
    """The turns of a subtitle file. What stands before a cue's times (number, name, notes, styles) is skipped."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        match = _TIMING.match(lines[at])
        if match is None:
            if "-->" in lines[at]:
                raise DataError(f"can't read the times '{lines[at].strip()}'; they look like "
                                "00:00:01,000 --> 00:00:02,500", path, at + 1)  # fmt: skip
            at += 1
            continue
        start_s, end_s = _clock(match.groups()[:4]), _clock(match.groups()[4:])
        if end_s < start_s:
            raise DataError(f"a cue ends at {end_s:g} s, before it starts at {start_s:g} s", path, at + 1)
        first = at + 1
        at = next((n for n in range(first, len(lines)) if not lines[n].strip()), len(lines))
        yield from _cue_turns(lines[first:at], start_s, end_s)


def _clock(groups: tuple[str | None, ...]) -> float:
    """Hours (may be missing), minutes, seconds and their decimals → seconds."""
    hours, minutes, seconds, decimals = (group or "0" for group in groups)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{decimals}")


def _cue_turns(lines: list[str], start_s: float, end_s: float) -> Iterator[Turn]:
    """One cue → a turn for each speaker in it; several share its time in proportion to their characters."""
    said: list[tuple[Role, str]] = []
    for line in lines:
        role, text = _speaker(line)
        if role is None and said:
            said[-1] = (said[-1][0], f"{said[-1][1]} {text}".strip())
        elif role is not None or text:
            said.append((role or "unknown", text))
    length = sum(len(text) for _, text in said)
    passed = 0
    for role, text in said:
        begins_s = start_s + (end_s - start_s) * passed / max(1, length)
        passed += len(text)
        if text:
            yield Turn(role, text, begins_s, start_s + (end_s - start_s) * passed / max(1, length))


def _speaker(line: str) -> tuple[Role | None, str]:
    """A line of a cue → who is named in it (None: nobody) and the bare text."""
    voice = _VOICE.search(line)
    text = html.unescape(_TAG.sub("", line)).strip()
    if voice is not None:
        return _ROLE_OF.get(voice.group(1).strip().lower(), "unknown"), text
    prefix = _PREFIX.match(text)
    role = _ROLE_OF.get(prefix.group(1).lower()) if prefix else None
    return (role, text[prefix.end() :].strip()) if prefix and role else (None, text)
