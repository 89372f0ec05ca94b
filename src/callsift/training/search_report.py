"""What a search leaves behind for people: `trials.csv`, `best.yaml`, and the weights of the best trials alone."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from callsift.config import LOWER_IS_BETTER, TrainConfig
from callsift.files import write_text
from callsift.training.search_trial import run_folder

State = Literal["complete", "pruned", "failed", "running"]


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial as it stands in `trials.csv`. `value`: the monitored figure, None of a trial that did not complete."""

    number: int
    state: State
    value: float | None
    settings: Mapping[str, Any]
    seconds: float | None
    reason: str
    refused: bool = False
    """Never trained: the configuration takes no such combination."""


@dataclass(frozen=True, slots=True)
class Found:
    """How a search went. `calls`: how many calls of each split the trials saw; `has_test`: the data has others."""

    rows: tuple[TrialRow, ...]
    monitor: str
    importance: Mapping[str, float]
    calls: Mapping[str, int]
    has_test: bool

    @property
    def ranked(self) -> list[TrialRow]:
        """The complete trials, the best first; of equals the earlier."""
        sign = 1.0 if self.monitor in LOWER_IS_BETTER else -1.0
        complete = [(sign * row.value, row.number, row) for row in self.rows if row.value is not None]
        return [row for _, _, row in sorted(complete, key=lambda item: item[:2])]

    @property
    def warning(self) -> str:
        """What the best figure is not."""
        honest = (
            "the test split, which no trial has seen"
            if self.has_test
            else "calls that no trial has seen: the data has no test split, keep some calls aside for it"
        )
        count = sum(not row.refused for row in self.rows)
        return (
            f"The best of {count} trial{'s' if count > 1 else ''}, chosen on {self.calls['val']} validation calls: its "
            f"figure is optimistic by that choice. What it is worth shows on {honest}."
        )


def write_trials(path: Path, rows: Sequence[TrialRow], keys: Sequence[str]) -> None:
    """Write `trials.csv`, one row a trial."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", "state", "value", *keys, "seconds", "reason"])
    for row in rows:
        value = "" if row.value is None else f"{row.value:.6f}"
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        writer.writerow([row.number, row.state, value, *(shown(row.settings[k]) for k in keys), seconds, row.reason])
    write_text(path, text.getvalue())


def shown(value: Any) -> str:
    """A setting's value as a table shows it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def write_best(path: Path, config: TrainConfig, best: TrialRow, found: Found) -> None:
    """Write the best trial's configuration, as `callsift train --config` takes it."""
    head = f"Trial {best.number}: {found.monitor} {best.value:.4f} on validation. {found.warning}"
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_text(path, f"# {head}\n{settings}")


def drop_weights(trials: Path, found: Found, keep: int, seeds: int) -> None:
    """Remove the weights of all finished trials but the best `keep`."""
    kept = {row.number for row in found.ranked[:keep]} | {row.number for row in found.rows if row.state == "running"}
    for row in found.rows:
        if row.number not in kept:
            for seed in range(seeds):
                checkpoints = run_folder(trial_folder(trials, row.number), seed, seeds) / "checkpoints"
                shutil.rmtree(checkpoints, ignore_errors=True)


def trial_folder(trials: Path, number: int) -> Path:
    """Where a trial's run lies."""
    return trials / f"{number:04d}"
