"""Out-of-fold predictions: every graded call is judged by a model that never saw it, nor anything of its group.

FOLDER/settings.json  FOLDER/fold-1/manifest.jsonl  FOLDER/fold-1/run/  FOLDER/fold-2/ …

Each fold is a run of its own, on a manifest in which the fold's calls are `test` and the rest `train`; the run holds
out its validation from the latter, and its calibration is fitted there. Stopped, it goes on where it was: finished
folds are read, the one at work is resumed. `callsift train FOLDER/fold-1/manifest.jsonl` repeats a fold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callsift.config import TrainConfig
from callsift.data.manifest import Manifest, read_manifest, write_manifest
from callsift.data.splits import folds as deal_folds
from callsift.data.splits import labels_of
from callsift.decision import Calibration, Verdict, decide
from callsift.errors import DataError, UsageError
from callsift.evaluation.metrics import drawn_by
from callsift.evaluation.predictions import FinishedRun, Predictions, read_run
from callsift.evaluation.reliability import reliability_of
from callsift.evaluation.tasks import figures_of
from callsift.files import exclusive_lock, read_json, sha256_of_file, write_json
from callsift.labels import LabelScheme, load_scheme
from callsift.pipeline import check_prepared
from callsift.training.examples import Progress
from callsift.training.material import Material
from callsift.training.run import train
from callsift.types import Call, Label


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """The labelled items of all folds, fold by fold. `logits`: task → (items, K); `fold`: (items,), from 0.

    `groups`: of each the call's group, else the call. `segment_ids` are "" where the call itself is what
    is graded. `calibrations`: one per fold.
    `left_out`: call id → why it could not be prepared.
    """

    scheme: LabelScheme
    call_ids: tuple[str, ...]
    segment_ids: tuple[str, ...]
    labels: tuple[Label, ...]
    fold: NDArray[np.int64]
    logits: dict[str, NDArray[np.float64]]
    calibrations: tuple[Calibration, ...]
    left_out: Mapping[str, str]
    groups: tuple[str, ...]

    def verdicts(self, *, calibrated: bool = True) -> list[Verdict]:
        """What each fold's model says of its calls, calibrated on its own validation calls or not at all."""
        found: list[Verdict] = []
        for at, calibration in enumerate(self.calibrations):
            mine = self.fold == at
            logits = {task: values[mine] for task, values in self.logits.items()}
            if mine.any():
                found += decide(logits, self.scheme, calibration if calibrated else Calibration())
        return found

    def figures(self) -> dict[str, Any]:
        """`figures_of` all items, as `callsift train` gives them."""
        return figures_of(self.scheme, self.labels, self.verdicts(), groups=drawn_by(self.groups, self.call_ids))

    def reliability(self) -> dict[str, Any]:
        """`reliability_of` all items, `before` and `after` calibration, for `reliability_line`."""
        groups = drawn_by(self.groups, self.call_ids)
        return {
            name: reliability_of(self.scheme, self.labels, self.verdicts(calibrated=wanted), groups=groups)
            for name, wanted in (("before", False), ("after", True))
        }

    def probabilities(self) -> NDArray[np.float64]:
        """(items, G): coherent probabilities of every grade.

        Raises:
            UsageError: the model gives numbers.
        """
        if self.scheme.kind == "number":
            raise UsageError(f"label scheme '{self.scheme.id}' is a number; this needs grades")
        task = self.scheme.finest_task
        by_class = {members[0]: name for name, members in self.scheme.tasks[task].items()}
        names = [by_class[grade] for grade in self.scheme.grades]
        return np.array([[verdict.probabilities[task][name] for name in names] for verdict in self.verdicts()])


def cross_validate(
    data: Path,
    folder: Path,
    config: TrainConfig,
    *,
    folds: int = 5,
    seed: int = 1,
    asr: str | None = None,
    diarizer: str | None = None,
    progress: Progress = lambda calls, total, what: calls,
    on_epoch: Callable[[Mapping[str, float]], None] = lambda _: None,
    on_fold: Callable[[int, int], None] = lambda at, of: None,
    material: Material | None = None,
) -> OutOfFold:
    """Train once per fold of the labelled calls (grouped, stratified; their `split` is not looked at).

    `seed`: of the folds; each training has the config's own. `on_fold`: told which fold begins, from 1, of how many.

    Raises:
        DataError: too few groups, or the folder was begun with other data or settings.
        UsageError: another process is at work in the folder.
    """
    if folds < 2:
        raise UsageError(f"--folds {folds}: at least 2 are needed, so that each has another to learn from")
    manifest_file = data / "manifest.jsonl" if data.is_dir() else data
    scheme = load_scheme(config.labels)
    manifest = read_manifest(manifest_file)
    manifest.check_labels(scheme)
    check_prepared(manifest_file.parent, config.front_end.sha256)
    config = config.model_copy(update={"labels": scheme.model_dump(mode="json")})
    settings = {
        "data_sha256": sha256_of_file(manifest_file), "folds": folds, "seed": seed, "asr": asr, "diarizer": diarizer,
        "config": config.model_dump(mode="json"),
    }  # fmt: skip
    material = material or Material()
    with exclusive_lock(folder / ".lock"):
        _same_settings(folder / "settings.json", settings)
        runs = []
        for at, calls in enumerate(_fold_calls(manifest, config, folds, seed), start=1):
            on_fold(at, folds)
            place = folder / f"fold-{at}"
            if not (place / "run/result.json").is_file():
                write_manifest(place / "manifest.jsonl", calls)
                train(
                    place / "manifest.jsonl", place / "run", config, asr=asr, diarizer=diarizer, resume=True,
                    progress=progress, on_epoch=on_epoch, material=material,
                )  # fmt: skip
            runs.append(read_run(place / "run"))
    return _gathered(scheme, runs)


def _same_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Keep the settings of all folds, or refuse to mix them with those of earlier ones."""
    if path.exists():
        before = read_json(path)
        changed = [key for key in settings if before.get(key) != settings[key]]
        if changed:
            raise DataError(
                f"folds were begun with other {', '.join(changed).replace('data_sha256', 'data')}; "
                "go on with the same, or name another folder", path
            )  # fmt: skip
        return
    write_json(path, settings)


def _fold_calls(manifest: Manifest, config: TrainConfig, folds: int, seed: int) -> list[list[Call]]:
    """Per fold, all labelled calls: its own as `test`, the others as `train`."""
    calls = [c for c in manifest.calls if any(label is not None for label in labels_of(c, config.target))]
    found = []
    for held_out in deal_folds(calls, folds, seed):
        mine = set(held_out)
        found.append([replace(call, split="test" if at in mine else "train") for at, call in enumerate(calls)])
    return found


def _gathered(scheme: LabelScheme, runs: Sequence[FinishedRun]) -> OutOfFold:
    parts: list[Predictions] = []
    left_out: dict[str, str] = {}
    for run in runs:
        parts.append(_labelled(run.predictions("test")))
        left_out |= read_json(run.folder / "result.json")["left_out"]
    return OutOfFold(
        scheme=scheme,
        call_ids=tuple(call for part in parts for call in part.call_ids),
        segment_ids=tuple(segment for part in parts for segment in part.segment_ids),
        labels=tuple(label for part in parts for label in part.labels if label is not None),
        fold=np.concatenate([np.full(len(part.call_ids), at, dtype=np.int64) for at, part in enumerate(parts)]),
        logits={task: np.concatenate([part.logits[task] for part in parts]) for task in parts[0].logits},
        calibrations=tuple(run.calibration for run in runs),
        left_out=left_out,
        groups=tuple(group for part in parts for group in part.groups),
    )


def _labelled(found: Predictions) -> Predictions:
    """Only what has a label; segments of a call may have none."""
    rows = [at for at, label in enumerate(found.labels) if label is not None]
    return Predictions(
        tuple(found.call_ids[at] for at in rows),
        tuple(found.segment_ids[at] for at in rows),
        tuple(found.labels[at] for at in rows),
        {task: values[rows] for task, values in found.logits.items()},
        tuple(found.groups[at] for at in rows),
    )
