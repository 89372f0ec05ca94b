"""MSMT-FN's fusion: complementary channel, text channel, bottleneck tokens (the paper's eqs 1 and 3–5).

Text is the backbone stream T. The complementary channel T_m is text that has attended to audio through
chained cross-modal layers (eq. 1); the text channel is text that has attended to itself. In each bottleneck
layer [T ‖ Z] and [T_m ‖ Z] go through Transformer layers of their own, the n tokens Z being attended like any
state; both streams are updated, and the next Z is the mean of its two updated copies (eqs 3–5).

The segment vector is a masked attention pooling over [T ‖ T_m ‖ Z]. Z is pooled too because after the last
layer nothing else reads it: without it the last Z, and so part of what each stream says to the other, would
be computed for nothing. So every parameter gets a gradient. `readout="text"` pools over [T ‖ Z]: T_m then
speaks through Z alone, and still all of it counts.

A network with one stream only uses that stream as the backbone; the learned absent embedding takes the
place of the other as the only key, so its cross-attention can add a constant and no more.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from callsift.network.attention import AttentionPool, CrossModalLayer, transformer_layers
from callsift.network.fusion import FusionOutput, StreamStates
from callsift.network.fusion.streams import AbsentStream, StreamProjection

STREAMS = ("text", "audio")
READOUTS = ("both", "text")


class MsmtFn(nn.Module):
    """Fusion by cross-modal layers and bottleneck tokens.

    Args:
        widths: the width of each stream's states; "text", "audio" or both.
        width: D of the fusion and of the segment vector.
        heads, feed_forward, dropout: of every layer.
        cross_layers: chained layers of the complementary channel, at least 1.
        text_layers: self-attention layers of the text channel.
        bottleneck_layers: layers with tokens; 0 is the paper's ablation without the bottleneck.
        tokens: n, how many bottleneck tokens.
        readout: "both" or "text", what the segment vector is pooled from.
        shared_weights: one Transformer layer for both streams in each bottleneck layer.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        *,
        width: int,
        heads: int,
        feed_forward: int,
        cross_layers: int,
        text_layers: int = 1,
        bottleneck_layers: int,
        tokens: int,
        dropout: float,
        readout: str = "both",
        shared_weights: bool = False,
    ) -> None:
        super().__init__()
        _check(widths, cross_layers, bottleneck_layers, tokens, readout)
        self.width = width
        self.readout = readout
        self.backbone = "text" if "text" in widths else "audio"
        self.partner = "audio" if self.backbone == "text" else "text"
        self.streams = nn.ModuleDict({name: StreamProjection(size, width, dropout) for name, size in widths.items()})
        self.no_partner = None if self.partner in widths else AbsentStream(width)
        size = (width, heads, feed_forward, dropout)
        self.cross = nn.ModuleList(CrossModalLayer(*size) for _ in range(cross_layers))
        self.own = transformer_layers(text_layers, *size)
        self.bottleneck = transformer_layers(bottleneck_layers, *size)
        self.cross_bottleneck = None if shared_weights else transformer_layers(bottleneck_layers, *size)
        self.tokens = nn.Parameter(torch.randn(tokens, width)) if bottleneck_layers else None
        self.norm = nn.LayerNorm(width)
        self.pool = AttentionPool(width, heads)

    def forward(self, streams: Mapping[str, StreamStates]) -> FusionOutput:
        """{name: states (N, L, D_s), mask (N, L), present (N,)} → vector (N, D); no auxiliary outputs."""
        segments = _segments(streams)
        own, mask = self._project(self.backbone, streams, segments)  # (N, L, D), (N, L)
        keys, key_mask = self._project(self.partner, streams, segments)  # (N, M, D), (N, M)
        crossed = own
        for layer in self.cross:
            crossed = layer(crossed, mask, keys, key_mask)  # eq. 1, (N, L, D)
        for layer in self.own:
            own = layer(own, mask)
        own, crossed, tokens = self._exchange(own, crossed, mask)
        seen = mask.new_ones(segments, tokens.shape[1])
        parts = [own, crossed, tokens] if self.readout == "both" else [own, tokens]
        masks = [mask, mask, seen] if self.readout == "both" else [mask, seen]
        vector = self.norm(self.pool(torch.cat(parts, dim=1), torch.cat(masks, dim=1)))
        return FusionOutput(vector=vector, aux={})

    def _exchange(self, own: Tensor, crossed: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Eqs 3–5: T (N, L, D), T_m (N, L, D), mask (N, L) → both updated, and Z (N, n, D)."""
        if self.tokens is None:
            return own, crossed, own[:, :0]
        tokens = self.tokens.expand(own.shape[0], -1, -1)  # (N, n, D)
        mask = torch.cat([mask, mask.new_ones(tokens.shape[:2])], dim=1)  # (N, L + n)
        length = own.shape[1]
        for layer, cross_layer in zip(self.bottleneck, self.cross_bottleneck or self.bottleneck, strict=True):
            own_all = layer(torch.cat([own, tokens], dim=1), mask)
            crossed_all = cross_layer(torch.cat([crossed, tokens], dim=1), mask)
            own, crossed = own_all[:, :length], crossed_all[:, :length]
            tokens = (own_all[:, length:] + crossed_all[:, length:]) / 2
        return own, crossed, tokens

    def _project(self, name: str, streams: Mapping[str, StreamStates], segments: int) -> tuple[Tensor, Tensor]:
        """A stream at the fusion's width with its mask; the learned embedding where it is not given."""
        if name not in self.streams:
            assert self.no_partner is not None
            states, mask = self.no_partner(segments)
        elif name in streams:
            states, mask = self.streams[name](streams[name])
        else:
            projection = self.streams[name]
            assert isinstance(projection, StreamProjection)
            states, mask = projection.absent(segments)
        return states, mask


def _segments(streams: Mapping[str, StreamStates]) -> int:
    """N, from any stream that is given."""
    if not streams:
        raise ValueError("No stream was given; give the states of at least one.")
    return next(iter(streams.values())).mask.shape[0]


def _check(widths: Mapping[str, int], cross_layers: int, bottleneck_layers: int, tokens: int, readout: str) -> None:
    """Refuse what would leave a stream or a part of the network without effect."""
    if not widths or set(widths) - set(STREAMS):
        raise ValueError(f"Streams {sorted(widths)} can't be fused; MSMT-FN knows {', '.join(STREAMS)}.")
    if readout not in READOUTS:
        raise ValueError(f"Readout '{readout}' is unknown; choose one of {', '.join(READOUTS)}.")
    if cross_layers < 1:
        raise ValueError(f"cross_layers is {cross_layers}; the audio needs at least 1 to be heard.")
    if bottleneck_layers and tokens < 1:
        raise ValueError(f"tokens is {tokens} with {bottleneck_layers} bottleneck layers; use at least 1.")
    if readout == "text" and not bottleneck_layers:
        raise ValueError("Readout 'text' without bottleneck layers would never hear the audio; use 'both'.")
