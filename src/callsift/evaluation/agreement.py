"""How far several people's grades of the same calls agree: Krippendorff's alpha, pairs of raters, disputed calls.

Alpha = 1 − D_o / D_e: the disagreement found within calls over the one expected if the same grades were dealt out at
random (Krippendorff 2011, «Computing Krippendorff's Alpha-Reliability»). 1 is perfect, 0 is chance. Calls with fewer
than two ratings say nothing. A disagreement of two grades counts

    nominal    1 where they differ
    ordinal    (Σ_{g from c to k} n_g − (n_c + n_k)/2)², n_g: how often grade g was given
    interval   (c − k)²

A rating of several grades ("one of these") disagrees by the smallest difference between a grade of the one and a grade
of the other: a coarser answer that holds the other's does not disagree. In n_g it counts for its grades in equal parts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from callsift.data.splits import label_key
from callsift.data.votes import majority
from callsift.errors import DataError
from callsift.evaluation.metrics import Interval
from callsift.labels import LabelScheme
from callsift.types import Call, Label, RaterLabel

Array = NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]
_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Pair:
    """Two raters: calls that both graded, share of them that agree, and Cohen's (1960) kappa, None where undefined.

    `apart`: of a number, the mean absolute difference.
    """

    raters: tuple[str, str]
    calls: int
    agreement: float
    kappa: float | None
    apart: float | None = None


@dataclass(frozen=True, slots=True)
class Disputed:
    """A call and what was said of it. `disagreement`: mean over the pairs of its ratings, largest in the data = 1."""

    call_id: str
    disagreement: float
    ratings: tuple[RaterLabel, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What `agreement_of` finds. `alpha`: per level; None where all ratings are alike, and nothing can disagree."""

    calls: int
    ratings: int
    alpha: Mapping[str, Interval | None]
    pairs: tuple[Pair, ...]
    use: Mapping[str, Mapping[str, int]]
    disputed: tuple[Disputed, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """Ratings of calls with at least two, by number of the distinct value.

    `values`: the distinct ratings. `one`, `other`, `call`, `weight`: every pair of ratings of a call, with 1 / (m − 1)
    for the m ratings of its call, both orders taken together. `counts`: (calls, values), how often each was given.
    """

    values: tuple[Label, ...]
    one: NDArray[np.int64]
    other: NDArray[np.int64]
    call: NDArray[np.int64]
    weight: Array
    counts: Array


def _table(calls: Sequence[Sequence[Label]]) -> _Table:
    rated = [ratings for ratings in calls if len(ratings) > 1]
    values = tuple(sorted({label for ratings in rated for label in ratings}, key=_order))
    number = {value: at for at, value in enumerate(values)}
    counts = np.zeros((len(rated), len(values)))
    rows = []
    for call, ratings in enumerate(rated):
        for label in ratings:
            counts[call, number[label]] += 1
        rows += [(number[a], number[b], call, 2.0 / (len(ratings) - 1)) for a, b in combinations(ratings, 2)]
    pairs = np.array(rows, dtype=np.float64).reshape(-1, 4)
    one, other, at = (pairs[:, column].astype(np.int64) for column in range(3))
    return _Table(values, one, other, at, pairs[:, 3], counts)


def _order(label: Label) -> tuple[bool, float, str]:
    number = isinstance(label, float | int)
    return number, float(label) if isinstance(label, float | int) else 0.0, label_key(label)


def _differences(values: Sequence[Label], level: Level, grades: Sequence[str], used: Array | None) -> Array:
    """(V, V): how much two ratings disagree. `used`: (G,), how often each grade was given, for `ordinal`."""
    if level == "interval":
        numbers = np.array([float(value) for value in values])  # type: ignore[arg-type]
        return np.asarray((numbers[:, None] - numbers[None, :]) ** 2)
    by_grade = 1.0 - np.eye(len(grades))
    if level == "ordinal":
        assert used is not None
        middle = np.cumsum(used) - used / 2  # Σ up to c, with half of c itself
        by_grade = (middle[:, None] - middle[None, :]) ** 2
    sets = [[grades.index(grade) for grade in _grades(value)] for value in values]
    return np.array([[by_grade[np.ix_(one, other)].min() for other in sets] for one in sets])


def _grades(value: Label) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (str(value),)


def _spread(values: Sequence[Label], grades: Sequence[str]) -> Array:
    """(V, G): a rating's weight on every grade."""
    return np.array([[(grade in _grades(value)) / len(set(_grades(value))) for grade in grades] for value in values])


def _alpha(table: _Table, times: Array, level: Level, grades: Sequence[str]) -> float | None:
    """Alpha of the table's calls, each taken `times` (calls,) often."""
    given = times @ table.counts
    total = given.sum()
    used = given @ _spread(table.values, grades) if level == "ordinal" else None
    differences = _differences(table.values, level, grades, used)
    expected = float(given @ differences @ given) / (total - 1) if total > 1 else 0.0
    if expected <= 0:
        return None
    found = float((times[table.call] * table.weight) @ differences[table.one, table.other])
    return 1.0 - found / expected


def alpha(
    calls: Sequence[Sequence[Label]], level: Level, grades: Sequence[str] = (), *, draws: int = _DRAWS, seed: int = 0
) -> Interval | None:
    """Krippendorff's alpha of the ratings of each call, with its 95 % bootstrap interval over calls.

    `grades`: in order, for `nominal` and `ordinal`. None where no call has two ratings or all ratings are alike;
    draws in which they are count in no interval.
    """
    table = _table(calls)
    count = len(table.counts)
    value = _alpha(table, np.ones(count), level, grades) if count else None
    if value is None:
        return None
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=draws)
    found = [_alpha(table, times.astype(np.float64), level, grades) for times in drawn]
    low, high = np.percentile([each for each in found if each is not None] or [value], [2.5, 97.5])
    return Interval(value, float(low), float(high))


def levels_of(scheme: LabelScheme) -> tuple[Level, ...]:
    """The levels that mean something for a scheme, the most telling first."""
    return {"number": ("interval",), "ordered": ("ordinal", "nominal"), "classes": ("nominal",)}[scheme.kind]  # type: ignore[return-value]


def agreement_of(calls: Sequence[Call], scheme: LabelScheme, *, draws: int = _DRAWS, seed: int = 0) -> Agreement:
    """Agreement over the `labels` (ratings) of calls.

    Raises:
        DataError: somebody rated a call twice, or no call was rated by two people.
    """
    rated = [(call, _ratings(call)) for call in calls if call.labels]
    several = [(call, ratings) for call, ratings in rated if len(ratings) > 1]
    if not several:
        raise DataError(
            f"no call was graded by two people ({len(rated)} of {len(calls)} have 'labels'); a manifest line needs "
            'labels such as [{"rater": "ann", "label": "B"}, {"rater": "bo", "label": "C"}]'
        )
    labels = [list(ratings.values()) for _, ratings in several]
    levels = levels_of(scheme)
    use: dict[str, Counter[str]] = defaultdict(Counter)
    for _, ratings in rated:
        for rater, label in ratings.items():
            use[rater][label_key(label)] += 1
    return Agreement(
        calls=len(several),
        ratings=sum(len(each) for each in labels),
        alpha={level: alpha(labels, level, scheme.grades, draws=draws, seed=seed) for level in levels},
        pairs=tuple(_pairs(several, levels[-1], scheme.grades)),
        use={rater: dict(use[rater]) for rater in sorted(use)},
        disputed=tuple(_disputed(several, levels[0], scheme.grades)),
    )


def _ratings(call: Call) -> dict[str, Label]:
    found: dict[str, Label] = {}
    for rating in call.labels:
        if rating.rater in found:
            raise DataError(
                f"call '{call.call_id}': rater '{rating.rater}' stands there twice; one rating each, please"
            )
        found[rating.rater] = tuple(sorted(set(rating.label))) if isinstance(rating.label, tuple) else rating.label
    return found


def _pairs(rated: Sequence[tuple[Call, dict[str, Label]]], level: Level, grades: Sequence[str]) -> list[Pair]:
    found = []
    for one, other in combinations(sorted({rater for _, ratings in rated for rater in ratings}), 2):
        both = [(ratings[one], ratings[other]) for _, ratings in rated if one in ratings and other in ratings]
        if not both:
            continue
        values = tuple(sorted({label for pair in both for label in pair}, key=_order))
        differences = _differences(values, level, grades, None)
        left, right = (np.array([values.index(pair[side]) for pair in both]) for side in (0, 1))
        seen = differences[left, right]
        expected = float(differences[np.ix_(left, right)].mean())
        apart = float(np.sqrt(seen).mean()) if level == "interval" else None
        kappa = None if expected <= 0 else 1.0 - float(seen.mean()) / expected
        found.append(Pair((one, other), len(both), float((seen == 0).mean()), kappa, apart))
    return found


def _disputed(rated: Sequence[tuple[Call, dict[str, Label]]], level: Level, grades: Sequence[str]) -> list[Disputed]:
    """Calls whose raters disagree, most first."""
    table = _table([list(ratings.values()) for _, ratings in rated])
    used = table.counts.sum(axis=0) @ _spread(table.values, grades) if level == "ordinal" else None
    differences = _differences(table.values, level, grades, used)
    each = differences[table.one, table.other]
    pairs = np.bincount(table.call, minlength=len(rated))
    mean = np.bincount(table.call, weights=each, minlength=len(rated)) / pairs
    largest = max(float(differences.max()), 1e-12)
    order = sorted(map(int, np.flatnonzero(mean > 0)), key=lambda at: (-mean[at], rated[at][0].call_id))
    return [Disputed(rated[at][0].call_id, float(mean[at]) / largest, rated[at][0].labels) for at in order]


def majority_label(call: Call, scheme: LabelScheme) -> Label | None:
    """What `data.votes.majority` makes of a call's votes; the call's own label without any.

    Raises:
        DataError: somebody rated the call twice.
    """
    votes = list(_ratings(call).values())
    return majority(votes, scheme) if votes else call.label
