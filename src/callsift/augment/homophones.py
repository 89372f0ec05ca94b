"""Mandarin: characters that sound like the written one, tone included, as recognisers confuse them.

The reading is that of the character in its phrase, by pypinyin: 行 is háng in 银行 and becomes 航 or 杭 there, but 形
or 型 in 行走; 不 before a fourth tone is bú, as it is said. What replaces it is a common character of which that
syllable with that tone is a usual reading. Common are the 3,755 characters of GB 2312's first level and, for
traditional text, the 5,401 of Big5's, so that the two ways of writing don't mix.

All of them are equally likely: how often each is used is nowhere to be had without a download (pypinyin's phrases are
mostly those in which a reading is doubtful), and a network learns more from many errors than from the likeliest one.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache

from callsift.augment.places import Place, Places
from callsift.errors import UsageError

USUAL_SHARE = 1 / 8
"""A reading other than the first is usual if the character has it in this share of the phrases it occurs in, …"""

USUAL_PHRASES = 10
"""… and in as many of them."""

_PARTICLES = {"de": "的地得", "ma": "吗嘛嗎"}
"""Readings that dictionaries of words rarely show, and texts all the time."""

_RUN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
_TRADITIONAL_PLACES = ("tw", "hk", "mo", "hant")


def homophone_places(text: str, traditional: bool) -> Places:
    """Every Chinese character of a text that has homophones. `traditional`: how these are written.

    Raises:
        UsageError: there are Chinese characters and pypinyin is not installed.
    """
    places: list[Place] = []
    units = 0
    for run in _RUN.finditer(text):
        units += len(run[0])
        for at, (character, reading) in enumerate(zip(run[0], readings(run[0]), strict=True), run.start()):
            others, bounds = _others(character, reading, traditional)
            if others:
                places.append(Place(at, at + 1, others, bounds))
    return Places(text, units, tuple(places))


@lru_cache(maxsize=16384)
def readings(run: str) -> tuple[str, ...]:
    """The syllable of every character of a run of them, with its tone mark (none: neutral tone), in context."""
    _need_pypinyin()
    from pypinyin import Style, lazy_pinyin

    # A list, too, is taken of `errors`: a character without reading stands for itself
    return tuple(lazy_pinyin(run, style=Style.TONE, errors=list))  # type: ignore[arg-type]


def is_traditional(texts: Sequence[str], language: str | None) -> bool:
    """Whether more is surely traditional than surely simplified; where it is equal, whether the language says so."""
    balance = sum(_script(character) for text in texts for character in text)
    if balance == 0 and language is not None:
        return language.replace("_", "-").lower().split("-")[-1] in _TRADITIONAL_PLACES
    return balance > 0


@cache
def _script(character: str) -> int:
    """1: traditional, −1: simplified, 0: both or neither."""
    return _encodes(character, "big5") - _encodes(character, "gb2312")


def _encodes(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=16384)
def _others(character: str, reading: str, traditional: bool) -> tuple[tuple[str, ...], tuple[float, ...]]:
    others = tuple(other for other in _by_reading(traditional).get(reading, ()) if other != character)
    return others, tuple((number + 1) / len(others) for number in range(len(others)))


@cache
def _by_reading(traditional: bool) -> Mapping[str, tuple[str, ...]]:
    """The common characters of every syllable."""
    usual = _usual_readings()
    found: dict[str, list[str]] = defaultdict(list)
    for character in _common(traditional):
        for reading in usual.get(character, ()):
            found[reading].append(character)
    return {reading: tuple(characters) for reading, characters in found.items()}


@cache
def _usual_readings() -> Mapping[str, tuple[str, ...]]:
    """The readings of a character that one would think of: its first, and those that many of its phrases have."""
    _need_pypinyin()
    from pypinyin.constants import PHRASES_DICT, PINYIN_DICT

    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for phrase, syllables in PHRASES_DICT.items():
        for character, syllable in zip(phrase, syllables, strict=False):
            counts[character][syllable[0]] += 1
    usual: dict[str, tuple[str, ...]] = {}
    for code, listed in PINYIN_DICT.items():
        character, known = chr(code), listed.split(",")
        count = counts[character]
        least = max(USUAL_PHRASES, USUAL_SHARE * count.total())
        usual[character] = tuple(
            reading
            for reading in known
            if reading == known[0] or count[reading] >= least or character in _PARTICLES.get(reading, "")
        )
    return usual


def _common(traditional: bool) -> Iterator[str]:
    """GB 2312's first level, in the codec's rows B0 to D7, or Big5's, A440 to C67E."""
    codec, first, last = ("big5", 0xA440, 0xC67E) if traditional else ("gb2312", 0xB0A1, 0xD7FE)
    for code in range(first, last + 1):
        character = code.to_bytes(2, "big").decode(codec, "ignore")
        # Codes between two rows are none, and leave their second byte
        if _RUN.fullmatch(character) is not None:
            yield character


def _need_pypinyin() -> None:
    try:
        import pypinyin  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "augment.text.homophones needs pypinyin for Mandarin text. "
            'Install it with: pip install "callsift[zh]", or set augment.text.homophones: 0.'
        ) from error
