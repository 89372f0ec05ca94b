"""The predictions of a run, read back without torch: who was asked, what the label was, and every task's logits."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from callsift.config import TrainConfig, load_train_config
from callsift.decision import Calibration, vector_from
from callsift.errors import DataError
from callsift.files import read_json, sha256_of_file
from callsift.labels import NUMBER_TASK, LabelScheme, load_scheme
from callsift.types import Label


@dataclass(frozen=True, slots=True)
class Predictions:
    """Items of a split: a call each, or a segment of it ("" for the call itself). `logits`: task → (items, K).

    `groups`: what each is evidence of together with others, the call's group, else the call.
    """

    call_ids: tuple[str, ...]
    segment_ids: tuple[str, ...]
    labels: tuple[Label | None, ...]
    logits: dict[str, NDArray[np.float64]]
    groups: tuple[str, ...]


def read_predictions(path: Path, scheme: LabelScheme) -> Predictions:
    """Read `predictions/val.csv` or `test.csv` of a run.

    Raises:
        DataError: no such file, or not one of this label scheme.
    """
    columns = {
        task: [f"logit_{task}_{name}" for name in classes] for task, classes in scheme.tasks.items()
    } or {NUMBER_TASK: [NUMBER_TASK]}  # fmt: skip
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        logits = {
            task: np.array([[float(row[name]) for name in names] for row in rows]).reshape(-1, len(names))
            for task, names in columns.items()
        }
        labels = tuple(_label(row["label"], scheme) for row in rows)
        calls, segments = (tuple(row[name] for row in rows) for name in ("call_id", "segment_id"))
        groups = tuple(row.get("group") or row["call_id"] for row in rows)  # older runs have no groups
        found = Predictions(calls, segments, labels, logits, groups)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("can't be read; is the run finished, and has it such a split?", path) from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"does not hold predictions for label scheme '{scheme.id}': {error}", path) from error
    if not all(np.isfinite(values).all() for values in logits.values()):
        raise DataError("holds logits that are no finite numbers; train anew", path)
    return found


def _label(text: str, scheme: LabelScheme) -> Label | None:
    if not text:
        return None
    if scheme.kind == "number":
        return scheme.number(float(text))
    label: Label = text if text in scheme.grades or "/" not in text else tuple(text.split("/"))
    scheme.check(label)
    return label


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What of a run needs no network: settings, scheme, calibration."""

    folder: Path
    config: TrainConfig
    scheme: LabelScheme
    calibration: Calibration

    @property
    def weights_sha256(self) -> str:
        """Hash of the weights, by which what is made of this run names the model.

        Raises:
            DataError: they are not there.
        """
        path = self.folder / "checkpoints/best/network.safetensors"
        if not path.is_file():
            raise DataError("is missing; put the run's weights back, or train anew", path)
        return sha256_of_file(path)

    def predictions(self, split: str) -> Predictions:
        """The predictions on `val` or `test`."""
        return read_predictions(self.folder / f"predictions/{split}.csv", self.scheme)


def read_run(folder: Path) -> FinishedRun:
    """Read a finished run.

    Raises:
        DataError: no run, or one that did not finish.
    """
    if not (folder / "result.json").is_file():
        state = "did not finish; go on with --resume" if (folder / "config.yaml").is_file() else "is not a run"
        raise DataError(state, folder)
    config = load_train_config(folder / "config.yaml")
    scheme = load_scheme(config.labels)
    result = read_json(folder / "result.json")
    vector = vector_from(result.get("vector"), scheme)
    return FinishedRun(
        folder, config, scheme, Calibration(result["temperature"], result["train_balance"], vector=vector)
    )
