"""One step of the optimiser over the batches of all processes.

The loss is Σ weight · loss / Σ weight over the rows of all batches between two steps, wherever they are computed: four
batches of four calls, or two processes with uneven halves, step exactly like one batch of sixteen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from callsift.config import FitConfig
from callsift.network.model import CallNetwork
from callsift.training.batches import Example
from callsift.training.loader import Batch, make_batch
from callsift.training.objective import Objective
from callsift.training.processes import make_fabric

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_BUCKET = 1 << 22
"""Numbers that processes exchange at once."""


def train_step(
    network: CallNetwork,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Sequence[Example]],
    objective: Objective,
    config: FitConfig,
) -> float:
    """One step of the optimiser over several batches; returns the sum of the losses of their labelled items."""
    device = next(network.parameters()).device
    total = float(sum(example.weights.sum() for batch in batches for example in batch))
    ready = (make_batch(examples, network.streams) for examples in batches)
    loss, _ = take_step(_alone(config.precision, device), network, optimizer, ready, total, objective, config.clip_norm)
    return float(loss) * total


@lru_cache(maxsize=4)
def _alone(precision: str, device: torch.device) -> Fabric:
    return make_fabric(FitConfig.model_validate({"precision": precision}), device)


def take_step(
    fabric: Fabric,
    network: CallNetwork,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch | None],
    total: float,
    objective: Objective,
    clip_norm: float,
) -> tuple[Tensor, Tensor]:
    """One step over this process's batches and those of the others.

    Args:
        fabric: device, precision and the other processes.
        network, optimizer: what learns, and how.
        batches: this process's, computed with one at a time; None, or none at all: the others have them all.
        total: sum of the weights of all rows of all processes.
        objective: the loss.
        clip_norm: the largest norm of the gradient.

    Returns: the mean loss and the norm of its gradient before clipping, scalars.
    """
    optimizer.zero_grad(set_to_none=True)
    losses = torch.zeros((), device=fabric.device)
    for batch in batches:
        if batch is None:
            continue
        given = batch.to(fabric.device)
        with fabric.autocast():
            output = network.outputs(given.calls)
        loss = objective.training(output, given.targets, network.task_weights, given.rows) / (total or 1.0)
        fabric.backward(loss)
        losses += loss.detach()
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if fabric.world_size > 1:
        losses = _sum_up(fabric, weights, losses)
    fabric.strategy.precision.unscale_gradients(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(weights, clip_norm)
    fabric.strategy.optimizer_step(optimizer)
    return losses, norm


def _sum_up(fabric: Fabric, weights: Sequence[torch.nn.Parameter], losses: Tensor) -> Tensor:
    """Sum the gradients over all processes; returns the sum of the losses.

    A weight that no process used keeps no gradient, as it would in one process: AdamW leaves it alone.
    """
    used = losses.new_tensor([losses, *(weight.grad is not None for weight in weights)])
    used = torch.as_tensor(fabric.all_reduce(used, reduce_op="sum"))
    for bucket in _buckets(weights):
        zeros = (
            weight.new_zeros(weight.numel()) if weight.grad is None else weight.grad.flatten() for weight in bucket
        )
        summed = torch.as_tensor(fabric.all_reduce(torch.cat(list(zeros)), reduce_op="sum"))
        for weight, gradient in zip(bucket, torch.split(summed, [weight.numel() for weight in bucket]), strict=True):
            weight.grad = gradient.view_as(weight)
    for weight, by in zip(weights, used[1:].tolist(), strict=True):
        if not by:
            weight.grad = None
    return used[0]


def _buckets(weights: Sequence[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    bucket: list[torch.nn.Parameter] = []
    size = 0
    for weight in weights:
        if bucket and size + weight.numel() > _BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(weight)
        size += weight.numel()
    if bucket:
        yield bucket
