"""What fusions are built from: streams at the fusion's width, a stand-in for absent ones, joined vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from callsift.network.attention import SharedDropout, transformer_layers
from callsift.network.fusion import StreamStates

Projected = dict[str, tuple[Tensor, Tensor]]
"""stream → states (N, L, D), mask (N, L) with at least one True in each row."""


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


class Projections(nn.ModuleDict):
    """A `StreamProjection` for each stream; one that is not given has its learned state in every segment."""

    def __init__(self, widths: Mapping[str, int], width: int, dropout: float) -> None:
        if not widths:
            raise ValueError("No stream was named; a fusion needs the width of at least one.")
        super().__init__({name: StreamProjection(size, width, dropout) for name, size in widths.items()})

    def forward(self, streams: Mapping[str, StreamStates]) -> Projected:
        """Streams of N segments → all streams of the fusion, in its order."""
        segments = count_segments(streams)
        projected = {}
        for name, projection in self.items():
            assert isinstance(projection, StreamProjection)
            projected[name] = projection(streams[name]) if name in streams else projection.absent(segments)
        return projected


class OwnLayers(nn.Module):
    """Each stream at the fusion's width, then through Transformer layers of its own."""

    def __init__(
        self, widths: Mapping[str, int], layers: int, *, width: int, heads: int, feed_forward: int, dropout: float
    ) -> None:
        super().__init__()
        self.project = Projections(widths, width, dropout)
        size = (width, heads, feed_forward, dropout)
        self.layers = nn.ModuleDict({name: transformer_layers(layers, *size) for name in widths})

    def forward(self, streams: Mapping[str, StreamStates]) -> Projected:
        """Streams of N segments → all streams of the fusion, each having attended to itself."""
        return {
            name: (chain(self.layers[name], states, mask), mask)
            for name, (states, mask) in self.project(streams).items()
        }


class Merge(nn.Module):
    """Several vectors of a segment → one: each normed, side by side, one linear layer.

    The norms keep one stream from drowning another. A vector that stands alone has nothing to drown, and how far a
    segment is from the usual lies in its length: it is left as it is.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) if count > 1 else nn.Identity() for _ in range(count))
        self.merge = nn.Linear(count * width, width)
        nn.init.xavier_uniform_(self.merge.weight)
        nn.init.zeros_(self.merge.bias)

    def forward(self, vectors: Sequence[Tensor]) -> Tensor:
        """`count` times (N, D) → (N, D)."""
        normed = [norm(vector) for norm, vector in zip(self.norms, vectors, strict=True)]
        merged: Tensor = self.merge(torch.cat(normed, dim=1))
        return merged


def chain(layers: nn.Module, states: Tensor, mask: Tensor) -> Tensor:
    """states (N, L, D), mask (N, L) → (N, L, D), through a list of Transformer layers one after the other."""
    assert isinstance(layers, nn.ModuleList)
    for layer in layers:
        states = layer(states, mask)
    return states


def count_segments(streams: Mapping[str, StreamStates]) -> int:
    """N, from any stream that is given."""
    if not streams:
        raise ValueError("No stream was given; give the states of at least one.")
    return next(iter(streams.values())).mask.shape[0]
