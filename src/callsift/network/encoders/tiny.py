"""The tiny pair of encoders: log-mel frames and hashed n-grams, trained from scratch on a few hundred calls.

Together they have at most half a million parameters with the defaults. Nothing in them takes statistics over
time, so a segment's states depend on its own real frames or tokens alone, whatever it is padded with and
whoever shares the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from callsift.network.attention import SharedDropout, sinusoidal_positions, transformer_layers

PATCHES = (4, 2)
"""The audio stem: 4 frames, then 2 such patches, 8 frames of 10 ms, become one state."""

_EMBEDDING_STD = 0.005
_POSITION_SCALE = 0.01


class TinyAudioEncoder(nn.Module):
    """Frames of 10 ms (log-mel, pitch) → one state per 80 ms: a masked patch stem and Transformer layers.

    `patches`: how many frames, then how many of these, become one state. The stem's two projections are convolutions
    whose stride is their kernel. The frames should be centred and scaled to about unit size; loudness is kept, since
    there is no norm before the first projection.
    """

    frozen = False

    def __init__(
        self,
        features: int,
        *,
        width: int = 64,
        layers: int = 1,
        heads: int = 4,
        feed_forward: int = 128,
        dropout: float = 0.1,
        patches: tuple[int, int] = PATCHES,
    ) -> None:
        super().__init__()
        self.features = features
        self.width = width
        self.patches = patches
        sizes = (features, width)
        self.stem = nn.ModuleList(nn.Linear(size * patch, width) for size, patch in zip(sizes, patches, strict=True))
        self.stem_norms = nn.ModuleList(nn.LayerNorm(width) for _ in patches)
        self.position_scale = nn.Parameter(torch.tensor(_POSITION_SCALE))
        self.dropout = SharedDropout(dropout)
        self.layers = transformer_layers(layers, width, heads, feed_forward, dropout)

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """values (N, F, M) float32, mask (N, F) bool → states (N, L, D), mask (N, L), L = ⌈F/8⌉ by default.

        Masked frames count as zeros in every patch, as what is beyond the end does.
        """
        states = values
        for project, norm, patch in zip(self.stem, self.stem_norms, self.patches, strict=True):
            states = _patches(states.masked_fill(~mask[..., None], 0.0), patch)  # (N, ⌈F/patch⌉, patch · M)
            mask = _patches(mask[..., None], patch).any(dim=2)  # (N, ⌈F/patch⌉)
            states = F.gelu(norm(project(states)))  # (N, ⌈F/patch⌉, D)
        positions = sinusoidal_positions(states.shape[1], self.width, states.device)
        states = self.dropout(states + self.position_scale * positions)
        for layer in self.layers:
            states = layer(states, mask)
        return states, mask

    def whole(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`."""
        return self(values, mask)  # type: ignore[no-any-return]

    def example(self, segments: int, length: int) -> Tensor:
        """(segments, length, M) float32."""
        return torch.zeros(segments, length, self.features)


def _patches(states: Tensor, patch: int) -> Tensor:
    """(N, L, D) → (N, ⌈L/patch⌉, patch · D): neighbours side by side, zeros after the end."""
    padded = F.pad(states, (0, 0, 0, -states.shape[1] % patch))
    return padded.reshape(states.shape[0], -1, patch * states.shape[2])


class HashedTextEncoder(nn.Module):
    """Tokens given as hashed n-gram ids → states: fastText's sum of parts, then Transformer layers.

    Each token is the sum of the embeddings of its G ids divided by √(number of ids), so that tokens with few
    and with many n-grams are of one size; id 0 means "nothing" and adds nothing. The embeddings start small:
    what training adds to an n-gram soon outweighs the random start, which matters where most n-grams are seen
    a handful of times. `token_dropout` blanks whole tokens in training, `dropout` parts of the embeddings.
    """

    frozen = False

    def __init__(
        self,
        buckets: int = 8192,
        features_per_token: int = 8,
        *,
        embedding_width: int = 40,
        width: int = 64,
        layers: int = 1,
        heads: int = 4,
        feed_forward: int = 128,
        dropout: float = 0.1,
        token_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.features_per_token = features_per_token
        self.width = width
        self.token_dropout = token_dropout
        self.embedding = nn.Embedding(buckets, embedding_width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=_EMBEDDING_STD)
        nn.init.zeros_(self.embedding.weight[0].data)
        self.dropout = SharedDropout(dropout)
        self.project = nn.Linear(embedding_width, width)
        nn.init.zeros_(self.project.bias)
        self.position_scale = nn.Parameter(torch.tensor(_POSITION_SCALE))
        self.layers = transformer_layers(layers, width, heads, feed_forward, dropout)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """ids (N, T, G) int64 in [0, buckets), mask (N, T) bool → states (N, T, D), mask (N, T)."""
        if ids.shape[2] != self.features_per_token:
            raise ValueError(
                f"Tokens have {ids.shape[2]} n-gram ids, this encoder was built for "
                f"{self.features_per_token}; use the token settings it was trained with."
            )
        real = mask
        if self.training and self.token_dropout > 0.0:
            real = real & (torch.rand(mask.shape, device=mask.device) >= self.token_dropout)
        ids = ids.masked_fill(~real[..., None], 0)
        found = (ids != 0).sum(dim=2, keepdim=True).clamp(min=1)  # (N, T, 1)
        embedded = self.embedding(ids).sum(dim=2) * found.to(self.embedding.weight.dtype).rsqrt()
        states = self.project(self.dropout(embedded))  # (N, T, D)
        states = states + self.position_scale * sinusoidal_positions(ids.shape[1], self.width, ids.device)
        for layer in self.layers:
            states = layer(states, mask)
        return states, mask

    def whole(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`."""
        return self(ids, mask)  # type: ignore[no-any-return]

    def start_from(self, embeddings: Tensor) -> None:
        """Take (buckets, embedding_width) as the embeddings to go on from; row 0 must be zero."""
        self.embedding.weight.data.copy_(embeddings)

    def example(self, segments: int, length: int) -> Tensor:
        """(segments, length, G) int64."""
        return torch.ones(segments, length, self.features_per_token, dtype=torch.int64)
