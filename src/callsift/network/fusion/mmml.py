"""MMML's fusion: cross-modal encoders in both directions, class tokens, one more vector per modality.

After Wu et al., "Multimodal Multi-loss Fusion Network for Sentiment Analysis" (2024; zehuiwu/MMML). Text and
audio each go through self-attention. A learned class token is put before each; in every layer text attends to
audio and audio to text, both reading what the layer before left, then each to itself. The two class tokens
make the segment vector. Beside it each modality is pooled before it meets the other, for a loss of its own.

The class tokens start small, so that what they gather outweighs what they were from the first step on.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from callsift.network.attention import AttentionPool, CrossModalLayer
from callsift.network.fusion import FusionOutput, StreamStates
from callsift.network.fusion.streams import Merge, OwnLayers

STREAMS = ("text", "audio")
_TOKEN_STD = 0.02


class Mmml(nn.Module):
    """Fusion by two class tokens which read both streams.

    Args:
        widths: the widths of the states of "text" and "audio".
        width: D of the fusion, of the segment vector and of the auxiliary ones.
        heads, feed_forward, dropout: of every layer.
        own_layers: self-attention layers of each stream before they meet.
        cross_layers: chained cross-modal layers in each direction, at least 1.
        multi_loss: give the auxiliary vectors "text" and "audio".
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
        multi_loss: bool = True,
    ) -> None:
        super().__init__()
        if set(widths) != set(STREAMS):
            raise ValueError(f"MMML fuses text and audio, not {sorted(widths)}; use 'agt' or 'concat' for others.")
        if cross_layers < 1:
            raise ValueError(f"cross_layers is {cross_layers}; MMML's streams need at least 1 to meet.")
        self.width = width
        self.aux_widths = dict.fromkeys(STREAMS, width) if multi_loss else {}
        self.streams = OwnLayers(
            widths, own_layers, width=width, heads=heads, feed_forward=feed_forward, dropout=dropout
        )
        self.tokens = nn.Parameter(_TOKEN_STD * torch.randn(len(STREAMS), width))
        size = (width, heads, feed_forward, dropout)
        self.cross = nn.ModuleDict(
            {name: nn.ModuleList(CrossModalLayer(*size) for _ in range(cross_layers)) for name in STREAMS}
        )
        self.merge = Merge(len(STREAMS), width)
        self.pools = nn.ModuleDict({name: AttentionPool(width, heads) for name in self.aux_widths})
        self.norms = nn.ModuleDict({name: nn.LayerNorm(width) for name in self.aux_widths})

    def forward(self, streams: Mapping[str, StreamStates]) -> FusionOutput:
        """{name: states (N, L, D_s), mask (N, L), present (N,)} → vector (N, D); aux "text" and "audio" (N, D)."""
        own = self.streams(streams)
        aux = {name: self.norms[name](self.pools[name](*own[name])) for name in self.aux_widths}
        text, text_mask = _lead(self.tokens[0], *own["text"])  # (N, 1 + L, D)
        audio, audio_mask = _lead(self.tokens[1], *own["audio"])  # (N, 1 + M, D)
        for to_text, to_audio in zip(*(self.cross[name] for name in STREAMS), strict=True):
            text, audio = (
                to_text(text, text_mask, audio, audio_mask),
                to_audio(audio, audio_mask, text, text_mask),
            )
        return FusionOutput(vector=self.merge([text[:, 0], audio[:, 0]]), aux=aux)


def _lead(token: Tensor, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """token (D,), states (N, L, D), mask (N, L) → the same with the token in front, attended like any state."""
    first = token.expand(states.shape[0], 1, -1)  # (N, 1, D)
    return torch.cat([first, states], dim=1), torch.cat([mask.new_ones(first.shape[:2]), mask], dim=1)
