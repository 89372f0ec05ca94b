"""May a bundle have eight-bit weights? Only if the scores of given calls stay where they were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from callsift.bundle import Bundle
from callsift.errors import BundleError, UsageError
from callsift.scoring.scorer import Scorer
from callsift.types import Call, CallScore, SegmentEvidence


@dataclass(frozen=True, slots=True)
class Int8Check:
    """Calls to compare on, and the most that a probability may move (of a number: the share of its range)."""

    calls: Sequence[Call]
    bound: float = 0.02
    asr: str | None = None


def check_moved(exact: Bundle, smaller: Bundle, check: Int8Check) -> dict[str, Any]:
    """Score the calls with both bundles; how far the answers moved.

    Raises:
        BundleError: further than the bound; names the call and both answers.
        UsageError: no call could be scored.
    """
    one, other = (Scorer.from_bundle(bundle, asr=check.asr) for bundle in (exact, smaller))
    width = 1.0 if exact.scheme.range is None else exact.scheme.range[1] - exact.scheme.range[0]
    moved: dict[str, float] = {}
    for call in check.calls:
        before = one.score(call)
        if before.error is None:
            moved[call.call_id] = distance(before, other.score(call)) / width
    if not moved:
        raise UsageError(f"none of the {len(check.calls)} calls to check eight-bit weights on could be scored")
    worst = max(moved, key=lambda call_id: moved[call_id])
    if not moved[worst] <= check.bound:
        raise BundleError(
            f"eight-bit weights are refused: an answer to call '{worst}' moved by {moved[worst]:.4f}, more than the "
            f"bound of {check.bound:g}. Export without --int8, or allow more with --bound."
        )
    left_out = len(check.calls) - len(moved)
    return {"bound": check.bound, "calls": len(moved), "not_scored": left_out, "moved": moved[worst]}


def distance(before: CallScore, after: CallScore) -> float:
    """The farthest that an answer moved; infinite where there is none any more."""
    pairs = list(zip(_answers(before), _answers(after), strict=False))
    if after.error is not None or len(_answers(after)) != len(pairs):
        return math.inf
    distances = [abs(one - other) for one, other in pairs]
    return math.inf if any(map(math.isnan, distances)) else max(distances, default=0.0)


def _answers(score: CallScore) -> list[float]:
    """All that is said of a call and its segments, in a fixed order."""
    said: list[CallScore | SegmentEvidence] = [score, *score.segments]
    found = [p for each in said for classes in each.probabilities.values() for p in classes.values()]
    return found + [each.value for each in said if each.value is not None]
