"""Contexts: the segment vectors of a call → segment outputs and one call vector.

A context is an `nn.Module` with `width: int` and `forward(vectors (B, S, D), mask (B, S)) -> ContextOutput`. A
call may have any number of segments. All of them give width 2H, so that what reads them need not know which
it is.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from callsift.network.attention import AttentionPool, SharedDropout, sinusoidal_positions, transformer_layers

CONTEXTS = ("bigru", "transformer", "none")
_POSITION_SCALE = 0.1


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

    The backward direction is a forward GRU over the sequence reversed within its own length, so that padding
    comes last for both directions and reaches no real position; unlike a packed sequence it also exports with
    free sizes.
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
        mean = _masked_mean(states, mask)
        return ContextOutput(segments=states, call=self.norm(final + mean + skip))


class MeanContext(nn.Module):
    """No context: each segment by itself, the call vector their mean.

    The segment outputs are the projected segment vectors; the call vector knows neither their order nor
    their number. The ablation without the Bi-GRU.
    """

    def __init__(self, width: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.width = 2 * hidden
        self.project = nn.Linear(width, 2 * hidden)
        self.dropout = SharedDropout(dropout)
        self.norm = nn.LayerNorm(2 * hidden)

    def forward(self, vectors: Tensor, mask: Tensor) -> ContextOutput:
        """vectors (B, S, D), mask (B, S) bool → `ContextOutput`."""
        states = self.dropout(self.project(vectors.masked_fill(~mask[..., None], 0.0)))  # (B, S, 2H)
        return ContextOutput(segments=states, call=self.norm(_masked_mean(states, mask)))


class TransformerContext(nn.Module):
    """Transformer layers over a call's segments, with sine and cosine positions; the call vector is pooled.

    The positions enter scaled by a learned number that starts small, so that the call vector starts as about
    the mean of what the segments say.
    """

    def __init__(self, width: int, hidden: int, layers: int = 2, heads: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        self.width = 2 * hidden
        self.project = nn.Linear(width, 2 * hidden)
        self.position_scale = nn.Parameter(torch.tensor(_POSITION_SCALE))
        self.layers = transformer_layers(layers, 2 * hidden, heads, 4 * hidden, dropout)
        self.pool = AttentionPool(2 * hidden, heads)
        self.norm = nn.LayerNorm(2 * hidden)

    def forward(self, vectors: Tensor, mask: Tensor) -> ContextOutput:
        """vectors (B, S, D), mask (B, S) bool with the real segments first → `ContextOutput`."""
        states = self.project(vectors.masked_fill(~mask[..., None], 0.0))  # (B, S, 2H)
        states = states + self.position_scale * sinusoidal_positions(states.shape[1], self.width, states.device)
        for layer in self.layers:
            states = layer(states, mask)
        return ContextOutput(segments=states, call=self.norm(self.pool(states, mask)))


def make_context(name: str, width: int, hidden: int, layers: int, heads: int, dropout: float) -> nn.Module:
    """The context of that name, one of `CONTEXTS`.

    Args:
        width: D of the segment vectors.
        hidden: H; what comes out has width 2H.
        layers: of the GRU or the Transformer, at least 1.
        heads: of the Transformer; 2H must be a multiple.
        dropout: in all of them.
    """
    if name not in CONTEXTS:
        raise ValueError(f"Context '{name}' is unknown; choose one of {', '.join(CONTEXTS)}.")
    if name == "none":
        return MeanContext(width, hidden, dropout)
    if layers < 1:
        raise ValueError(f"Context '{name}' has {layers} layers; use at least 1, or context 'none'.")
    if name == "transformer":
        return TransformerContext(width, hidden, layers, heads, dropout)
    return BiGru(width, hidden, layers, dropout)


def _masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """states (B, S, D), mask (B, S) → (B, D), the mean of the real ones; zeros where none is."""
    total = states.masked_fill(~mask[..., None], 0.0).sum(dim=1)
    return total / mask.sum(dim=1).clamp(min=1)[:, None]


def _reorder(states: Tensor, index: Tensor) -> Tensor:
    """states (B, S, D), index (B, S') of segments → (B, S', D)."""
    return states.gather(1, index[..., None].expand(-1, -1, states.shape[2]))
