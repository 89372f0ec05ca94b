"""Run folders as a training leaves them, without one: settings, result, and predictions whose answers are told."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from callsift.config import load_train_config
from callsift.labels import load_scheme

SCHEME = load_scheme("marketcalls")


def graded_run(
    folder: Path,
    answers: Sequence[tuple[str, str, str]],
    *,
    settings: Sequence[str] = (),
    split: str = "test",
    groups: Mapping[str, str] | None = None,
    train: Sequence[str] = ("other",),
    started_from: Path | None = None,
    sha256: str | None = None,
) -> Path:
    """A run that answered (call, label, grade said), quite sure of each grade.

    `train`: ids of the calls that it learned from. `sha256`: of its manifest.
    """
    rows = []
    for call, label, said in answers:
        shares = np.where(np.array(SCHEME.grades) == said, 0.8, 0.05)
        logits = [np.log(shares @ SCHEME.membership(task).T.astype(float)) for task in SCHEME.tasks]
        rows.append([call, "", "", 1, label, *np.concatenate(logits), (groups or {}).get(call, call)])
    names = [f"logit_{task}_{name}" for task, classes in SCHEME.tasks.items() for name in classes]
    result = {"temperature": dict.fromkeys(SCHEME.tasks, 1.0), "train_balance": dict.fromkeys(SCHEME.grades, 0.2)}
    data: dict[str, Any] = {"splits": {"train": list(train), split: [call for call, *_ in answers]}}
    data |= {} if sha256 is None else {"sha256": sha256}
    _write(folder, split, names, rows, settings, result, data, started_from)
    return folder


def number_run(folder: Path, answers: Sequence[tuple[str, float, float]], *, settings: Sequence[str] = ()) -> Path:
    """A run that answered (call, label, number said) of a scheme from −3 to 3."""
    scheme = {"id": "mood", "kind": "number", "range": [-3, 3]}
    rows = [[call, "", "", 1, label, said, call] for call, label, said in answers]
    result: dict[str, Any] = {"temperature": {}, "train_balance": None}
    data = {"splits": {"train": ["other"], "test": [call for call, *_ in answers]}}
    _write(folder, "test", ["value"], rows, [f"labels={json.dumps(scheme)}", *settings], result, data, None)
    return folder


def _write(
    folder: Path,
    split: str,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    settings: Sequence[str],
    result: Mapping[str, Any],
    data: Mapping[str, Any],
    started_from: Path | None,
) -> None:
    (folder / "predictions").mkdir(parents=True)
    with (folder / f"predictions/{split}.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["call_id", "segment_id", "fold", "seed", "label", *names, "group"])
        writer.writerows(rows)
    config = load_train_config(None, settings)
    (folder / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")), "utf-8")
    (folder / "result.json").write_text(json.dumps(result), "utf-8")
    start = {} if started_from is None else {"started_from": {"run": str(started_from)}}
    (folder / "data.json").write_text(json.dumps({**data, **start}), "utf-8")
