"""What a recogniser might have written instead: one call's turns with other words that sound alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from callsift.augment.homophones import homophone_places, is_traditional
from callsift.augment.misheard import misheard_places
from callsift.augment.places import redrawn
from callsift.config.augment import TextAugment
from callsift.text.normalise import guess_language, short_language
from callsift.types import Turn

MOST_FOREIGN = 0.1
"""Text with a larger share of kana and Hangul among its letters is no Mandarin, whatever ideographs it has."""


def vary_turns(
    turns: Sequence[Turn], config: TextAugment, random: np.random.Generator, language: str | None
) -> tuple[Turn, ...]:
    """The turns with some of their text replaced: Mandarin by homophones, English by words that sound alike.

    Roles, times, speakers and the number of turns stay, and so does text in any other language than the call's, such
    as an English word in Mandarin. `language`: a tag such as `zh-CN`; None to tell by the letters. The set chance is
    the share of all Chinese characters, or English words, of the turns together, as far as enough can be replaced.

    Raises:
        UsageError: homophones are wanted, there are Chinese characters, and pypinyin is not installed.
    """
    texts = [turn.text for turn in turns]
    short = short_language(language) if language else guess_language("".join(texts))
    if short in ("zh", "cmn") and config.homophones and not _is_foreign("".join(texts)):
        traditional = is_traditional(texts, language)
        varied = redrawn([homophone_places(text, traditional) for text in texts], config.homophones, random)
    elif short == "en" and config.misheard:
        varied = redrawn(misheard_places(texts), config.misheard, random)
    else:
        return tuple(turns)
    return tuple(
        turn if text == turn.text else replace(turn, text=text) for turn, text in zip(turns, varied, strict=True)
    )


def _is_foreign(text: str) -> bool:
    letters = sum(character.isalpha() for character in text)
    foreign = sum("\u3041" <= character <= "\u30fa" or "\uac00" <= character <= "\ud7a3" for character in text)
    return foreign > MOST_FOREIGN * letters
