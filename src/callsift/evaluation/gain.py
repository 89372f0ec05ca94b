"""The gain chart of an evaluation, "phone the best 20 % and reach X % of the buyers", and the calls to phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from callsift.evaluation.graded import Graded
from callsift.evaluation.ranking import gain_curve, items_of
from callsift.evaluation.reliability import buyer_of
from callsift.labels import LabelScheme

FEW = 10
"""With fewer buyers, or fewer others, a curve says so (`few`)."""
MOST = 50
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def ordered(items: Sequence[Graded]) -> tuple[str, list[float]]:
    """What `score` ranks calls by, `rank_score` where all have one, else `propensity`, and that of every item.

    Segments have no rank, and a propensity of their own.
    """
    if any(item.segment_id for item in items):
        return "propensity", [item.verdict.propensity or 0.0 for item in items]
    by = "propensity" if any(item.row["rank_score"] is None for item in items) else "rank_score"
    return by, [item.row[by] for item in items]


def gain_of(scheme: LabelScheme, items: Sequence[Graded], groups: Sequence[str]) -> dict[str, Any] | None:
    """`ranking.Gain` of the order in which calls are phoned as a plain mapping, with `few`, and `by`, what that order
    goes by; None where the scheme has no positive grades, or all or none of the labels are of one.

    A point's `share` is that of the whole calls that are phoned, and no two points are of as many.
    `groups`: what intervals draw as a whole. Labels that leave open whether it is a buyer count for nothing.
    """
    if not scheme.positive:
        return None
    by, scores = ordered(items)
    buyers = [buyer_of(scheme, item.label) for item in items]
    at = [row for row, buyer in enumerate(buyers) if buyer is not None]
    if not at:
        return None
    found = gain_curve(
        np.array([buyers[row] for row in at], dtype=np.bool_),
        np.array([scores[row] for row in at], dtype=np.float64),
        groups=[groups[row] for row in at],
        shares=[calls / len(at) for calls in sorted({items_of(share, len(at)) for share in SHARES})],
    )
    if found is None:
        return None
    few = min(found.buyers, found.calls - found.buyers) < FEW
    return {**asdict(found), "points": [asdict(point) for point in found.points], "few": few, "by": by}


def phone_list(scheme: LabelScheme, items: Sequence[Graded]) -> list[dict[str, Any]]:
    """The calls to phone first, as `score` ranks them: by `rank_score` where there is one, else by propensity; none
    of a scheme without positive grades, or of graded segments."""
    if not scheme.positive or any(item.segment_id for item in items):
        return []
    best = sorted(zip(ordered(items)[1], items, strict=True), key=lambda pair: (-pair[0], pair[1].key))[:MOST]
    return [
        {
            "call_id": item.call.call_id,
            "propensity": item.row["propensity"],
            "rank_score": item.row["rank_score"],
            "grade": item.verdict.grade,
            "label": list(item.label) if isinstance(item.label, tuple) else item.label,
            "duration_s": item.row["duration_s"],
        }
        for _, item in best
    ]
