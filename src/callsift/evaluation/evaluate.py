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
from callsift.decision import Verdict
from callsift.errors import CallsiftError, UsageError
from callsift.evaluation.baselines import tfidf_answers
from callsift.evaluation.breakdowns import breakdowns_of, metric_of
from callsift.evaluation.faithfulness import faithfulness
from callsift.evaluation.gain import gain_of
from callsift.evaluation.graded import Graded, Heard, Progress, hear, labelled_texts, silently
from callsift.evaluation.metrics import drawn_by
from callsift.evaluation.mistakes import mistakes_of
from callsift.evaluation.reliability import reliability_of
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
    scorer: Scorer,
    calls: Iterable[Call],
    *,
    depth: Depth | None = None,
    made: Mapping[str, Any] | None = None,
    learnt: Sequence[str] = (),
    progress: Progress = silently,
) -> dict[str, Any]:
    """Score labelled calls and compare. Keys are those of docs/formats.md, and `rows`: the calls' result rows.

    `failed`, in `data`: call id → why, of calls that could not be scored; they count in no figure. `made`: what else to
    say of how this came about. `learnt`: ids of those that the model learned from.

    Raises:
        UsageError: no call could be scored.
    """
    depth = depth or Depth()
    scheme, heard = scorer.scheme, hear(scorer, calls)
    if not heard.items:
        first = next(iter(heard.failed.items()), "")
        raise UsageError(f"none of {len(heard.rows)} calls could be scored; the first: {first}")
    items = heard.items
    owners = drawn_by([item.group for item in items], [item.call.call_id for item in items])
    labels, verdicts = [item.label for item in items], [item.verdict for item in items]
    results = _figures(scorer, labels, verdicts, owners)
    baselines = _with_baseline(scorer, heard, results, owners, depth.train, progress)
    return {
        "schema_version": SCHEMA_VERSION,
        "made": {**(made or {}), "model": heard.rows[0]["model"], "parts": dict(scorer.pipeline.parts)},
        "data": _data_of(heard, learnt),
        "scheme": _scheme_of(scorer),
        "balance": {"train": scorer.calibration.train_balance, "here": _balance_of(scheme, items)},
        "results": results,
        "baselines": baselines,
        "reliability": reliability_of(scheme, labels, verdicts, groups=owners, curves=True),
        "gain": gain_of(scheme, labels, verdicts, owners),
        "breakdown_metric": metric_of(scheme),
        "breakdowns": breakdowns_of(scheme, items, owners),
        "faithfulness": faithfulness(scorer, heard.calls, progress=progress) if depth.faithful else None,
        "mistakes": mistakes_of(scorer, items, moments=depth.moments, progress=progress),
        "rows": list(heard.rows),
    }


def _figures(
    scorer: Scorer, labels: Sequence[Label], verdicts: Sequence[Verdict], owners: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    balance = scorer.calibration.train_balance
    return figures_of(scorer.scheme, labels, verdicts, groups=owners, train_balance=balance)


def _data_of(heard: Heard, learnt: Sequence[str]) -> dict[str, Any]:
    scored = [row for row in heard.rows if row["error"] is None]
    seconds = [row["duration_s"] for row in scored if row["duration_s"] is not None]
    languages = Counter(row["language"] or "unknown" for row in scored)
    return {
        "calls": len(scored),
        "items": len(heard.items),
        "segments": sum(len(row["segments"]) for row in scored),
        "hours": round(sum(sorted(seconds)) / 3600, 4) if seconds else None,
        "languages": dict(sorted(languages.items(), key=lambda each: (-each[1], each[0]))),
        "groups": len({call.group for call in heard.calls if call.group is not None}),
        "failed": dict(heard.failed),
        "learnt": sorted(learnt),
    }


def _scheme_of(scorer: Scorer) -> dict[str, Any]:
    scheme = scorer.scheme
    kept = ("id", "kind", "grades", "tasks", "range", "positive", "descriptions")
    found = scheme.model_dump(mode="json", include=set(kept))
    return {**{name: found[name] for name in kept}, "finest_task": scheme.finest_task, "target": scorer.target}


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
    scorer: Scorer,
    heard: Heard,
    results: dict[str, dict[str, dict[str, Any]]],
    owners: Sequence[str],
    train: Sequence[Call] | None,
    progress: Progress,
) -> dict[str, Any]:
    """Put `tfidf` beside `majority` in the results; returns what to say of it. Without one `calls` is 0, `note` why."""
    if train is None:
        return {}
    labelled = [call for call in train if any(label is not None for label in labels_of(call, scorer.target))]
    fit_on, shared = _apart_from(heard, labelled)
    about: dict[str, Any] = {"calls": 0, "note": None, "left_out": shared}
    try:
        if not fit_on:
            where = f" that shares no group or recording with these ({shared} do)" if shared else ""
            raise UsageError(f"there is no labelled training call{where}, so there is no TF-IDF baseline")
        if not any(item.text.strip() for item in heard.items):
            raise UsageError("these calls have no text, so there is no TF-IDF baseline")
        texts = labelled_texts(scorer.pipeline, fit_on, scorer.target, progress)
        said = tfidf_answers(texts, [item.text for item in heard.items], scorer.scheme)
    except CallsiftError as error:
        return {"tfidf": about | {"note": str(error)}}
    labels = [item.label for item in heard.items]
    figures = _figures(scorer, labels, [_as_verdict(scorer.scheme, answer) for answer in said], owners)
    for kind, tasks in results.items():
        for task, found in tasks.items():
            if found["calls"] and task in said[0]:
                theirs = figures[kind][task]
                found["tfidf"] = {name: value for name, value in theirs.items() if name not in _NOT_A_METRIC}
    note = f"{shared} training calls share a group or recording with these calls and were left out" if shared else None
    return {"tfidf": about | {"calls": len(fit_on), "note": note}}


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
