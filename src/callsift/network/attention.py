"""Masked pre-norm Transformer parts: the only attention in the package.

Pre-norm (the norm inside the residual branch) trains from scratch on a few hundred calls. It leaves the
residual path linear: the segment's vector starts as about the mean of its tokens, and a token can learn to
weigh more by being larger; so the branches start small, and whoever pools normalises after pooling, not
before. Masks are True at real states:
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

_RESIDUAL_GAIN = 0.2
_SCORE_STD = 0.02


def sinusoidal_positions(length: int, width: int, device: torch.device | None = None) -> Tensor:
    """Sine and cosine position codes, without parameters and for any length.

    Returns: (length, width) float32, every entry within [-1, 1].
    """
    half = (width + 1) // 2
    rates = torch.exp(torch.arange(half, device=device) * (-math.log(10_000.0) / half))
    angles = torch.arange(length, device=device)[:, None] * rates  # (length, width / 2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]


class SharedDropout(nn.Module):
    """Dropout whose mask is drawn once for all positions of a segment.

    A mean over many states averages ordinary dropout away; this reaches it, and costs next to nothing.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, states: Tensor) -> Tensor:
        """(N, L, D) → (N, L, D)."""
        if not self.training or self.probability == 0.0:
            return states
        return states * F.dropout(states.new_ones(states.shape[0], 1, states.shape[2]), self.probability)


class Attention(nn.Module):
    """Multi-head attention of queries over masked keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}; choose one that is.")
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width)
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)
        self.out.weight.data.mul_(_RESIDUAL_GAIN)
        nn.init.zeros_(self.out.bias)

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """queries (N, L, D), keys (N, M, D), mask (N, M) bool of the keys → (N, L, D).

        A row without any real key attends to all of them: finite, and for the caller to discard.
        """
        attended = (mask | ~mask.any(dim=1, keepdim=True))[:, None, None]  # (N, 1, 1, M)
        mixed = F.scaled_dot_product_attention(
            self._split(self.query(queries)),
            self._split(self.key(keys)),
            self._split(self.value(keys)),
            attn_mask=attended,
        )  # (N, heads, L, D / heads)
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))  # (N, L, D)
        return result

    def _split(self, states: Tensor) -> Tensor:
        """(N, L, D) → (N, heads, L, D / heads)."""
        return states.reshape(*states.shape[:2], self.heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """D → `feed_forward` → D with GELU."""

    def __init__(self, width: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.into = nn.Linear(width, feed_forward)
        self.dropout = SharedDropout(dropout)
        self.out = nn.Linear(feed_forward, width)
        self.out.weight.data.mul_(_RESIDUAL_GAIN)
        nn.init.zeros_(self.out.bias)

    def forward(self, states: Tensor) -> Tensor:
        """(N, L, D) → (N, L, D)."""
        result: Tensor = self.out(self.dropout(F.gelu(self.into(states))))
        return result


class TransformerLayer(nn.Module):
    """Pre-norm self-attention and feed-forward, each residual."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, feed_forward, dropout)
        self.dropout = SharedDropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (N, L, D), mask (N, L) bool → (N, L, D); masked states are never attended."""
        normed = self.attention_norm(states)
        states = states + self.dropout(self.attention(normed, normed, mask))
        changed: Tensor = self.dropout(self.feed_forward(self.feed_forward_norm(states)))
        return states + changed


def transformer_layers(count: int, width: int, heads: int, feed_forward: int, dropout: float) -> nn.ModuleList:
    """`count` layers, each with weights of its own, for the caller to chain."""
    return nn.ModuleList(TransformerLayer(width, heads, feed_forward, dropout) for _ in range(count))


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
        self.dropout = SharedDropout(dropout)
        self.own = TransformerLayer(width, heads, feed_forward, dropout)

    def forward(self, queries: Tensor, query_mask: Tensor, keys: Tensor, key_mask: Tensor) -> Tensor:
        """queries (N, L, D) with mask (N, L), keys (N, M, D) with mask (N, M) → (N, L, D)."""
        crossed = self.cross(self.query_norm(queries), self.key_norm(keys), key_mask)
        crossed = crossed * key_mask.any(dim=1)[:, None, None]  # nothing to hear adds nothing
        result: Tensor = self.own(queries + self.dropout(crossed), query_mask)
        return result


class AttentionPool(nn.Module):
    """Weighted mean over the real states; each head weighs its own share of the width.

    The scores start near zero, so an untrained pool is about the plain masked mean.
    """

    def __init__(self, width: int, heads: int = 1) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}; choose one that is.")
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.score = nn.Linear(width, heads, bias=False)
        nn.init.normal_(self.score.weight, std=_SCORE_STD)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (N, L, D) finite, mask (N, L) bool → (N, D); zeros where nothing is real."""
        some = mask.any(dim=1)[:, None]  # (N, 1)
        scores = self.score(self.norm(states)).masked_fill(~(mask | ~some)[..., None], float("-inf"))
        weights = scores.softmax(dim=1)  # (N, L, heads)
        shares = states.reshape(*states.shape[:2], self.heads, -1)  # (N, L, heads, D / heads)
        pooled: Tensor = (weights[..., None] * shares).sum(dim=1).flatten(1)  # (N, D)
        return pooled * some
