"""The gain chart of an evaluation: "phone the best 20 % and reach X % of the buyers"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from callsift.decision import Verdict
from callsift.evaluation.ranking import gain_curve
from callsift.evaluation.reliability import buyer_of
from callsift.labels import LabelScheme
from callsift.types import Label

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def gain_of(
    scheme: LabelScheme, labels: Sequence[Label], verdicts: Sequence[Verdict], groups: Sequence[str]
) -> dict[str, Any] | None:
    """`ranking.Gain` by propensity as a plain mapping; None where the scheme has no positive grades, or all or none of
    the labels are of one.

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
        shares=SHARES,
    )
    return None if found is None else {**asdict(found), "points": [asdict(point) for point in found.points]}
