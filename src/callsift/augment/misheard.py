"""English: words that sound like the written one, as recognisers confuse them.

By the CMU pronouncing dictionary that PocketSphinx' wheel carries: a word of the same sounds where there is one
("their" for "there"), else one that is a sound away: another that is made alike (P and B, M and N, neighbouring
vowels), or one of the weak sounds more or less ("and" → "an"). Only words that the wheel's language
model knows to be usual are put in; the usual ones are likelier, by the square root of their probability, as a
recogniser prefers them too. Only substitutions: words that are dropped, split or joined would change what other parts
count on, such as the share of words changed.

What stays: names (words that begin with a capital letter inside a sentence somewhere in the call, and all that the
dictionary or the model does not know as usual), abbreviations in capitals, numbers, addresses, `[PLACEHOLDERS]`.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Literal

import pocketsphinx

from callsift.augment.places import Place, Places

USUAL_PROBABILITY = 1e-6
"""Words rarer than this are not changed: of the model's 72,544 words 19,000 are left."""

COMMON_PROBABILITY = 4e-6
"""Words rarer than this are not put in: 9,000 are left."""

SAME_SOUND = 10.0
"""How much likelier a word of the same sounds is than one a sound away, were both as usual."""

FEWEST_KNOWN = 0.5
"""Turns of whose different words fewer are plain English are taken for another language."""

PLAIN_PROBABILITY = 2e-5
"""What is plain English, and none of the foreign words and names that the model knows, too: 3,000 words."""

_ALIKE = (
    "P B", "T D", "K G", "P T K", "B D G", "F V", "TH DH", "S Z", "SH ZH", "CH JH", "M N NG", "F TH", "S TH", "S SH",
    "V DH", "D DH", "CH SH", "L R", "L W", "W R", "V B", "IY IH", "IH EH", "EH AE", "AE AA", "AE AH", "AH AA", "AA AO",
    "AH IH", "AH EH", "AH UH", "UH UW", "AO OW", "EY EH", "AH ER", "AY AA", "AW AA", "OY AO",
)  # fmt: skip
"""Sounds that differ in one feature: voice, place (what is confused most of consonants: Miller and Nicely, An analysis
of perceptual confusions among some English consonants, 1955), or the next vowel."""

_WEAK = ("T", "D", "DH", "HH", "AH", "IH", "L", "R", "N", "S", "Z", "V", "W", "Y")
"""Sounds that come and go in running speech: unstressed vowels, stops and endings that are swallowed."""

_CHUNK = re.compile(r"\S+")
_LETTERS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_NO_WORDS = re.compile(r"[\d@_<>\[\]/\\#&]|\w\.\w")
"""A chunk with one of these is a number, an address or a placeholder."""
_ENDS_SENTENCE = re.compile(r"[.!?…:][\"'”’)]*$")


@dataclass(frozen=True, slots=True)
class _Writing:
    """How a call is written throughout."""

    case: Literal["lower", "upper", "mixed"]
    apostrophe: str


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """The usual words: the sounds of each, the words of the same sounds, and how probable each is."""

    sounds: Mapping[str, tuple[tuple[str, ...], ...]]
    words: Mapping[tuple[str, ...], tuple[str, ...]]
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Written:
    """A word of a text as it stands there."""

    start: int
    word: str
    opens: bool
    """Whether a sentence begins with it."""


def misheard_places(texts: Sequence[str]) -> tuple[Places, ...]:
    """Every English word of the texts of one call that sounds like others; none where the language is another."""
    written = [tuple(_written(text)) for text in texts]
    if not _is_english({_key(chunk) for text in texts for chunk in _CHUNK.findall(text)}):
        return tuple(Places(text, 0, ()) for text in texts)
    writing = _writing("".join(one.word for words in written for one in words))
    names = {one.word for words in written for one in words if writing.case == "mixed" and _is_name(one)}
    return tuple(
        Places(text, len(words), tuple(_places(words, names, writing)))
        for text, words in zip(texts, written, strict=True)
    )


def _is_english(chunks: Set[str]) -> bool:
    """Whether enough of what is words, in whatever script, is plain English."""
    words = {word for chunk in chunks for word in _LETTERS.findall(chunk) if _NO_WORDS.search(chunk) is None}
    probabilities = _lexicon().probabilities
    return sum(probabilities.get(word, 0) >= PLAIN_PROBABILITY for word in words) >= FEWEST_KNOWN * len(words)


def _written(text: str) -> Iterator[_Written]:
    opens = True
    for chunk in _CHUNK.finditer(text):
        if _NO_WORDS.search(chunk[0]) is None:
            for word in _LETTERS.finditer(chunk[0]):
                yield _Written(chunk.start() + word.start(), word[0], opens)
                opens = False
        opens = _ENDS_SENTENCE.search(chunk[0]) is not None


def _writing(letters: str) -> _Writing:
    return _Writing(
        "lower" if letters.islower() else "upper" if letters.isupper() else "mixed", "’" if "’" in letters else "'"
    )


def _places(words: Sequence[_Written], names: Set[str], writing: _Writing) -> Iterator[Place]:
    for one in words:
        abbreviation = writing.case == "mixed" and len(one.word) > 1 and one.word.isupper()
        if one.word in names or abbreviation:
            continue
        others, bounds = _as_written(one.word, one.opens, writing)
        if others:
            yield Place(one.start, one.start + len(one.word), others, bounds)


def _is_name(one: _Written) -> bool:
    return one.word[0].isupper() and not one.opens and not _is_i(one.word)


def _is_i(word: str) -> bool:
    return word == "I" or word.startswith(("I'", "I’"))


@lru_cache(maxsize=16384)
def _as_written(word: str, opens: bool, writing: _Writing) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """What a word may be taken for, in its case and with the call's apostrophe."""
    others, bounds = misheard_as(_key(word))
    others = tuple(other.replace("'", writing.apostrophe) for other in others)
    if writing.case == "upper":
        return tuple(other.upper() for other in others), bounds
    if writing.case == "mixed":
        capital = opens if _is_i(word) else word[0].isupper()
        return tuple(_capital(other) if capital or _is_i(_capital(other)) else other for other in others), bounds
    return others, bounds


def _capital(word: str) -> str:
    return word[0].upper() + word[1:]


def _key(word: str) -> str:
    return word.replace("’", "'").lower()


@lru_cache(maxsize=16384)
def misheard_as(word: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The usual words that a word (lower case) may be taken for, and the bounds of their shares up to 1."""
    lexicon = _lexicon()
    said = lexicon.sounds.get(word, ())
    same = {other for sounds in said for other in lexicon.words[sounds]}
    near = {other for sounds in said for close in _near(sounds) for other in lexicon.words.get(close, ())}
    others = tuple(sorted(other for other in same | near if other != word and _is_common(other)))
    weights = [(SAME_SOUND if other in same else 1) * math.sqrt(lexicon.probabilities[other]) for other in others]
    total = sum(weights)
    return others, tuple(sum_ / total for sum_ in accumulate(weights))


def _is_common(word: str) -> bool:
    """Single letters are words to the model where they spell something."""
    return _lexicon().probabilities[word] >= COMMON_PROBABILITY and (len(word) > 1 or word in "ai")


def _near(sounds: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All that is one sound away; some twice, some that is no word."""
    for at, sound in enumerate(sounds):
        before, after = sounds[:at], sounds[at + 1 :]
        yield from ((*before, other, *after) for other in _alike().get(sound, ()))
        if sound in _WEAK and len(sounds) > 1:
            yield before + after
    for at in range(len(sounds) + 1):
        yield from ((*sounds[:at], weak, *sounds[at:]) for weak in _WEAK)


@cache
def _alike() -> Mapping[str, tuple[str, ...]]:
    groups = [group.split() for group in _ALIKE]
    return {
        sound: tuple(other for group in groups if sound in group for other in group if other != sound)
        for group in groups
        for sound in group
    }


@cache
def _lexicon() -> _Lexicon:
    """Read once: the dictionary's words that are usual by the language model, which is not kept."""
    folder = Path(pocketsphinx.get_model_path()) / "en-us"
    model = pocketsphinx.NGramModel.readfile(str(folder / "en-us.lm.bin"))
    scale = pocketsphinx.LogMath()
    sounds: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    words: dict[tuple[str, ...], list[str]] = defaultdict(list)
    probabilities: dict[str, float] = {}
    with (folder / "cmudict-en-us.dict").open(encoding="utf-8") as lines:
        for line in lines:
            name, _, said = line.partition(" ")
            word = name.partition("(")[0]
            if word not in probabilities:
                probabilities[word] = scale.exp(model.prob([word]))
            if probabilities[word] >= USUAL_PROBABILITY and _LETTERS.fullmatch(word) is not None:
                sounds[word].append(tuple(said.split()))
                words[sounds[word][-1]].append(word)
    return _Lexicon(
        {word: tuple(said) for word, said in sounds.items()},
        {said: tuple(found) for said, found in words.items()},
        {word: probabilities[word] for word in sounds},
    )
