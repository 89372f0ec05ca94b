"""One training of a study: its manifest, its run, and what it answered, kept for good in `answer.json`.

The folder can be read without the study: `callsift train manifest.jsonl -o ANOTHER --config run/config.yaml` does the
same again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from callsift.config import TrainConfig
from callsift.data.manifest import read_manifest, write_manifest
from callsift.decision import Verdict, decide
from callsift.evaluation.predictions import read_predictions
from callsift.files import sha256_of_file, write_json
from callsift.training.material import Material
from callsift.training.run import Run, load_run, train
from callsift.training.studies.answers import ANSWER, ITEM, asked_of, calls_of, configured
from callsift.training.studies.plan import Job, Study, learned_before
from callsift.types import Call, Label

BEFORE = "before"
"""Folder of a training's pretraining, in its own."""


def make_answer(study: Study, job: Job, made_from: str, material: Material, *, keep_weights: bool = False) -> None:
    """Train as the job says, or go on with it, and keep the answers with the hash of what they are made from.

    The weights are removed once the answers are there, unless `keep_weights`: a study has hundreds of trainings.

    Raises:
        CallsiftError: what `train` raises.
    """
    folder, calls = study.folder_of(job), calls_of(study, job)
    asked, owners = asked_of(study, job, calls), study.owners[job.row.data]
    began_s = time.monotonic()
    write_manifest(folder / "manifest.jsonl", calls)
    result = train(
        folder / "manifest.jsonl", folder / "run", _started(study, job, calls, material), asr=study.asr,
        diarizer=study.diarizer, resume=True, material=material,
        single_grades=True,  # whether every grade has two calls was asked of all calls: a fold may hold one of them
    )  # fmt: skip
    run = load_run(folder / "run")
    items = list(_predicted(run, owners)) if any(call.split == "test" for call in calls) else []
    others = {name: list(_scored(run, each, study, study.owners[name])) for name, each in asked.items()}
    write_json(
        folder / ANSWER,
        {
            "made_from": made_from,
            "row": job.row.name,
            "fold": job.fold,
            "seed": job.seed,
            "settings": list(job.row.settings),
            "manifest_sha256": sha256_of_file(folder / "manifest.jsonl"),
            "seconds": round(time.monotonic() - began_s, 1),
            "best_epoch": result["best_epoch"],
            "epochs": result["epochs"],
            "parameters": result["parameters"],
            "calls": {name: sum(call.split == name for call in calls) for name in ("train", "val", "test")},
            "groups": {
                name: len({owners[call.call_id] for call in calls if call.split == name})
                for name in ("train", "val", "test")
            },
            "left_out": result["left_out"],
            "before": _learned(study, job),
            "item": list(ITEM),
            "items": items,
            "asked": others,
        },
    )
    spent = "run/checkpoints/last" if keep_weights else "run/checkpoints"  # `last` is needed only to go on
    shutil.rmtree(folder / spent, ignore_errors=True)
    if not keep_weights:
        shutil.rmtree(folder / BEFORE / "run/checkpoints", ignore_errors=True)


def _started(study: Study, job: Job, calls: Sequence[Call], material: Material) -> TrainConfig:
    """The job's configuration; where its row learns something before, that is done, and the weights are named."""
    config, before = configured(job), job.row.before
    if before is None:
        return config
    folder = study.folder_of(job) / BEFORE
    write_manifest(folder / "manifest.jsonl", learned_before(before, calls))
    seeded = before.config.model_copy(update={"fit": before.config.fit.model_copy(update={"seed": job.seed})})
    train(
        folder / "manifest.jsonl", folder / "run", seeded, asr=study.asr, diarizer=study.diarizer, resume=True,
        material=material, single_grades=True,
    )  # fmt: skip
    start = str((folder / "run").resolve())
    return config.model_copy(update={"fit": config.fit.model_copy(update={"start_from": start})})


def _learned(study: Study, job: Job) -> dict[str, Any] | None:
    """What the training learned first: how much, and the hash of its manifest."""
    path = study.folder_of(job) / BEFORE / "manifest.jsonl"
    if job.row.before is None:
        return None
    calls = read_manifest(path).calls
    groups = {call.group or call.call_id for call in calls}
    return {"calls": len(calls), "groups": len(groups), "sha256": sha256_of_file(path)}


def _predicted(run: Run, owners: Mapping[str, str]) -> Iterator[list[Any]]:
    """The labelled items of the run's test part, as its own decision answers them."""
    found = read_predictions(run.folder / "predictions/test.csv", run.scheme)
    verdicts = decide(found.logits, run.scheme, run.calibration)
    for call_id, segment_id, label, verdict in zip(
        found.call_ids, found.segment_ids, found.labels, verdicts, strict=True
    ):
        if label is not None:
            yield [call_id, segment_id, owners[call_id], label, _said(run, verdict)]


def _said(run: Run, verdict: Verdict) -> dict[str, float] | float:
    """The probability of every grade, rounded as the predictions are; or the number."""
    if verdict.value is not None:
        return round(verdict.value, 6)
    classes = verdict.probabilities[run.scheme.finest_task]
    return {members[0]: round(classes[name], 6) for name, members in run.scheme.tasks[run.scheme.finest_task].items()}


def _scored(run: Run, calls: Sequence[Call], study: Study, owners: Mapping[str, str]) -> Iterator[list[Any]]:
    """The calls of another set, scored as they would be by the bundle; with their labels, of whatever scheme.

    A model that answers for segments says of a call without labelled segments the mean of what it says of them.
    """
    scorer = run.scorer(asr=study.asr, diarizer=study.diarizer)
    for call in calls:
        score = scorer.score(call)
        if score.error is not None:
            continue
        said: dict[str, tuple[Label | None, dict[str, float] | float]] = {}
        finest = run.scheme.tasks.get(run.scheme.finest_task, {})
        if run.config.target == "call":
            said[""] = call.label, _of_score(score.value, score.probabilities, finest)
        else:
            labels = {segment.segment_id: segment.label for segment in call.segments}
            said = {
                each.segment_id: (labels.get(each.segment_id), _of_score(each.value, each.probabilities, finest))
                for each in score.segments
            }
            if call.label is not None and not any(label is not None for label, _ in said.values()):
                said = {"": (call.label, _mean([answer for _, answer in said.values()]))}
        for segment_id, (label, answer) in said.items():
            if label is not None:
                yield [call.call_id, segment_id, owners[call.call_id], label, answer]


def _of_score(
    value: float | None, probabilities: Mapping[str, Mapping[str, float]], finest: Mapping[str, Sequence[str]]
) -> dict[str, float] | float:
    if value is not None:
        return round(value, 6)
    classes = next(found for found in probabilities.values() if set(found) == set(finest))
    return {members[0]: round(classes[name], 6) for name, members in finest.items()}


def _mean(said: Sequence[dict[str, float] | float]) -> dict[str, float] | float:
    numbers = [each for each in said if isinstance(each, float)]
    if numbers:
        return float(np.mean(numbers))
    grades = [each for each in said if isinstance(each, dict)]
    return {grade: float(np.mean([each[grade] for each in grades])) for grade in grades[0]}
