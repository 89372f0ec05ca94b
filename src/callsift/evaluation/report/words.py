"""The words that the sentences, tables and pictures of the evaluation page share: what is counted, ranges, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callsift.pages import percent

Found = Mapping[str, Any]

TO = "–\u2060"
"""From … to, never on two lines."""
FEW = 20
"""Of fewer calls no figure is worth a verdict."""
KINDS = {"length": "length", "language": "language", "group": "group", "asr_confidence": "confidence of the transcript"}
NO_RANGE = "every draw gives the same, which says nothing of other calls"


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence: what matters, the rest of it, and what may be concluded (`verdict`, better, worse or open)."""

    lead: str
    rest: str
    verdict: str = ""
    kind: str = "open"


def finest_task(found: Found) -> str:
    """The task that tells all grades apart."""
    return str(found["scheme"]["finest_task"])


def unit_of(found: Found) -> str:
    """What is counted: segments, where a model answers for each of them, else calls."""
    by_target = "segment" if found["scheme"].get("target") == "segment" else "call"
    return "segments" if (found["data"].get("unit") or by_target) == "segment" else "calls"


def drawn_of(found: Found) -> str:
    """What intervals are from drawing anew, each as a whole: `9 groups of calls`."""
    data = found["data"]
    if data.get("drawn") is None:
        return "calls (or groups of them)"
    groups = data["drawn_by"] == "group"
    return f"{counted(data['drawn'], 'groups')} of calls" if groups else counted(data["drawn"], "calls")


def counted(count: int, unit: str) -> str:
    """
    >>> counted(1, "calls")
    '1 call'
    """
    return f"{count:,} {unit.removesuffix('s') if count == 1 else unit}"


def between(figure: Found) -> str:
    """The interval of a share, `54–68 %`."""
    return f"{percent(figure['low']).split(chr(0xA0))[0]}{TO}{percent(figure['high'])}"


def flat(figure: Found) -> bool:
    """Whether the interval has no width, as that of a few calls that are all right has."""
    return bool(figure["high"] - figure["low"] < 1e-9)


def spanned(figure: Found, *, share: bool) -> str:
    """The interval as a sentence says it: `54–68 %`, `0.54–0.68`, or that there is none."""
    if flat(figure):
        return NO_RANGE
    return between(figure) if share else f"{figure['low']:.2f}{TO}{figure['high']:.2f}"


def too_few(found: Found, items: int) -> str:
    """The verdict on so many items, where they or their calls are too few for one; else empty.

    Segments of one call are alike: three calls are few though they have a hundred segments.
    """
    calls = found["data"]["calls"]
    if items >= FEW and calls >= FEW:
        return ""
    said = counted(items, unit_of(found)) if items < FEW else counted(calls, "calls")
    return f"Of {said}, hardly anything can be concluded."
