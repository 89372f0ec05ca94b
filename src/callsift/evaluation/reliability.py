"""How far probabilities can be believed: calibration error, Brier score and likelihood, with intervals.

Expected calibration error: answers are put into bins by how sure they are; Σ_bins share of the answers in it ·
|mean confidence − share right|. In `ece_mass` each bin holds as many answers as the next (Nguyen & O'Connor 2015), in
`ece_width` each is as wide as the next (Guo et al. 2017, eq. 3). Of few calls it is never zero, even for a perfect
model, so `ece_mass_chance` says what such a model would show by chance: the mean over answers drawn true with just the
stated probability (the consistency resampling of Bröcker & Smith 2007). Whether the answers to a group come true
together is not known: they are drawn each by itself, and as much together as can be (one uniform number for a whole
group), and the larger is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callsift.decision import Calibration, Verdict, decide, likeliest
from callsift.evaluation.calibration import fit_calibration
from callsift.evaluation.metrics import Interval
from callsift.evaluation.thresholds import wilson
from callsift.labels import LabelScheme
from callsift.types import Label

Array = NDArray[np.float64]

BINS = 10
PROPENSITY = "propensity"
_FEWEST_BINS, _OF_A_BIN = 3, 10  # of a curve
_CHANCE_DRAWS = 200
_SMALLEST = 1e-12


def mass_bins(sure: Array, bins: int = BINS) -> NDArray[np.int64]:
    """(items,): the bin of each answer, by its rank, so that every bin holds about as many; equal ones share a bin."""
    ranks = np.searchsorted(np.sort(sure), sure)
    return np.asarray(ranks * bins // max(len(sure), 1), dtype=np.int64)


def width_bins(sure: Array, bins: int = BINS) -> NDArray[np.int64]:
    """(items,): the bin of each answer, of `bins` equally wide ones from 0 to 1."""
    return np.asarray(np.minimum(sure * bins, bins - 1), dtype=np.int64)


def calibration_error(sure: Array, right: Array, members: NDArray[np.int64]) -> float:
    """Σ_bins |Σ sure − Σ right| / items, in [0, 1]; `sure` in [0, 1], `right` 0 or 1, `members` their bins.

    >>> float(round(calibration_error(np.array([0.9, 0.9]), np.array([1.0, 0.0]), np.array([0, 0])), 6))
    0.4
    """
    return float(np.abs(np.bincount(members, weights=sure - right)).sum()) / len(sure)


def brier(probabilities: Array, truth: NDArray[np.int64]) -> Array:
    """(items,): Σ_k (p_k − [k is true])², in [0, 2] (Brier 1950); probabilities (items, K)."""
    wanted = np.eye(probabilities.shape[1])[truth]
    return np.asarray(((probabilities - wanted) ** 2).sum(axis=1))


def figures_of_answers(
    probabilities: Array,
    truth: NDArray[np.int64],
    *,
    groups: Sequence[str] | None = None,
    event: int | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """`calls`, and `ece_mass`, `ece_width`, `brier`, `nll` with 95 % intervals, `ece_mass_chance`.

    Drawing calls anew adds noise to a calibration error, as drawing them from the world did: its interval is the basic
    one, 2 · value − percentiles (Efron & Tibshirani 1993, ch. 13.4), which takes some of that off, within 0 … 1 and
    never without the value. Whether an error may be chance is for `ece_mass_chance` to say. The others are percentile
    intervals.

    `probabilities` (items, K), `truth` (items,). `event`: judge the probability of this class whatever it is, rather
    than that of the likeliest class; Brier's score is then (p − [true])², half of the sum over two classes.
    `groups`: what is drawn as a whole. Bins stay those of all items in every draw.
    """
    items = np.arange(len(truth))
    if event is None:
        sure = probabilities.max(axis=1)
        right = (likeliest(probabilities) == truth).astype(np.float64)
    else:
        sure, right = probabilities[:, event], (truth == event).astype(np.float64)
    scores = brier(probabilities, truth) if event is None else (sure - right) ** 2
    nll = -np.log(np.maximum(probabilities[items, truth], _SMALLEST))
    owners = np.unique(np.array(groups), return_inverse=True)[1] if groups is not None else np.arange(len(truth))
    sizes = np.bincount(owners).astype(np.float64)
    weights = np.random.default_rng(seed).multinomial(len(sizes), np.full(len(sizes), 1.0 / len(sizes)), size=draws)
    drawn_items = weights @ sizes  # (draws,); weights (draws, groups): how often each group is drawn
    mass = mass_bins(sure)
    found: dict[str, Any] = {"calls": len(truth)}
    for name, members in (("ece_mass", mass), ("ece_width", width_bins(sure))):
        gaps = np.zeros((len(sizes), int(members.max()) + 1))
        np.add.at(gaps, (owners, members), sure - right)
        drawn_errors = np.abs(weights @ gaps).sum(axis=1) / drawn_items
        found[name] = _basic_interval(calibration_error(sure, right, members), drawn_errors)
    found["ece_mass_chance"] = max(_error_by_chance(sure, mass, drawn_as, seed) for drawn_as in (items, owners))
    for name, each in (("brier", scores), ("nll", nll)):
        found[name] = _interval(float(each.mean()), (weights @ np.bincount(owners, weights=each)) / drawn_items)
    return found


def _error_by_chance(sure: Array, members: NDArray[np.int64], owners: NDArray[np.int64], seed: int) -> float:
    """The mean calibration error of answers that come true just as often as stated, those of one owner together."""
    uniform = np.random.default_rng(seed).random((_CHANCE_DRAWS, int(owners.max()) + 1))
    return float(np.mean([calibration_error(sure, 1.0 * (drawn[owners] < sure), members) for drawn in uniform]))


def _interval(value: float, drawn: Array) -> dict[str, float]:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return asdict(Interval(value, float(low), float(high)))


def _basic_interval(value: float, drawn: Array) -> dict[str, float]:
    low, high = (2.0 * value - np.percentile(drawn, [97.5, 2.5])).tolist()
    return asdict(Interval(value, max(0.0, min(low, value)), min(1.0, max(high, value))))


def share_interval(right: Array, groups: Sequence[str]) -> Interval:
    """The share of `right` (items,) 0 or 1 with Wilson's interval, as if items of a group were all alike.

    Groups of m_1, m_2, … items then say as much as (Σ m)² / Σ m² single items (Kish 1965, §5.4).
    """
    sizes = np.unique(np.array(groups), return_counts=True)[1].astype(np.float64)
    share, of = float(right.mean()), int(np.floor(sizes.sum() ** 2 / (sizes**2).sum() + 1e-9))
    low, high = wilson(round(share * of), of)
    return Interval(share, min(low, share), max(high, share))


def curve_of(sure: Array, right: Array, groups: Sequence[str]) -> list[dict[str, Any]]:
    """The reliability curve: for each bin of equal mass how sure the answers are and what share of them is right.

    `low`, `high`: the least and the most sure answer in it; `sure`: their mean. `right_low`, `right_high`: see
    `share_interval`. Of few answers there are fewer bins than in `ece_mass`, so that each says something.
    """
    members = mass_bins(sure, min(BINS, max(_FEWEST_BINS, len(sure) // _OF_A_BIN)))
    bins = []
    for at in np.unique(members):
        rows = np.flatnonzero(members == at)
        share = share_interval(right[rows], [groups[int(row)] for row in rows])
        bins.append(
            {
                "low": float(sure[rows].min()),
                "high": float(sure[rows].max()),
                "sure": float(sure[rows].mean()),
                "right": share.value,
                "count": len(rows),
                "right_low": share.low,
                "right_high": share.high,
            }
        )
    return bins


def buyer_of(scheme: LabelScheme, label: Label) -> bool | None:
    """Whether a label means a positive grade; None where it leaves that open, or the scheme has none."""
    if not scheme.positive:
        return None
    grades = scheme.grade_set(label)
    positive = grades & set(scheme.positive)
    return True if positive == grades else None if positive else False


def reliability_of(
    scheme: LabelScheme,
    labels: Sequence[Label],
    verdicts: Sequence[Verdict],
    *,
    groups: Sequence[str] | None = None,
    curves: bool = False,
) -> dict[str, dict[str, Any]]:
    """`figures_of_answers` of every task's coherent probabilities, and of the propensity (key `propensity`).

    A call counts for the tasks that its label settles; a task that no label settles is left out, and a number has none.
    `curves`: with `bins`, see `curve_of`.
    """
    owners = list(groups) if groups is not None else list(map(str, range(len(labels))))
    found: dict[str, dict[str, Any]] = {}
    for task, classes in scheme.tasks.items():
        names = list(classes)
        known = [scheme.class_of(task, label) for label in labels]
        at = [row for row, name in enumerate(known) if name is not None]
        if at:
            answers = np.array([[verdicts[row].probabilities[task][name] for name in names] for row in at])
            truth = np.array([names.index(str(known[row])) for row in at])
            mine = [owners[row] for row in at]
            found[task] = figures_of_answers(answers, truth, groups=mine)
            if curves:
                right = (likeliest(answers) == truth).astype(np.float64)
                found[task]["bins"] = curve_of(answers.max(axis=1), right, mine)
    if scheme.positive:
        buyers = [buyer_of(scheme, label) for label in labels]
        at = [row for row, buyer in enumerate(buyers) if buyer is not None]
        if at:
            likely = np.array([verdicts[row].propensity for row in at], dtype=np.float64)
            truth = np.array([int(bool(buyers[row])) for row in at])
            answers = np.stack([1.0 - likely, likely], axis=1)
            mine = [owners[row] for row in at]
            found[PROPENSITY] = figures_of_answers(answers, truth, groups=mine, event=1)
            if curves:
                found[PROPENSITY]["bins"] = curve_of(likely, truth.astype(np.float64), mine)
    return found


def cross_fitted(
    kind: str,
    scheme: LabelScheme,
    logits: Mapping[str, NDArray[np.floating]],
    labels: Sequence[Label],
    groups: Sequence[str],
    seed: int,
) -> list[Verdict] | None:
    """Verdicts of calls whose calibration was fitted on the other half of them: what it does to calls it never saw.

    Whole `groups` go to a half. None where there are fewer than four groups, or none of it applies (a number).
    """
    names = sorted(set(groups))
    if len(names) < 4 or scheme.kind == "number":
        return None
    order = np.random.default_rng(seed).permutation(len(names))
    first = {names[at] for at in order[: len(names) // 2]}
    side = np.array([group in first for group in groups])
    found: list[Verdict | None] = [None] * len(labels)
    for mine in (side, ~side):
        fitted = fit_calibration(
            kind,
            scheme,
            {task: values[~mine] for task, values in logits.items()},
            [label for label, here in zip(labels, mine, strict=True) if not here],
        )
        said = decide({task: values[mine] for task, values in logits.items()}, scheme, fitted)
        for row, verdict in zip(np.flatnonzero(mine), said, strict=True):
            found[int(row)] = verdict
    return [verdict for verdict in found if verdict is not None]


def before_and_after(
    scheme: LabelScheme,
    logits: Mapping[str, NDArray[np.floating]],
    labels: Sequence[Label],
    calibration: Calibration,
    groups: Sequence[str],
) -> dict[str, Any]:
    """`reliability_of` the same logits uncalibrated (`before`) and calibrated (`after`)."""
    return {
        name: reliability_of(scheme, labels, decide(logits, scheme, applied), groups=groups)
        for name, applied in (("before", Calibration()), ("after", calibration))
    }


def reliability_line(figures: Mapping[str, Mapping[str, Any]], task: str) -> str:
    """`before_and_after` of a task in one line for people."""
    parts = []
    for name, key in (("ECE", "ece_mass"), ("Brier", "brier"), ("NLL", "nll")):
        before, after = figures["before"][task][key], figures["after"][task][key]
        parts.append(f"{name} {before['value']:.3f} → {after['value']:.3f} [{after['low']:.3f}, {after['high']:.3f}]")
    chance = figures["after"][task]["ece_mass_chance"]
    return f"{task} ({figures['after'][task]['calls']}): {', '.join(parts)}; ECE of a perfect model {chance:.3f}"
