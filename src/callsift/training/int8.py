"""May a bundle have eight-bit weights? Only if the scores of given calls stay where they were."""

from __future__ import annotations

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
        before, after = one.score(call), other.score(call)
        if before.error is None and after.error is None:
            pairs = zip(_answers(before), _answers(after), strict=True)
            moved[call.call_id] = max((abs(a - b) / width for a, b in pairs), default=0.0)
    if not moved:
        raise UsageError(f"none of the {len(check.calls)} calls to check eight-bit weights on could be scored")
    worst = max(moved, key=lambda call_id: moved[call_id])
    if moved[worst] > check.bound:
        raise BundleError(
            f"eight-bit weights are refused: an answer to call '{worst}' moved by {moved[worst]:.4f}, more than the "
            f"bound of {check.bound:g}. Export without --int8, or allow more with --bound."
        )
    return {"bound": check.bound, "calls": len(moved), "moved": moved[worst]}


def _answers(score: CallScore) -> list[float]:
    """All that is said of a call and its segments, in a fixed order."""
    said: list[CallScore | SegmentEvidence] = [score, *score.segments]
    found = [p for each in said for classes in each.probabilities.values() for p in classes.values()]
    return found + [each.value for each in said if each.value is not None]
