"""The training loop: AdamW, averaged gradient accumulation, warm-up and cosine, early stop, resume.

The loss (`callsift.training.objective`) is averaged over the labelled items of all batches between two steps, so
that four batches of four calls step exactly like one batch of sixteen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from callsift.config import FitConfig
from callsift.errors import ConfigError, DataError
from callsift.evaluation.metrics import METRICS
from callsift.files import write_jsonl
from callsift.network.model import CallNetwork
from callsift.training.batches import Example, collate, collate_targets, epoch_batches, stacked
from callsift.training.checkpoint import load_state, load_weights, save_state, save_weights
from callsift.training.objective import Objective

Logits = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a training went. The network holds the weights of the best epoch (1-based)."""

    best_epoch: int
    epochs: int
    history: tuple[Mapping[str, float], ...]


def fit(
    network: CallNetwork,
    train: Sequence[Example],
    validation: Sequence[Example],
    objective: Objective,
    config: FitConfig,
    folder: Path,
    *,
    resume: bool = False,
    on_epoch: Callable[[Mapping[str, float]], None] = lambda _: None,
) -> Fitted:
    """Train until `patience` epochs bring nothing better on validation; leave the best weights in the network.

    Writes `log.jsonl` and `checkpoints/` into `folder` after every epoch; `resume` goes on from there and
    ends in the very weights that an uninterrupted training would have (same machine, same threads, on a CPU).

    Raises:
        DataError: nothing to train or validate on, or a loss that is not finite.
        ConfigError: a device that is not there.
    """
    if not any(example.labelled for example in train) or not any(example.labelled for example in validation):
        raise DataError(f"{len(train)} calls to train on and {len(validation)} to validate on: both need labels")
    network.to(device_of(config))
    optimizer = make_optimizer(network, config)
    best_file, last_file = (
        folder / "checkpoints/best/network.safetensors",
        folder / "checkpoints/last/state.safetensors",
    )
    torch.manual_seed(config.seed)
    history: list[dict[str, float]] = []
    if resume and last_file.is_file():
        history = load_state(last_file, network, optimizer)["history"]
    while not _finished(history, config):
        row = _one_epoch(network, optimizer, train, objective, config, epoch=len(history))
        row |= validate(network, validation, objective, config)
        history.append(row)
        if _best(history) == len(history):
            save_weights(best_file, network, {"epoch": len(history), **row})
        save_state(last_file, network, optimizer, {"history": history})
        write_jsonl(folder / "log.jsonl", history)
        on_epoch(row)
    load_weights(best_file, network)
    return Fitted(_best(history), len(history), tuple(history))


def device_of(config: FitConfig) -> torch.device:
    """Where to train.

    Raises:
        ConfigError: a GPU is asked for, and torch sees none.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("fit.device is 'cuda', and torch sees no GPU; set fit.device=cpu, or auto")
    return torch.device("cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu")


def predict(network: CallNetwork, examples: Sequence[Example], batch_calls: int = 16) -> Logits:
    """Logits (items, K) of every task, the items in the order of the examples."""
    network.eval()
    device = next(network.parameters()).device
    order = sorted(range(len(examples)), key=lambda at: examples[at].size)
    found: list[Logits] = [{} for _ in examples]
    with torch.inference_mode():
        for first in range(0, len(order), batch_calls):
            part = order[first : first + batch_calls]
            batch = collate([examples[at] for at in part], network.streams).to(device)
            ends = np.cumsum([len(examples[at].items) for at in part])[:-1]
            for task, logits in network(batch).items():
                for at, rows in zip(part, np.split(logits.float().cpu().numpy(), ends), strict=True):
                    found[at][task] = rows
    return {task: np.concatenate([rows[task] for rows in found]) for task in found[0]}


def validate(
    network: CallNetwork, examples: Sequence[Example], objective: Objective, config: FitConfig
) -> dict[str, float]:
    """Validation loss and the monitored figure, higher is better."""
    logits = predict(network, examples, config.batch_calls)
    targets = stacked(examples)
    loss = objective.validation(logits, targets, sum(example.labelled for example in examples))
    if config.monitor == "loss":
        return {"val_loss": loss, "monitor": -loss}
    task = config.monitor_task or max(logits, key=lambda name: logits[name].shape[1])
    settled = targets[task].sum(axis=1) == 1
    if not settled.any():
        raise DataError(f"no validation label settles task '{task}'; set fit.monitor=loss, or fit.monitor_task")
    figure = METRICS[config.monitor](targets[task][settled].argmax(axis=1), logits[task][settled].argmax(axis=1))
    return {"val_loss": loss, "monitor": figure}


def _one_epoch(
    network: CallNetwork,
    optimizer: torch.optim.Optimizer,
    train: Sequence[Example],
    objective: Objective,
    config: FitConfig,
    *,
    epoch: int,
) -> dict[str, float]:
    network.train()
    started = time.monotonic()
    batches = epoch_batches(train, config.batch_calls, config.seed, epoch)
    groups = [batches[at : at + config.accumulate] for at in range(0, len(batches), config.accumulate)]
    total = 0.0
    for number, group in enumerate(groups):
        factor = _schedule(epoch * len(groups) + number, config.epochs * len(groups), config.warmup)
        for settings in optimizer.param_groups:
            settings["lr"] = settings["base_lr"] * factor
        total += train_step(network, optimizer, [[train[at] for at in batch] for batch in group], objective, config)
    loss = total / max(1, sum(example.labelled for example in train))
    if not math.isfinite(loss):
        raise DataError(f"the training loss became {loss} in epoch {epoch + 1}; lower fit.learning_rate")
    return {"epoch": float(epoch + 1), "train_loss": loss, "seconds": time.monotonic() - started}


def train_step(
    network: CallNetwork,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Sequence[Example]],
    objective: Objective,
    config: FitConfig,
) -> float:
    """One step of the optimiser over several batches; returns the sum of the losses of their labelled items."""
    device = next(network.parameters()).device
    items = sum(example.labelled for batch in batches for example in batch)
    total = 0.0
    optimizer.zero_grad(set_to_none=True)
    for examples in batches:
        targets = {task: target.to(device) for task, target in collate_targets(examples).items()}
        batch = collate(examples, network.streams).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            output = network.outputs(batch)
        loss = objective.training(output, targets, network.task_weights) / max(items, 1)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item() * items
    torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
    optimizer.step()
    return total


def make_optimizer(network: CallNetwork, config: FitConfig) -> torch.optim.AdamW:
    """AdamW over all that learns."""
    return torch.optim.AdamW(_parameter_groups(network, config), lr=config.learning_rate)


def _parameter_groups(network: CallNetwork, config: FitConfig) -> list[dict[str, Any]]:
    """Pretrained weights learn at a rate of their own (adapters are new); biases and norms are not decayed."""
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            pretrained = ".backbone." in name and "lora_" not in name
            groups.setdefault((pretrained, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "base_lr": config.encoder_learning_rate if pretrained else config.learning_rate,
            "weight_decay": config.weight_decay if matrices else 0.0,
        }
        for (pretrained, matrices), parameters in groups.items()
    ]


def _schedule(step: int, steps: int, warmup: float) -> float:
    """Factor on the learning rate: up in a line over the warm-up, down to zero as a cosine."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1.0 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def _best(history: Sequence[Mapping[str, float]]) -> int:
    """The epoch (1-based) with the best monitored figure; the earliest on a tie."""
    figures = [row["monitor"] for row in history]
    return figures.index(max(figures)) + 1


def _finished(history: Sequence[Mapping[str, float]], config: FitConfig) -> bool:
    if not history:
        return False
    return len(history) >= config.epochs or len(history) - _best(history) >= config.patience
