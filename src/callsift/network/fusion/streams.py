"""From any stream to the fusion's width, with a learned stand-in where a segment lacks the stream."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from callsift.network.attention import SharedDropout
from callsift.network.fusion import StreamStates


class AbsentStream(nn.Module):
    """One learned state that stands for a stream which is not there."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(width))

    def forward(self, segments: int) -> tuple[Tensor, Tensor]:
        """→ states (N, 1, D) and their mask (N, 1), all True."""
        states = self.embedding.expand(segments, 1, -1)
        return states, torch.ones(segments, 1, dtype=torch.bool, device=states.device)


class StreamProjection(nn.Module):
    """Projection of a stream's states; an absent stream has one learned state instead."""

    def __init__(self, stream_width: int, width: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(stream_width, width)
        nn.init.zeros_(self.project.bias)
        self.dropout = SharedDropout(dropout)
        self.absent = AbsentStream(width)

    def forward(self, stream: StreamStates) -> tuple[Tensor, Tensor]:
        """(N, L, D_s), (N, L), (N,) → states (N, L, D), mask (N, L) with at least one True in each row."""
        states, mask, present = stream
        present = present & mask.any(dim=1)  # (N,)
        real = mask & present[:, None]
        states = states.masked_fill(~real[..., None], 0.0)  # whatever was there, NaN included, ends here
        states = self.dropout(self.project(states))  # (N, L, D)
        states = torch.where(present[:, None, None], states, self.absent.embedding)
        first = torch.arange(mask.shape[1], device=mask.device) == 0  # (L,)
        return states, real | (first & ~present[:, None])
