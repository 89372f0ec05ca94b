"""The network at full size (HuBERT-base and BERT-base, random weights): what scoring and training cost.

    python -m benchmarks.real_size [--rates 8000,16000] [--threads 2] [--repeats 2] [--work DIR]

Scoring runs from an exported bundle in ONNX Runtime, each segment at its own length. It is compared, in the same run,
with a reference: the same encoder weights through transformers with eager attention, everything padded to 40 s and
199 tokens, three segments at a time. CPU seconds count, not wall time: other programs may share the machine. Every
measurement runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import record

SHORT = (15, 9, 22)
LONG = (15, 9, 22, 12, 18, 14, 30, 6, 16, 11, 20, 7)
LONGEST_S, MAX_TOKENS = 40, 199
TOKENS_PER_S = 4
VOCABULARY = 21128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/real_size"), help="folder of models and bundles")
    parser.add_argument("--rates", default="8000,16000", help="sampling rates that the audio encoder is fed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--repeats", type=int, default=2, help="timings of which the median counts, after one to warm up"
    )
    parser.add_argument("--no-training", action="store_true", help="measure scoring alone")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(_PARTS[options.only](options)))
        return
    rates = [int(rate) for rate in options.rates.split(",")]
    options.rates = str(rates[0])
    _in_own_process("models", options)
    figures: dict[str, Any] = {"threads": options.threads, **_in_own_process("parameters", options)}
    for rate in rates:
        options.rates = str(rate)
        _in_own_process("bundle", options)
        figures |= _scoring_figures(rate, _in_own_process("score", options), _in_own_process("reference", options))
    if not options.no_training:
        options.rates = str(rates[0])
        figures |= _training_figures({
            name: _in_own_process(name, options) for name in ("reference_step", "step", "features", "cached_step")
        })  # fmt: skip
    print(json.dumps(figures, indent=2))
    what = "scoring" if options.no_training else "scoring and training"
    record(f"full size on a CPU, {what}: HuBERT-base + BERT-base, random weights", figures)


def _scoring_figures(rate: int, ours: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("3 segments", "12 segments"):
        mine, theirs = ours[name], reference[name]
        at = f"{rate} Hz, {name}"
        found |= {
            f"{at}: scoring, CPU s": mine["cpu_s"],
            f"{at}: reference, CPU s": theirs["cpu_s"],
            f"{at}: reference / scoring": theirs["cpu_s"] / mine["cpu_s"],
            f"{at}: scoring, GFLOP": mine["gflop"],
            f"{at}: scoring, share of matrix-multiply peak": mine["gflop"]
            / mine["cpu_s"]
            / ours["peak_gflop_per_cpu_s"],
        }
    return found | {
        f"{rate} Hz: matrix-multiply peak, GFLOP per CPU s": ours["peak_gflop_per_cpu_s"],
        f"{rate} Hz: largest difference from the unpadded encoders, audio": ours["difference"]["audio"],
        f"{rate} Hz: largest difference from the unpadded encoders, text": ours["difference"]["text"],
        f"{rate} Hz: scoring, peak memory GiB": ours["peak_gib"],
        f"{rate} Hz: reference, peak memory GiB": reference["peak_gib"],
    }


def _training_figures(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    names = {
        "reference_step": "training step of 3 segments, reference",
        "step": "training step of 3 segments, end to end",
        "cached_step": "training step of 3 segments, on cached features",
    }
    figures: dict[str, Any] = {}
    for key, name in names.items():
        figures |= {f"{name}: CPU s": found[key]["cpu_s"], f"{name}: peak memory GiB": found[key]["peak_gib"]}
    cost = found["reference_step"]["cpu_s"]
    return figures | {
        "reference step / end to end": cost / found["step"]["cpu_s"],
        "reference step / on cached features": cost / found["cached_step"]["cpu_s"],
        "features kept, MB per minute of speech": found["features"]["mb_per_minute"],
    }


def _in_own_process(part: str, options: argparse.Namespace) -> dict[str, Any]:
    arguments = ["--only", part, "--work", str(options.work), "--rates", options.rates]
    arguments += ["--threads", str(options.threads), "--repeats", str(options.repeats)]
    print(f"{part} ({options.rates} Hz) …", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.real_size", *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {found}", file=sys.stderr, flush=True)
    return found


def timed(work: Callable[[], object], repeats: int, *, warm: bool = True) -> float:
    """Median CPU seconds of all threads, after one run to warm up."""
    if warm:
        work()
    found = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return float(np.median(found))


def peak_gib() -> float:
    """The most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _models(options: argparse.Namespace) -> dict[str, Any]:
    """HuBERT-base and BERT-base with random weights, saved as published ones are."""
    import torch
    from transformers import BertConfig, BertModel, HubertConfig, HubertModel

    torch.manual_seed(0)
    audio, text = options.work / "hubert-base", options.work / "bert-base"
    if not (audio / "config.json").is_file():
        HubertModel(HubertConfig()).save_pretrained(audio)
    if not (text / "vocab.txt").is_file():
        BertModel(BertConfig(vocab_size=VOCABULARY)).save_pretrained(text)
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + at) for at in range(VOCABULARY - 5))]
        (text / "vocab.txt").write_text("\n".join(words), "utf-8")
    return {}


def _config(options: argparse.Namespace, *settings: str) -> Any:
    from callsift.config import load_train_config

    models = {"audio": options.work / "hubert-base", "text": options.work / "bert-base"}
    paths = [f"network.encoders.{name}.model={path.resolve()}" for name, path in models.items()]
    rate = int(options.rates)
    return load_train_config(
        "paper-marketcalls", [*paths, f"front_end.encoder_rate_hz={rate}", f"fit.threads={options.threads}", *settings]
    )


def _network(options: argparse.Namespace, *settings: str) -> Any:
    import torch

    from callsift.labels import load_scheme
    from callsift.training.assemble import make_network

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config = _config(options, *settings)
    return make_network(config, load_scheme(config.labels)), config


def _inputs(seconds: tuple[int, ...], rate: int) -> Any:
    """A call of segments of these lengths: noise as waveform, a random text of 4 tokens a second."""
    from callsift.types import CallInputs, StreamInput

    random = np.random.default_rng(0)
    segments = []
    for length in seconds:
        waveform = random.standard_normal((length * rate, 1), dtype=np.float32)
        ids = random.integers(5, VOCABULARY, length * TOKENS_PER_S + 2)
        ids[0], ids[-1] = 2, 3
        segments.append({"text": StreamInput(ids), "audio": StreamInput(waveform)})
    return CallInputs("call", tuple(segments))


def _parameters(options: argparse.Namespace) -> dict[str, Any]:
    network, _ = _network(options)
    parts = {
        "audio encoder": network.encoders["audio"],
        "text encoder": network.encoders["text"],
        "fusion": network.fusion,
        "context": network.context,
        "heads": network.heads,
    }
    return {f"parameters, {name}": sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


def _bundle(options: argparse.Namespace) -> dict[str, Any]:
    """Export the network as a bundle."""
    import shutil
    import tempfile

    from callsift.bundle import Graphs, write_bundle
    from callsift.decision import Calibration
    from callsift.labels import load_scheme
    from callsift.training.assemble import make_tokenizer
    from callsift.training.graphs import export_graphs

    network, config = _network(options)
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


def _score(options: argparse.Namespace) -> dict[str, Any]:
    from callsift.bundle import load_bundle
    from callsift.decision import Calibration
    from callsift.scoring.evidence import judge, segment_vectors
    from callsift.scoring.runtime import OnnxRuntime

    bundle = load_bundle(options.work / f"bundle-{options.rates}")
    runtime = OnnxRuntime(bundle, options.threads)
    rate = int(options.rates)
    found: dict[str, Any] = {}
    for name, seconds in (("3 segments", SHORT), ("12 segments", LONG)):
        inputs = _inputs(seconds, rate)

        def score(inputs: Any = inputs) -> object:
            return judge(runtime, segment_vectors(runtime, inputs), bundle.scheme, Calibration())

        found[name] = {"cpu_s": timed(score, options.repeats)}
    memory = peak_gib()
    found["peak_gflop_per_cpu_s"] = _matmul_peak(options.threads)
    network, _ = _network(options)
    network.eval()
    for name, seconds in (("3 segments", SHORT), ("12 segments", LONG)):
        found[name]["gflop"] = _gflop(network, _inputs(seconds, rate))
    found["difference"] = _difference(runtime, network, _inputs(SHORT, rate))
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
    plain = {name: _eager(network, name) for name in found}
    for segment in inputs.segments:
        for name, given in segment.items():
            values = given.values[None]
            states, _ = runtime.encode(name, values, np.ones(values.shape[:2], dtype=np.bool_))
            with torch.inference_mode():
                tensor = torch.from_numpy(values)
                wanted = plain[name](tensor[..., 0] if name == "audio" else tensor).last_hidden_state.numpy()
            found[name] = max(found[name], float(np.abs(states - wanted).max()))
    return found


def _eager(network: Any, stream: str) -> Any:
    """The same weights as transformers runs them with eager attention."""
    backbone = network.encoders[stream].backbone
    backbone.set_attn_implementation("eager")
    return backbone.eval()


def _reference_states(network: Any, inputs: Any, rate: int) -> Any:
    """Three segments, padded to 40 s and 199 tokens, through eager encoders → what the fusion takes."""
    import torch

    from callsift.network.fusion import StreamStates

    count = len(inputs.segments)
    waveforms = torch.zeros(count, LONGEST_S * rate)
    ids, attended = torch.zeros(count, MAX_TOKENS, dtype=torch.int64), torch.zeros(count, MAX_TOKENS, dtype=torch.int64)
    for row, segment in enumerate(inputs.segments):
        heard, said = segment["audio"].values[:, 0], segment["text"].values
        waveforms[row, : len(heard)] = torch.from_numpy(heard)
        ids[row, : len(said)], attended[row, : len(said)] = torch.from_numpy(said), 1
    audio = network.encoders["audio"].backbone(waveforms).last_hidden_state
    text = network.encoders["text"].backbone(ids, attention_mask=attended).last_hidden_state
    there = torch.ones(count, dtype=torch.bool)
    return {
        "text": StreamStates(text, attended.bool(), there),
        "audio": StreamStates(audio, torch.ones(audio.shape[:2], dtype=torch.bool), there),
    }


def _reference_logits(network: Any, inputs: Any, rate: int) -> Any:
    """Logits of a call: all its segments three at a time, then the context."""
    import torch

    from callsift.types import CallInputs

    vectors = []
    for first in range(0, len(inputs.segments), 3):
        part = CallInputs(inputs.call_id, inputs.segments[first : first + 3])
        vectors.append(network.fuse(_reference_states(network, part, rate)).vector)
    whole = torch.cat(vectors)[None]
    return network.contextualise(whole, torch.ones(whole.shape[:2], dtype=torch.bool))


def _reference(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    network, _ = _network(options)
    network.eval()
    for stream in network.streams:
        _eager(network, stream)
    rate = int(options.rates)
    found: dict[str, Any] = {}
    with torch.inference_mode():
        for name, seconds in (("3 segments", SHORT), ("12 segments", LONG)):
            inputs = _inputs(seconds, rate)

            def score(inputs: Any = inputs) -> object:
                return _reference_logits(network, inputs, rate)

            # The long call takes minutes, and the short one has warmed up.
            long = name == "12 segments"
            found[name] = {"cpu_s": timed(score, 1 if long else options.repeats, warm=not long)}
    return found | {"peak_gib": peak_gib()}


def _example(inputs: Any) -> Any:
    from callsift.labels import load_scheme
    from callsift.training.batches import Example

    target = load_scheme("marketcalls").target("B")
    return Example(inputs, ("",), ("B",), {task: allowed[None] for task, allowed in target.items()})


def _step_of(network: Any, config: Any, example: Any) -> Callable[[], object]:
    from callsift.labels import load_scheme
    from callsift.training.fit import make_optimizer, train_step
    from callsift.training.objective import Objective

    network.train()
    optimizer = make_optimizer(network, config.fit)
    objective = Objective(load_scheme(config.labels), config.fit)
    return lambda: train_step(network, optimizer, [[example]], objective, config.fit)


def _step(options: argparse.Namespace) -> dict[str, Any]:
    """One step of 3 segments, encoders learning, as the preset trains."""
    network, config = _network(options)
    step = _step_of(network, config, _example(_inputs(SHORT, int(options.rates))))
    return {"cpu_s": timed(step, options.repeats), "peak_gib": peak_gib()}


def _reference_step(options: argparse.Namespace) -> dict[str, Any]:
    """The same step by the reference path: eager, padded, without gradient checkpointing."""
    import torch

    from callsift.network.heads import multi_task_loss
    from callsift.training.batches import collate_targets
    from callsift.training.fit import make_optimizer

    plain = ("audio", "text")
    network, config = _network(options, *(f"network.encoders.{name}.gradient_checkpointing=false" for name in plain))
    for stream in network.streams:
        _eager(network, stream)
    network.train()
    rate = int(options.rates)
    inputs = _inputs(SHORT, rate)
    optimizer = make_optimizer(network, config.fit)
    targets = collate_targets([_example(inputs)])

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss: Any = multi_task_loss(_reference_logits(network, inputs, rate), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.fit.clip_norm)
        optimizer.step()

    return {"cpu_s": timed(step, 1), "peak_gib": peak_gib()}


_FROZEN = ("network.encoders.audio.train=none", "network.encoders.text.train=none")


def _features(options: argparse.Namespace) -> dict[str, Any]:
    """Compute the features of the call and keep them."""
    from callsift.data.cache import ArrayCache
    from callsift.training.features import FeatureMaker

    network, _ = _network(options, *_FROZEN)
    inputs = _inputs(SHORT, int(options.rates))
    with ArrayCache(options.work / "cache") as cache:
        kept: Any = FeatureMaker(network, cache)(inputs)
        arrays: dict[str, Any] = {
            f"{name}{at}": segment[name].values
            for at, segment in enumerate(kept.segments)
            for name in ("audio", "text")
        }
        np.savez(options.work / "features.npz", **arrays)
    size = sum(array.nbytes for name, array in arrays.items() if name.startswith("audio"))
    return {"mb_per_minute": size / 1e6 / (sum(SHORT) / 60)}


def _cached_step(options: argparse.Namespace) -> dict[str, Any]:
    """One step of 3 segments on kept features; the encoders themselves are not needed any more."""
    from callsift.training.features import frozen_streams, release
    from callsift.types import CallInputs, StreamInput

    network, config = _network(options, *_FROZEN)
    network.featured = frozen_streams(network)
    release(network)
    with np.load(options.work / "features.npz") as stored:
        segments = tuple(
            {name: StreamInput(stored[f"{name}{at}"]) for name in ("audio", "text")} for at in range(len(SHORT))
        )
    step = _step_of(network, config, _example(CallInputs("call", segments)))
    return {"cpu_s": timed(step, options.repeats), "peak_gib": peak_gib()}


_PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "models": _models,
    "parameters": _parameters,
    "bundle": _bundle,
    "score": _score,
    "reference": _reference,
    "reference_step": _reference_step,
    "step": _step,
    "features": _features,
    "cached_step": _cached_step,
}


if __name__ == "__main__":
    main()
