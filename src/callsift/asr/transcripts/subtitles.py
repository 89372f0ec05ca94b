"""SubRip (.srt) and WebVTT (.vtt).

The speaker stands in front of the text (`agent: …`, `客服：…`, `[SPEAKER_00]: …`) or, in WebVTT, in a voice tag
(`<v agent>`); a cue without one is by `unknown`. What stands before a cue's times (number, name, notes, styles) is
skipped.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from callsift.asr.transcripts.speakers import Who, speaker_in_front, who_is
from callsift.errors import DataError
from callsift.types import Turn

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)*\s+([^>]*)>")
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|\{\\[^}]*\}")


def subtitle_turns(path: Path, text: str) -> Iterator[Turn]:
    """The turns of a subtitle file.

    Raises:
        DataError: times that can't be read; names file and line.
    """
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        match = TIMING.match(lines[at])
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
    said: list[tuple[Who, str]] = []
    for line in lines:
        who, text = _speaker(line)
        if who is None and said:
            said[-1] = (said[-1][0], f"{said[-1][1]} {text}".strip())
        elif who is not None or text:
            said.append((who or Who(), text))
    length = sum(len(text) for _, text in said)
    passed = 0
    for who, text in said:
        begins_s = start_s + (end_s - start_s) * passed / max(1, length)
        passed += len(text)
        if text:
            ends_s = start_s + (end_s - start_s) * passed / max(1, length)
            yield Turn(who.role, text, begins_s, ends_s, speaker=who.speaker)


def _speaker(line: str) -> tuple[Who | None, str]:
    """A line of a cue → who is named in it (None: nobody) and the bare text."""
    voice = _VOICE.search(line)
    text = html.unescape(_TAG.sub("", line)).strip()
    return (who_is(voice.group(1)), text) if voice is not None else speaker_in_front(text)
