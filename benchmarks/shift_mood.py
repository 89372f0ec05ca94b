"""Class-balance shift on mood calls: test calls resampled to known balances, which are estimated and corrected for.

    python -m benchmarks.shift_mood RUN... [--repeats 5] [--draws 200] [--dry]

Each RUN is a finished training on mood calls (grades A–E) with `predictions/val.csv` and `test.csv`; nothing is trained
here. The pool is drawn from the test calls without replacement, as many as the balance allows, `--repeats` times for
each run and balance. The estimates see the pool's answers and the validation calls; the pool's grades are looked at to
draw it and to count what is right. Validation and test speakers differ, so voices shift along with the balance: what
label shift assumes is not quite so here, as it is seldom anywhere. `--same-voice` makes it so: half of the test calls
(evenly by grade, at random) are the graded ones instead of the validation calls, and the pool comes from the others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import record
from callsift.decision import decide
from callsift.evaluation.predictions import FinishedRun, read_run
from callsift.evaluation.scored import said_of_run, scored_of
from callsift.evaluation.shift import Array, Scored
from callsift.evaluation.shift_report import Shift, estimate_shift
from callsift.files import sha256_of_file

BALANCES: dict[str, tuple[float, ...]] = {
    "few buyers": (0.08, 0.12, 0.20, 0.30, 0.30),
    "many buyers": (0.40, 0.25, 0.15, 0.10, 0.10),
    "even": (0.20, 0.20, 0.20, 0.20, 0.20),
}
"""Shares of A–E; the last is the training calls' own: no shift."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One pool of one run: the true balance, the estimates, and the share of right grades by way of correcting."""

    run: str
    truth: Array
    shift: Shift
    accuracy: Mapping[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--repeats", type=int, default=5, help="pools drawn for each run and balance")
    parser.add_argument("--draws", type=int, default=200, help="redrawings for the intervals")
    parser.add_argument("--same-voice", action="store_true", help="graded calls and pool are of one speaker")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    options = parser.parse_args()
    runs = [read_run(folder) for folder in options.runs]
    tables: dict[str, dict[str, Any]] = {}
    accuracies: dict[str, Any] = {}
    for name, balance in BALANCES.items():
        found = [outcome(run, balance, repeat, options) for run in runs for repeat in range(options.repeats)]
        tables[name] = estimates(found)
        accuracies[name] = accuracy_row(found)
        print(f"{name}: {len(found)} pools of {found[0].shift.calls['pool']} calls", flush=True)
    print(json.dumps({**tables, "accuracy": accuracies}, ensure_ascii=False, indent=2))
    if options.dry:
        return
    answers = [sha256_of_file(run.folder / "predictions/test.csv") for run in runs]
    voices = "one voice on both sides" if options.same_voice else "graded and pool of different voices"
    title = f"Class-balance shift on mood calls, {voices}"
    for name, figures in tables.items():
        record(f"{title}, {name}: share of each grade", figures, answers_sha256=answers)
    record(f"{title}: accuracy before and after correction", accuracies, answers_sha256=answers)


def outcome(run: FinishedRun, balance: Sequence[float], repeat: int, options: argparse.Namespace) -> Outcome:
    """Draw a pool of the balance from a run's test calls, estimate its balance, and correct for it."""
    scheme = run.scheme
    test = scored_of(scheme, said_of_run(run, "test"), graded=True)
    assert test.grades is not None
    random = np.random.default_rng((repeat, len(test.grades)))
    if options.same_voice:
        known, rest = halves(test.grades, random)
        graded = Scored(test.probabilities[known], test.grades[known])
        kept = rest[resampled(test.grades[rest], np.array(balance), random)]
    else:
        graded = scored_of(scheme, said_of_run(run, "val"), graded=True)
        kept = resampled(test.grades, np.array(balance), random)
    truth = np.bincount(test.grades[kept], minlength=len(scheme.grades)) / len(kept)
    given = run.calibration.train_balance or {}
    shift = estimate_shift(
        scheme.grades,
        graded,
        Scored(test.probabilities[kept]),
        np.array([given[grade] for grade in scheme.grades]),
        draws=options.draws,
        seed=repeat,
    )
    ways = {"before": None, "by EM": shift.em.balance, "by BBSE": shift.bbse.balance, "by the true balance": truth}
    right = {way: accuracy(run, kept, test.grades, shift.implied, target) for way, target in ways.items()}
    right["by EM where advised"] = right["by EM" if shift.advised else "before"]
    return Outcome(str(run.folder), truth, shift, right)


def halves(grades: NDArray[np.int64], random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of two halves, every grade divided evenly, at random."""
    parts = [random.permutation(np.flatnonzero(grades == grade)) for grade in np.unique(grades)]
    one = np.sort(np.concatenate([part[: len(part) // 2] for part in parts]))
    return one, np.setdiff1d(np.arange(len(grades)), one)


def resampled(grades: NDArray[np.int64], balance: Array, random: np.random.Generator) -> NDArray[np.int64]:
    """Indices of the largest part of the calls that has the balance, none twice; at random which."""
    counts = np.bincount(grades, minlength=len(balance))
    size = min(counts[at] / share for at, share in enumerate(balance) if share > 0)
    parts = [
        random.permutation(np.flatnonzero(grades == at))[: round(size * share)] for at, share in enumerate(balance)
    ]
    return np.sort(np.concatenate(parts))


def accuracy(
    run: FinishedRun, kept: NDArray[np.int64], grades: NDArray[np.int64], implied: Array, target: Array | None
) -> float:
    """Share of right grades, by the very decision that scoring makes; `target` None: uncorrected."""
    scheme = run.scheme
    said = run.predictions("test")
    settled = [at for at, label in enumerate(said.labels) if label is not None and len(scheme.grade_set(label)) == 1]
    rows = np.array(settled)[kept]
    calibration = replace(
        run.calibration,
        train_balance=dict(zip(scheme.grades, implied.tolist(), strict=True)),
        target_balance=None if target is None else dict(zip(scheme.grades, target.tolist(), strict=True)),
    )
    verdicts = decide({task: logits[rows] for task, logits in said.logits.items()}, scheme, calibration)
    return float(np.mean([v.grade == scheme.grades[grades[at]] for v, at in zip(verdicts, kept, strict=True)]))


def estimates(found: Sequence[Outcome]) -> dict[str, Any]:
    """Grade → true share, and by both methods the mean estimate with the mean interval, error and coverage."""
    truth = np.stack([each.truth for each in found])
    rows: dict[str, Any] = {
        grade: {"true": float(truth[:, at].mean())} for at, grade in enumerate(found[0].shift.grades)
    }
    for name in ("em", "bbse"):
        chosen = [getattr(each.shift, name) for each in found]
        value, low, high = (np.stack([getattr(e, part) for e in chosen]) for part in ("balance", "low", "high"))
        for at, row in enumerate(rows.values()):
            row[name.upper()] = {
                "value": float(value[:, at].mean()), "low": float(low[:, at].mean()), "high": float(high[:, at].mean())
            }  # fmt: skip
            row[f"{name.upper()} error"] = float(np.abs(value - truth)[:, at].mean())
            row[f"{name.upper()} covers"] = float(((low <= truth) & (truth <= high))[:, at].mean())
    for at, row in enumerate(rows.values()):
        row["error of the training balance"] = float(np.abs([e.shift.train[at] - e.truth[at] for e in found]).mean())
    return rows


def accuracy_row(found: Sequence[Outcome]) -> dict[str, Any]:
    """Mean accuracies, what correcting gains (the interval draws runs), and how often the assumption was doubted."""
    ways = list(found[0].accuracy)
    runs = sorted({each.run for each in found})
    means = np.array([[np.mean([e.accuracy[way] for e in found if e.run == run]) for way in ways] for run in runs])
    picks = np.random.default_rng(0).integers(0, len(runs), (2000, len(runs)))
    row: dict[str, Any] = {way: float(means[:, at].mean()) for at, way in enumerate(ways)}
    for at, way in enumerate(ways[1:], start=1):
        gain = means[:, at] - means[:, 0]
        low, high = np.percentile(gain[picks].mean(axis=1), [2.5, 97.5])
        row[f"{way} − before"] = {"value": float(gain.mean()), "low": float(low), "high": float(high)}
    doubted = [each.shift.mixture_p is not None and each.shift.mixture_p <= 0.01 for each in found]
    row["pools said to be no mixture"] = float(np.mean(doubted))
    row["pools whose correction is advised"] = float(np.mean([each.shift.advised for each in found]))
    return row


if __name__ == "__main__":
    main()
