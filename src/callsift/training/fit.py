"""The training loop: AdamW, averaged gradient accumulation, warm-up and cosine, early stop, resume.

The loss (`callsift.training.objective`) is averaged over the labelled items of all batches between two steps, so
that four batches of four calls step exactly like one batch of sixteen. Lightning Fabric brings device, precision and
the words between processes (`callsift.training.processes`); the loop is ours.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from callsift.config import FitConfig
from callsift.errors import DataError
from callsift.network.model import CallNetwork
from callsift.training.batches import Example, PlainSet, TrainingSet
from callsift.training.checkpoint import load_weights
from callsift.training.course import Course, Supply
from callsift.training.loader import worker_errors
from callsift.training.logs import Logs
from callsift.training.objective import Objective
from callsift.training.optimise import make_optimizer
from callsift.training.predict import Logits, predict, validate
from callsift.training.processes import device_of, run_ranks
from callsift.training.step import take_step

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Fitted", "Logits", "device_of", "fit", "predict", "validate"]

OnEpoch = Callable[[Mapping[str, float]], None]
OnStep = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a training went. The network holds the weights of `best_epoch` (1-based): the one that `fit.keep` names."""

    best_epoch: int
    epochs: int
    history: tuple[Mapping[str, float], ...]


def fit(
    network: CallNetwork,
    train: TrainingSet | Sequence[Example],
    validation: Sequence[Example],
    objective: Objective,
    config: FitConfig,
    folder: Path,
    *,
    resume: bool = False,
    on_epoch: OnEpoch = lambda _: None,
    on_step: OnStep = lambda done, total: None,
) -> Fitted:
    """Train until `patience` epochs bring nothing better on validation; leave the best weights in the network.

    With `keep: last`, train all epochs, and leave the last one's.

    Writes `log.jsonl`, `tensorboard/` and `checkpoints/` into `folder` after every epoch, and the state in
    `checkpoints/last` every `checkpoint_s` seconds. `resume` goes on from there and ends in the very weights that an
    uninterrupted training would have (same machine, same threads, on a CPU).

    Args:
        network: what learns.
        train, validation: what it learns from, and what decides how long.
        objective, config: the loss, and the settings.
        folder: of the run.
        resume: go on with the training in `folder`.
        on_epoch: told of every epoch; what it raises ends the training.
        on_step: told how many steps are done, and of how many at most.

    Raises:
        DataError: nothing to train or validate on, a loss that is not finite, or a state that can't be gone on from.
        ConfigError: a device that is not there, or that can't do what is asked for.
        UsageError: a data worker, or one of several processes, died.
    """
    train = PlainSet(train) if isinstance(train, Sequence) else train
    if not any(e.weights.any() for e in train.examples) or not any(e.labelled for e in validation):
        raise DataError(
            f"{len(train.examples)} calls to train on and {len(validation)} to validate on: both need labels"
        )
    device = device_of(config)
    network.to(device)
    torch.manual_seed(config.seed)
    course = Course(network, make_optimizer(network, config), Supply(train, objective, config), config, folder)
    course.begin(resume=resume)
    logs = Logs(folder)
    logs.rewrite(course.history)

    def take_part(fabric: Fabric) -> None:
        course.join(fabric)
        try:
            while fabric.broadcast(fabric.is_global_zero and not course.finished):
                row = _one_epoch(network, course.optimizer, course, objective, on_step)
                random = course.random_states()
                if fabric.is_global_zero:
                    with course.averaged():
                        row |= validate(network, validation, objective, config)
                course.end_epoch(row, random)
                if fabric.is_global_zero:
                    logs.add(course.history)
                    on_epoch(row)
        finally:
            course.leave()

    with worker_errors():
        run_ranks(config, device, take_part)
    load_weights(course.best.file, network)
    return Fitted(course.best_epoch, len(course.history), tuple(course.history))


def _one_epoch(
    network: CallNetwork,
    optimizer: torch.optim.Optimizer,
    course: Course,
    objective: Objective,
    on_step: OnStep,
) -> dict[str, float]:
    """The rest of an epoch, from where the course stands; what the log says of all of it."""
    network.train()
    fabric, config, position, epoch = course.fabric, course.config, course.position, len(course.history)
    began_s = time.monotonic() - position.seconds
    groups = course.supply.groups(epoch)
    before, total = epoch * len(groups), config.epochs * len(groups)
    batches = course.batches(epoch, groups[position.steps :])
    for number in range(position.steps, len(groups)):
        factor = _schedule(before + number, total, config.warmup)
        for settings in optimizer.param_groups:
            settings["lr"] = settings["base_lr"] * factor
        weight = course.supply.weight(groups[number])
        share = islice(batches, len(groups[number]))
        loss, norm = take_step(fabric, network, optimizer, share, weight, objective, config.clip_norm)
        course.note(loss, norm, weight)
        course.save_if_due(time.monotonic() - began_s)
        if fabric.is_global_zero:
            on_step(before + number + 1, total)
    course.settle_sums()
    return {
        "epoch": float(epoch + 1),
        "train_loss": position.loss / max(position.weight, 1e-9),
        "learning_rate": config.learning_rate * _schedule(before + len(groups) - 1, total, config.warmup),
        "gradient_norm": position.norm / len(groups),
        "seconds": time.monotonic() - began_s,
    }


def _schedule(step: int, steps: int, warmup: float) -> float:
    """Factor on the learning rate: up in a line over the warm-up, down to zero as a cosine."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1.0 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
