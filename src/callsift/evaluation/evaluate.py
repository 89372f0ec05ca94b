"""Evaluate a scorer on graded calls: figures beside baselines, how far to believe them, and where they are worst.

What is found is one plain mapping (docs/formats.md, "Evaluation"), which the report shows and `--output` keeps. Nothing
in it depends on the order of the calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from callsift.data.splits import groups_of, label_key, labels_of
from callsift.decision import Verdict, likeliest
from callsift.errors import CallsiftError, DataError, UsageError
from callsift.evaluation.baselines import require_sklearn, tfidf_answers
from callsift.evaluation.breakdowns import breakdowns_of, metric_of, parts_of
from callsift.evaluation.desk import Desk, Progress, Subject, desk_of, silently
from callsift.evaluation.differences import difference
from callsift.evaluation.faithfulness import faithfulness
from callsift.evaluation.gain import gain_of, phone_list
from callsift.evaluation.graded import Graded, Heard, hear, labelled_texts
from callsift.evaluation.metrics import draws_groups
from callsift.evaluation.mistakes import mistakes_of
from callsift.evaluation.reliability import reliability_of
from callsift.evaluation.seen import Seen
from callsift.evaluation.tasks import figures_of
from callsift.labels import LabelScheme
from callsift.scoring.scorer import Scorer
from callsift.types import Call, Label

SCHEMA_VERSION = 1
_NUMBER_BINS = 6
_NOT_A_METRIC = ("calls", "majority", "per_class", "confusion")


@dataclass(frozen=True, slots=True)
class Depth:
    """What is looked into beyond the figures.

    `train`: calls that the TF-IDF baseline may learn from; None: no baseline is wanted. `moments`: of how many segments
    of each bad mistake the words, sounds and pauses are looked into. `faithful`: whether evidence is put to the test.
    """

    train: Sequence[Call] | None = None
    moments: int = 0
    faithful: bool = False


def evaluate_calls(
    scorer: Scorer | Desk,
    calls: Iterable[Call],
    *,
    depth: Depth | None = None,
    made: Mapping[str, Any] | None = None,
    seen: Seen | None = None,
    progress: Progress = silently,
) -> dict[str, Any]:
    """Score labelled calls and compare. Keys are those of docs/formats.md, and `rows`: the calls' result rows.

    `failed`, in `data`: call id → why, of calls that could not be scored; they count in no figure. `made`: what else to
    say of how this came about. `seen`: what the model knows of the calls already.

    Raises:
        UsageError: no call could be scored, or nothing that was is graded.
    """
    depth = depth or Depth()
    desk = desk_of(scorer)
    heard, subject = hear(desk, calls, progress), desk.subject
    scheme = subject.scheme
    if not heard.items:
        raise UsageError(_nothing(subject, heard))
    items = heard.items
    groups, call_ids = [item.group for item in items], [item.call.call_id for item in items]
    by_group = draws_groups(groups, call_ids)
    owners = groups if by_group else call_ids
    tables = breakdowns_of(scheme, items, owners)
    labels, verdicts = [item.label for item in items], [item.verdict for item in items]
    median = _train_median(subject, depth.train)
    results = _figures(subject, labels, verdicts, owners, median)
    baselines = _with_baseline(desk, heard, results, owners, depth.train, progress)
    return {
        "schema_version": SCHEMA_VERSION,
        "made": {**(made or {}), "model": heard.rows[0]["model"], "parts": dict(subject.pipeline.parts)},
        "data": _data_of(subject, heard, seen or Seen())
        | {"drawn_by": "group" if by_group else "call", "drawn": len(set(owners))},
        "scheme": _scheme_of(subject),
        "balance": {
            "train": subject.calibration.train_balance,
            "train_median": median,
            "here": _balance_of(scheme, items),
        },
        "results": results,
        "baselines": baselines,
        "reliability": reliability_of(scheme, labels, verdicts, groups=owners, curves=True),
        "gain": gain_of(scheme, items, owners),
        "phone": phone_list(scheme, items) if subject.target == "call" else [],
        "breakdown_metric": metric_of(scheme),
        "breakdown_parts": parts_of(tables),
        "breakdowns": tables,
        "faithfulness": faithfulness(desk, heard.calls, progress=progress) if depth.faithful else None,
        "mistakes": mistakes_of(desk, items, moments=depth.moments, progress=progress),
        "rows": list(heard.rows),
    }


def _nothing(subject: Subject, heard: Heard) -> str:
    """Why there is nothing to evaluate, for people."""
    scored = len(heard.rows) - len(heard.failed)
    if scored:
        return f"{scored} calls were scored, but no {subject.target} in them has a label to compare with: grade some"
    first = next((f"; the first: {call_id}: {why}" for call_id, why in heard.failed.items()), "")
    return f"none of {len(heard.rows)} calls could be scored{first}"


def _figures(
    subject: Subject,
    labels: Sequence[Label],
    verdicts: Sequence[Verdict],
    owners: Sequence[str],
    median: float | None = None,
) -> dict[str, dict[str, dict[str, Any]]]:
    balance = subject.calibration.train_balance
    return figures_of(subject.scheme, labels, verdicts, groups=owners, train_balance=balance, train_median=median)


def _train_median(subject: Subject, train: Sequence[Call] | None) -> float | None:
    """The median label of the training part, of a model of numbers; None where there is none, or not of its scheme."""
    labels = [label for call in train or () for label in labels_of(call, subject.target) if label is not None]
    if subject.scheme.kind != "number" or not labels:
        return None
    try:
        return float(np.median([subject.scheme.number(label) for label in labels]))
    except DataError:
        return None


def _data_of(subject: Subject, heard: Heard, seen: Seen) -> dict[str, Any]:
    scored = [row for row in heard.rows if row["error"] is None]
    seconds = [row["duration_s"] for row in scored if row["duration_s"] is not None]
    languages = Counter(row["language"] or "unknown" for row in scored)
    return {
        "calls": len(scored),
        "items": len(heard.items),
        "unit": subject.target,
        "segments": sum(len(row["segments"]) for row in scored),
        "hours": round(sum(sorted(seconds)) / 3600, 4) if seconds else None,
        "languages": dict(sorted(languages.items(), key=lambda each: (-each[1], each[0]))),
        "groups": len({call.group for call in heard.calls if call.group is not None}),
        "failed": dict(heard.failed),
        "learnt": None if seen.learnt is None else sorted(seen.learnt),
        "learnt_note": seen.note,
        "related": sorted(seen.related),
        "chosen_by": seen.chosen_by,
    }


def _scheme_of(subject: Subject) -> dict[str, Any]:
    scheme = subject.scheme
    kept = ("id", "kind", "grades", "tasks", "range", "positive", "descriptions")
    found = scheme.model_dump(mode="json", include=set(kept))
    return {**{name: found[name] for name in kept}, "finest_task": scheme.finest_task, "target": subject.target}


def _balance_of(scheme: LabelScheme, items: Sequence[Graded]) -> dict[str, int]:
    """How often each label is given: grades, then coarser answers; numbers by equal parts of their range."""
    if scheme.range is not None:
        numbers = [scheme.number(item.label) for item in items]
        counts, edges = np.histogram(numbers, bins=_NUMBER_BINS, range=scheme.range)
        parts = zip(pairwise(edges), counts, strict=True)
        return {f"{low:g} to {high:g}": int(count) for (low, high), count in parts}
    given = Counter(label_key(item.label) for item in items)
    return {grade: given.pop(grade, 0) for grade in scheme.grades} | dict(sorted(given.items()))


def _with_baseline(
    desk: Desk,
    heard: Heard,
    results: dict[str, dict[str, dict[str, Any]]],
    owners: Sequence[str],
    train: Sequence[Call] | None,
    progress: Progress,
) -> dict[str, Any]:
    """Put `tfidf` beside `majority` in the results; returns what to say of it. Without one `calls` is 0, `note` why."""
    if train is None:
        return {}
    subject = desk.subject
    labelled = [call for call in train if any(label is not None for label in labels_of(call, subject.target))]
    fit_on, shared = _apart_from(heard, labelled)
    about: dict[str, Any] = {"calls": 0, "note": None, "left_out": shared}
    try:
        require_sklearn()
        if not fit_on:
            where = f" that shares no group or recording with these ({shared} do)" if shared else ""
            raise UsageError(f"there is no labelled training call{where}, so there is no TF-IDF baseline")
        if not any(item.text.strip() for item in heard.items):
            raise UsageError("these calls have no text, so there is no TF-IDF baseline")
        texts = labelled_texts(desk, fit_on, progress)
        wordless = len(fit_on) - len(texts)
        if not texts:
            raise UsageError(f"none of {wordless} training calls comes with words, so there is no TF-IDF baseline: "
                             "transcribe them with callsift prepare first")  # fmt: skip
        known = [pair for pairs in texts.values() for pair in pairs]
        said = tfidf_answers(known, [item.text for item in heard.items], subject.scheme)
    except CallsiftError as error:
        return {"tfidf": about | {"note": str(error)}}
    labels = [item.label for item in heard.items]
    verdicts = [_as_verdict(subject.scheme, answer) for answer in said]
    figures = _figures(subject, labels, verdicts, owners)
    for kind, tasks in results.items():
        for task, found in tasks.items():
            if found["calls"] and task in said[0]:
                theirs = figures[kind][task]
                found["tfidf"] = {name: value for name, value in theirs.items() if name not in _NOT_A_METRIC}
                found["tfidf"]["difference"] = _difference(subject.scheme, kind, task, heard.items, verdicts, owners)
    return {"tfidf": about | {"calls": len(texts), "note": _note(shared, wordless)}}


def _note(shared: int, wordless: int) -> str | None:
    """Which training calls were left out, and why."""
    said = [f"{shared} training calls share a group or recording with these calls and were left out"] if shared else []
    said += [f"{wordless} training calls come without words and were left out"] if wordless else []
    return "; ".join(said) or None


def _difference(
    scheme: LabelScheme,
    kind: str,
    task: str,
    items: Sequence[Graded],
    others: Sequence[Verdict],
    owners: Sequence[str],
) -> dict[str, dict[str, float]]:
    """How much better the model's answers to a task are than others to the same items."""
    mine = [item.verdict for item in items]
    if scheme.kind == "number":
        truth = np.array([scheme.number(item.label) for item in items])
        said, theirs = (np.array([each.value for each in row], dtype=np.float64) for row in (mine, others))
        return difference(truth, said, theirs, groups=owners)
    names = list(scheme.tasks[task])
    known = [scheme.class_of(task, item.label) for item in items]
    at = [row for row, name in enumerate(known) if name is not None]
    truth = np.array([names.index(str(known[row])) for row in at])
    answers = [
        [(each.probabilities if kind == "combined" else each.raw)[task] for each in row] for row in (mine, others)
    ]
    classes = [likeliest(np.array([[row[at_][name] for name in names] for at_ in at])) for row in answers]
    return difference(truth, *classes, groups=[owners[row] for row in at])


def _apart_from(heard: Heard, train: Sequence[Call]) -> tuple[list[Call], int]:
    """The training calls that have nothing in common with the calls that are asked about, and how many have."""
    asked = {call.call_id for call in heard.calls} | set(heard.failed)
    rest = [call for call in train if call.call_id not in asked]
    homes = groups_of([*heard.calls, *rest])
    taken = set(homes[: len(heard.calls)])
    kept = [call for call, home in zip(rest, homes[len(heard.calls) :], strict=True) if home not in taken]
    return kept, len(rest) - len(kept)


def _as_verdict(scheme: LabelScheme, answer: Mapping[str, str | float]) -> Verdict:
    """A baseline's answer as if it were sure of it; of a task without one, of the first class (nobody is shown it)."""
    if scheme.kind == "number":
        return Verdict(None, None, None, {}, {}, float(answer[scheme.finest_task]))
    sure = {
        task: {name: float(name == answer.get(task, next(iter(classes)))) for name in classes}
        for task, classes in scheme.tasks.items()
    }
    return Verdict(None, None, None, sure, sure)
