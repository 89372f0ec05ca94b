"""One trial of a search: the trainings of one point, in this process or in one of its own.

What runs here knows nothing of the study: it reports every epoch's figure, and is told whether to go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Literal

from callsift.config import LOWER_IS_BETTER, TrainConfig
from callsift.errors import CallsiftError, ConfigError, DataError, RecordingError
from callsift.files import read_jsonl
from callsift.training.examples import Progress
from callsift.training.material import Material
from callsift.training.run import train

OUT_OF_MEMORY: Final = "out of memory"
REFUSED: Final = "refused"

Report = Callable[[int, float], bool]
"""(epoch, figure) → whether the trial is worth going on with."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to train: one point, on one or more seeds."""

    number: int
    folder: Path
    manifest: Path
    config: TrainConfig
    seeds: int = 1
    asr: str | None = None
    diarizer: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended. `value`: the monitored figure at the epoch that is kept, the mean over the seeds."""

    state: Literal["complete", "pruned", "failed"]
    value: float | None = None
    reason: str = ""


class _NotWorthItError(Exception):
    """The figure so far is not worth going on with."""


def run_task(task: Task, report: Report, material: Material, progress: Progress) -> Outcome:
    """Train a point, going on with what an interrupted process left. The first seed alone decides about pruning.

    Raises:
        UsageError: another process is training the same trial.
        NoRoomError, DataError: a disk is full or can't be read: nothing is wrong with the point.
    """
    values = []
    try:
        for seed in range(task.seeds):
            listen = report if seed == 0 else lambda epoch, figure: True
            values.append(_train(task, seed, listen, material, progress))
    except _NotWorthItError as error:
        return Outcome("pruned", reason=str(error))
    except ConfigError as error:
        return Outcome("pruned", reason=f"{REFUSED}: {error}")
    except (DataError, RecordingError) as error:
        if _of_the_machine(error):
            raise
        return Outcome("failed", reason=str(error))
    except RuntimeError as error:
        if "out of memory" not in str(error).lower():
            raise
        return Outcome("failed", reason=f"{OUT_OF_MEMORY}: {str(error).splitlines()[0]}")
    return Outcome("complete", fmean(values))


def _of_the_machine(error: CallsiftError) -> bool:
    """Whether a file could not be read or written; safetensors words the system's error in its own."""
    return isinstance(error.__cause__, OSError) or "os error" in str(error.__cause__)


def run_folder(folder: Path, seed: int, seeds: int) -> Path:
    """Where the run of the `seed`-th seed (from 0) of a trial lies."""
    return folder if seeds == 1 else folder / f"seed-{seed + 1}"


def seed_config(config: TrainConfig, seed: int) -> TrainConfig:
    """The configuration of the `seed`-th seed (from 0)."""
    return config.model_copy(update={"fit": config.fit.model_copy(update={"seed": config.fit.seed + seed})})


def figure_of(row: Mapping[str, Any], monitor: str) -> float:
    """The monitored figure of an epoch as people read it: `monitor` of the log is turned so that higher is better."""
    return float(-row["monitor"] if monitor in LOWER_IS_BETTER else row["monitor"])


def _train(task: Task, seed: int, report: Report, material: Material, progress: Progress) -> float:
    monitor = task.config.fit.monitor
    folder = run_folder(task.folder, seed, task.seeds)

    def on_epoch(row: Mapping[str, float]) -> None:
        if not report(int(row["epoch"]), figure_of(row, monitor)):
            raise _NotWorthItError(f"behind the others after epoch {row['epoch']:.0f}")

    for row in _logged(folder):  # an interrupted process may not have reported its last epoch
        on_epoch(row)
    result = train(
        task.manifest, folder, seed_config(task.config, seed), asr=task.asr, diarizer=task.diarizer, resume=True,
        progress=progress, on_epoch=on_epoch, material=material,
    )  # fmt: skip
    figures = [figure_of(row, monitor) for row in _logged(folder)]
    if not all(math.isfinite(figure) for figure in figures):
        raise DataError(f"the validation figure '{monitor}' became {figures[-1]}")
    return figures[int(result["best_epoch"]) - 1]


def _logged(folder: Path) -> list[Mapping[str, Any]]:
    file = folder / "log.jsonl"
    return [row for _, row in read_jsonl(file)] if file.is_file() else []
