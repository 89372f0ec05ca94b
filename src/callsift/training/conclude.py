"""The end of a training: calibration on validation, predictions, and figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from callsift.config import TrainConfig
from callsift.data.splits import label_key
from callsift.decision import Calibration, Verdict, decide
from callsift.evaluation.calibration import fit_temperatures
from callsift.evaluation.tasks import figures_of
from callsift.files import write_json, write_text
from callsift.labels import NUMBER_TASK, LabelScheme
from callsift.network.model import CallNetwork
from callsift.training.batches import Example, stacked
from callsift.training.examples import Prepared, class_balance
from callsift.training.fit import Fitted, Logits, predict


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

    `parameters`: of the whole network, frozen encoders included.
    """
    batch_calls = config.fit.batch_calls
    logits = {name: predict(network, ready.parts[name], batch_calls) for name in ("val", "test") if ready.parts[name]}
    calibration = Calibration(
        temperature={} if scheme.kind == "number" else fit_temperatures(logits["val"], stacked(ready.parts["val"])),
        train_balance=class_balance(scheme, ready.parts["train"]),
    )
    figures = {}
    for name, found in logits.items():
        examples = ready.parts[name]
        figures[name] = _figures(scheme, examples, decide(found, scheme, calibration), calibration)
        _write_predictions(folder / f"predictions/{name}.csv", scheme, examples, found, config.fit.seed)
    learnt = sum(p.numel() for p in network.parameters() if p.requires_grad)
    result = {
        "best_epoch": fitted.best_epoch,
        "epochs": fitted.epochs,
        "parameters": parameters,
        "parameters_learnt": learnt,
        "temperature": dict(calibration.temperature),
        "train_balance": calibration.train_balance,
        "asr": ready.asr,
        "left_out": dict(ready.left_out),
        "figures": figures,
    }
    write_json(folder / "result.json", result)
    return result


def _figures(
    scheme: LabelScheme, examples: Sequence[Example], verdicts: Sequence[Verdict], calibration: Calibration
) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures of all labelled items; the intervals draw whole calls."""
    items = [(label, example.inputs.call_id) for example in examples for label in example.labels]
    graded = [(label, call, v) for (label, call), v in zip(items, verdicts, strict=True) if label is not None]
    labels, calls, said = zip(*graded, strict=True)
    return figures_of(scheme, labels, said, groups=calls, train_balance=calibration.train_balance)


def _write_predictions(path: Path, scheme: LabelScheme, examples: Sequence[Example], logits: Logits, seed: int) -> None:
    """One row per item: the call, or each of its segments."""
    columns = [f"logit_{task}_{name}" for task, classes in scheme.tasks.items() for name in classes] or [NUMBER_TASK]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["call_id", "segment_id", "fold", "seed", "label", *columns])
    row = 0
    for example in examples:
        for item, label in zip(example.items, example.labels, strict=True):
            values = [f"{value:.6f}" for task in scheme.class_counts for value in logits[task][row]]
            known = "" if label is None else label_key(label)
            writer.writerow([example.inputs.call_id, item, "", seed, known, *values])
            row += 1
    write_text(path, text.getvalue())
