"""The training loop: AdamW, averaged gradient accumulation, warm-up and cosine, early stop, resume.

The loss is the paper's plain sum over tasks (eq. 6), averaged over the calls of all batches between two
steps, so that four batches of four calls step exactly like one batch of sixteen.
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
from callsift.errors import DataError
from callsift.evaluation.calibration import negative_log_likelihood
from callsift.evaluation.metrics import METRICS
from callsift.files import write_jsonl
from callsift.network.heads import multi_task_loss
from callsift.network.model import CallNetwork
from callsift.training.batches import Example, collate, collate_labels, epoch_batches
from callsift.training.checkpoint import load_state, load_weights, save_state, save_weights

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
    config: FitConfig,
    folder: Path,
    *,
    resume: bool = False,
    on_epoch: Callable[[Mapping[str, float]], None] = lambda _: None,
) -> Fitted:
    """Train until `patience` epochs bring nothing better on validation; leave the best weights in the network.

    Writes `log.jsonl` and `checkpoints/` into `folder` after every epoch; `resume` goes on from there and
    ends in the very weights that an uninterrupted training would have (same machine, same threads).

    Raises:
        DataError: nothing to train or validate on, or a loss that is not finite.
    """
    if not train or not validation:
        raise DataError(f"{len(train)} calls to train on and {len(validation)} to validate on: both need some")
    torch.set_num_threads(config.threads)
    optimizer = torch.optim.AdamW(
        _parameter_groups(network, config.weight_decay), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    best_file, last_file = (
        folder / "checkpoints/best/network.safetensors",
        folder / "checkpoints/last/state.safetensors",
    )
    torch.manual_seed(config.seed)
    history: list[dict[str, float]] = []
    if resume and last_file.is_file():
        history = load_state(last_file, network, optimizer)["history"]
    while not _finished(history, config):
        row = _one_epoch(network, optimizer, train, config, epoch=len(history))
        row |= validate(network, validation, config)
        history.append(row)
        if _best(history) == len(history):
            save_weights(best_file, network, {"epoch": len(history), **row})
        save_state(last_file, network, optimizer, {"history": history})
        write_jsonl(folder / "log.jsonl", history)
        on_epoch(row)
    load_weights(best_file, network)
    return Fitted(_best(history), len(history), tuple(history))


def predict(network: CallNetwork, examples: Sequence[Example], batch_calls: int = 16) -> Logits:
    """Logits (calls, K) of every task, in the order of the examples."""
    network.eval()
    order = sorted(range(len(examples)), key=lambda at: examples[at].size)
    found: dict[str, list[NDArray[np.float32]]] = {}
    with torch.inference_mode():
        for first in range(0, len(order), batch_calls):
            part = [examples[at] for at in order[first : first + batch_calls]]
            for task, logits in network(collate(part, network.streams)).items():
                found.setdefault(task, []).append(logits.numpy())
    back = np.argsort(order)
    return {task: np.concatenate(parts)[back] for task, parts in found.items()}


def validate(network: CallNetwork, examples: Sequence[Example], config: FitConfig) -> dict[str, float]:
    """Validation loss (sum of the tasks' negative log-likelihoods) and the monitored figure, higher is better."""
    logits = predict(network, examples, config.batch_calls)
    allowed = {task: np.stack([example.allowed[task] for example in examples]) for task in logits}
    loss = sum(negative_log_likelihood(logits[task], allowed[task]) for task in logits)
    if config.monitor == "loss":
        return {"val_loss": loss, "monitor": -loss}
    task = config.monitor_task or max(logits, key=lambda name: logits[name].shape[1])
    settled = allowed[task].sum(axis=1) == 1
    if not settled.any():
        raise DataError(f"no validation label settles task '{task}'; set fit.monitor=loss, or fit.monitor_task")
    figure = METRICS[config.monitor](allowed[task][settled].argmax(axis=1), logits[task][settled].argmax(axis=1))
    return {"val_loss": loss, "monitor": figure}


def _one_epoch(
    network: CallNetwork,
    optimizer: torch.optim.Optimizer,
    train: Sequence[Example],
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
        rate = config.learning_rate * _schedule(
            epoch * len(groups) + number, config.epochs * len(groups), config.warmup
        )
        for settings in optimizer.param_groups:
            settings["lr"] = rate
        calls = sum(len(batch) for batch in group)
        optimizer.zero_grad(set_to_none=True)
        for batch in group:
            examples = [train[at] for at in batch]
            logits = network(collate(examples, network.streams))
            loss = multi_task_loss(logits, collate_labels(examples), reduction="none").sum() / calls
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item() * calls
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
        optimizer.step()
    loss_per_call = total / len(train)
    if not math.isfinite(loss_per_call):
        raise DataError(f"the training loss became {loss_per_call} in epoch {epoch + 1}; lower fit.learning_rate")
    return {"epoch": float(epoch + 1), "train_loss": loss_per_call, "seconds": time.monotonic() - started}


def _parameter_groups(network: CallNetwork, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices only: decayed biases and norms learn nothing from it."""
    matrices = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


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
