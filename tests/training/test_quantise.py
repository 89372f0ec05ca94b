"""Eight-bit graphs: smaller, still about the same states, matrix products alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from callsift.network.encoders.pretrained import load_pretrained
from callsift.training.graphs import export_encoder, save_graph
from callsift.training.quantise import quantise
from tests.hugging_face import ragged, real_minilm, save_small


def states_of(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    graph = onnxruntime.InferenceSession(str(path))
    feed = {"values": values, "mask": np.ones(values.shape[:2], dtype=bool)}
    states: NDArray[Any] = graph.run(["states"], feed)[0]
    return states


def cosine(left: NDArray[Any], right: NDArray[Any]) -> float:
    left, right = left.mean(axis=(0, 1)), right.mean(axis=(0, 1))
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph of a small BERT."""
    folder = tmp_path_factory.mktemp("bert")
    encoder = load_pretrained(save_small("bert", folder, layers=1, hidden_size=64, intermediate_size=256), kind="text")
    export_encoder(encoder, folder / "encoder.onnx")
    return folder / "encoder.onnx"


@pytest.mark.parametrize("external_bytes", [10**9, 1000])
def test_states_stay_about_the_same(exported: Path, external_bytes: int, tmp_path: Path) -> None:
    for name in ("encoder_text.onnx", "other.onnx"):
        save_graph(onnx.load(exported), tmp_path / name, external_bytes)
    values = ragged("bert", (30,))[0].numpy()
    before = states_of(tmp_path / "encoder_text.onnx", values)
    files = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    sizes = quantise(tmp_path, ["encoder_text.onnx"], external_bytes=external_bytes)
    left = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert left.keys() == files.keys()  # nothing but the graphs and, with large weights, what stands beside them
    assert (len(files) == 4) == (external_bytes == 1000)
    assert sizes == {"encoder_text.onnx": left["encoder_text.onnx"] + left.get("encoder_text.onnx.data", 0)}
    assert sizes["encoder_text.onnx"] < 0.55 * sum(files[name] for name in files if name.startswith("encoder"))
    assert all(left[name] == files[name] for name in files if name.startswith("other"))
    after = states_of(tmp_path / "encoder_text.onnx", values)
    assert cosine(before, after) > 0.995
    assert 0 < np.abs(after - before).max() < 0.2


def test_matrix_products_alone(tmp_path: Path) -> None:
    """The stem of a speech model is convolutions, which stay as they are."""
    random = np.random.default_rng(0)
    kernel, matrix = random.normal(size=(8, 1, 3)), random.normal(size=(8, 16))
    shape = [onnx.helper.make_tensor_value_info("values", onnx.TensorProto.FLOAT, [1, 1, 40])]
    states = [onnx.helper.make_tensor_value_info("states", onnx.TensorProto.FLOAT, [1, 38, 16])]
    nodes = [
        onnx.helper.make_node("Conv", ["values", "kernel"], ["heard"]),
        onnx.helper.make_node("Transpose", ["heard"], ["turned"], perm=[0, 2, 1]),
        onnx.helper.make_node("MatMul", ["turned", "matrix"], ["states"]),
    ]
    weights = [
        onnx.numpy_helper.from_array(array.astype(np.float32), name)
        for name, array in (("kernel", kernel), ("matrix", matrix))
    ]
    graph = onnx.helper.make_graph(nodes, "stem", shape, states, weights)
    opset = [onnx.helper.make_opsetid("", 18)]
    save_graph(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / "stem.onnx")
    quantise(tmp_path, ["stem.onnx"])
    kinds = {node.op_type for node in onnx.load(tmp_path / "stem.onnx").graph.node}
    assert {"Conv", "MatMulInteger", "DynamicQuantizeLinear"} <= kinds
    assert not {"ConvInteger", "MatMul"} & kinds
    assert str(tmp_path).encode() not in (tmp_path / "stem.onnx").read_bytes()


def test_a_graph_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "there.onnx").write_bytes(b"untouched")
    with pytest.raises(FileNotFoundError, match=r"gone.onnx does not exist; export"):
        quantise(tmp_path, ["there.onnx", "gone.onnx"])
    assert (tmp_path / "there.onnx").read_bytes() == b"untouched"


@pytest.mark.slow
def test_published_model(tmp_path: Path) -> None:
    encoder = load_pretrained(real_minilm(), kind="text")
    export_encoder(encoder, tmp_path / "encoder.onnx")
    values = torch.randint(1000, 20_000, (1, 40), generator=torch.Generator().manual_seed(0)).numpy()
    before, size = states_of(tmp_path / "encoder.onnx", values), (tmp_path / "encoder.onnx").stat().st_size
    assert quantise(tmp_path, ["encoder.onnx"])["encoder.onnx"] < 0.7 * size  # half of it is embeddings
    assert cosine(before, states_of(tmp_path / "encoder.onnx", values)) > 0.98
