"""Plain text: a line for each turn, without times.

`agent: …`, `客服：…` or `[SPEAKER_00]: …` in front of a line says who; a line without one goes on with the turn above
it. Where no line names a speaker, each is a turn by `unknown`. A clock time in front (`[00:12] agent: …`) is left out.
"""

from __future__ import annotations

import re

from callsift.asr.transcripts.speakers import Who, speaker_in_front
from callsift.types import Turn

_STAMP = re.compile(r"\s*[\[(【]?\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,3})?(?:[\])】]\s*|\s+)(?:-\s+)?")


def plain_turns(text: str) -> list[Turn]:
    """The turns of a text; blank lines are left out."""
    said: list[tuple[Who | None, str]] = []
    for line in text.splitlines():
        stamp = _STAMP.match(line)
        who, words = speaker_in_front(line[stamp.end() :] if stamp else line)
        if who is None and stamp:  # a bare time may be part of what is said: "10:30 is fine"
            words = line.strip()
        if who is not None or words:
            said.append((who, words))
    if any(who is not None for who, _ in said):
        said = _continued(said)
    return [Turn((who or Who()).role, words, speaker=(who or Who()).speaker) for who, words in said if words]


def _continued(lines: list[tuple[Who | None, str]]) -> list[tuple[Who | None, str]]:
    """Lines without a speaker appended to the turn that they go on with."""
    joined: list[tuple[Who | None, str]] = []
    for who, words in lines:
        if who is None and joined:
            joined[-1] = (joined[-1][0], f"{joined[-1][1]} {words}".strip())
        else:
            joined.append((who, words))
    return joined
