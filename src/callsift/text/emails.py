"""E-mail addresses in a folded text, written ("ann@example.org") or said ("ann dot lee at gmail dot com").

"at" alone is an everyday word: a said address needs "dot com" or the like behind it and a word before it that does not
lead to a web site ("look at", "us at").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from callsift.text.digits import IDEOGRAPHS, ONES

_WRITTEN = re.compile(
    r"(?<![a-z0-9._%+\-])[a-z0-9_%+\-][a-z0-9._%+\-]{0,63}\s?@\s?[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63})+"
)
_PROVIDERS = (
    "gmail|googlemail|hotmail|outlook|yahoo|icloud|aol|proton|protonmail|gmx|msn|live|qq|foxmail|sina|sohu|yeah|163|126|139"
    "|one six three|one two six|一六三|幺六三|一二六|幺二六"
)
_TOP = "com|net|org|edu|gov|info|biz|io|co|cn|uk|de|fr|us|au|ca|hk|tw"
_AT = r"(?:\bat\b|@|艾特|[圈花]a(?![a-z]))"
_TAIL = re.compile(
    rf"{_AT}\s*(?:(?:{_PROVIDERS})(?:\s*(?:\bdot\b|点|點|\.)\s*|\s+)"
    rf"|[a-z0-9\-]{{1,63}}\s*(?:\bdot\b|点|點|\.)\s*)(?:{_TOP})\b(?:\s*(?:\bdot\b|点|點|\.)\s*(?:{_TOP})\b)?"
)
_BEFORE = re.compile(
    rf"[a-z0-9']+|[{''.join(IDEOGRAPHS)}]|下划线|横杠|点|點|杠|(?<=[a-z0-9])[._\-](?=[a-z0-9])|(?P<gap>[\s,，]+)|(?P<foreign>.)",
    re.S,
)
_JOINERS = frozenset({"dot", "underscore", "dash", "hyphen", "点", "點", "下划线", "横杠", "杠", ".", "_", "-"})
_NO_NAME = frozenset(
    ("a", "am", "an", "and", "are", "available", "be", "buy", "can", "check", "email", "find", "for", "found", "go",
     "have", "here", "him", "her", "i", "in", "is", "it", "it's", "look", "looked", "looking", "mail", "me", "my", "of",
     "on", "online", "or", "order", "out", "read", "reach", "see", "shop", "shopping", "site", "start", "that",
     "that's", "the", "them", "there", "they", "this", "to", "us", "visit", "was", "we", "website", "work", "works",
     "working", "you", "your")
)  # fmt: skip
_FARTHEST = 120


def email_spans(text: str) -> Iterator[tuple[int, int]]:
    """Characters `[start, end)` of every address."""
    done = 0
    spans = [match.span() for match in _WRITTEN.finditer(text)]
    for match in _TAIL.finditer(text):
        start = _start_of_name(text, match.start())
        if start is not None:
            spans.append((start, match.end()))
    for start, end in sorted(spans):
        if start >= done:
            yield start, end
            done = end


def _start_of_name(text: str, at: int) -> int | None:
    """Where the part before the "at" begins; None if there is none."""
    tokens: list[tuple[str, int]] = []
    for match in _BEFORE.finditer(text, max(0, at - _FARTHEST), at):
        if match["foreign"]:
            tokens.clear()
        elif not match["gap"]:
            tokens.append((match[0], match.start()))
    if not tokens or not _is_name(tokens[-1][0]) or tokens[-1][0] in _NO_NAME:
        return None
    here = len(tokens) - 1
    while here > 0:
        before = tokens[here - 1][0]
        if before in _JOINERS and here > 1 and _is_name(tokens[here - 2][0]):
            here -= 2
        elif _is_letter(before) and _is_letter(tokens[here][0]):
            here -= 1
        else:
            break
    before = tokens[here - 1][0] if here > 0 else ""
    joins = before.isascii() and before.isalpha() and before not in _JOINERS | _NO_NAME
    return tokens[here - 1 if joins else here][1]  # "john smith at gmail dot com" may be one name


def _is_name(token: str) -> bool:
    return token in IDEOGRAPHS or (token.isascii() and token[0].isalnum() and token not in _JOINERS)


def _is_letter(token: str) -> bool:
    """One letter or digit of an address that is spelt."""
    return token in IDEOGRAPHS or token in ONES or (len(token) == 1 and token.isascii() and token.isalnum())
