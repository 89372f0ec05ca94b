"""Every fusion and every context is an ONNX graph with free sizes that says what the module says."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from callsift.network.context import make_context
from callsift.network.fusion import StreamStates
from callsift.network.fusion.make import make_fusion

TOLERANCE = 1e-4
WIDTH, HIDDEN = 8, 6
SIZES = {"text": 7, "audio": 5, "video": 6}
SETTINGS: dict[str, Any] = {
    "width": WIDTH,
    "heads": 2,
    "feed_forward": 12,
    "dropout": 0.1,
    "cross_layers": 1,
    "bottleneck_layers": 1,
    "tokens": 4,
    "flatten_length": 10,
}
BOTH = ("text", "audio")


class FusionGraph(nn.Module):
    """Streams as flat tensors → the vector and the auxiliary ones."""

    def __init__(self, fusion: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.fusion = fusion
        self.names = names

    def forward(self, *flat: Tensor) -> tuple[Tensor, ...]:
        triples = zip(self.names, flat[::3], flat[1::3], flat[2::3], strict=True)
        output = self.fusion({name: StreamStates(*triple) for name, *triple in triples})
        return output.vector, *output.aux.values()


class ContextGraph(nn.Module):
    """vectors, mask → segments, call."""

    def __init__(self, context: nn.Module) -> None:
        super().__init__()
        self.context = context

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        output = self.context(vectors, mask)
        return output.segments, output.call


def exported(graph: nn.Module, inputs: tuple[Tensor, ...], shapes: Any) -> Callable[..., list[Any]]:
    """The graph in ONNX Runtime."""
    before = logging.root.manager.disable
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        program = torch.onnx.export(
            graph.eval(), inputs, dynamo=True, dynamic_shapes=shapes, opset_version=18, verbose=False
        )
        logging.disable(before)
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), options)
    names = [part.name for part in session.get_inputs()]
    return lambda *flat: session.run(None, dict(zip(names, (part.numpy() for part in flat), strict=True)))


def free(part: Tensor) -> dict[int, Any]:
    """The first two sizes of an input are free."""
    return dict.fromkeys(range(min(2, part.ndim)), Dim.DYNAMIC)


def agree(found: list[Any], expected: tuple[Tensor, ...]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=TOLERANCE, rtol=TOLERANCE)


def flat_streams(names: tuple[str, ...], segments: int, length: int, absent: float) -> tuple[Tensor, ...]:
    """Ragged streams of unequal length, some absent."""
    flat: list[Tensor] = []
    for at, name in enumerate(names):
        size = length + at  # equal sizes would be taken for one and the same when traced
        mask = torch.arange(size) < torch.randint(1, size + 1, (segments, 1))
        flat += [torch.randn(segments, size, SIZES[name]), mask, torch.rand(segments) >= absent]
    return tuple(flat)


@pytest.mark.parametrize(
    ("name", "names", "changes"),
    [
        pytest.param(
            "msmt-fn",
            BOTH,
            {"readout": "flatten", "shared_weights": True, "bottleneck_layers": 2},
            marks=pytest.mark.slow,
        ),
        ("agt", BOTH, {"own_layers": 0}),
        pytest.param("mmml", BOTH, {"own_layers": 0}, marks=pytest.mark.slow),
        pytest.param("agt", (*BOTH, "video"), {"cross_layers": 2, "block_layers": 2}, marks=pytest.mark.slow),
        pytest.param("msmt-fn", BOTH, {"cross_layers": 2, "bottleneck_layers": 2}, marks=pytest.mark.slow),
        pytest.param("msmt-fn", BOTH, {"readout": "text", "cross_layers": 0}, marks=pytest.mark.slow),
        pytest.param("msmt-fn", BOTH, {"bottleneck_layers": 0}, marks=pytest.mark.slow),
        pytest.param("mmml", BOTH, {"cross_layers": 2}, marks=pytest.mark.slow),
        pytest.param("concat", (*BOTH, "video"), {}, marks=pytest.mark.slow),
        pytest.param("text", ("text",), {}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_fusion(stirred: Callable[..., None], name: str, names: tuple[str, ...], changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    fusion = make_fusion(name, {stream: SIZES[stream] for stream in names}, **SETTINGS | changes)
    stirred(fusion)
    graph = FusionGraph(fusion, names)
    traced = flat_streams(names, 3, 24, absent=0.0)
    run = exported(graph, traced, (tuple(map(free, traced)),))
    for segments, length in ((1, 1), (2, 9), (5, 10), (7, 33), (40, 3), (1, 200)):
        flat = flat_streams(names, segments, length, absent=0.3)
        with torch.no_grad():
            agree(run(*flat), graph(*flat))


@pytest.mark.parametrize("name", ["transformer", "none", pytest.param("bigru", marks=pytest.mark.slow)])
def test_context(stirred: Callable[..., None], name: str) -> None:
    torch.manual_seed(0)
    context = make_context(name, WIDTH, HIDDEN, layers=1, heads=3, dropout=0.1)
    stirred(context)
    graph = ContextGraph(context)
    traced = (torch.zeros(3, 24, WIDTH), torch.ones(3, 24, dtype=torch.bool))
    run = exported(graph, traced, tuple(map(free, traced)))
    for calls, segments in ((1, 1), (1, 3), (4, 22), (2, 150), (20, 2)):
        mask = torch.arange(segments) < torch.randint(1, segments + 1, (calls, 1))
        mask[0] = True
        vectors = torch.randn(calls, segments, WIDTH)
        with torch.no_grad():
            expected = graph(vectors, mask)
        found = run(vectors, mask)
        agree([found[0][mask.numpy()], found[1]], (expected[0][mask], expected[1]))
