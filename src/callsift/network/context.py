"""Context: the segment vectors of a call → segment outputs and one call vector.

A call may have any number of segments. The backward direction is a forward GRU over the sequence reversed
within its own length, so that padding comes last for both directions and reaches no real position; unlike a
packed sequence it also exports with free sizes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class ContextOutput(NamedTuple):
    """What the context says about B calls."""

    segments: Tensor
    """(B, S, 2H); of no meaning where a segment is padding."""
    call: Tensor
    """(B, 2H)."""


class BiGru(nn.Module):
    """Bidirectional GRU over a call's segments.

    The call vector is norm(final states of both directions + masked mean of the segment outputs + projected
    masked mean of the segment vectors). The final states tell in which order the call went; the two means give
    every segment of a long call a short way to the loss, the second one around the GRU, so that what is said
    anywhere is learned early. `width` is 2H, the size of what comes out.
    """

    def __init__(self, width: int, hidden: int, layers: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        self.width = 2 * hidden
        sizes = [width] + [2 * hidden] * (layers - 1)
        self.ahead = nn.ModuleList(nn.GRU(size, hidden, batch_first=True) for size in sizes)
        self.back = nn.ModuleList(nn.GRU(size, hidden, batch_first=True) for size in sizes)
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Linear(width, 2 * hidden, bias=False)
        self.norm = nn.LayerNorm(2 * hidden)

    def forward(self, vectors: Tensor, mask: Tensor) -> ContextOutput:
        """vectors (B, S, D), mask (B, S) bool with the real segments first → `ContextOutput`."""
        lengths = mask.sum(dim=1)  # (B,)
        steps = torch.arange(mask.shape[1], device=mask.device)  # (S,)
        flipped = torch.where(mask, lengths[:, None] - 1 - steps, steps)  # (B, S), its own inverse
        states = vectors.masked_fill(~mask[..., None], 0.0)
        skip = self.skip(states.sum(dim=1)) / lengths.clamp(min=1)[:, None]
        ahead = back = states
        for forward, backward in zip(self.ahead, self.back, strict=True):
            ahead, _ = forward(states)  # (B, S, H)
            back, _ = backward(_reorder(states, flipped))
            back = _reorder(back, flipped)
            states = self.dropout(torch.cat([ahead, back], dim=2))  # (B, S, 2H)
        last = (lengths - 1).clamp(min=0)[:, None]  # (B, 1)
        final = torch.cat([_reorder(ahead, last), back[:, :1]], dim=2)[:, 0]  # (B, 2H)
        total = states.masked_fill(~mask[..., None], 0.0).sum(dim=1)
        mean = total / lengths.clamp(min=1)[:, None]
        return ContextOutput(segments=states, call=self.norm(final + mean + skip))


def _reorder(states: Tensor, index: Tensor) -> Tensor:
    """states (B, S, D), index (B, S') of segments → (B, S', D)."""
    return states.gather(1, index[..., None].expand(-1, -1, states.shape[2]))
