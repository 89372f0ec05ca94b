"""Late fusion: each stream on its own to one vector, the vectors side by side. Streams never meet before."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from callsift.network.attention import AttentionPool
from callsift.network.fusion import FusionOutput, StreamStates
from callsift.network.fusion.streams import Merge, OwnLayers


class Concat(nn.Module):
    """Transformer layers and attention pooling per stream, then one linear layer over all.

    Args:
        widths: the width of each stream's states; any streams.
        width: D of the fusion and of the segment vector.
        heads, feed_forward, dropout: of every layer.
        own_layers: Transformer layers of each stream.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        *,
        width: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        own_layers: int = 1,
    ) -> None:
        super().__init__()
        self.width = width
        self.aux_widths: dict[str, int] = {}
        self.streams = OwnLayers(
            widths, own_layers, width=width, heads=heads, feed_forward=feed_forward, dropout=dropout
        )
        self.pools = nn.ModuleDict({name: AttentionPool(width, heads) for name in widths})
        self.merge = Merge(len(widths), width)

    def forward(self, streams: Mapping[str, StreamStates]) -> FusionOutput:
        """{name: states (N, L, D_s), mask (N, L), present (N,)} → vector (N, D); no auxiliary outputs."""
        own = self.streams(streams)
        return FusionOutput(vector=self.merge([self.pools[name](*own[name]) for name in own]), aux={})
