"""Class-balance shift: what share each grade has among calls that nobody graded, from a model's probabilities.

Calls to be scored may hold another share of buyers than those trained on. If that is all that differs (label shift:
p(x | grade) stays), the balance of the new calls can be estimated without grading one:

- `em_balance`: the balance that makes the model's probabilities likeliest, by EM (Saerens, Latinne & Decaestecker 2002,
  «Adjusting the Outputs of a Classifier to New a Priori Probabilities», eq. 2.9).
- `bbse_balance`: the balance whose mixture of validation answers is what the model says on average of the new calls
  (Lipton, Wang & Smola 2018, «Detecting and Correcting for Label Shift with Black Box Predictors»), kept a balance.

EM must know which balance the model's probabilities imply. Class weights and balanced sampling move it away from the
training data's, so it is read off validation calls (`implied_balance`), as the bias of a bias-corrected calibration
(Alexandari, Kundaje & Shrikumar 2020, «Maximum Likelihood with Bias-Corrected Calibration»). Shapes: V validation
calls, P pool calls, G grades, R redrawings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callsift.errors import DataError

Array = NDArray[np.float64]
Grades = NDArray[np.int64]

_LEAST = 1e-9
"""Probabilities and shares are kept above it."""
_LARGEST_REDRAWN_POOL = 2000
"""Of a larger pool each redrawing takes so many calls: intervals get wider by it, never narrower."""
_TIE = 1e-4
"""How strongly a balance that the answers can't tell apart is drawn to the validation calls' own."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model says of calls. `probabilities` (M, G), combined over the tasks and not corrected for any balance.

    `grades` (M,): index of the true grade, known of validation calls. `groups`: what each item belongs to where several
    are no independent evidence (the segments of a call).

    Raises:
        DataError: no call, numbers that are no distributions (NaN), or grades that do not fit them.
    """

    probabilities: Array
    grades: Grades | None = None
    groups: Sequence[str] | None = None

    def __post_init__(self) -> None:
        found = self.probabilities
        if found.ndim != 2 or not len(found):
            raise DataError("no scored call to estimate a class balance from")
        if not np.isfinite(found).all() or (found < 0).any() or (np.abs(found.sum(axis=1) - 1.0) > 1e-3).any():
            bad = np.flatnonzero(~np.isfinite(found).all(axis=1) | (np.abs(found.sum(axis=1) - 1.0) > 1e-3))
            at = int(bad[0]) if len(bad) else int(np.flatnonzero((found < 0).any(axis=1))[0])
            raise DataError(f"the probabilities of item {at} are no distribution: {found[at].tolist()}")
        if self.grades is not None and (len(self.grades) != len(found) or self.grades.max() >= found.shape[1]):
            raise DataError(f"{len(self.grades)} grades do not belong to {found.shape} probabilities")

    def only(self, kept: NDArray[np.bool_]) -> Scored:
        """The same among some of the grades (G,), to which the probabilities of the others go in proportion."""
        shares = np.maximum(self.probabilities[:, kept], _LEAST)
        grades = None if self.grades is None else (np.cumsum(kept) - 1)[self.grades]
        return Scored(shares / shares.sum(axis=1, keepdims=True), grades, self.groups)

    def redrawn(self, random: np.random.Generator, draws: int) -> Array:
        """How often each item is drawn, (M, R): whole groups, as many as there are."""
        owners = np.arange(len(self.probabilities))
        if self.groups is not None:
            owners = np.unique(np.array(self.groups), return_inverse=True)[1]
        count = int(owners.max()) + 1
        return random.multinomial(count, np.full(count, 1.0 / count), size=draws).T[owners].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A balance (G,) and its 95 % interval by redrawing validation and pool; `drawn` (R, G) are the redrawings."""

    balance: Array
    low: Array
    high: Array
    drawn: Array


def implied_balance(validation: Scored, train: Array, weights: Array | None = None) -> Array:
    """(G,): the balance that the model's probabilities imply, from validation calls and the training data's balance.

    Of a model calibrated on data of balance π, probabilities times (validation balance / π) fit validation calls.
    log π is fitted so (Newton), drawn to the training balance by a normal prior with a
    standard deviation of 1: few calls can't say much, and class weights seldom move a grade by more than a factor e.
    """
    assert validation.grades is not None
    scores = np.log(np.maximum(validation.probabilities, _LEAST))
    weights = np.ones(len(scores)) if weights is None else weights
    truth = np.eye(scores.shape[1])[validation.grades]
    train = _balance(train)
    share = _balance(weights @ truth + train)  # one call of the training balance: no grade is impossible
    bias = np.zeros(scores.shape[1])  # log of train / implied
    for _ in range(50):
        said = scores + np.log(share / train) + bias
        said = np.exp(said - said.max(axis=1, keepdims=True))
        said /= said.sum(axis=1, keepdims=True)
        slope = weights @ (truth - said) - bias
        curve = np.diag(weights @ said + 1.0) - (said * weights[:, None]).T @ said
        step = np.linalg.solve(curve, slope)
        bias += step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    return _balance(train * np.exp(-bias))


def em_balance(
    pool: Array,
    implied: Array,
    *,
    weights: Array | None = None,
    start: Array | None = None,
    tolerance: float = 1e-10,
    steps: int = 5000,
) -> Array:
    """Balances (R, G) that make the pool's probabilities (P, G) likeliest; R = 1 without `weights`.

    `implied` (R, G) or (G,): the balance that the probabilities imply. `weights` (P, R): how often each call is drawn.
    The likelihood is concave in the balance: where EM starts (`start`, else `implied`) does not matter in the end.
    """
    weights = np.ones((len(pool), 1)) if weights is None else weights
    implied = np.broadcast_to(implied, (weights.shape[1], pool.shape[1]))
    balance = np.maximum(implied if start is None else np.broadcast_to(start, implied.shape), _LEAST)
    pool = np.maximum(pool, _LEAST)
    total = weights.sum(axis=0)[:, None]
    for _ in range(steps):
        ratio = balance / implied
        share = weights / (pool @ ratio.T)  # (P, R)
        following = ratio * (share.T @ pool) / total
        moved = np.abs(following - balance).max()
        balance = following
        if moved < tolerance:
            break
    return np.asarray(balance / balance.sum(axis=1, keepdims=True))


def confusion(validation: Scored, weights: Array | None = None, *, soft: bool = True) -> Array:
    """(G, G): column g is the mean of what the model says (`soft`) or answers of validation calls of grade g.

    Of a grade without a call, the column is what the model itself thinks its calls look like.
    """
    assert validation.grades is not None
    said = validation.probabilities if soft else _answers(validation.probabilities)
    weights = np.ones(len(said)) if weights is None else weights
    truth = np.eye(said.shape[1])[validation.grades] * weights[:, None]
    counts = truth.sum(axis=0)
    believed = validation.probabilities * weights[:, None]
    truth = np.where(counts > 0, truth, believed)
    return np.asarray(said.T @ (truth / np.maximum(truth.sum(axis=0), _LEAST)))


def bbse_balance(table: Array, said: Array, prior: Array) -> Array:
    """(G,): the balance π ≥ 0, Σπ = 1, with the least ‖table · π − said‖; `table` (G, G) as `confusion`, `said` (G,).

    What the table can't tell apart is left as in `prior` (G,).
    """
    points = np.vstack([table - said[:, None], _TIE * (np.eye(len(said)) - prior[:, None])])
    return nearest_mixture(points)


def nearest_mixture(points: Array) -> Array:
    """Weights (G,), not negative and of sum 1, of the columns of `points` (D, G) whose mixture is nearest to zero.

    As non-negative least squares [points; 1] x = [0; 1], whose solution has the same direction.
    """
    system = np.vstack([points, np.ones(points.shape[1])])
    return _balance(_non_negative(system, np.append(np.zeros(len(points)), 1.0)), least=0.0)


def estimate_both(
    validation: Scored, pool: Scored, train: Array, *, soft: bool = True, draws: int = 200, seed: int = 0
) -> tuple[Array, Estimate, Estimate]:
    """The implied balance, the estimate by EM and the one by BBSE, with intervals over `draws` redrawings.

    A grade that was not `heard` of is left out of all three: its share is 0.
    """
    if not (kept := heard(validation, train)).all():
        parts = (validation.only(kept), pool.only(kept), train[kept])
        implied, *found = estimate_both(*parts, soft=soft, draws=draws, seed=seed)
        wide = [_among(each, kept) for each in found]
        return _widened(implied, kept), wide[0], wide[1]
    random = np.random.default_rng(seed)
    implied = implied_balance(validation, train)
    prior = _balance(np.bincount(_known(validation), minlength=len(train)) + _balance(train))
    em = em_balance(pool.probabilities, implied)[0]
    bbse = bbse_balance(confusion(validation, soft=soft), _said(pool.probabilities, soft=soft), prior)
    part = _part(pool, random)
    times, pool_times = validation.redrawn(random, draws), part.redrawn(random, draws)
    references = np.stack([implied_balance(validation, train, column) for column in times.T])
    drawn_em = em_balance(part.probabilities, references, weights=pool_times, start=em, tolerance=1e-6, steps=2000)
    said = part.probabilities if soft else _answers(part.probabilities)
    means = (pool_times / pool_times.sum(axis=0)).T @ said
    tables = (confusion(validation, column, soft=soft) for column in times.T)
    drawn_bbse = np.stack([bbse_balance(table, mean, prior) for table, mean in zip(tables, means, strict=True)])
    return implied, _estimate(em, drawn_em), _estimate(bbse, drawn_bbse)


def heard(validation: Scored, train: Array) -> NDArray[np.bool_]:
    """(G,): the grades of which there was a call in training or validation; nothing can be said of the others."""
    return np.asarray((train > 0) | (np.bincount(_known(validation), minlength=len(train)) > 0))


def _widened(shares: Array, kept: NDArray[np.bool_]) -> Array:
    """Shares (..., kept) among all grades (..., G): 0 of those that were left out."""
    found = np.zeros((*shares.shape[:-1], len(kept)))
    found[..., kept] = shares
    return found


def _among(found: Estimate, kept: NDArray[np.bool_]) -> Estimate:
    return Estimate(*(_widened(each, kept) for each in (found.balance, found.low, found.high, found.drawn)))


def _estimate(balance: Array, drawn: Array) -> Estimate:
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return Estimate(balance, np.minimum(low, balance), np.maximum(high, balance), drawn)


def _part(pool: Scored, random: np.random.Generator) -> Scored:
    """The calls of the pool that are redrawn."""
    if len(pool.probabilities) <= _LARGEST_REDRAWN_POOL:
        return pool
    at = np.sort(random.choice(len(pool.probabilities), _LARGEST_REDRAWN_POOL, replace=False))
    return Scored(pool.probabilities[at], groups=None if pool.groups is None else [pool.groups[i] for i in at])


def _known(scored: Scored) -> Grades:
    assert scored.grades is not None
    return scored.grades


def _said(probabilities: Array, *, soft: bool) -> Array:
    return np.asarray((probabilities if soft else _answers(probabilities)).mean(axis=0))


def _answers(probabilities: Array) -> Array:
    return np.asarray(np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)])


def _balance(shares: Array, least: float = _LEAST) -> Array:
    shares = np.maximum(shares, least)
    return np.asarray(shares / shares.sum())


def _non_negative(system: Array, wanted: Array) -> Array:
    """x ≥ 0 with the least ‖system · x − wanted‖ (Lawson & Hanson 1974, ch. 23)."""
    x = np.zeros(system.shape[1])
    free = np.zeros(len(x), dtype=np.bool_)
    for _ in range(10 * len(x)):
        slope = system.T @ (wanted - system @ x)
        slope[free] = -np.inf
        best = int(slope.argmax())
        if slope[best] <= 1e-12:
            break
        free[best] = True
        while True:
            trial = np.zeros_like(x)
            trial[free] = np.linalg.lstsq(system[:, free], wanted, rcond=None)[0]
            below = free & (trial <= 0.0)
            if not below.any():
                break
            part = float((x[below] / np.maximum(x[below] - trial[below], 1e-300)).min())
            x = x + part * (trial - x)
            free &= x > 1e-14
            x[~free] = 0.0
        x = trial
    return x
