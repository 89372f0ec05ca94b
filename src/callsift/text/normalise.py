"""Text as it reaches the tokenizer, the same in training and scoring."""

from __future__ import annotations

import re
import unicodedata

from callsift.text.chinese import unified

_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."})
_SPACES = re.compile(r"\s+")


def normalise_text(text: str, *, simplified: bool = False) -> str:
    """Unicode NFKC (full-width forms too), one kind of quotes and dashes, single spaces, lower case.

    `simplified`: Mandarin in one form, too; see `callsift.text.chinese`.
    """
    folded = unicodedata.normalize("NFKC", text.translate(_QUOTES))
    if simplified:
        folded = unified(folded)
    return _SPACES.sub(" ", folded).strip().lower()


def is_whole(text: str) -> bool:
    """Whether UTF-8 can hold a text: it can't hold half of a character, a surrogate without the other one.

    >>> is_whole("\U0001f600"), is_whole("\ud83d")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_chinese(character: str) -> bool:
    """Whether a character is a CJK ideograph."""
    return "\u3400" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff"


def short_language(language: str) -> str:
    """`zh-CN`, `zh_TW` → `zh`."""
    return language.replace("_", "-").split("-")[0].lower()


def guess_language(text: str) -> str | None:
    """`zh` if at least a third of the letters are ideographs, `en` otherwise, None without letters."""
    letters = [character for character in text if character.isalpha()]
    if not letters:
        return None
    return "zh" if 3 * sum(map(is_chinese, letters)) >= len(letters) else "en"
