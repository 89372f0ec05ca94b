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
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import real_size_network, real_size_reference, real_size_scoring, real_size_training
from benchmarks.results import record

PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "models": real_size_network.save_models,
    "parameters": real_size_network.count_parameters,
    "bundle": real_size_scoring.export_bundle,
    "score": real_size_scoring.score_bundle,
    "reference": real_size_reference.score_reference,
    "reference_step": real_size_training.reference_step,
    "step": real_size_training.training_step,
    "features": real_size_training.keep_features,
    "cached_step": real_size_training.cached_step,
}
"""Name → what is made or measured, each in a process of its own."""


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
        print(json.dumps(PARTS[options.only](options)))
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


if __name__ == "__main__":
    main()
