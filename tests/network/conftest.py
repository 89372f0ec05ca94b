"""Small networks whose weights all matter, and calls of any shape with any padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from callsift.network.model import CallBatch, CallNetwork, build_network

BUCKETS, PARTS, MELS = 64, 3, 5
SMALL: dict[str, Any] = {
    "classes": {"5": 5, "2": 2},
    "audio_features": MELS,
    "text_buckets": BUCKETS,
    "text_features_per_token": PARTS,
    "embedding_width": 8,
    "width": 16,
    "heads": 2,
    "feed_forward": 24,
    "encoder_layers": 2,
    "cross_layers": 2,
    "own_layers": 2,
    "bottleneck_layers": 2,
    "tokens": 3,
    "hidden": 6,
    "context_layers": 2,
}
Segment = dict[str, Tensor | None]


def stir(module: nn.Module, size: float = 0.3) -> None:
    """Move every weight off its start, zeros and ones included, so that each has an effect to be seen."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.add_(size * torch.randn_like(weight))
            if name.endswith("embedding.weight"):
                weight[0] = 0.0


def build_small(**changes: Any) -> CallNetwork:
    """A small stirred network in eval mode, the same one every time."""
    torch.manual_seed(0)
    network = build_network(**{**SMALL, **changes})
    stir(network)
    return network.eval()


def make_call(segments: int, seed: int, absent: float = 0.2) -> list[Segment]:
    """A call of random segments, some without text or without audio, none without both."""
    random = torch.Generator().manual_seed(seed)
    call: list[Segment] = []
    for _ in range(segments):
        tokens, frames = (int(torch.randint(1, most, (), generator=random)) for most in (9, 40))
        text = torch.randint(0, BUCKETS, (tokens, PARTS), generator=random)
        audio = torch.randn(frames, MELS, generator=random)
        lot = float(torch.rand((), generator=random))
        call.append({"text": None if lot < absent else text, "audio": None if lot > 1 - absent else audio})
    return call


def pad(values: Sequence[Tensor | None], extra: int, like: Tensor, garbage: float) -> tuple[Tensor, Tensor, Tensor]:
    """Streams of N segments → values, mask, present; padding and absent ones are filled with `garbage`."""
    longest = max((len(value) for value in values if value is not None), default=1) + extra
    batch = torch.full((len(values), longest, *like.shape[1:]), garbage).to(like.dtype)
    mask = torch.zeros(len(values), longest, dtype=torch.bool)
    for row, value in enumerate(values):
        if value is not None:
            batch[row, : len(value)] = value
            mask[row, : len(value)] = True
    return batch, mask, mask.any(dim=1)


def collate(calls: Sequence[Sequence[Segment]], extra: int = 0, garbage: float = 0.0) -> CallBatch:
    """Calls → a batch with `extra` padding frames, tokens and segments."""
    segments = [segment for call in calls for segment in call]
    mask = torch.zeros(len(calls), max(map(len, calls)) + extra, dtype=torch.bool)
    for row, call in enumerate(calls):
        mask[row, : len(call)] = True
    text = pad([s["text"] for s in segments], extra, torch.zeros(0, PARTS, dtype=torch.int64), 0)
    if garbage:
        text[0][~text[1]] = 10**6  # far outside the table
    audio = pad([s["audio"] for s in segments], extra, torch.zeros(0, MELS), garbage)
    return CallBatch({"text": text, "audio": audio}, mask)


@pytest.fixture
def small() -> Callable[..., CallNetwork]:
    return build_small


@pytest.fixture
def stirred() -> Callable[..., None]:
    return stir


@pytest.fixture
def call_of() -> Callable[..., list[Segment]]:
    return make_call


@pytest.fixture
def batch_of() -> Callable[..., CallBatch]:
    return collate
