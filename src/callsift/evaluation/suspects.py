"""The likeliest mislabelled calls, by confident learning (Northcutt, Jiang & Chuang 2021, JAIR 70, §3).

From probabilities of models that never saw the call: class j is believed of a call where its probability is at least
t_j, the mean probability of j over the calls labelled j, so that a class the model is shy of is judged by its own
measure; of several, the likeliest. The confident joint counts label against belief; its rows scaled to the labels'
counts estimate how many calls of each label are really of another grade. A call believed of another grade than its
label is a suspect. They are ranked by the normalised margin: the label's probability less the best other grade's.

A label of several grades ("one of these") says nothing of the thresholds, and is suspect where another is believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callsift.data.splits import label_key
from callsift.labels import LabelScheme
from callsift.types import Label

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Suspect:
    """One graded item. `at`: its row. `probability`: of the suggested grade; `self_confidence`: of the label.

    `flagged`: another grade is believed of it; the others are listed for their margin alone.
    """

    at: int
    label: Label
    suggested: str
    probability: float
    self_confidence: float
    margin: float
    flagged: bool


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """`joint`: (G, G), estimated share of items labelled i that are really j. `wrong`: items estimated mislabelled.

    `suspects`: all items, flagged ones first, smallest margin first.
    """

    suspects: tuple[Suspect, ...]
    joint: Array
    wrong: float

    @property
    def flagged(self) -> int:
        """How many items another grade is believed of."""
        return sum(suspect.flagged for suspect in self.suspects)


def find_suspects(scheme: LabelScheme, labels: Sequence[Label], probabilities: Array) -> LabelNoise:
    """Rank items by how likely their label is wrong; out-of-fold probabilities (items, G), grades as in the scheme."""
    allowed = np.array([[grade in scheme.grade_set(label) for grade in scheme.grades] for label in labels])
    single = allowed.sum(axis=1) == 1
    given = allowed.argmax(axis=1)
    thresholds = np.array(
        [
            probabilities[mine, grade].mean() if (mine := single & (given == grade)).any() else np.inf
            for grade in range(len(scheme.grades))
        ]
    )
    over = probabilities >= thresholds
    believed = np.where(over.any(axis=1), np.where(over, probabilities, -1.0).argmax(axis=1), -1)
    joint, wrong = _joint(given, believed, single, len(scheme.grades))
    inside = np.where(allowed, probabilities, 0.0).sum(axis=1)
    outside = np.where(allowed, -1.0, probabilities)
    margin = inside - outside.max(axis=1, initial=0.0)
    flagged = (believed >= 0) & ~allowed[np.arange(len(labels)), believed]
    suggested = np.where(flagged, believed, probabilities.argmax(axis=1))
    order = sorted(range(len(labels)), key=lambda at: (not flagged[at], margin[at], at))
    return LabelNoise(
        tuple(
            Suspect(
                at=at,
                label=labels[at],
                suggested=scheme.grades[int(suggested[at])],
                probability=float(probabilities[at, suggested[at]]),
                self_confidence=float(inside[at]),
                margin=float(margin[at]),
                flagged=bool(flagged[at]),
            )
            for at in order
        ),
        joint,
        wrong,
    )


def _joint(
    given: NDArray[np.int64], believed: NDArray[np.int64], single: NDArray[np.bool_], grades: int
) -> tuple[Array, float]:
    """The calibrated joint of label and belief, and how many items lie off its diagonal."""
    counted = single & (believed >= 0)
    confident = np.zeros((grades, grades))
    np.add.at(confident, (given[counted], believed[counted]), 1.0)
    sizes = np.bincount(given[single], minlength=grades).astype(np.float64)
    rows = confident.sum(axis=1)
    # A label of which nothing is believed at all says nothing against itself.
    confident[rows == 0, rows == 0] = np.maximum(sizes[rows == 0], 0.0)
    joint = confident / np.maximum(confident.sum(axis=1), 1e-12)[:, None] * sizes[:, None]
    wrong = float(joint.sum() - np.trace(joint))
    return joint / max(float(joint.sum()), 1e-12), wrong


HEAD = ("call_id", "segment_id", "label", "suggested", "probability", "self_confidence", "margin", "flagged")


def suspect_rows(
    found: LabelNoise, call_ids: Sequence[str], segment_ids: Sequence[str]
) -> list[tuple[str, str, str, str, str, str, str, str]]:
    """Rows under `HEAD`, in the order of suspicion."""
    return [
        (
            call_ids[each.at], segment_ids[each.at], label_key(each.label), each.suggested, f"{each.probability:.4f}",
            f"{each.self_confidence:.4f}", f"{each.margin:.4f}", "yes" if each.flagged else "no",
        )
        for each in found.suspects
    ]  # fmt: skip
