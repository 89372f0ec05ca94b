"""Masked pre-norm Transformer parts: the only attention in the package.

Pre-norm (the norm inside the residual branch) trains from scratch without warm-up tricks, which a few hundred
calls need; whoever stacks these layers normalises what the last one returns. Masks are True at real states:
a masked state is never attended, so its content can't reach a real one, and a row without any real key adds
nothing instead of NaN. Keys and queries carry no bias: a key's bias cancels in the softmax and would never
learn. Dropout sits on the residual branches and inside the feed-forward, not on the attention weights, which
keeps the fused kernel of `scaled_dot_product_attention` in training too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sinusoidal_positions(length: int, width: int, device: torch.device | None = None) -> Tensor:
    """Sine and cosine position codes, without parameters and for any length.

    Returns: (length, width) float32, every entry within [-1, 1].
    """
    half = (width + 1) // 2
    rates = torch.exp(torch.arange(half, device=device) * (-math.log(10_000.0) / half))
    angles = torch.arange(length, device=device)[:, None] * rates  # (length, width / 2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]


class Attention(nn.Module):
    """Multi-head attention of queries over masked keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}; choose one that is.")
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)
        for weight in (self.query.weight, *self.key_value.weight.chunk(2), self.out.weight):
            nn.init.xavier_uniform_(weight.data)
        nn.init.zeros_(self.out.bias)

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """queries (N, L, D), keys (N, M, D), mask (N, M) bool of the keys → (N, L, D).

        Rows without a real key give zeros.
        """
        some = mask.any(dim=1)[:, None, None]  # (N, 1, 1)
        attended = mask[:, None, None, :] | ~some[:, None]  # (N, 1, 1, M)
        key, value = self.key_value(keys).chunk(2, dim=-1)
        mixed = F.scaled_dot_product_attention(
            self._split(self.query(queries)), self._split(key), self._split(value), attn_mask=attended
        )  # (N, heads, L, D / heads)
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))  # (N, L, D)
        return result * some

    def _split(self, states: Tensor) -> Tensor:
        """(N, L, D) → (N, heads, L, D / heads)."""
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Sequential):
    """D → `feed_forward` → D with GELU. (N, L, D) → (N, L, D)."""

    def __init__(self, width: int, feed_forward: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(width, feed_forward), nn.GELU(), nn.Dropout(dropout), nn.Linear(feed_forward, width)
        )


class TransformerLayer(nn.Module):
    """Pre-norm self-attention and feed-forward, each residual."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, feed_forward, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (N, L, D), mask (N, L) bool → (N, L, D); masked states are never attended."""
        normed = self.attention_norm(states)
        states = states + self.dropout(self.attention(normed, normed, mask))
        return states + self.dropout(self.feed_forward(self.feed_forward_norm(states)))


class CrossModalLayer(nn.Module):
    """Complementary layer (eq. 1): cross-attention to the other stream, then a `TransformerLayer`.

    The query stream attends to the key/value stream, then to itself, then goes through the feed-forward,
    each step residual; chain layers by feeding one's result to the next as its queries.
    """

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(width)
        self.key_norm = nn.LayerNorm(width)
        self.cross = Attention(width, heads)
        self.dropout = nn.Dropout(dropout)
        self.own = TransformerLayer(width, heads, feed_forward, dropout)

    def forward(self, queries: Tensor, query_mask: Tensor, keys: Tensor, key_mask: Tensor) -> Tensor:
        """queries (N, L, D) with mask (N, L), keys (N, M, D) with mask (N, M) → (N, L, D)."""
        crossed = self.cross(self.query_norm(queries), self.key_norm(keys), key_mask)
        result: Tensor = self.own(queries + self.dropout(crossed), query_mask)
        return result


class AttentionPool(nn.Module):
    """Weighted mean over the real states; each head weighs its own share of the width.

    The scores start at zero, so an untrained pool is the plain masked mean.
    """

    def __init__(self, width: int, heads: int = 1) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}; choose one that is.")
        self.heads = heads
        self.score = nn.Linear(width, heads, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (N, L, D) finite, mask (N, L) bool → (N, D); zeros where nothing is real."""
        some = mask.any(dim=1)[:, None]  # (N, 1)
        scores = self.score(states).masked_fill(~(mask | ~some)[..., None], float("-inf"))
        weights = scores.softmax(dim=1)  # (N, L, heads)
        pooled = (weights[..., None] * states.unflatten(-1, (self.heads, -1))).sum(dim=1)  # (N, heads, D / heads)
        return pooled.flatten(1) * some
