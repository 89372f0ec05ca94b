"""The exported graphs say what the network says, at every size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from callsift.network.model import CallBatch, CallNetwork, build_network
from callsift.training.graphs import export_graphs
from callsift.training.torch_runtime import TorchRuntime

BUCKETS, PARTS, MELS, WIDTH = 64, 3, 5, 16
TOLERANCE = 1e-5


class Exported:
    """A small network, its graphs, and both runtimes."""

    def __init__(self, streams: tuple[str, ...], folder: Path, layers: int = 2) -> None:
        torch.manual_seed(0)
        self.network = build_network(
            classes={"5": 5, "2": 2}, streams=streams, audio_features=MELS, text_buckets=BUCKETS,
            text_features_per_token=PARTS, embedding_width=8, width=WIDTH, heads=2, feed_forward=24,
            bottleneck_layers=layers, tokens=3, hidden=6, context_layers=layers,
        )  # fmt: skip
        with torch.no_grad():
            for name, weight in self.network.named_parameters():
                weight.add_(0.3 * torch.randn_like(weight))
                if name.endswith("embedding.weight"):
                    weight[0] = 0.0
        self.network.train()
        self.listed = export_graphs(self.network, folder)
        self.was_training = self.network.training
        self.folder = folder
        self.torch = TorchRuntime(self.network)
        self.sessions: dict[str, Any] = {}

    def run(self, file: str, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if file not in self.sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self.sessions[file] = onnxruntime.InferenceSession(str(self.folder / file), options)
        session = self.sessions[file]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))


def check_encoders_and_fusion(exported: Exported, segments: int, length: int) -> None:
    """Ragged masks, absent streams, streams of unequal length: both runtimes agree."""
    random = np.random.default_rng((segments, length))
    states: dict[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = {}
    for name in exported.network.streams:
        size = length if name == "text" else max(1, 2 * length - 5)
        values = random.normal(size=(segments, size, MELS)).astype(np.float32)
        if name == "text":
            values = random.integers(0, BUCKETS, (segments, size, PARTS))
        mask = np.arange(size) < random.integers(1, size + 1, (segments, 1))
        expected = exported.torch.encode(name, values, mask)
        found = exported.run(f"encoder_{name}.onnx", {"values": values, "mask": mask})
        np.testing.assert_allclose(found["states"], expected[0], atol=TOLERANCE, rtol=TOLERANCE)
        np.testing.assert_array_equal(found["states_mask"], expected[1])
        states[name] = (*expected, random.random(segments) < 0.7)
    parts = ("states", "mask", "present")
    flat = {f"{name}_{part}": array for name in states for part, array in zip(parts, states[name], strict=True)}
    vector = exported.run("fusion.onnx", flat)["vector"]
    np.testing.assert_allclose(vector, exported.torch.fuse(states), atol=TOLERANCE, rtol=TOLERANCE)


def check_call(exported: Exported, calls: int, segments: int) -> None:
    random = np.random.default_rng((calls, segments))
    vectors = random.normal(size=(calls, segments, WIDTH)).astype(np.float32)
    mask = np.arange(segments) < random.integers(1, segments + 1, (calls, 1))
    found = exported.run("call.onnx", {"vectors": vectors, "mask": mask})
    expected = exported.torch.call(vectors, mask)
    assert list(found) == [f"logits_{task}" for task in expected]
    for task, logits in expected.items():
        np.testing.assert_allclose(found[f"logits_{task}"], logits, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(("text", "audio"), tmp_path_factory.mktemp("graphs"))


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 25, 600])
def test_parity_of_encoders_and_fusion(exported: Exported, segments: int, length: int) -> None:
    check_encoders_and_fusion(exported, segments, length)


@pytest.mark.parametrize("calls", [1, 4])
@pytest.mark.parametrize("segments", [1, 2, 3, 22, 150])
def test_parity_of_the_call(exported: Exported, calls: int, segments: int) -> None:
    check_call(exported, calls, segments)


@pytest.mark.slow  # the pretrained MiniLM goes the same way in the default tests
@pytest.mark.parametrize("stream", ["text", "audio"])
def test_network_of_one_stream(stream: str, tmp_path: Path) -> None:
    alone = Exported((stream,), tmp_path, layers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["call.onnx", f"encoder_{stream}.onnx", "fusion.onnx"]
    for segments, length in ((1, 1), (3, 40), (5, 600)):
        check_encoders_and_fusion(alone, segments, length)
    check_call(alone, 2, 5)


def test_what_export_returns_and_leaves(exported: Exported) -> None:
    assert exported.listed == {
        "encoders": {"text": "encoder_text.onnx", "audio": "encoder_audio.onnx"},
        "fusion": "fusion.onnx",
        "call": "call.onnx",
    }
    assert exported.was_training
    assert exported.torch.widths == {"text": WIDTH, "audio": WIDTH}
    assert exported.network.training


def test_graphs_name_nothing_of_this_machine(exported: Exported) -> None:
    for file in exported.folder.glob("*.onnx"):
        content = file.read_bytes()
        assert b".py" not in content
        assert str(Path(torch.__file__).parent).encode() not in content
        kinds = {node.op_type for node in onnx.load(file).graph.node}
        assert not kinds & {"Dropout", "RandomUniformLike", "Bernoulli", "RandomUniform"}


def test_steps_of_the_torch_runtime_make_the_forward_pass(exported: Exported) -> None:
    network: CallNetwork = exported.network
    network.eval()
    text = torch.randint(0, BUCKETS, (3, 4, PARTS))
    mask, present = torch.ones(3, 4, dtype=torch.bool), torch.ones(3, dtype=torch.bool)
    batch = CallBatch({"text": (text, mask, present)}, torch.tensor([[True, False], [True, True]]))
    expected = network(batch)
    network.train()
    states, states_mask = exported.torch.encode("text", text.numpy(), mask.numpy())
    fused = exported.torch.fuse({"text": (states, states_mask, present.numpy())})
    vectors = np.zeros((2, 2, WIDTH), dtype=np.float32)
    vectors[batch.segments_mask.numpy()] = fused
    for task, logits in exported.torch.call(vectors, batch.segments_mask.numpy()).items():
        np.testing.assert_allclose(logits, expected[task].detach(), atol=TOLERANCE)
    assert network.training
