"""Task heads and their joint loss (the paper's eq. 6) for labels that may be sets or numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from callsift.network.losses import (
    TaskWeights,
    absolute_error,
    focal_cross_entropy,
    ordinal_cross_entropy,
    set_cross_entropy,
)

LossKind = Literal["cross_entropy", "ordinal", "focal", "l1"]
_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": set_cross_entropy,
    "ordinal": ordinal_cross_entropy,
    "focal": focal_cross_entropy,
    "l1": absolute_error,
}


class TaskHeads(nn.Module):
    """One linear head with weights of its own per task.

    Args:
        width: D of the call vector, or of the segment outputs.
        classes: task → its number of classes K; 1 for a number.
        dropout: on the vector, drawn for each task.
        number_range: the lowest and the highest label where tasks are numbers. A result is then in the unit of
            the labels: the middle of the range + half of its length × the head's output.
    """

    def __init__(
        self,
        width: int,
        classes: Mapping[str, int],
        dropout: float,
        number_range: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        if not classes:
            raise ValueError("No task was given; name at least one with its number of classes.")
        self.tasks = tuple(classes)
        self.centre, self.half_range = 0.0, 1.0
        if number_range is not None:
            low, high = number_range
            if not low < high:
                raise ValueError(f"number_range is ({low:g}, {high:g}); give the lower bound first.")
            if any(count != 1 for count in classes.values()):
                raise ValueError(f"A number has one output, but the tasks have {dict(classes)}.")
            self.centre, self.half_range = (low + high) / 2, (high - low) / 2
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({task: nn.Linear(width, count) for task, count in classes.items()})

    def forward(self, vectors: Tensor) -> dict[str, Tensor]:
        """vectors (..., D) → task → logits (..., K), or the number (..., 1)."""
        outputs = {task: self.heads[task](self.dropout(vectors)) for task in self.tasks}
        if (self.centre, self.half_range) == (0.0, 1.0):
            return outputs
        return {task: self.centre + self.half_range * output for task, output in outputs.items()}


def multi_task_loss(
    logits: Mapping[str, Tensor],
    allowed: Mapping[str, Tensor],
    reduction: Literal["mean", "none"] = "mean",
    *,
    kind: LossKind = "cross_entropy",
    gamma: float = 2.0,
    weights: TaskWeights | None = None,
) -> Tensor:
    """Sum over the tasks of the loss of each (plain: eq. 6), of M calls or segments.

    One allowed class makes "cross_entropy" the cross-entropy; several say "one of these"; none says
    "unlabelled", which costs nothing. With "mean" each task is averaged over its labelled items (0 where
    there are none).

    Args:
        logits: task → (M, K), or (M, 1) for numbers.
        allowed: task → (M, K) bool for the same tasks; for "l1" (M,) numbers, NaN where unlabelled.
        reduction: "mean" → scalar, "none" → (M,), the sum over tasks of each item.
        kind: "cross_entropy"; "ordinal" for classes in order; "focal" for such as are often easy; "l1" for numbers,
            in the unit of the labels.
        gamma: how much less "focal" minds what is easy.
        weights: learned weights of the tasks; without them each counts 1.
    """
    if set(logits) != set(allowed):
        raise ValueError(f"Logits are for the tasks {sorted(logits)}, labels for {sorted(allowed)}.")
    if kind not in _LOSSES:
        raise ValueError(f"Loss '{kind}' is unknown; choose one of {', '.join(_LOSSES)}.")
    loss = partial(focal_cross_entropy, gamma=gamma) if kind == "focal" else _LOSSES[kind]
    total: Tensor | int = 0
    for task, scores in logits.items():
        labels = allowed[task]
        labelled = ~labels.isnan() if kind == "l1" else labels.any(dim=1)  # (M,)
        losses = loss(scores, labels)  # (M,)
        if weights is not None:
            losses = weights(task, losses) * labelled
        total = total + (losses if reduction == "none" else losses.sum() / labelled.sum().clamp(min=1))
    return torch.as_tensor(total)
