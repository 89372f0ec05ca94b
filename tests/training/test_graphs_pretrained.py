"""Graphs of pretrained encoders of every family, of precomputed streams, and of large weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from callsift.network.encoders import PrecomputedEncoder
from callsift.network.encoders.pretrained import PretrainedEncoder, load_pretrained
from callsift.network.model import build_network
from callsift.training.graphs import export_encoder, export_graphs, save_graph
from callsift.training.torch_runtime import TorchRuntime
from tests.hugging_face import AUDIO, FIELD, TEXT, ragged, real_minilm, save_small

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}
SAMPLES = (1, FIELD - 1, FIELD, FIELD + 19, 500, 8000)
TOKENS = (1, 2, 9, 38)


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options)


def run(graph: Any, values: NDArray[Any], mask: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    states, states_mask = graph.run(["states", "states_mask"], {"values": values, "mask": mask})
    return states, states_mask


def check(encoder: PretrainedEncoder, path: Path, family: str, lengths: tuple[int, ...]) -> None:
    """One segment, as scoring gives them, and several of one length."""
    graph = session(path)
    encoder.eval()
    for length in lengths:
        for segments in (1, 4):
            values, mask = ragged(family, (length,) * segments, seed=length)
            with torch.no_grad():
                expected, expected_mask = encoder(values, mask)
            states, states_mask = run(graph, values.numpy(), mask.numpy())
            np.testing.assert_allclose(states, expected.numpy(), **TOLERANCE)
            np.testing.assert_array_equal(states_mask, expected_mask.numpy())


def stir_adapters(module: nn.Module) -> None:
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if ".lora_" in name:
                weight.normal_(std=0.3)


@pytest.mark.parametrize(
    "family",
    [name if name == "hubert" else pytest.param(name, marks=pytest.mark.slow) for name in AUDIO + TEXT],
)
def test_parity_of_every_family(family: str, tmp_path: Path) -> None:
    folder = save_small(family, tmp_path / "model", layers=1)
    kind: Any = "audio" if family in AUDIO else "text"
    encoder = load_pretrained(folder, kind=kind, train="lora", lora_rank=2, layers="weighted").train()
    stir_adapters(encoder)
    before = {name: weight.clone() for name, weight in encoder.state_dict().items()}
    target = tmp_path / "encoder.onnx"
    export_encoder(encoder, target)
    assert encoder.training
    assert before.keys() == encoder.state_dict().keys()
    assert all(torch.equal(weight, before[name]) for name, weight in encoder.state_dict().items())
    check(encoder, target, family, SAMPLES if family in AUDIO else TOKENS)
    content = target.read_bytes()
    assert b"lora" not in content  # merged: nothing of it is left to compute
    assert b".py" not in content
    assert b"site-packages" not in content
    assert str(tmp_path).encode() not in content


@pytest.mark.slow
def test_parity_of_the_published_model(tmp_path: Path) -> None:
    encoder = load_pretrained(real_minilm(), kind="text")
    export_encoder(encoder, tmp_path / "encoder.onnx")
    check(encoder, tmp_path / "encoder.onnx", "bert", (1, 12, 200, 512))


def test_parity_of_a_precomputed_stream(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = PrecomputedEncoder(7, width=16, heads=2, feed_forward=24).eval()
    encoder.start_from(torch.randn(7), torch.rand(7) + 0.5)
    export_encoder(encoder, tmp_path / "encoder.onnx")
    graph = session(tmp_path / "encoder.onnx")
    for length in (1, 2, 30):
        values = torch.randn(3, length, 7)
        values[1, 0, 2], values[2, 0, 5] = float("nan"), float("inf")
        mask = torch.ones(3, length, dtype=torch.bool)
        states, states_mask = run(graph, values.numpy(), mask.numpy())
        np.testing.assert_allclose(states, encoder(values, mask)[0].detach().numpy(), **TOLERANCE)
        assert states_mask.all()


def test_large_weights_stand_beside_their_graph(tmp_path: Path) -> None:
    """From 10,000 bytes on, here; a second export leaves nothing of the first."""
    encoder = load_pretrained(save_small("bert", tmp_path / "model", layers=1), kind="text")
    (tmp_path / "two").mkdir()
    two, beside = tmp_path / "two/encoder.onnx", tmp_path / "two/encoder.onnx.data"
    export_encoder(encoder, two, external_bytes=10_000)
    assert sorted(two.parent.iterdir()) == [two, beside]
    tensors = onnx.load(two, load_external_data=False).graph.initializer
    places = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    assert places == {beside.name}
    check(encoder, two, "bert", TOKENS)
    size = beside.stat().st_size
    save_graph(onnx.load(two), two, 10_000)
    assert beside.stat().st_size == size
    whole = onnx.load(two)
    save_graph(whole, two)
    assert list(two.parent.iterdir()) == [two]
    assert two.stat().st_size > size
    check(encoder, two, "bert", TOKENS)


@pytest.mark.slow
@pytest.mark.parametrize("context", ["bigru", "none"])
def test_parity_of_a_network_with_other_streams(context: str, tmp_path: Path) -> None:
    """A pretrained text encoder and a precomputed stream; answers for each segment."""
    text = load_pretrained(save_small("bert", tmp_path / "model", layers=1), kind="text")
    network = build_network(
        classes={"5": 5, "2": 2}, streams=("text", "video"), target="segment", fusion="concat", context=context,
        encoders={"text": text, "video": PrecomputedEncoder(7, width=16, heads=2, feed_forward=24)},
        width=16, heads=2, feed_forward=24, hidden=6,
    ).eval()  # fmt: skip
    (tmp_path / "graphs").mkdir()
    files = export_graphs(network, tmp_path / "graphs")
    reference = TorchRuntime(network)
    flat: dict[str, Any] = {}
    states = {}
    for name, length, width in (("text", 9, 32), ("video", 13, 16)):
        values = np.random.default_rng(0).normal(size=(4, length, width)).astype(np.float32)
        parts = (values, np.ones((4, length), dtype=bool), np.array([True, True, False, True]))
        states[name] = parts
        flat |= {f"{name}_{part}": array for part, array in zip(("states", "mask", "present"), parts, strict=True)}
    (vectors,) = session(tmp_path / "graphs" / files["fusion"]).run(["vector"], flat)
    np.testing.assert_allclose(vectors, reference.fuse(states), **TOLERANCE)
    graph = session(tmp_path / "graphs" / files["call"])
    for segments in (1, 2, 7):
        given = np.random.default_rng(segments).normal(size=(2, segments, vectors.shape[1])).astype(np.float32)
        mask = np.arange(segments) < np.array([[segments], [max(1, segments - 2)]])
        expected = reference.call(given, mask)
        for task, classes in (("5", 5), ("2", 2)):
            (logits,) = graph.run([f"logits_{task}"], {"vectors": given, "mask": mask})
            assert logits.shape == (2, segments, classes)
            np.testing.assert_allclose(logits[mask], expected[task][mask], **TOLERANCE)
