"""Numbers in what is said, in English and Mandarin: digit by digit ("five five double two", "幺三八"), in pairs
("twenty three") and written ("555-1234"), joined to runs; amounts, dates and times of day are told from them.

A run is what one speaker says of one number, fillers in between ("five five, uh, five") included.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ONES = {
    "zero": 0, "oh": 0, "o": 0, "nought": 0, "naught": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5,
    "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
IDEOGRAPHS = dict(zip("零〇○幺一二两兩三四五六七八九", "000112223456789", strict=True))

LONGEST_AMOUNT = 6
"""Digits written together up to which they may be an amount."""

_TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
PAIRS = {word: str(10 + at) for at, word in enumerate(_TEENS)} | {word: f"{2 + at}0" for at, word in enumerate(_TENS)}
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_TIMES_ZH = {"两": 2, "兩": 2, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6}
_SCALES = {"hundred": "00", "thousand": "000"}
_SCALES_ZH = frozenset("十百千万萬亿億")
_FILLERS = frozenset(
    ("uh", "um", "er", "erm", "ah", "mm", "hm", "hmm", "mhm", "like", "okay", "ok", "yeah", "yes", "right", "so",
     "then", "and", "dash", "hyphen", "comma", "space")
)  # fmt: skip
_FILLERS_ZH = frozenset("嗯呃啊哦噢额那然后對对个這这是杠")
_MARKS = frozenset(" \t\n,，、.。…-–—~()?？!！;；'\"")
_MOST_FILLERS = 4

_YEAR = r"(?:19|20)\d\d"
_TOKEN = re.compile(
    rf"""(?P<amount>
        (?<![\d,.])[1-9]\d{{0,2}}(?:,\d{{3}})+(?![\d]|,\d)      # 1,250,000
      | (?<![\d.])\d{{1,{LONGEST_AMOUNT}}}\.\d{{1,{LONGEST_AMOUNT}}}(?![\d.]\d|\d)            # 3.50
      | (?<!\d)\d{{1,2}}:\d\d(?!\d)                             # 10:30
      | (?<!\d){_YEAR}[-./]\d{{1,2}}[-./]\d{{1,2}}(?!\d)        # 2024-05-06
      | (?<!\d)\d{{1,2}}[-./]\d{{1,2}}[-./]{_YEAR}(?!\d)        # 5/6/2024
      | (?<!\d){_YEAR}\s?[-–~到至]\s?{_YEAR}(?!\d)              # 2023-2024
    )|(?P<written>\d+)|(?P<word>[a-z]+(?:'[a-z]+)?)|(?P<mark>.)""",
    re.X | re.S,
)
_HARD = re.compile(r" {0,2}|[ ]?[-–(][ ]?|\.|\)[ ]?-?|\) ?\(?")


@dataclass(frozen=True, slots=True)
class Unit:
    """Digits said or written in one go; `start`, `end`: characters of the text, half-open.

    `plain`: how many of them were said one by one. `scaled`: said with "hundred" or "thousand".
    """

    start: int
    end: int
    digits: str
    plain: int = 0
    written: bool = False
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Units with nothing but marks and fillers between them. `hard[i]`: units i and i + 1 are as one written number."""

    units: tuple[Unit, ...]
    hard: tuple[bool, ...]

    @property
    def digits(self) -> str:
        return "".join(unit.digits for unit in self.units)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(unit.digits for unit in self.units)


def folded(text: str) -> str:
    """Lower case, full-width forms and digits of any script as ASCII, character by character: places stay."""
    return text if text.isascii() and text.islower() else "".join(map(_folded, text))


def _folded(character: str) -> str:
    if character.isascii():
        return character.lower()
    if "\uff01" <= character <= "\uff5e" and character not in "，！？；（）～":
        return chr(ord(character) - 0xFEE0).lower()
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.digit(character))
    lower = character.lower()
    return lower if len(lower) == 1 else character


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def runs(text: str) -> Iterator[Run]:
    """All runs of a folded text, of any length, in its order."""
    tokens = [_Token(match.lastgroup or "", match[0], *match.span()) for match in _TOKEN.finditer(text)]
    units: list[Unit] = []
    hard: list[bool] = []
    fillers = at = 0
    while at < len(tokens):
        unit, taken = _unit(tokens, at)
        if unit is not None:
            if units:
                between = text[units[-1].end : unit.start]
                hard.append(_HARD.fullmatch(between) is not None)
            units.append(unit)
            fillers = 0
        elif _is_between(tokens[at]):
            fillers += tokens[at].text not in _MARKS
        if units and ((unit is None and not _is_between(tokens[at])) or fillers > _MOST_FILLERS):
            yield Run(tuple(units), tuple(hard))
            units, hard = [], []
        at += taken
    if units:
        yield Run(tuple(units), tuple(hard))


def _is_between(token: _Token) -> bool:
    """Whether a token may stand inside a number: a mark or a filler."""
    if token.kind == "word":
        return token.text in _FILLERS
    return token.kind == "mark" and (token.text in _MARKS or token.text in _FILLERS_ZH)


def _unit(tokens: Sequence[_Token], at: int) -> tuple[Unit | None, int]:
    """The unit that begins at a token, None if none does, and how many tokens it takes (at least 1)."""
    token = tokens[at]
    if token.kind == "written":
        if len(token.text) <= LONGEST_AMOUNT and _mark_at(tokens, at + 1) in _SCALES_ZH:
            return None, 2
        return Unit(token.start, token.end, token.text, int(len(token.text) == 1), written=True), 1
    if token.kind == "word":
        return _english(tokens, at)
    return _chinese(tokens, at) if token.kind == "mark" else (None, 1)


def _english(tokens: Sequence[_Token], at: int) -> tuple[Unit | None, int]:
    token = tokens[at]
    second = _next_word(tokens, at)
    if token.text in _TIMES:
        digit = None if second is None else _digit(tokens[second])
        if second is None or digit is None:
            return None, 1
        times = _TIMES[token.text]
        return Unit(token.start, tokens[second].end, digit * times, times), second - at + 1
    if token.text in ONES:
        digits, last, plain = str(ONES[token.text]), at, 1
    elif token.text in PAIRS:
        digits, last, plain = PAIRS[token.text], at, 0
        one = ONES.get(tokens[second].text, 0) if second is not None else 0
        if second is not None and one and token.text in _TENS:
            digits, last = f"{digits[0]}{one}", second
    else:
        return None, 1
    scale = _next_word(tokens, last)
    if scale is not None and tokens[scale].text in _SCALES:
        said = digits + _SCALES[tokens[scale].text]
        return Unit(token.start, tokens[scale].end, said, scaled=True), scale - at + 1
    return Unit(token.start, tokens[last].end, digits, plain), last - at + 1


def _next_word(tokens: Sequence[_Token], at: int) -> int | None:
    """The token after a space or hyphen."""
    if at + 2 < len(tokens) and tokens[at + 1].text in {" ", "-"} and tokens[at + 2].kind in {"word", "written"}:
        return at + 2
    return None


def _digit(token: _Token) -> str | None:
    """The one digit that a token says."""
    if token.kind == "written":
        return token.text if len(token.text) == 1 else None
    return str(ONES[token.text]) if token.text in ONES else IDEOGRAPHS.get(token.text)


def _chinese(tokens: Sequence[_Token], at: int) -> tuple[Unit | None, int]:
    """A digit of a string of them. One beside 十, 百, 千 … belongs to an amount: it is none."""
    token = tokens[at]
    if token.text in _TIMES_ZH and _mark_at(tokens, at + 1) in {"个", "個"} and at + 2 < len(tokens):
        digit = _digit(tokens[at + 2])
        if digit is not None and _mark_at(tokens, at + 3) not in _SCALES_ZH:
            return Unit(token.start, tokens[at + 2].end, digit * _TIMES_ZH[token.text]), 3
    if token.text not in IDEOGRAPHS:
        return None, 1
    if _mark_at(tokens, at + 1) in _SCALES_ZH or _mark_at(tokens, at - 1) in _SCALES_ZH | {"第", "点"}:
        return None, 1
    return Unit(token.start, token.end, IDEOGRAPHS[token.text], 1), 1


def _mark_at(tokens: Sequence[_Token], at: int) -> str:
    return tokens[at].text if 0 <= at < len(tokens) else ""
