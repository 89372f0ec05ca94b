"""Fusions: the states of a segment's streams → one vector. This file is the contract, one file per fusion.

A fusion is an `nn.Module` with

- `width: int`, D of the vector,
- `aux_widths: Mapping[str, int]`, the auxiliary vectors it gives in every mode, by name with their widths;
  empty where it has none,
- `forward(streams: Mapping[str, StreamStates]) -> FusionOutput`.

A stream that the fusion knows and the mapping lacks is absent in every segment. The constructor takes the
widths of the streams' states, then by keyword `width`, `heads`, `feed_forward`, `dropout` and the fusion's own
switches; `fusion.make` has the names that settings use.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class StreamStates(NamedTuple):
    """What an encoder says about N segments."""

    states: Tensor
    """(N, L, D_s) with L ≥ 1; anything at all where `mask` or `present` is False."""
    mask: Tensor
    """(N, L) bool, True = real."""
    present: Tensor
    """(N,) bool; False = the segment lacks this stream. A stream without a real state counts as absent."""


class FusionOutput(NamedTuple):
    """One vector per segment."""

    vector: Tensor
    """(N, D)."""
    aux: dict[str, Tensor]
    """Auxiliary vectors (N, D_aux) for losses, by the names of `aux_widths`. One that is named after a stream
    tells nothing of a segment that lacks the stream."""
