"""The estimates of `callsift.evaluation.shift`, and in words what speaks against them.

Label shift says that the pool's scores are a mixture of the scores that validation calls of each grade have. The test
looks for the mixture nearest to the pool by energy distance (Székely & Rizzo 2013) and asks how often pools that really
are such a mixture are as far from theirs, by a bootstrap under that hypothesis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from callsift.evaluation.shift import Array, Estimate, Grades, Scored, confusion, estimate_both, heard, nearest_mixture

SCHEMA_VERSION = 1
Method = Literal["em", "bbse"]

_MOST_COMPARED = 1000
"""Calls of either side in the test; pairs grow with the square."""
_AGAINST = 0.01
"""The model was chosen and calibrated on the validation calls, which makes them a little unlike any others: at 0.05 a
large pool would speak against the assumption by that alone."""
_TESTED = 20
"""Groups that the test needs on either side: one item of each is looked at."""
_FEW = 5
_WIDE = 0.4
_ILL_CONDITIONED = 30.0
_WEIGHTED = 2.0


@dataclass(frozen=True, slots=True)
class Shift:
    """The estimated class balance of a pool. Arrays (G,), in the order of `grades`.

    `train`: the training data's balance; `implied`: the one that the model's probabilities imply, which a correction
    divides by. `mixture_p`: of the test of the assumption, on one item per group; None with too few groups.
    `against`: what speaks against using the estimate; `notes`: what else to know.
    """

    grades: tuple[str, ...]
    method: Method
    train: Array
    implied: Array
    em: Estimate
    bbse: Estimate
    mixture_p: float | None
    calls: Mapping[str, int]
    against: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """All that is said of the estimate, what speaks against it first."""
        return (*self.against, *self.notes)

    @property
    def shown(self) -> bool:
        """Whether the training balance lies outside the interval of some grade."""
        return bool(((self.train < self.chosen.low) | (self.chosen.high < self.train)).any())

    @property
    def advised(self) -> bool:
        """Whether a correction is advisable: a shift is shown, and nothing speaks against the estimate."""
        return self.shown and not self.against

    @property
    def chosen(self) -> Estimate:
        """The estimate of the chosen method."""
        return self.em if self.method == "em" else self.bbse

    def as_json(self) -> dict[str, Any]:
        """What `callsift shift -o` writes and `callsift score --balance` reads (docs/self-training.md)."""
        return {
            "schema_version": SCHEMA_VERSION,
            "method": self.method,
            "balance": self._named(self.chosen.balance),
            "intervals": self._intervals(self.chosen),
            "implied_balance": self._named(self.implied),
            "train_balance": self._named(self.train),
            "estimates": {
                name: {"balance": self._named(each.balance), "intervals": self._intervals(each)}
                for name, each in (("em", self.em), ("bbse", self.bbse))
            },
            "advised": self.advised,
            "mixture_p": self.mixture_p,
            "calls": dict(self.calls),
            "warnings": list(self.warnings),
        }

    def _named(self, shares: Array) -> dict[str, float]:
        return {grade: round(float(share), 6) for grade, share in zip(self.grades, shares, strict=True)}

    def _intervals(self, estimate: Estimate) -> dict[str, list[float]]:
        low, high = self._named(estimate.low), self._named(estimate.high)
        return {grade: [low[grade], high[grade]] for grade in self.grades}


def estimate_shift(
    grades: Sequence[str],
    validation: Scored,
    pool: Scored,
    train: Array,
    *,
    method: Method = "em",
    soft: bool = True,
    draws: int = 200,
    seed: int = 0,
) -> Shift:
    """The balance of the pool by both methods, intervals over `draws` redrawings, and warnings.

    Raises:
        DataError: no calls, or numbers that are no distributions.
    """
    implied, em, bbse = estimate_both(validation, pool, train, soft=soft, draws=draws, seed=seed)
    apart = _one_each(validation, seed), _one_each(pool, seed)
    enough = all(
        len(some.probabilities) >= min(_TESTED, len(whole.probabilities))
        for some, whole in zip(apart, (validation, pool), strict=True)
    )
    mixture_p = mixture_test(*apart, seed=seed) if enough else None
    calls = {"validation": len(validation.probabilities), "pool": len(pool.probabilities)}
    found = Shift(tuple(grades), method, train, implied, em, bbse, mixture_p, calls)
    condition = float(np.linalg.cond(confusion(validation.only(heard(validation, train)), soft=soft)))
    return replace(found, against=tuple(_against(found, condition)), notes=tuple(_notes(found, validation)))


def mixture_test(validation: Scored, pool: Scored, *, draws: int = 200, seed: int = 0) -> float:
    """How probable it is (bootstrap p) that a true mixture of the validation's grades is as far from its best fit."""
    assert validation.grades is not None
    random = np.random.default_rng(seed)
    kept = _some(len(validation.probabilities), random)
    ours, truth = validation.probabilities[kept], validation.grades[kept]
    theirs = pool.probabilities[_some(len(pool.probabilities), random)]
    counts = np.bincount(truth)
    present = np.flatnonzero(counts)
    columns = np.stack([(truth == grade) / counts[grade] for grade in present])  # (K, V)
    among = _distances(ours, ours)
    across = columns @ _distances(ours, theirs).mean(axis=1)
    far, mixture = _nearest(columns @ among @ columns.T, across, float(_distances(theirs, theirs).mean()))
    null = []
    for _ in range(draws):
        drawn = np.stack(
            [random.multinomial(counts[g], column) / counts[g] for g, column in zip(present, columns, strict=True)]
        )
        other = random.multinomial(len(theirs), mixture @ columns) / len(theirs)
        null.append(_nearest(drawn @ among @ drawn.T, drawn @ among @ other, float(other @ among @ other))[0])
    return float((1 + np.sum(np.array(null) >= far)) / (1 + draws))


def _nearest(within: Array, across: Array, beyond: float) -> tuple[float, Array]:
    """The least energy distance of a mixture of K samples to another sample, and the mixture (K,).

    Mean distances: `within` (K, K) between the samples, `across` (K,) to the other, `beyond` inside the other.
    """
    gram = across[:, None] + across[None, :] - within - beyond
    sizes, axes = np.linalg.eigh((gram + gram.T) / 2)
    mixture = nearest_mixture(np.sqrt(np.maximum(sizes, 0.0))[:, None] * axes.T)
    return float(mixture @ gram @ mixture), mixture


def _one_each(scored: Scored, seed: int) -> Scored:
    """One item of every group, at random: the test takes items for independent evidence."""
    if scored.groups is None or len(set(scored.groups)) == len(scored.groups):
        return scored
    order = np.random.default_rng(seed).permutation(len(scored.groups))
    at = np.sort(order[np.unique(np.array(scored.groups)[order], return_index=True)[1]])
    return Scored(scored.probabilities[at], None if scored.grades is None else scored.grades[at])


def _distances(one: Array, other: Array) -> Array:
    """Euclidean, (M, N)."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :] - 2.0 * one @ other.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def _some(count: int, random: np.random.Generator) -> Grades:
    return np.sort(random.permutation(count)[:_MOST_COMPARED])


def _against(found: Shift, condition: float) -> list[str]:
    """What speaks against the assumption, or against using the estimate. `condition`: of the confusion matrix."""
    said = []
    if found.mixture_p is None:
        said.append(
            f"fewer than {_TESTED} groups: whether these calls differ in more than their class balance can't be tested."
        )
    elif found.mixture_p <= _AGAINST:
        said.append(
            f"the pool's scores are no mixture of the validation calls' (p = {found.mixture_p:.3f}): these calls "
            "differ in more than their class balance, and a correction for it may do harm. Grade some of them."
        )
    if not condition < _ILL_CONDITIONED:
        said.append(
            f"the model hardly tells some grades apart (condition number of the confusion matrix {condition:.3g}, more "
            f"than {_ILL_CONDITIONED:g}): their shares may be exchanged for each other."
        )
    em, bbse, chosen = found.em, found.bbse, found.chosen
    if apart := _where(found, (em.low > bbse.high) | (bbse.low > em.high)):
        said.append(
            f"EM and BBSE disagree beyond their intervals about grade {apart}: the model's probabilities are not "
            "calibrated on these calls, or their class balance is not all that differs."
        )
    if unlearnt := _where(found, (found.train <= 0) & (chosen.balance > 0)):
        said.append(
            f"the training held no call of grade {unlearnt}, which no correction can make the model say: train on some."
        )
    if wide := _where(found, chosen.high - chosen.low > _WIDE):
        said.append(
            f"the share of grade {wide} is not even known within {_WIDE:g}: more validation calls, more calls in the "
            "pool, or a better model, are needed."
        )
    return said


def _notes(found: Shift, validation: Scored) -> list[str]:
    """What else to know about the estimate."""
    assert validation.grades is not None
    counts = np.bincount(validation.grades, minlength=len(found.grades))
    said = []
    if few := [f"'{g}' ({n})" for g, n in zip(found.grades, counts, strict=True) if n < _FEW]:
        said.append(
            f"fewer than {_FEW} validation calls of grade {', '.join(few)}: what the model says of such calls is "
            "hardly known, nor is their share. Grade more of them."
        )
    unheard = (found.train <= 0) & (counts == 0)
    if named := _where(found, unheard):
        said.append(
            f"no call of grade {named} was in training or validation: nothing is known of its share, taken as 0."
        )
    ratio = np.where(unheard, 1.0, found.implied / np.maximum(found.train, 1e-9))
    at = int(np.abs(np.log(ratio)).argmax())
    if not 1 / _WEIGHTED < ratio[at] < _WEIGHTED:
        said.append(
            f"the model's probabilities imply {found.implied[at]:.0%} of grade '{found.grades[at]}' where its training "
            f"data held {found.train[at]:.0%}, as class weights, balanced sampling or pseudo-labels make them: "
            "corrections divide by the implied balance."
        )
    if not found.shown:
        said.append("the training balance lies within all intervals: no shift is shown, and none needs correction.")
    return said


def _where(found: Shift, marked: NDArray[np.bool_]) -> str:
    """The marked grades, named; empty where none is."""
    return ", ".join(repr(grade) for grade, mark in zip(found.grades, marked, strict=True) if mark)
