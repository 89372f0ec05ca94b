"""Praat's TextGrid, long and short text format (Praat manual, "TextGrid file formats").

Both hold the same strings, numbers and flags in the same order; the long one merely names them, so that reading those
and nothing else serves both. Every interval tier is a speaker, named by the tier. Tiers of words ("words", "agent -
words", as forced aligners write them) are joined to turns, tiers of phones and of points passed over.
"""

from __future__ import annotations

import re
from pathlib import Path

from callsift.asr.transcripts.speakers import Who, Word, turns_of_words, who_is
from callsift.asr.transcripts.times import stretch
from callsift.errors import DataError
from callsift.types import Turn

_TOKEN = re.compile(
    r'"(?:[^"]|"")*"|<exists>|<absent>|(?<![\w.\["<])[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf)(?![\w.\]])|![^\n]*'
)
_KIND_OF_TIER = re.compile(r"^(?:(.*?)[\s_\-]+)?(words?|phones?|phonemes?|segments?)$", re.I)
_SILENCE = frozenset({"", "sp", "sil", "<eps>", "spn", "#"})


def looks_like_textgrid(text: str) -> bool:
    """Whether it begins as Praat's text files do."""
    return '"ooTextFile"' in text[:200] and '"TextGrid"' in text[:400]


def textgrid_turns(path: Path, text: str) -> list[Turn]:
    """The turns of all interval tiers.

    Raises:
        DataError: it is no TextGrid, breaks off, or an interval's times are wrong; names tier and interval.
    """
    if not looks_like_textgrid(text):
        raise DataError('is no TextGrid in text format; it must begin with File type = "ooTextFile"', path)
    tokens = _Tokens(path, text)
    for _ in range(4):  # file type, object class, start and end
        tokens.take("its head")
    tiers = tokens.count("the number of tiers") if tokens.take("its head") == "<exists>" else 0
    found = [tokens.tier(number) for number in range(1, tiers + 1)]
    spoken = [(name, intervals) for name, intervals in found if intervals is not None]
    turns: list[Turn] = []
    for name, intervals in spoken:
        turns += _turns(name, intervals, alone=len(spoken) == 1)
    return turns


Interval = tuple[float, float, str]


class _Tokens:
    """Strings, numbers and flags in the file's order."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.found = (match for match in _TOKEN.finditer(text) if not match[0].startswith("!"))
        self.line = 1
        self._at = 0

    def take(self, what: str) -> str:
        match = next(self.found, None)
        if match is None:
            raise DataError(f"breaks off in {what}; save it again", self.path)
        self.line += self.text.count("\n", self._at, match.start())
        self._at = match.start()
        return match[0]

    def string(self, what: str) -> str:
        token = self.take(what)
        if not token.startswith('"'):
            raise DataError(f"has {token} where {what} should stand in quotes", self.path, self.line)
        return token[1:-1].replace('""', '"')

    def count(self, what: str) -> int:
        token = self.take(what)
        if not token.isdecimal() or len(token) > 9:
            raise DataError(f"{what} is {token:.40}; it must be a whole number", self.path, self.line)
        return int(token)

    def tier(self, number: int) -> tuple[str, list[Interval] | None]:
        """Name and intervals of a tier; None for a tier of points."""
        what = f"tier {number}"
        kind, name = self.string(f"the class of {what}"), self.string(f"the name of {what}")
        self.take(what), self.take(what)
        size = self.count(f"the size of {what}")
        if kind == "TextTier":
            for _ in range(2 * size):
                self.take(what)
            return name, None
        if kind != "IntervalTier":
            raise DataError(f"{what} is a '{kind:.40}', not an IntervalTier or TextTier", self.path, self.line)
        intervals = []
        for at in range(1, size + 1):
            here = f"tier {number} ('{name}'), interval {at}"
            start, end = self.take(here), self.take(here)
            start_s, end_s = stretch(start, end, here, self.path, self.line)
            intervals.append((start_s, end_s, self.string(here)))
        return name, intervals


def _turns(name: str, intervals: list[Interval], *, alone: bool) -> list[Turn]:
    """The turns of one tier. A tier that is alone names a speaker only if it is a role."""
    match = _KIND_OF_TIER.match(name.strip())
    kind, owner = (match[2].lower(), match[1] or "") if match else ("", name)
    if kind.startswith(("phone", "segment")):
        return []
    who = who_is(owner)
    if alone and who.role == "unknown":
        who = Who()
    said = [(start_s, end_s, text.strip()) for start_s, end_s, text in intervals if text.strip()]
    if not kind:
        return [Turn(who.role, text, start_s, end_s, speaker=who.speaker) for start_s, end_s, text in said]
    return turns_of_words(
        Word(text, start_s, end_s, who) for start_s, end_s, text in said if text.lower() not in _SILENCE
    )
