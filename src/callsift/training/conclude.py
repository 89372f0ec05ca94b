"""The end of a training: calibration on validation, predictions, and figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callsift.config import TrainConfig
from callsift.data.splits import label_key
from callsift.decision import decide, vector_rows
from callsift.evaluation.calibration import fit_calibration
from callsift.evaluation.metrics import drawn_by
from callsift.evaluation.reliability import before_and_after, cross_fitted, reliability_of
from callsift.evaluation.tasks import figures_of
from callsift.files import write_json, write_text
from callsift.labels import NUMBER_TASK, LabelScheme
from callsift.network.model import CallNetwork
from callsift.training.batches import Example
from callsift.training.examples import Prepared, class_balance
from callsift.training.fit import Fitted, Logits, predict
from callsift.types import Label


def conclude(
    folder: Path,
    network: CallNetwork,
    scheme: LabelScheme,
    ready: Prepared,
    fitted: Fitted,
    config: TrainConfig,
    *,
    parameters: int,
) -> dict[str, Any]:
    """Calibrate on validation, write predictions and figures; returns what `result.json` holds.

    `calibration.figures` has, per split, how far the probabilities can be believed `before` and `after`. On `val` the
    latter is of the very calls it was fitted on, and flatters; `after_cross_fitted` fits on one half and looks at the
    other. Whole groups are drawn and halved (calls, where there are fewer than six groups). `parameters`: of the whole
    network, frozen encoders included.
    """
    batch_calls = config.fit.batch_calls
    logits = {name: predict(network, ready.parts[name], batch_calls) for name in ("val", "test") if ready.parts[name]}
    graded = {name: _graded(ready.parts[name], ready.groups) for name in logits}
    fitted_on = {task: values[graded["val"].rows] for task, values in logits["val"].items()}
    calibration = replace(
        fit_calibration(config.fit.calibration, scheme, fitted_on, graded["val"].labels),
        train_balance=class_balance(scheme, ready.parts["train"]),
    )
    figures, reliability = {}, {}
    for name, found in logits.items():
        mine, said = graded[name], decide(found, scheme, calibration)
        figures[name] = figures_of(
            scheme, mine.labels, [said[row] for row in mine.rows], groups=mine.groups,
            train_balance=calibration.train_balance,
        )  # fmt: skip
        reliability[name] = before_and_after(
            scheme, {task: values[mine.rows] for task, values in found.items()}, mine.labels, calibration, mine.groups
        )
        _write_predictions(folder / f"predictions/{name}.csv", scheme, ready, name, found, config.fit.seed)
    crossed = cross_fitted(
        config.fit.calibration, scheme, fitted_on, graded["val"].labels, graded["val"].groups, config.fit.seed
    )
    if crossed is not None:
        reliability["val"]["after_cross_fitted"] = reliability_of(
            scheme, graded["val"].labels, crossed, groups=graded["val"].groups
        )
    learnt = sum(p.numel() for p in network.parameters() if p.requires_grad)
    result = {
        "best_epoch": fitted.best_epoch,
        "kept": config.fit.keep,
        "epochs": fitted.epochs,
        "parameters": parameters,
        "parameters_learnt": learnt,
        "temperature": dict(calibration.temperature),
        "vector": vector_rows(calibration),
        "train_balance": calibration.train_balance,
        "asr": ready.asr,
        "left_out": dict(ready.left_out),
        "figures": figures,
        "calibration": {"kind": config.fit.calibration, "figures": reliability},
    }
    write_json(folder / "result.json", result)
    return result


@dataclass(frozen=True, slots=True)
class _Graded:
    """The labelled items of a split: where they stand, their labels, and what each is drawn with."""

    rows: NDArray[np.int64]
    labels: list[Label]
    groups: list[str]


def _graded(examples: Sequence[Example], groups: Mapping[str, str]) -> _Graded:
    items = [(label, example.inputs.call_id) for example in examples for label in example.labels]
    found = [(row, label, call) for row, (label, call) in enumerate(items) if label is not None]
    calls = [call for *_, call in found]
    owners = drawn_by([groups[call] for call in calls], calls)
    return _Graded(np.array([row for row, *_ in found], dtype=np.int64), [label for _, label, _ in found], owners)


def _write_predictions(path: Path, scheme: LabelScheme, ready: Prepared, split: str, logits: Logits, seed: int) -> None:
    """One row per item: the call, or each of its segments."""
    columns = [f"logit_{task}_{name}" for task, classes in scheme.tasks.items() for name in classes] or [NUMBER_TASK]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["call_id", "segment_id", "fold", "seed", "label", *columns, "group"])
    row = 0
    for example in ready.parts[split]:
        group = ready.groups[example.inputs.call_id]
        for item, label in zip(example.items, example.labels, strict=True):
            values = [f"{value:.6f}" for task in scheme.class_counts for value in logits[task][row]]
            known = "" if label is None else label_key(label)
            writer.writerow([example.inputs.call_id, item, "", seed, known, *values, group])
            row += 1
    write_text(path, text.getvalue())
