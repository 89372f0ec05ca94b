"""The whole network: encoders → fusion → context → heads, over calls of any number of segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from callsift.network.context import BiGru
from callsift.network.encoders import HashedTextEncoder, TinyAudioEncoder
from callsift.network.fusion import FusionOutput, StreamStates
from callsift.network.fusion.msmt_fn import MsmtFn
from callsift.network.heads import TaskHeads

_GROUP = 32  # segments that are padded to one length


@dataclass(frozen=True)
class CallBatch:
    """B calls. N counts the real segments only, in row-major order: call 0's first, then call 1's, …"""

    streams: Mapping[str, tuple[Tensor, Tensor, Tensor]]
    """stream → values (N, L, ...), mask (N, L) bool, present (N,) bool. A stream left out is absent."""
    segments_mask: Tensor
    """(B, S) bool, the real segments first in each row; N = its sum."""

    def to(self, device: torch.device | str) -> CallBatch:
        """The same batch on another device."""
        streams = {
            name: (values.to(device), mask.to(device), present.to(device))
            for name, (values, mask, present) in self.streams.items()
        }
        return CallBatch(streams, self.segments_mask.to(device))


class CallNetwork(nn.Module):
    """Streams of segments → logits per call and task. Padding segments are never encoded.

    Args:
        encoders: stream → `StreamEncoder`.
        fusion, context: see `callsift.network.fusion` and `callsift.network.context`.
        heads: the task heads.
        modality_dropout: in training, the probability per call that one of its streams counts as absent.
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fusion: nn.Module,
        context: nn.Module,
        heads: TaskHeads,
        modality_dropout: float,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.context = context
        self.heads = heads
        self.modality_dropout = modality_dropout

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams this network has an encoder for."""
        return tuple(self.encoders.keys())

    def forward(self, batch: CallBatch) -> dict[str, Tensor]:
        """→ task → logits (B, K)."""
        present = self._present(batch)
        groups = _alike(batch.streams, int(batch.segments_mask.sum()))
        fused = torch.cat([self._vectors(batch, present, rows) for rows in groups])  # (N, D), in the groups' order
        fused = fused[torch.cat(groups).argsort()]  # (N, D)
        mask = batch.segments_mask
        vectors = fused.new_zeros(*mask.shape, fused.shape[1]).index_put(mask.nonzero(as_tuple=True), fused)
        return self.contextualise(vectors, mask)  # from (B, S, D)

    def encode(self, stream: str, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """values (N, L, ...), mask (N, L) bool → states (N, L', D_s), mask (N, L')."""
        states, states_mask = self.encoders[stream](values, mask)
        return states, states_mask

    def fuse(self, streams: Mapping[str, StreamStates]) -> FusionOutput:
        """stream → states (N, L, D_s), mask (N, L), present (N,) → vector (N, D) and auxiliary outputs."""
        output: FusionOutput = self.fusion(streams)
        return output

    def contextualise(self, vectors: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """vectors (B, S, D), mask (B, S) bool → task → logits (B, K)."""
        logits: dict[str, Tensor] = self.heads(self.context(vectors, mask).call)
        return logits

    def _present(self, batch: CallBatch) -> dict[str, Tensor]:
        """stream → (N,) bool, some streams dropped in training."""
        segments = int(batch.segments_mask.sum())
        present = {name: batch.streams[name][2] for name in self.streams if name in batch.streams}
        for name, there in present.items():
            if len(there) != segments:
                raise ValueError(f"Stream '{name}' has {len(there)} segments, segments_mask has {segments}.")
        if self.training and self.modality_dropout > 0.0:
            present = drop_modalities(present, batch.segments_mask, self.modality_dropout)
        return present

    def _vectors(self, batch: CallBatch, present: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """The vectors (R, D) of the segments `rows` (R,), each stream cut to the longest of them."""
        streams = {}
        for name, there in present.items():
            values, mask, _ = batch.streams[name]
            mask = mask[rows]
            length = max(1, int(mask.any(dim=0).nonzero().max()) + 1 if mask.any() else 1)
            streams[name] = StreamStates(*self.encode(name, values[rows, :length], mask[:, :length]), there[rows])
        return self.fuse(streams).vector


def _alike(streams: Mapping[str, tuple[Tensor, Tensor, Tensor]], segments: int) -> list[Tensor]:
    """All segments (N,) in groups of like length: a round of two words must not be padded to one of two hundred."""
    work = torch.zeros(segments)
    for _, mask, _ in streams.values():
        lengths = mask.sum(dim=1).cpu()  # (N,)
        work = work + lengths / lengths.max().clamp(min=1)
    return list(torch.split(work.argsort(stable=True), _GROUP))


def drop_modalities(present: Mapping[str, Tensor], mask: Tensor, probability: float) -> dict[str, Tensor]:
    """Let one stream of some calls count as absent: the same one in all of a call's segments, drawn evenly.

    A segment that has nothing but the drawn stream keeps it.

    Args:
        present: stream → (N,) bool.
        mask: (B, S) bool, which segments are real.
        probability: per call.

    Returns: stream → (N,) bool.
    """
    if len(present) < 2:
        return dict(present)
    calls = mask.nonzero()[:, 0]  # (N,), the call of each segment
    given = torch.stack(list(present.values()), dim=1)  # (N, streams)
    chances = torch.rand(mask.shape[0], given.shape[1], device=mask.device)  # (B, streams)
    owned = torch.zeros_like(chances).index_add(0, calls, given.to(chances.dtype)) > 0
    drawn = chances.masked_fill(~owned, -1.0).argmax(dim=1)  # (B,)
    struck = torch.rand(mask.shape[0], device=mask.device) < probability  # (B,)
    spare = given.sum(dim=1) > 1  # (N,)
    kept = {}
    for index, (name, there) in enumerate(present.items()):
        kept[name] = there & ~((struck & (drawn == index))[calls] & spare)
    return kept


def build_network(
    *,
    classes: Mapping[str, int],
    streams: Sequence[str] = ("text", "audio"),
    audio_features: int = 40,
    text_buckets: int = 6144,
    text_features_per_token: int = 4,
    embedding_width: int = 64,
    width: int = 32,
    heads: int = 4,
    feed_forward: int = 64,
    encoder_layers: int = 1,
    cross_layers: int = 1,
    text_layers: int = 1,
    bottleneck_layers: int = 2,
    tokens: int = 4,
    hidden: int = 32,
    context_layers: int = 1,
    readout: str = "both",
    shared_weights: bool = False,
    dropout: float = 0.2,
    token_dropout: float = 0.2,
    head_dropout: float = 0.3,
    modality_dropout: float = 0.2,
) -> CallNetwork:
    """A tiny MSMT-FN with the tiny encoders; the defaults suit a few hundred calls.

    `classes`: task → K. `streams`: "text", "audio" or both. `hidden`: H, half of the call vector's width.
    """
    size: dict[str, Any] = {"width": width, "heads": heads, "feed_forward": feed_forward}
    size["dropout"] = dropout
    shape: dict[str, Any] = {"layers": encoder_layers, **size}
    text = partial(HashedTextEncoder, embedding_width=embedding_width, token_dropout=token_dropout)
    makers: dict[str, Callable[[], nn.Module]] = {
        "text": lambda: text(text_buckets, text_features_per_token, **shape),
        "audio": lambda: TinyAudioEncoder(audio_features, **shape),
    }
    if not streams or set(streams) - set(makers):
        raise ValueError(f"Streams {list(streams)} can't be built; choose among {', '.join(makers)}.")
    fusion = MsmtFn(
        dict.fromkeys(streams, width), cross_layers=cross_layers, text_layers=text_layers,
        bottleneck_layers=bottleneck_layers, tokens=tokens, readout=readout, shared_weights=shared_weights, **size,
    )  # fmt: skip
    context = BiGru(width, hidden, context_layers, dropout)
    task_heads = TaskHeads(context.width, classes, head_dropout)
    encoders = {name: makers[name]() for name in streams}
    return CallNetwork(encoders, fusion, context, task_heads, modality_dropout)
