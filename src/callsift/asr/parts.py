"""What engines share: long spans cut where it is quiet, the parts' texts put together again, and languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from callsift.errors import ConfigError, ErrorCode, RecordingError
from callsift.text.normalise import is_chinese, short_language
from callsift.types import FloatArray, Signal, Span

_QUIET_WINDOW_S = 0.1
_EARLIEST_CUT_SHARE = 0.5


def parts(samples: Signal, rate_hz: int, span: Span, longest_s: float) -> Iterator[FloatArray]:
    """The samples of a span of (T,), in parts (n,) of at most `longest_s`, cut in their quietest place.

    Only one part is in memory at a time. A last part of digital silence is left out: engines make a word of it.
    """
    start, end = (round(t * rate_hz) for t in (span.start_s, min(span.end_s, samples.size / rate_hz)))
    longest, window = int(longest_s * rate_hz), round(_QUIET_WINDOW_S * rate_hz)
    while end - start > longest:
        earliest = start + int(longest * _EARLIEST_CUT_SHARE)
        later_half = samples[earliest : start + longest]
        power = np.square(later_half[: later_half.size // window * window].reshape(-1, window)).mean(axis=1)
        cut = earliest + int(power.argmin()) * window + window // 2
        yield samples[start:cut]
        start = cut
    if end > start and (rest := samples[start:end]).any():
        yield rest


def joined(texts: Iterable[str]) -> str:
    """The texts of successive parts as one: a space between them, none between ideographs."""
    whole = ""
    for text in (text.strip() for text in texts):
        between = "" if whole and text and _of_chinese(whole[-1]) and _of_chinese(text[0]) else " "
        whole = f"{whole}{between}{text}".strip()
    return whole


def _of_chinese(character: str) -> bool:
    return is_chinese(character) or character in "，。！？、；："


def fixed_language(language: object, known: Sequence[str], model: str) -> str | None:
    """The option `language`: a code, or None for `auto`. `known` empty: whatever it is.

    Raises:
        ConfigError: the model does not know it.
    """
    if language == "auto":
        return None
    if not isinstance(language, str) or (known and language not in known):
        raise ConfigError(f"language={language}: use auto or one of {', '.join(known) or 'the codes'} of {model}")
    return language


def at_least_one(option: str, number: object) -> int:
    """An option that is a whole number from 1.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ConfigError(f"{option}={number}: use a whole number from 1")
    return number


def spoken_language(language: str | None, known: Sequence[str], engine: str) -> str | None:
    """A call's language as an engine names it: `zh-CN` → `zh`; None stays None. `known` empty: whatever it is.

    Raises:
        RecordingError: `asr_failed`, the engine does not know the language.
    """
    if language is None:
        return None
    short = short_language(language)
    if known and short not in known:
        raise RecordingError(
            ErrorCode.ASR_FAILED,
            f"{engine} knows {', '.join(known)}, the call is in '{language}'. Give a transcript or another engine.",
        )
    return short
