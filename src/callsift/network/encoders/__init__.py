r"""Encoders: a stream of a segment → states (N, L', D) with a mask.

======================  ===================================  ==============================================
module                  encoder                              values
======================  ===================================  ==============================================
``tiny``                `TinyAudioEncoder`                   log-mel (N, F, M)
``tiny``                `HashedTextEncoder`                  hashed n-gram ids (N, T, G)
``pretrained``          `PretrainedEncoder`                  samples (N, L, 1), or token ids (N, T)
``precomputed``         `PrecomputedEncoder`                 states made elsewhere (N, L, features)
======================  ===================================  ==============================================

Of all of them holds: padding, batch mates and their order never change a real state.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from callsift.network.encoders.precomputed import PrecomputedEncoder
from callsift.network.encoders.tiny import HashedTextEncoder, TinyAudioEncoder

__all__ = ["FrozenEncoder", "HashedTextEncoder", "PrecomputedEncoder", "StreamEncoder", "TinyAudioEncoder"]


@runtime_checkable
class StreamEncoder(Protocol):
    """What the network, the exporter and the runtimes ask of an encoder; it must be an `nn.Module` too."""

    width: int
    frozen: bool
    """Whether it is a `FrozenEncoder`."""

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """values (N, L, ...), mask (N, L) bool → states (N, L', D) and their mask (N, L').

        The size of a state is kept by the fusion: a larger one weighs more in the segment's vector.
        """
        ...

    def whole(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, for rows that are all real; no branch depends on the data, so that it can be exported."""
        ...

    def example(self, segments: int, length: int) -> Tensor:
        """Values of the right type and shape, (segments, length, ...): what the exporter traces with."""
        ...


@runtime_checkable
class FrozenEncoder(StreamEncoder, Protocol):
    """An encoder whose costly part never changes, so that what it makes of a segment can be kept."""

    fingerprint: str
    """SHA-256 of everything that decides the features: equal fingerprints, equal features."""

    def features(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """values (N, L, ...), mask (N, L) → features (N, L', [K,] D) and their mask (N, L'): the frozen part."""
        ...

    def from_features(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """features (N, L', [K,] D), mask (N, L') → states (N, L', D), mask (N, L'): the part that may learn."""
        ...
