"""The whole network: encoders → fusion → context → heads, over calls of any number of segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from callsift.network.context import make_context
from callsift.network.encoders import HashedTextEncoder, TinyAudioEncoder
from callsift.network.encoders.tiny import PATCHES
from callsift.network.fusion import FusionOutput, StreamStates
from callsift.network.fusion.make import make_fusion
from callsift.network.heads import TaskHeads
from callsift.network.losses import TaskWeights

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


@dataclass(frozen=True)
class NetworkOutput:
    """What the network says about M items: B calls (target `call`), or N real segments in row-major order."""

    logits: Mapping[str, Tensor]
    """task → (M, K)."""
    aux: Mapping[str, Mapping[str, Tensor]]
    """Auxiliary output of the fusion → task → (M, K); empty where the fusion has none."""


class CallNetwork(nn.Module):
    """Streams of segments → logits per call or segment, and task. Padding segments are never encoded.

    Args:
        encoders: stream → `StreamEncoder`.
        fusion, context: see `callsift.network.fusion` and `callsift.network.context`.
        heads: the task heads.
        aux_heads: heads of the fusion's auxiliary outputs, by name.
        target: whether the heads answer for the call or for each of its segments.
        task_weights: learned weights of the tasks' losses, if any.
        modality_dropout: in training, the probability per call that one of its streams counts as absent.
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fusion: nn.Module,
        context: nn.Module,
        heads: TaskHeads,
        *,
        aux_heads: Mapping[str, TaskHeads],
        target: Literal["call", "segment"],
        task_weights: TaskWeights | None,
        modality_dropout: float,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.context = context
        self.heads = heads
        self.aux_heads = nn.ModuleDict(aux_heads)
        self.target = target
        self.task_weights = task_weights
        self.modality_dropout = modality_dropout
        self.featured: frozenset[str] = frozenset()
        """Streams whose values are the kept features of a frozen encoder already."""

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams this network has an encoder for."""
        return tuple(self.encoders.keys())

    def forward(self, batch: CallBatch) -> dict[str, Tensor]:
        """→ task → logits (M, K)."""
        return dict(self.outputs(batch).logits)

    def outputs(self, batch: CallBatch) -> NetworkOutput:
        """→ logits of the M items, of the call's own heads and of the auxiliary ones."""
        present = self._present(batch)
        mask = batch.segments_mask
        groups = _alike(batch.streams, int(mask.sum()))
        found = [self._fused(batch, present, rows) for rows in groups]
        order = torch.cat(groups).argsort().to(mask.device)
        fused = torch.cat([output.vector for output in found])[order]  # (N, D)
        vectors = fused.new_zeros(*mask.shape, fused.shape[1]).index_put(mask.nonzero(as_tuple=True), fused)
        logits = self.contextualise(vectors, mask)
        if self.target == "segment":
            logits = {task: scores[mask] for task, scores in logits.items()}  # (B, S, K) → (N, K)
        aux = {}
        for name, heads in self.aux_heads.items():
            own = torch.cat([output.aux[name] for output in found])[order]  # (N, D_aux)
            there = present.get(name, mask.new_zeros(len(own)))  # whose vectors stand for nothing otherwise
            aux[name] = heads(own if self.target == "segment" else _call_means(own, mask, there))
        return NetworkOutput(logits, aux)

    def encode(self, stream: str, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """values (N, L, ...), mask (N, L) bool → states (N, L', D_s), mask (N, L')."""
        encoder: Any = self.encoders[stream]
        if values.dtype == torch.float16:  # as features are kept
            values = values.float()
        states, states_mask = (encoder.from_features if stream in self.featured else encoder)(values, mask)
        return states, states_mask

    def fuse(self, streams: Mapping[str, StreamStates]) -> FusionOutput:
        """stream → states (N, L, D_s), mask (N, L), present (N,) → vector (N, D) and auxiliary outputs."""
        output: FusionOutput = self.fusion(streams)
        return output

    def contextualise(self, vectors: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """vectors (B, S, D), mask (B, S) bool → task → logits (B, K), or (B, S, K) for target `segment`."""
        found = self.context(vectors, mask)
        logits: dict[str, Tensor] = self.heads(found.call if self.target == "call" else found.segments)
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

    def _fused(self, batch: CallBatch, present: Mapping[str, Tensor], rows: Tensor) -> FusionOutput:
        """What the fusion makes of the segments `rows` (R,), each stream cut to the longest of them."""
        streams = {}
        for name, there in present.items():
            values, mask, _ = batch.streams[name]
            mask = mask[rows]
            length = max(1, int(mask.any(dim=0).nonzero().max()) + 1 if mask.any() else 1)
            streams[name] = StreamStates(*self.encode(name, values[rows, :length], mask[:, :length]), there[rows])
        return self.fuse(streams)


def _call_means(vectors: Tensor, mask: Tensor, present: Tensor) -> Tensor:
    """Vectors (N, D) of the real segments of mask (B, S) → mean per call (B, D) of those that are present (N,)."""
    calls = mask.nonzero()[:, 0]  # (N,)
    there = present[:, None].to(vectors.dtype)  # (N, 1)
    total = vectors.new_zeros(mask.shape[0], vectors.shape[1]).index_add(0, calls, vectors * there)
    count = vectors.new_zeros(mask.shape[0], 1).index_add(0, calls, there)
    return total / count.clamp(min=1)


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
    encoders: Mapping[str, nn.Module] | None = None,
    target: Literal["call", "segment"] = "call",
    number_range: tuple[float, float] | None = None,
    task_weights: Literal["equal", "learned"] = "equal",
    audio_features: int = 40,
    audio_patches: tuple[int, int] = PATCHES,
    text_buckets: int = 6144,
    text_features_per_token: int = 4,
    embedding_width: int = 64,
    fusion: str = "msmt-fn",
    context: str = "bigru",
    width: int = 32,
    heads: int = 4,
    feed_forward: int = 64,
    encoder_layers: int = 1,
    cross_layers: int = 1,
    own_layers: int = 1,
    bottleneck_layers: int = 2,
    tokens: int = 4,
    hidden: int = 32,
    context_layers: int = 1,
    readout: str = "both",
    flatten_length: int = 256,
    shared_weights: bool = False,
    dropout: float = 0.2,
    token_dropout: float = 0.2,
    head_dropout: float = 0.3,
    modality_dropout: float = 0.2,
) -> CallNetwork:
    """A network with the given encoders, and the tiny ones for text and audio that have none.

    The defaults are a tiny MSMT-FN for a few hundred calls. `classes`: task → K. `hidden`: H, half of the call
    vector's width. `number_range`: the answer is a number in it instead of classes.
    """
    size: dict[str, Any] = {"width": width, "heads": heads, "feed_forward": feed_forward, "dropout": dropout}
    shape: dict[str, Any] = {"layers": encoder_layers, **size}
    tiny: dict[str, Callable[[], nn.Module]] = {
        "text": lambda: HashedTextEncoder(
            text_buckets, text_features_per_token, embedding_width=embedding_width, token_dropout=token_dropout, **shape
        ),
        "audio": lambda: TinyAudioEncoder(audio_features, patches=audio_patches, **shape),
    }
    given = dict(encoders or {})
    if not streams or set(streams) - set(tiny) - set(given):
        raise ValueError(f"Streams {list(streams)} can't be built; choose among {', '.join({**tiny, **given})}.")
    chosen: dict[str, Any] = {name: given[name] if name in given else tiny[name]() for name in streams}
    fused: Any = make_fusion(
        fusion, {name: encoder.width for name, encoder in chosen.items()}, cross_layers=cross_layers,
        text_layers=own_layers, own_layers=own_layers, bottleneck_layers=bottleneck_layers, tokens=tokens,
        readout=readout, flatten_length=flatten_length, shared_weights=shared_weights, **size,
    )  # fmt: skip
    over: Any = make_context(context, fused.width, hidden=hidden, layers=context_layers, heads=heads, dropout=dropout)

    def heads_on(size: int) -> TaskHeads:
        return TaskHeads(size, classes, head_dropout, number_range=number_range)

    return CallNetwork(
        chosen,
        fused,
        over,
        heads_on(over.width),
        aux_heads={name: heads_on(size) for name, size in fused.aux_widths.items()},
        target=target,
        task_weights=TaskWeights(tuple(classes)) if task_weights == "learned" else None,
        modality_dropout=modality_dropout,
    )
