"""The gain chart of an evaluation, "phone the best 20 % and reach X % of the buyers", and the calls to phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from callsift.decision import Verdict
from callsift.evaluation.graded import Graded
from callsift.evaluation.ranking import gain_curve, items_of
from callsift.evaluation.reliability import buyer_of
from callsift.labels import LabelScheme
from callsift.types import Label

FEW = 10
"""With fewer buyers, or fewer others, a curve says so (`few`)."""
MOST = 50
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def gain_of(
    scheme: LabelScheme, labels: Sequence[Label], verdicts: Sequence[Verdict], groups: Sequence[str]
) -> dict[str, Any] | None:
    """`ranking.Gain` by propensity as a plain mapping, with `few`; None where the scheme has no positive grades, or all
    or none of the labels are of one.

    A point's `share` is that of the whole calls that are phoned, and no two points are of as many.
    `groups`: what intervals draw as a whole. Labels that leave open whether it is a buyer count for nothing.
    """
    buyers = [buyer_of(scheme, label) if scheme.positive else None for label in labels]
    at = [row for row, buyer in enumerate(buyers) if buyer is not None]
    if not at:
        return None
    found = gain_curve(
        np.array([buyers[row] for row in at], dtype=np.bool_),
        np.array([verdicts[row].propensity for row in at], dtype=np.float64),
        groups=[groups[row] for row in at],
        shares=[calls / len(at) for calls in sorted({items_of(share, len(at)) for share in SHARES})],
    )
    if found is None:
        return None
    few = min(found.buyers, found.calls - found.buyers) < FEW
    return {**asdict(found), "points": [asdict(point) for point in found.points], "few": few}


def phone_list(scheme: LabelScheme, items: Sequence[Graded]) -> list[dict[str, Any]]:
    """The calls to phone first, as `score` ranks them: by `rank_score` where there is one, else by propensity; none
    of a scheme without positive grades, or of graded segments."""
    if not scheme.positive or any(item.segment_id for item in items):
        return []
    by = "propensity" if any(item.row["rank_score"] is None for item in items) else "rank_score"
    best = sorted(items, key=lambda item: (-item.row[by], item.key))[:MOST]
    return [
        {
            "call_id": item.call.call_id,
            "propensity": item.row["propensity"],
            "rank_score": item.row["rank_score"],
            "grade": item.verdict.grade,
            "label": list(item.label) if isinstance(item.label, tuple) else item.label,
            "duration_s": item.row["duration_s"],
        }
        for item in best
    ]
