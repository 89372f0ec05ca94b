"""Task heads and their joint loss (the paper's eq. 6) for labels that may be sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn


class TaskHeads(nn.Module):
    """One linear head with weights of its own per task.

    Args:
        width: D of the call vector.
        classes: task → its number of classes K.
        dropout: on the call vector, drawn for each task.
    """

    def __init__(self, width: int, classes: Mapping[str, int], dropout: float) -> None:
        super().__init__()
        if not classes:
            raise ValueError("No task was given; name at least one with its number of classes.")
        self.tasks = tuple(classes)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({task: nn.Linear(width, count) for task, count in classes.items()})

    def forward(self, vectors: Tensor) -> dict[str, Tensor]:
        """vectors (B, D) → task → logits (B, K)."""
        return {task: self.heads[task](self.dropout(vectors)) for task in self.tasks}


def multi_task_loss(
    logits: Mapping[str, Tensor],
    allowed: Mapping[str, Tensor],
    reduction: Literal["mean", "none"] = "mean",
) -> Tensor:
    """Plain sum over the tasks (eq. 6) of −log Σ_{allowed k} softmax(logits)_k.

    One allowed class makes it the cross-entropy; several say "one of these"; none says "unlabelled", which
    costs nothing. With "mean" each task is averaged over its labelled calls (0 where there are none).

    Args:
        logits: task → (B, K).
        allowed: task → (B, K) bool, for the same tasks.
        reduction: "mean" → scalar, "none" → (B,), the sum over tasks of each call.
    """
    if set(logits) != set(allowed):
        raise ValueError(f"Logits are for the tasks {sorted(logits)}, labels for {sorted(allowed)}.")
    total: Tensor | int = 0
    for task, scores in logits.items():
        labelled = allowed[task].any(dim=1)  # (B,)
        choice = allowed[task] | ~labelled[:, None]  # (B, K)
        chosen = scores.masked_fill(~choice, float("-inf")).logsumexp(dim=1)
        losses = (scores.logsumexp(dim=1) - chosen) * labelled  # (B,)
        total = total + (losses if reduction == "none" else losses.sum() / labelled.sum().clamp(min=1))
    return torch.as_tensor(total)
