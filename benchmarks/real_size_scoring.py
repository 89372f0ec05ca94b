"""What scoring costs at full size, from an exported bundle in ONNX Runtime, and how near it is to transformers' own."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.process_cost import peak_gib, timed
from benchmarks.real_size_network import LONG, SHORT, noise_call, real_network
from benchmarks.real_size_reference import eager


def export_bundle(options: argparse.Namespace) -> dict[str, Any]:
    """Export the network as a bundle."""
    import shutil
    import tempfile

    from callsift.bundle import Graphs, write_bundle
    from callsift.decision import Calibration
    from callsift.labels import load_scheme
    from callsift.training.assemble import make_tokenizer
    from callsift.training.graphs import export_graphs

    network, config = real_network(options)
    target = options.work / f"bundle-{options.rates}"
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        contents = Path(scratch)
        names = export_graphs(network, contents)
        make_tokenizer(config).save(str(contents / "tokenizer.json"))
        (contents / "README.md").write_text("# Random weights of real size\n")
        bundle = write_bundle(
            target, contents, name="real-size", version="1", scheme=load_scheme(config.labels),
            front_end=config.front_end, graphs=Graphs(names["encoders"], names["fusion"], names["call"]),
            calibration=Calibration(), provenance={},
        )  # fmt: skip
    return {"mb": sum(path.stat().st_size for path in bundle.path.iterdir()) / 1e6}


def score_bundle(options: argparse.Namespace) -> dict[str, Any]:
    """Scoring of both calls from the bundle: CPU seconds, work, memory, and distance from the plain encoders."""
    from callsift.bundle import load_bundle
    from callsift.decision import Calibration
    from callsift.scoring.evidence import judge, segment_vectors
    from callsift.scoring.runtime import OnnxRuntime

    bundle = load_bundle(options.work / f"bundle-{options.rates}")
    runtime = OnnxRuntime(bundle, options.threads)
    rate = int(options.rates)
    found: dict[str, Any] = {}
    for name, seconds in (("3 segments", SHORT), ("12 segments", LONG)):
        inputs = noise_call(seconds, rate)

        def score(inputs: Any = inputs) -> object:
            return judge(runtime, segment_vectors(runtime, inputs), bundle.scheme, Calibration())

        found[name] = {"cpu_s": timed(score, options.repeats)}
    memory = peak_gib()
    found["peak_gflop_per_cpu_s"] = _matmul_peak(options.threads)
    network, _ = real_network(options)
    network.eval()
    for name, seconds in (("3 segments", SHORT), ("12 segments", LONG)):
        found[name]["gflop"] = _gflop(network, noise_call(seconds, rate))
    found["difference"] = _difference(runtime, network, noise_call(SHORT, rate))
    return found | {"peak_gib": memory}


def _matmul_peak(threads: int) -> float:
    """GFLOP per CPU second of the best of several large matrix multiplications."""
    import torch

    torch.set_num_threads(threads)
    size = 2048
    one, other = torch.randn(size, size), torch.randn(size, size)
    best = 0.0
    for _ in range(10):
        before = time.process_time()
        torch.mm(one, other)
        best = max(best, 2 * size**3 / 1e9 / (time.process_time() - before))
    return best


def _gflop(network: Any, inputs: Any) -> float:
    """GFLOP of scoring the call, every segment at its own length: matrix products and convolutions."""
    import torch
    from torch.nn.utils import parametrize
    from torch.utils.flop_counter import FlopCounterMode

    from callsift.scoring.evidence import segment_vectors
    from callsift.training.torch_runtime import TorchRuntime

    for module in network.modules():  # the counter can't look through a normalised weight
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    # SDPA's fused kernel on a CPU is not counted; the plain one does the same work and is.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        segment_vectors(TorchRuntime(network), inputs)
    return float(counter.get_total_flops() / 1e9)


def _difference(runtime: Any, network: Any, inputs: Any) -> dict[str, float]:
    """Largest difference of any state from transformers' own eager encoder on the unpadded segment."""
    import torch

    found = {"audio": 0.0, "text": 0.0}
    plain = {name: eager(network, name) for name in found}
    for segment in inputs.segments:
        for name, given in segment.items():
            values = given.values[None]
            states, _ = runtime.encode(name, values, np.ones(values.shape[:2], dtype=np.bool_))
            with torch.inference_mode():
                tensor = torch.from_numpy(values)
                wanted = plain[name](tensor[..., 0] if name == "audio" else tensor).last_hidden_state.numpy()
            found[name] = max(found[name], float(np.abs(states - wanted).max()))
    return found
