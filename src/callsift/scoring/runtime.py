"""The network of a bundle in ONNX Runtime: encode, fuse, call, on NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from callsift.bundle import Bundle
from callsift.errors import BundleError
from callsift.types import BoolArray, FloatArray, IntArray

SMALL_BYTES = 32_000_000
"""Below this size the matrices are so small that sharing them between threads costs more than it saves."""


class OnnxRuntime:
    """The graphs of a bundle. See `callsift.plugins.Runtime` for the shapes."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        """`threads`: CPU threads of one operation; None: one for a small network, else ONNX Runtime's choice."""
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # A thread that waits for the other by spinning takes the time of other processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is None and sum(path.stat().st_size for path in bundle.path.iterdir()) < SMALL_BYTES:
            threads = 1
        if threads is not None:
            options.intra_op_num_threads = threads
        providers = [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in ort.get_available_providers()]

        def session(name: str) -> ort.InferenceSession:
            return _open(bundle.path / name, options, providers)

        self._encoders = {stream: session(name) for stream, name in bundle.graphs.encoders.items()}
        self._fusion = session(bundle.graphs.fusion)
        self._call = session(bundle.graphs.call)
        self._outputs = [output.name for output in self._call.get_outputs()]
        shapes = {given.name: given.shape for given in self._fusion.get_inputs()}
        self.widths: Mapping[str, int] = {stream: int(shapes[f"{stream}_states"][-1]) for stream in self._encoders}

    def encode(self, stream: str, values: FloatArray | IntArray, mask: BoolArray) -> tuple[FloatArray, BoolArray]:
        states, states_mask = self._encoders[stream].run(["states", "states_mask"], {"values": values, "mask": mask})
        return states, states_mask

    def fuse(self, streams: Mapping[str, tuple[FloatArray, BoolArray, BoolArray]]) -> FloatArray:
        feed: dict[str, np.ndarray] = {}
        for name, (states, mask, present) in streams.items():
            feed |= {f"{name}_states": states, f"{name}_mask": mask, f"{name}_present": present}
        (vectors,) = self._fusion.run(["vector"], feed)
        return np.asarray(vectors, dtype=np.float32)

    def call(self, vectors: FloatArray, mask: BoolArray) -> dict[str, FloatArray]:
        found = self._call.run(self._outputs, {"vectors": vectors, "mask": mask})
        return {name.removeprefix("logits_"): logits for name, logits in zip(self._outputs, found, strict=True)}


def _open(path: Path, options: ort.SessionOptions, providers: list[str]) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's own classes are private
        raise BundleError(f"{path} can't be loaded by ONNX Runtime {ort.__version__}: {error}") from error
