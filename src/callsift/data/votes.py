"""Several graders' labels → one. There is one rule, whoever asks: a tie stays open, as "one of these"."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from statistics import median

from callsift.labels import LabelScheme
from callsift.types import Label


def majority(votes: Sequence[Label], scheme: LabelScheme | None = None) -> Label | None:
    """The grade with most votes; several where they tie; of numbers the median; None without votes.

    A vote for several grades counts for each in equal parts. Without a scheme the grades of a tie stand in the order of
    their names, with one in its order.

    Raises:
        DataError: a vote that the scheme does not have.
    """
    if not votes:
        return None
    numbers = [float(vote) for vote in votes if isinstance(vote, float | int)]
    if scheme is not None and scheme.kind == "number":
        numbers = [scheme.number(vote) for vote in votes]
    if len(numbers) == len(votes):
        return float(median(numbers))
    counts: dict[str, Fraction] = {}
    for vote in votes:
        grades = sorted(scheme.grade_set(vote)) if scheme is not None else _grades(vote)
        for grade in grades:
            counts[grade] = counts.get(grade, Fraction(0)) + Fraction(1, len(grades))
    order = sorted(counts) if scheme is None else [grade for grade in scheme.grades if grade in counts]
    winners = tuple(grade for grade in order if counts[grade] == max(counts.values()))
    return winners[0] if len(winners) == 1 else winners


def _grades(vote: Label) -> list[str]:
    return sorted(set(vote)) if isinstance(vote, tuple) else [str(vote)]
