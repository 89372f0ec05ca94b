"""Losses of M items, each labelled by a set of classes, by a number, or not at all.

An item without a label costs 0 and sends no gradient. A set says "one of these".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def set_cross_entropy(scores: Tensor, allowed: Tensor) -> Tensor:
    """−log Σ_{allowed k} softmax(scores)_k: the cross-entropy where one class is allowed, 0 where none is.

    scores (..., K), allowed (..., K) bool → (...).
    """
    labelled = allowed.any(dim=-1)  # (...)
    choice = allowed | ~labelled[..., None]  # (..., K)
    chosen = scores.masked_fill(~choice, float("-inf")).logsumexp(dim=-1)
    return (scores.logsumexp(dim=-1) - chosen) * labelled


def ordinal_cross_entropy(scores: Tensor, allowed: Tensor) -> Tensor:
    """Cross-entropy of classes in order: Σ over the K − 1 cuts of −log P(the label's side of the cut).

    Cut k parts the classes up to k from those after it; a side's probability is the sum of the softmax over
    its classes. So an error costs more the further off it is. A cut between two allowed classes is open and
    skipped. With K = 2 this is the cross-entropy. (The ranked probability score, with the logarithm in place
    of the square: Epstein 1969; Tödter and Ahrens 2012, "ignorance" form.)

    scores (M, K), allowed (M, K) bool → (M,); 0 where no class is allowed.
    """
    classes = torch.arange(scores.shape[1], device=scores.device)
    lower = classes <= classes[:-1, None]  # (K − 1, K), the classes on the lower side of each cut
    below = (allowed[:, None] & lower).any(dim=2, keepdim=True)  # (M, K − 1, 1), the label may lie there
    above = (allowed[:, None] & ~lower).any(dim=2, keepdim=True)
    side = (below & lower) | (above & ~lower)  # (M, K − 1, K); all True at an open cut, which costs 0
    return set_cross_entropy(scores[:, None].expand(side.shape), side).sum(dim=1)


def focal_cross_entropy(scores: Tensor, allowed: Tensor, gamma: float = 2.0) -> Tensor:
    """(1 − p)^γ · (−log p) with p = Σ_{allowed k} softmax(scores)_k: what is easy already counts less.

    With γ = 0 this is the cross-entropy. (Lin et al. 2017, "Focal Loss for Dense Object Detection", eq. 4, for one
    allowed class.)

    scores (..., K), allowed (..., K) bool → (...); 0 where no class is allowed.
    """
    losses = set_cross_entropy(scores, allowed)
    hard = losses > 0  # at p = 1 the loss is 0, and the slope of a root would be infinite
    missed = -torch.expm1(-torch.where(hard, losses, 1.0))  # 1 − p, exact for small losses
    return torch.where(hard, missed**gamma * losses, 0.0)


def absolute_error(values: Tensor, target: Tensor) -> Tensor:
    """|value − target|, 0 where the target is NaN (unlabelled).

    values (M, 1), target (M,) → (M,).
    """
    value = values[:, 0]
    return (value - torch.where(target.isnan(), value.detach(), target)).abs()


class TaskWeights(nn.Module):
    """Learned weights of the tasks by their uncertainty: exp(−s)·L + s, with s = 0 at the start.

    After Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses" (2018): at the
    optimum s = log L, so that every task pulls alike, however large its loss.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.log_scale = nn.Parameter(torch.zeros(len(self.tasks)))

    def forward(self, task: str, loss: Tensor) -> Tensor:
        """The loss of one task, of any shape → its weighted form, of the same shape."""
        if task not in self.tasks:
            raise ValueError(f"Task '{task}' has no weight; there are weights for {', '.join(self.tasks)}.")
        scale = self.log_scale[self.tasks.index(task)]
        return torch.exp(-scale) * loss + scale
