"""States made elsewhere, such as a video model's or acoustic measures, as a stream of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from callsift.network.attention import SharedDropout, sinusoidal_positions, transformer_layers

_POSITION_SCALE = 0.01
_LIMIT = 10.0  # standard deviations: one broken measurement must not outweigh a call
_LEAST_SCALE = 1e-6  # below it a number is constant in the training data


class PrecomputedEncoder(nn.Module):
    """States of any origin and rate → standardised, projected, and Transformer layers over them.

    A number that is missing (NaN) counts as its mean.
    """

    frozen = False
    mean: Tensor
    """(features,) float32, of the training data; zeros until `start_from`."""
    scale: Tensor
    """(features,) float32, their standard deviations; ones until `start_from`."""

    def __init__(
        self,
        features: int,
        *,
        width: int = 64,
        layers: int = 1,
        heads: int = 4,
        feed_forward: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.features = features
        self.width = width
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.project = nn.Linear(features, width)
        self.position_scale = nn.Parameter(torch.tensor(_POSITION_SCALE))
        self.dropout = SharedDropout(dropout)
        self.layers = transformer_layers(layers, width, heads, feed_forward, dropout)

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """values (N, L, features) float32, mask (N, L) bool → states (N, L, D), mask (N, L).

        Raises:
            ValueError: another number of features.
        """
        if values.shape[2] != self.features:
            raise ValueError(
                f"States have {values.shape[2]} numbers each, this encoder was built for {self.features}; "
                "give it the stream it was trained with."
            )
        standard = (values - self.mean) / self.scale  # (N, L, features)
        standard = standard.masked_fill(standard.isnan() | ~mask[..., None], 0.0).clamp(-_LIMIT, _LIMIT)
        states = self.project(standard)  # (N, L, D)
        states = states + self.position_scale * sinusoidal_positions(values.shape[1], self.width, values.device)
        states = self.dropout(states)
        for layer in self.layers:
            states = layer(states, mask)
        return states, mask

    def whole(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`."""
        return self(values, mask)  # type: ignore[no-any-return]

    def start_from(self, mean: Tensor, scale: Tensor) -> None:
        """Take (features,) means and standard deviations of the training data; a constant number is not scaled.

        Raises:
            ValueError: another number of features, or one that isn't finite.
        """
        for name, given in (("mean", mean), ("scale", scale)):
            if given.shape != self.mean.shape or not given.isfinite().all():
                raise ValueError(f"{name} must be {self.features} finite numbers, not {tuple(given.shape)}.")
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(scale > _LEAST_SCALE, scale, 1.0))

    def example(self, segments: int, length: int) -> Tensor:
        """(segments, length, features) float32."""
        return torch.zeros(segments, length, self.features)
