"""MSMT-FN's fusion: complementary channel, text channel, bottleneck tokens (the paper's eqs 1 and 3–5).

Text is the backbone stream T. The complementary channel T_m is text that has attended to audio through
chained cross-modal layers (eq. 1); the text channel is text that has attended to itself. In each bottleneck
layer [T ‖ Z] and [T_m ‖ Z] go through Transformer layers of their own, the n tokens Z being attended like any
state; both streams are updated, and the next Z is the mean of its two updated copies (eqs 3–5). Without
cross-modal layers the audio's own states A stand where T_m stood, with their own length and mask.

The segment vector is a masked attention pooling over [T ‖ T_m ‖ Z]. Z is pooled too because after the last
layer nothing else reads it: without it the last Z, and so part of what each stream says to the other, would
be computed for nothing. So every parameter gets a gradient. `readout="text"` pools over [T ‖ Z]: T_m then
speaks through Z alone, and still all of it counts. `readout="flatten"` is the published code's: T's positions
end to end into one linear layer. It reads the second stream only through the tokens that T attended to, so it
needs two bottleneck layers, and the second stream has no part in the last.

A stream beside text and audio, such as `silence`, goes through bottleneck layers of its own, on a level with
T_m: it exchanges the tokens, and is pooled where T_m is.

A network with one stream only uses that stream as the backbone; the learned absent embedding takes the
place of the other as the only key, so its cross-attention can add a constant and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from callsift.network.attention import AttentionPool, CrossModalLayer, transformer_layers
from callsift.network.fusion import FusionOutput, StreamStates
from callsift.network.fusion.streams import AbsentStream, Projections, chain, count_segments

STREAMS = ("text", "audio")
READOUTS = ("both", "text", "flatten")


class MsmtFn(nn.Module):
    """Fusion by cross-modal layers and bottleneck tokens.

    Args:
        widths: the width of each stream's states; "text", "audio" or both, and any others beside them.
        width: D of the fusion and of the segment vector.
        heads, feed_forward, dropout: of every layer.
        cross_layers: chained layers of the complementary channel; 0 is the ablation without cross-attention.
        text_layers: self-attention layers of the text channel.
        bottleneck_layers: layers with tokens; 0 is the paper's ablation without the bottleneck.
        tokens: n, how many bottleneck tokens.
        readout: "both", "text" or "flatten", what the segment vector is made from.
        shared_weights: one Transformer layer for both streams in each bottleneck layer.
        flatten_length: positions of the backbone that "flatten" reads; the other readouts have no use for it.
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
        flatten_length: int | None = None,
    ) -> None:
        super().__init__()
        _check(widths, cross_layers, bottleneck_layers, tokens)
        _check_readout(readout, bottleneck_layers, flatten_length)
        self.width = width
        self.aux_widths: dict[str, int] = {}
        self.readout = readout
        self.backbone = "text" if "text" in widths else "audio"
        self.partner = "audio" if self.backbone == "text" else "text"
        self.streams = Projections(widths, width, dropout)
        self.no_partner = None if self.partner in widths else AbsentStream(width)
        size = (width, heads, feed_forward, dropout)
        self.cross = nn.ModuleList(CrossModalLayer(*size) for _ in range(cross_layers))
        self.own = transformer_layers(text_layers, *size)
        self.bottleneck = transformer_layers(bottleneck_layers, *size)
        heard = bottleneck_layers - 1 if readout == "flatten" else bottleneck_layers
        self.cross_bottleneck = None if shared_weights else transformer_layers(heard, *size)
        self.tokens = nn.Parameter(torch.randn(tokens, width)) if bottleneck_layers else None
        self.norm = nn.LayerNorm(width)
        self.others = tuple(name for name in widths if name not in STREAMS)
        self.pool = AttentionPool(width, heads) if readout != "flatten" else None
        self.flatten = Flatten(flatten_length or 0, width) if readout == "flatten" else None
        apart = () if shared_weights else self.others
        self.other_bottlenecks = nn.ModuleDict({name: transformer_layers(heard, *size) for name in apart})

    def forward(self, streams: Mapping[str, StreamStates]) -> FusionOutput:
        """{name: states (N, L, D_s), mask (N, L), present (N,)} → vector (N, D); no auxiliary outputs."""
        projected = self.streams(streams)
        if self.no_partner is not None:
            projected[self.partner] = self.no_partner(count_segments(streams))
        own, mask = projected[self.backbone]  # (N, L, D), (N, L)
        second = self._second(own, mask, *projected[self.partner])  # (N, M, D), (N, M)
        beside = [second, *(projected[name] for name in self.others)]
        own, heard, tokens = self._exchange(chain(self.own, own, mask), mask, beside)
        if self.flatten is not None:
            return FusionOutput(vector=self.norm(self.flatten(own, mask)), aux={})
        assert self.pool is not None
        seen = mask.new_ones(tokens.shape[:2])  # (N, n)
        parts = [own, *heard, tokens] if self.readout == "both" else [own, tokens]
        masks = [mask, *(known for _, known in beside), seen] if self.readout == "both" else [mask, seen]
        vector = self.norm(self.pool(torch.cat(parts, dim=1), torch.cat(masks, dim=1)))
        return FusionOutput(vector=vector, aux={})

    def _second(self, own: Tensor, mask: Tensor, keys: Tensor, key_mask: Tensor) -> tuple[Tensor, Tensor]:
        """The backbone (N, L, D) and its partner (N, M, D) → T_m (eq. 1), or the partner as it is; and the mask."""
        if not self.cross:
            return keys, key_mask
        crossed = own
        for layer in self.cross:
            crossed = layer(crossed, mask, keys, key_mask)
        return crossed, mask

    def _exchange(
        self, own: Tensor, mask: Tensor, beside: Sequence[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """Eqs 3–5: T (N, L, D), and T_m or A, then other streams, (N, M, D) with masks → all updated, and Z (N, n, D).

        The tokens are the mean of every stream's copy: for two streams the paper's, for more as in Nagrani et al.
        (2021, «Attention bottlenecks for multimodal fusion»).
        """
        heard = [states for states, _ in beside]
        if self.tokens is None:
            return own, heard, own[:, :0]
        tokens = self.tokens.expand(own.shape[0], -1, -1)  # (N, n, D)
        seen = mask.new_ones(tokens.shape[:2])  # (N, n)
        mask = torch.cat([mask, seen], dim=1)  # (N, L + n)
        masks = [torch.cat([known, seen], dim=1) for _, known in beside]
        length = own.shape[1]
        for layer, *layers in zip_longest(self.bottleneck, *self._stacks()):
            own_all = layer(torch.cat([own, tokens], dim=1), mask)
            own, copies = own_all[:, :length], [own_all[:, length:]]
            for at, other in enumerate(layers):
                if other is not None:
                    size = heard[at].shape[1]
                    updated = other(torch.cat([heard[at], tokens], dim=1), masks[at])
                    heard[at] = updated[:, :size]
                    copies.append(updated[:, size:])
            if len(copies) > 1:
                tokens = torch.stack(copies).sum(dim=0) / len(copies)
        return own, heard, tokens

    def _stacks(self) -> list[Iterable[nn.Module]]:
        """The bottleneck layers of the partner and of every other stream."""
        if self.cross_bottleneck is None:
            return [self.bottleneck] * (1 + len(self.others))
        apart = [self.other_bottlenecks[name] for name in self.others]
        return [self.cross_bottleneck, *(cast(nn.ModuleList, stack) for stack in apart)]


class Flatten(nn.Module):
    """The first `length` positions end to end, zeros where nothing is real, into one linear layer."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.length = length
        self.linear = nn.Linear(length * width, width)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (N, L, D), mask (N, L) → (N, D), whatever L is; positions from `length` on are not read."""
        states = states.masked_fill(~mask[..., None], 0.0)
        filled = F.pad(states, (0, 0, 0, self.length))[:, : self.length]  # (N, length, D)
        vector: Tensor = self.linear(filled.reshape(filled.shape[0], -1))
        return vector


def _check(widths: Mapping[str, int], cross_layers: int, bottleneck_layers: int, tokens: int) -> None:
    """Refuse streams and sizes that can't be."""
    if not set(widths) & set(STREAMS):
        raise ValueError(
            f"Streams {sorted(widths)} can't be fused; MSMT-FN needs {' or '.join(STREAMS)}, others beside them. "
            f"For other streams alone use the fusion 'agt' or 'concat'."
        )
    for name, count in (("cross_layers", cross_layers), ("bottleneck_layers", bottleneck_layers)):
        if count < 0:
            raise ValueError(f"{name} is {count}; use 0 (none) or more.")
    if bottleneck_layers and tokens < 1:
        raise ValueError(f"tokens is {tokens} with {bottleneck_layers} bottleneck layers; use at least 1.")


def _check_readout(readout: str, bottleneck_layers: int, flatten_length: int | None) -> None:
    """Refuse what would leave a stream or a part of the network without effect."""
    if readout not in READOUTS:
        raise ValueError(f"Readout '{readout}' is unknown; choose one of {', '.join(READOUTS)}.")
    if readout == "text" and not bottleneck_layers:
        raise ValueError("Readout 'text' without bottleneck layers would never hear the audio; use 'both'.")
    if readout == "flatten" and bottleneck_layers < 2:
        raise ValueError(
            f"Readout 'flatten' with bottleneck_layers {bottleneck_layers} would never hear the audio; "
            f"use at least 2, or readout 'both'."
        )
    if readout == "flatten" and (flatten_length is None or flatten_length < 1):
        raise ValueError(f"Readout 'flatten' has flatten_length {flatten_length}; give the positions it reads.")
