"""Dividing text where it may be divided: between sentences, words, and Chinese or Japanese characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_UNIT = re.compile(rf"[{_CJK}][，。！？、；：…）》」』”]*|[^\s{_CJK}]+")
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；…])(?![”」』）])")


def divide(text: str, shares: Sequence[float]) -> tuple[str, ...]:
    """Text → as many pieces as shares, in proportion to them, at bounds of words (Chinese: of characters).

    Nothing is lost or doubled but white space at the cuts. With all shares 0, the first piece has it all.
    """
    starts = [unit.start() for unit in _UNIT.finditer(text)]
    total = sum(shares)
    cuts: list[int] = []
    passed = 0.0
    for share in shares[:-1]:
        passed += share
        unit = round(len(starts) * min(1.0, passed / total)) if total > 0 else len(starts)
        cuts.append(starts[unit] if 0 < unit < len(starts) else len(text) if unit else 0)
    return tuple(text[start:end].strip() for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True))


def pieces_up_to(text: str, max_tokens: int, count_tokens: Callable[[str], int]) -> tuple[str, ...]:
    """Text → pieces of at most `max_tokens`, cut between sentences, in longer sentences between words.

    A single word that is longer by itself stays whole.
    """
    cuts = _tiling([match.end() for match in _SENTENCE_END.finditer(text)], 0, len(text))
    units: list[tuple[int, int]] = []
    for start, end in cuts:
        if count_tokens(text[start:end]) <= max_tokens:
            units.append((start, end))
        else:
            units += _tiling([unit.start() + start for unit in _UNIT.finditer(text[start:end])], start, end)
    pieces: list[tuple[int, int]] = []
    used = 0
    for start, end in units:
        needed = count_tokens(text[start:end])
        if pieces and used + needed <= max_tokens:
            pieces[-1] = (pieces[-1][0], end)
            used += needed
        else:
            pieces.append((start, end))
            used = needed
    return tuple(piece for start, end in pieces if (piece := text[start:end].strip()))


def _tiling(cuts: Sequence[int], start: int, end: int) -> list[tuple[int, int]]:
    """Cuts strictly between `start` and `end` → the stretches between them, which together are the whole."""
    inner = [cut for cut in cuts if start < cut < end]
    return list(zip([start, *inner], [*inner, end], strict=True))
