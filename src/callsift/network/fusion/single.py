"""One stream alone: what it says without the other. The baseline every fusion has to beat."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from callsift.network.attention import AttentionPool
from callsift.network.fusion import FusionOutput, StreamStates
from callsift.network.fusion.streams import OwnLayers


class Single(nn.Module):
    """Transformer layers over one stream, then attention pooling.

    Args:
        widths: the width of that stream's states, and nothing else: a stream without effect is refused.
        stream: its name.
        width: D of the fusion and of the segment vector.
        heads, feed_forward, dropout: of every layer.
        own_layers: Transformer layers before the pooling.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        *,
        stream: str,
        width: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        own_layers: int = 1,
    ) -> None:
        super().__init__()
        if set(widths) != {stream}:
            raise ValueError(
                f"Fusion '{stream}' reads stream '{stream}' alone, not {sorted(widths)}; "
                f"configure that stream only, or use 'concat'."
            )
        self.width = width
        self.aux_widths: dict[str, int] = {}
        self.stream = stream
        self.streams = OwnLayers(
            widths, own_layers, width=width, heads=heads, feed_forward=feed_forward, dropout=dropout
        )
        self.pool = AttentionPool(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: Mapping[str, StreamStates]) -> FusionOutput:
        """{name: states (N, L, D_s), mask (N, L), present (N,)} → vector (N, D); no auxiliary outputs."""
        states, mask = self.streams(streams)[self.stream]
        return FusionOutput(vector=self.norm(self.pool(states, mask)), aux={})
