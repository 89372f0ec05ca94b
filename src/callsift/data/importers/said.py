"""A text with speakers in it → turns: `客服: …; 顾客: …`, `agent: …; customer: …`, or a line for each."""

from __future__ import annotations

import re

from callsift.asr.transcripts.speakers import Who, speaker_in_front
from callsift.types import Turn

_PIECES = re.compile(r"[;；\n]+")


def turns_in(text: str, who: Who | None = None) -> tuple[Turn, ...]:
    """The turns of a text. `who`: its speaker where known; else who is named in it, else `unknown`.

    A semicolon ends a turn only where a speaker is named behind it.
    """
    if who is not None:
        return (Turn(who.role, text.strip(), speaker=who.speaker),) if text.strip() else ()
    said: list[tuple[Who, str]] = []
    end = 0
    for piece in _PIECES.split(text):
        start = text.index(piece, end)
        named, words = speaker_in_front(piece)
        if named is not None or not said:
            said.append((named or Who(), words))
        else:  # goes on: with what stood between
            said[-1] = (said[-1][0], f"{said[-1][1]}{text[end:start]}{piece}".rstrip())
        end = start + len(piece)
    return tuple(Turn(who.role, words.strip(), speaker=who.speaker) for who, words in said if words.strip())
