"""AGT's fusion, the Audio-Guided Transformer: audio asks, the other streams answer, a gate weighs the channels.

After Shi and Gao, "Audio-Guided Fusion Techniques for Multimodal Emotion Analysis" (2024, arXiv 2409.05007).
Each stream attends to itself (its intra-channel). The guide then queries every other stream by chained
cross-modal layers (the inter-channels). All channels, end to end, go through one Transformer, the context
block. Last, each channel is pooled and a softmax over the segment's own pooled channels says how much of each
makes the segment vector.

The channels are normed before they are weighed: else a channel of larger vectors would outweigh the gate.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from callsift.network.attention import AttentionPool, CrossModalLayer, transformer_layers
from callsift.network.fusion import FusionOutput, StreamStates
from callsift.network.fusion.streams import OwnLayers, chain

GUIDE = "audio"
_GATE_STD = 0.02


class Agt(nn.Module):
    """Fusion in which one stream queries all others.

    The guide is "audio", or the first stream where there is none. k streams have 2k − 1 channels.

    Args:
        widths: the width of each stream's states; any streams.
        width: D of the fusion and of the segment vector.
        heads, feed_forward, dropout: of every layer.
        own_layers: self-attention layers of each stream.
        cross_layers: chained layers of the guide over each other stream, at least 1.
        block_layers: layers of the context block.
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
        cross_layers: int = 1,
        block_layers: int = 1,
    ) -> None:
        super().__init__()
        if cross_layers < 1:
            raise ValueError(f"cross_layers is {cross_layers}; AGT's guide needs at least 1 to hear another stream.")
        self.width = width
        self.aux_widths: dict[str, int] = {}
        self.streams = OwnLayers(
            widths, own_layers, width=width, heads=heads, feed_forward=feed_forward, dropout=dropout
        )
        self.guide = GUIDE if GUIDE in widths else next(iter(widths))
        size = (width, heads, feed_forward, dropout)
        self.cross = nn.ModuleDict(
            {
                name: nn.ModuleList(CrossModalLayer(*size) for _ in range(cross_layers))
                for name in widths
                if name != self.guide
            }
        )
        self.block = transformer_layers(block_layers, *size)
        channels = len(widths) + len(self.cross)
        self.pools = nn.ModuleList(AttentionPool(width, heads) for _ in range(channels))
        self.channel_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.gate = nn.Parameter(_GATE_STD * torch.randn(channels, width)) if channels > 1 else None
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: Mapping[str, StreamStates]) -> FusionOutput:
        """{name: states (N, L, D_s), mask (N, L), present (N,)} → vector (N, D); no auxiliary outputs."""
        own = self.streams(streams)
        guide, guide_mask = own[self.guide]
        channels = list(own.values())
        for name, layers in self.cross.items():
            assert isinstance(layers, nn.ModuleList)
            asked = guide
            for layer in layers:
                asked = layer(asked, guide_mask, *own[name])
            channels.append((asked, guide_mask))
        lengths = [mask.shape[1] for _, mask in channels]
        states = torch.cat([states for states, _ in channels], dim=1)
        states = chain(self.block, states, torch.cat([mask for _, mask in channels], dim=1))
        pooled = [
            self.channel_norm(pool(part, mask))
            for pool, part, (_, mask) in zip(self.pools, torch.split(states, lengths, dim=1), channels, strict=True)
        ]
        return FusionOutput(vector=self.norm(self._weigh(torch.stack(pooled, dim=1))), aux={})

    def _weigh(self, pooled: Tensor) -> Tensor:
        """Channels (N, channels, D) → their weighted mean (N, D)."""
        if self.gate is None:
            return pooled[:, 0]
        weights = (pooled * self.gate).sum(dim=2).softmax(dim=1)  # (N, channels)
        return (weights[..., None] * pooled).sum(dim=1)
