"""What a network says about examples, and how good that is on validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from callsift.config import LOWER_IS_BETTER, FitConfig
from callsift.errors import DataError
from callsift.evaluation.metrics import CLASS_METRICS, NUMBER_METRICS
from callsift.network.model import CallNetwork
from callsift.training.batches import Example, collate, stacked
from callsift.training.objective import Objective

Logits = dict[str, NDArray[np.float32]]


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
    """Validation loss, every labelled item counting the same, and the monitored figure, higher is better.

    Raises:
        DataError: no label settles the monitored task, or a figure that is not finite.
    """
    logits = predict(network, examples, config.batch_calls)
    targets = stacked(examples)
    loss = objective.validation(logits, targets, sum(example.labelled for example in examples))
    figure = loss if config.monitor == "loss" else _figure(logits, targets, config)
    if math.isfinite(loss) and not math.isfinite(figure):
        raise DataError(f"fit.monitor {config.monitor} says nothing of these validation labels; set fit.monitor=loss")
    if not math.isfinite(loss):
        raise DataError(f"the validation loss became {loss}; lower fit.learning_rate")
    return {"val_loss": loss, "monitor": -figure if config.monitor in LOWER_IS_BETTER else figure}


def _figure(logits: Logits, targets: dict[str, NDArray[Any]], config: FitConfig) -> float:
    """The monitored figure of its task: over the numbers that are known, or the labels that leave one class."""
    task = config.monitor_task or max(logits, key=lambda name: logits[name].shape[1])
    if config.monitor in NUMBER_METRICS:
        known = ~np.isnan(targets[task][:, 0])
        return NUMBER_METRICS[config.monitor](
            targets[task][known, 0].astype(np.float64), logits[task][known, 0].astype(np.float64)
        )
    settled = targets[task].sum(axis=1) == 1
    if not settled.any():
        raise DataError(f"no validation label settles task '{task}'; set fit.monitor=loss, or fit.monitor_task")
    return CLASS_METRICS[config.monitor](targets[task][settled].argmax(axis=1), logits[task][settled].argmax(axis=1))
