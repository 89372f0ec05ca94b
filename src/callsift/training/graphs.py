"""The network as ONNX graphs, with free sizes: one per encoder, the fusion, and the call.

==========================  ==================================================  ===========================
file                        inputs                                              outputs
==========================  ==================================================  ===========================
``encoder_<stream>.onnx``   values (N, L, ...), mask (N, L)                     states (N, L', D),
                                                                                states_mask (N, L')
``fusion.onnx``             <stream>_states (N, L', D), <stream>_mask (N, L'),  vector (N, D)
                            <stream>_present (N,), of each stream
``call.onnx``               vectors (B, S, D), mask (B, S)                      logits_<task> (B, K)
==========================  ==================================================  ===========================

Masks are bool. An encoder's graph takes segments of one length, all of it real (`StreamEncoder.whole`). Weights
beyond 256 MB stand beside their graph, in ``<file>.data``: a protobuf holds 2 GB at most. What the exporter notes
about the machine it ran on (source paths) is taken out.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from callsift.network.encoders import StreamEncoder
from callsift.network.encoders.backbone import PretrainedEncoder
from callsift.network.fusion import StreamStates
from callsift.network.model import CallNetwork

OPSET = 18
EXTERNAL_BYTES = 256_000_000
"""Weights of a graph from which on they are written beside it."""
_SEGMENTS, _LENGTH = 3, 24  # sizes traced with; 0 and 1 would be taken for constants
_STEPS = 4  # segments of a call traced with: the exporter goes through a GRU step by step, many times over


class _EncoderGraph(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        states, states_mask = cast(StreamEncoder, self.encoder).whole(values, mask)
        return states, states_mask.clone()


class _FusionGraph(nn.Module):
    def __init__(self, network: CallNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *flat: Tensor) -> Tensor:
        triples = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        streams = zip(self.network.streams, triples, strict=True)
        return self.network.fuse({name: StreamStates(*triple) for name, triple in streams}).vector


class _CallGraph(nn.Module):
    def __init__(self, network: CallNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.contextualise(vectors, mask).values())


def export_graphs(network: CallNetwork, directory: Path, *, external_bytes: int = EXTERNAL_BYTES) -> dict[str, Any]:
    """Write the graphs into `directory`, without dropout; the network is left in the mode it was in.

    Adapters are worked into a copy of their encoder's weights. `external_bytes`: weights of a graph from which
    on they are written beside it.

    Returns: the file names as a bundle lists them,
    `{"encoders": {stream: file}, "fusion": file, "call": file}`.
    """
    encoders = {name: f"encoder_{name}.onnx" for name in network.streams}
    for name, file in encoders.items():
        export_encoder(network.encoders[name], directory / file, external_bytes=external_bytes)
    with _still(network):
        _export_fusion(network, directory / "fusion.onnx", external_bytes)
        _export_call(network, directory / "call.onnx", external_bytes)
    return {"encoders": encoders, "fusion": "fusion.onnx", "call": "call.onnx"}


def export_encoder(encoder: nn.Module, path: Path, *, external_bytes: int = EXTERNAL_BYTES) -> None:
    """Write the graph of one encoder; see `export_graphs`."""
    with _still(encoder):
        length = _LENGTH
        if isinstance(encoder, PretrainedEncoder):
            encoder = encoder.merged()
            length *= encoder.min_samples  # so that there are several states, too
        mask = torch.ones(_SEGMENTS, length, dtype=torch.bool)
        inputs = (cast(StreamEncoder, encoder).example(_SEGMENTS, length), mask)
        shapes = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC, 1: Dim.DYNAMIC})
        names = (["values", "mask"], ["states", "states_mask"])
        _write(_EncoderGraph(encoder), inputs, shapes, *names, path, external_bytes)


def _export_fusion(network: CallNetwork, path: Path, external_bytes: int) -> None:
    inputs: list[Tensor] = []
    shapes: list[dict[int, Any]] = []
    names: list[str] = []
    for index, name in enumerate(network.streams):
        width = cast(StreamEncoder, network.encoders[name]).width
        length = _LENGTH + index  # equal lengths would be taken for one and the same size
        states = torch.zeros(_SEGMENTS, length, width)
        mask = torch.ones(_SEGMENTS, length, dtype=torch.bool)
        inputs += [states, mask, torch.ones(_SEGMENTS, dtype=torch.bool)]
        shapes += [{0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC}]
        names += [f"{name}_states", f"{name}_mask", f"{name}_present"]
    _write(_FusionGraph(network), tuple(inputs), (tuple(shapes),), names, ["vector"], path, external_bytes)


def _export_call(network: CallNetwork, path: Path, external_bytes: int) -> None:
    width = cast(int, network.fusion.width)
    vectors = torch.zeros(_SEGMENTS, _STEPS, width)
    mask = torch.ones(_SEGMENTS, _STEPS, dtype=torch.bool)
    shapes = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC, 1: Dim.DYNAMIC})
    outputs = [f"logits_{task}" for task in network.heads.tasks]
    _write(_CallGraph(network), (vectors, mask), shapes, ["vectors", "mask"], outputs, path, external_bytes)


def _write(
    graph: nn.Module,
    inputs: tuple[Tensor, ...],
    shapes: tuple[Any, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
    path: Path,
    external_bytes: int,
) -> None:
    """Trace, translate, strip and save one graph: one file, or two with large weights."""
    program = torch.onnx.export(
        graph.eval(),
        inputs,
        dynamo=True,
        dynamic_shapes=shapes,
        opset_version=OPSET,
        input_names=input_names,
        output_names=output_names,
        verbose=False,
    )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _name_sizes(model)
    save_graph(model, path, external_bytes)


def save_graph(model: onnx.ModelProto, path: Path, external_bytes: int = EXTERNAL_BYTES) -> None:
    """Strip, check and save a graph, beside it its weights from `external_bytes` on; `model` may lose its weights."""
    _strip(model)
    beside = path.with_name(f"{path.name}.data")
    beside.unlink(missing_ok=True)  # onnx would append to it
    if sum(len(weights.raw_data) for weights in model.graph.initializer) < external_bytes:
        onnx.checker.check_model(model)
        onnx.save(model, path)
    else:
        onnx.save(model, path, save_as_external_data=True, location=beside.name)
        onnx.checker.check_model(str(path))


def _strip(model: onnx.ModelProto) -> None:
    """Take out what names source files of this machine, and comments."""
    del model.metadata_props[:]
    model.doc_string = ""
    for part in (model.graph, *model.functions):
        del part.metadata_props[:]
        part.doc_string = ""
        for node in part.node:
            del node.metadata_props[:]
            node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""


def _name_sizes(model: onnx.ModelProto) -> None:
    """Call each free size of an input by its first use, such as `text_mask.1`, and what is derived likewise."""
    del model.graph.value_info[:]  # shapes in between, in the exporter's own symbols
    names: dict[str, str] = {}
    for value in (*model.graph.input, *model.graph.output):
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if size.dim_param:
                size.dim_param = names.setdefault(size.dim_param, f"{value.name}.{axis}")


@contextlib.contextmanager
def _still(module: nn.Module) -> Iterator[None]:
    """Without dropout, gradients or the exporter's talk; then in the mode it was in."""
    training = module.training
    module.eval()
    try:
        with quiet(), torch.no_grad():
            yield
    finally:
        module.train(training)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither progress nor advice of the exporter, but its errors."""
    before = logging.root.manager.disable
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
