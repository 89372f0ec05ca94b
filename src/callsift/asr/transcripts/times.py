"""Times as transcripts give them, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callsift.errors import DataError

LONGEST_S = 1e6
"""Eleven days: what is later is no time in a call."""


def seconds(value: Any, what: str, path: Path, line: int | None = None) -> float:
    """A number, or its text, as seconds from the start.

    Raises:
        DataError: it is none; names what, file and line.
    """
    number = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = None
    # written so that NaN fails it, and integers too long for a float are compared as integers
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= LONGEST_S:
        raise DataError(f"{what} is {value!r:.40}; it must be seconds from the start of the recording", path, line)
    return float(number)


def stretch(start: Any, end: Any, what: str, path: Path, line: int | None = None) -> tuple[float, float]:
    """Start and end of something.

    Raises:
        DataError: one is no time, or the end is before the start.
    """
    start_s, end_s = seconds(start, f"{what}'s start", path, line), seconds(end, f"{what}'s end", path, line)
    if end_s < start_s:
        raise DataError(f"{what} ends at {end_s:g} s, before it starts at {start_s:g} s", path, line)
    return start_s, end_s
