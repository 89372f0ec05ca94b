"""The scoring world's three operations, done in torch: what the ONNX runtime is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from callsift.network.encoders import StreamEncoder
from callsift.network.fusion import StreamStates
from callsift.network.model import CallNetwork
from callsift.types import BoolArray, FloatArray


class TorchRuntime:
    """A network behind NumPy arrays, without dropout and gradients; its mode is restored after each call.

    `widths`: the streams that the network has an encoder for, with the width D of each one's states.
    """

    def __init__(self, network: CallNetwork) -> None:
        self.network = network
        self.widths: Mapping[str, int] = {
            stream: cast(StreamEncoder, network.encoders[stream]).width for stream in network.streams
        }

    def encode(self, stream: str, values: NDArray[np.generic], mask: BoolArray) -> tuple[FloatArray, BoolArray]:
        """values (N, L, ...), mask (N, L) → states (N, L', D), mask (N, L')."""
        with _Evaluating(self.network):
            states, states_mask = self.network.encode(stream, torch.from_numpy(values), torch.from_numpy(mask))
            return states.numpy(), states_mask.numpy()

    def fuse(self, streams: Mapping[str, tuple[FloatArray, BoolArray, BoolArray]]) -> FloatArray:
        """stream → states (N, L, D), mask (N, L), present (N,); returns (N, D)."""
        with _Evaluating(self.network):
            tensors = {
                name: StreamStates(*(torch.from_numpy(array) for array in triple)) for name, triple in streams.items()
            }
            vector: FloatArray = self.network.fuse(tensors).vector.numpy()
            return vector

    def call(self, vectors: FloatArray, mask: BoolArray) -> dict[str, FloatArray]:
        """vectors (B, S, D), mask (B, S) → task → logits (B, K)."""
        with _Evaluating(self.network):
            logits = self.network.contextualise(torch.from_numpy(vectors), torch.from_numpy(mask))
            return {task: scores.numpy() for task, scores in logits.items()}


class _Evaluating:
    """Inference mode and eval mode for the time of a `with`."""

    def __init__(self, network: CallNetwork) -> None:
        self.network = network
        self.inference = torch.inference_mode()

    def __enter__(self) -> None:
        self.training = self.network.training
        self.network.eval()
        self.inference.__enter__()

    def __exit__(self, *error: object) -> None:
        self.inference.__exit__(*error)
        self.network.train(self.training)
