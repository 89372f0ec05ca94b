"""From which score on to phone back: thresholds for a wanted precision, or for the calls that a team can make a day.

Precision is promised, not hoped for: a threshold is only named if the lower end of its precision's interval is no less
than the wish. The threshold is looked for on the same graded calls, and the best of many looks better than it is;
so only a few candidates are tried, fixed beforehand by how many calls lie above them, and each must hold at 1 − 5 %/n
of them (Bonferroni; «Learn then Test», Angelopoulos et al. 2021, shows why that suffices). The promise rests on the
exact bound of Clopper & Pearson (1934): Wilson's one-sided bound promises too much where buyers are rare. Calls of one
group count for it as if they all had to turn out alike, since nothing in few groups can show that they don't.

Intervals that are shown are Wilson's (1927), and where calls belong to groups they are stretched over the bootstrap's,
which draws whole groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from callsift.errors import DataError, UsageError
from callsift.evaluation.metrics import Interval

Array = NDArray[np.float64]
Chosen = NDArray[np.bool_]

FEWEST_BUYERS = 10
FEWEST_ABOVE = 5
RISK = 0.05
CANDIDATES = 8
_DRAWS = 1000
_HALVINGS = 50
_DIGITS = 6
"""Decimals of the scores in results, with which a threshold is compared."""


@dataclass(frozen=True, slots=True)
class Graded:
    """Scores of graded calls (calls,), whether each was a buyer, and the group that it is drawn with."""

    scores: Array
    buyers: Chosen
    groups: tuple[str, ...]

    def __post_init__(self) -> None:
        found, calls = int(self.buyers.sum()), len(self.buyers)
        if not np.isfinite(self.scores).all():
            raise DataError("a score is no finite number; score these calls anew")
        if min(found, calls - found) < FEWEST_BUYERS:
            raise DataError(
                f"{found} of {calls} graded calls are of a positive grade; a threshold that can be believed needs at "
                f"least {FEWEST_BUYERS} that are and {FEWEST_BUYERS} that are not. Grade more calls."
            )


@dataclass(frozen=True, slots=True)
class Threshold:
    """Calls with a score of at least `threshold` are to be phoned back.

    `precision`: share of buyers among them; `recall`: share of the buyers that lie above; `share`: of all calls above.
    `assured`: with 95 % confidence, the precision is at least this on calls like the graded ones (None by capacity).
    """

    threshold: float
    above: int
    calls: int
    precision: Interval
    recall: Interval
    share: Interval
    assured: float | None = None


def wilson(right: int, of: int, risk: float = RISK) -> tuple[float, float]:
    """Wilson's (1927) interval of a share, at confidence 1 − risk; (0, 1) of nothing.

    >>> [round(end, 4) for end in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    if of == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(1 - risk / 2)
    share, square = right / of, z * z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def at_least(right: int, of: int, risk: float = RISK) -> float:
    """The lower bound of a share at confidence 1 − risk, exact (Clopper & Pearson 1934): the p with
    P[X ≥ right] = risk for binomial X; 0 of nothing.

    >>> round(at_least(5, 5), 4)  # 0.05 ** (1 / 5)
    0.5493
    """
    if right == 0:
        return 0.0
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, of + 1)))])  # log k!
    counts = np.arange(right, of + 1)
    ways = logs[of] - logs[counts] - logs[of - counts]
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        tail = np.exp(ways + counts * math.log(share) + (of - counts) * math.log1p(-share)).sum()
        low, high = (share, high) if tail < risk else (low, share)
    return low


def for_precision(graded: Graded, wish: float) -> Threshold:
    """The lowest of the candidate thresholds whose precision is at least `wish` with 95 % confidence.

    Raises:
        UsageError: the wish is no share, or none reaches it; says how near the best comes.
    """
    if not 0 < wish < 1:
        raise UsageError(f"--precision {wish:g} must lie between 0 and 1, as 0.6 does")
    fewest = max(FEWEST_ABOVE, math.ceil(math.log(RISK) / math.log(wish)))  # all of them buyers: RISK ** (1 / fewest)
    if fewest > len(graded.scores):
        raise UsageError(
            f"{len(graded.scores)} graded calls can't assure a precision of {wish:g}, were all above the threshold "
            "buyers; grade more calls, or wish for less"
        )
    ranked = np.sort(graded.scores)[::-1]
    tried = sorted({_at(ranked, int(k)) for k in np.geomspace(fewest, len(ranked), CANDIDATES).round()})
    nearest = 0.0
    for threshold in tried:
        chosen = graded.scores >= threshold
        low = _lower(graded, chosen, RISK / len(tried))
        if low >= wish:
            return _described(graded, threshold, assured=low)
        nearest = max(nearest, low)
    raise UsageError(
        f"no threshold has a precision of {wish:g} for certain: the best on {len(graded.scores)} graded calls assures "
        f"{nearest:.2f}. Wish for less, grade more calls, or train a better model."
    )


def for_capacity(graded: Graded, per_day: float, calls_per_day: float) -> Threshold:
    """The threshold above which `per_day` of `calls_per_day` calls lie; intervals choose it anew in every draw.

    Raises:
        UsageError: the numbers make no sense, or too few graded calls lie above.
    """
    if not 0 < per_day <= calls_per_day:
        raise UsageError(
            f"--per-day {per_day:g} must be more than 0 and no more than --calls-per-day {calls_per_day:g}"
        )
    share = per_day / calls_per_day
    ranked = np.sort(graded.scores)[::-1]
    above = round(share * len(ranked))
    if above < FEWEST_ABOVE:
        raise UsageError(
            f"{per_day:g} of {calls_per_day:g} calls are {share:.2%}, of {len(ranked)} graded calls {above}: too few "
            f"to say anything of; at least {math.ceil(FEWEST_ABOVE / share)} graded calls are needed"
        )
    return _described(graded, _at(ranked, above), share=share)


def _at(ranked: Array, above: int) -> float:
    """The threshold with `above` of the scores (highest first) at or above it, rounded down as results are."""
    scale = 10.0**_DIGITS
    return math.floor(float(ranked[above - 1]) * scale + 1e-9) / scale


def _lower(graded: Graded, chosen: Chosen, risk: float) -> float:
    """The lower end of the precision at confidence 1 − risk.

    Groups of m_1, m_2, … calls whose calls are all alike say as much as (Σ m)² / Σ m² single calls (Kish 1965, §5.4).
    """
    sizes = np.unique(np.array(graded.groups)[chosen], return_counts=True)[1]
    of = math.floor(sizes.sum() ** 2 / (sizes**2).sum() + 1e-9)
    return at_least(math.floor(_share(graded.buyers, chosen) * of + 1e-9), of, risk)


def _described(
    graded: Graded, threshold: float, *, assured: float | None = None, share: float | None = None
) -> Threshold:
    chosen, buyers = graded.scores >= threshold, graded.buyers
    right, above = int((chosen & buyers).sum()), int(chosen.sum())

    def again(rows: NDArray[np.int64]) -> Chosen:
        """What is chosen among a draw of calls: by the threshold, or by that draw's own for the same share."""
        if share is None:
            return chosen[rows]
        scores = graded.scores[rows]
        return np.asarray(scores >= np.sort(scores)[::-1][max(1, round(share * len(rows))) - 1])

    def interval(of: Callable[[NDArray[np.int64]], float], some: int, all_: int) -> Interval:
        low, high = wilson(some, all_)
        if share is not None or len(set(graded.groups)) < len(graded.groups):
            drawn = np.percentile(_drawn(graded, of), [2.5, 97.5])
            low, high = min(low, float(drawn[0])), max(high, float(drawn[1]))
        return Interval(some / all_ if all_ else 0.0, low, high)

    return Threshold(
        threshold=threshold,
        above=above,
        calls=len(chosen),
        precision=interval(lambda rows: _share(buyers[rows], again(rows)), right, above),
        recall=interval(lambda rows: _share(again(rows), buyers[rows]), right, int(buyers.sum())),
        share=interval(lambda rows: float(chosen[rows].mean()), above, len(chosen)),
        assured=assured,
    )


def _share(right: Chosen, among: Chosen) -> float:
    """The share of `among` that is `right`; 0 of nothing."""
    return float(right[among].mean()) if among.any() else 0.0


def _drawn(graded: Graded, figure: Callable[[NDArray[np.int64]], float], seed: int = 0) -> Array:
    """A figure in bootstrap draws of whole groups, given the rows of each draw."""
    names, owners = np.unique(np.array(graded.groups), return_inverse=True)
    drawn = np.random.default_rng(seed).integers(0, len(names), (_DRAWS, len(names)))
    if len(names) == len(owners):
        return np.array([figure(rows) for rows in drawn])
    members: Sequence[NDArray[np.int64]] = [np.flatnonzero(owners == at) for at in range(len(names))]
    return np.array([figure(np.concatenate([members[at] for at in row])) for row in drawn])
