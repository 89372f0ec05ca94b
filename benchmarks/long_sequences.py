"""Calls of up to 495 segments: what a segment costs, in training and in scoring, as calls grow longer.

    python -m benchmarks.long_sequences [--segments 25,50,100,200,400,495] [--calls 2] [--work DIR] [--dry]

MAEC's earnings calls, as the benchmark `maec` reads them: a sentence is a segment, text and 29 acoustic measures. For
each length the calls nearest to it are taken, in a process of its own: training steps of one call each, forward and
backward; and scoring with the exported graphs, a contribution for every segment, without torch. Time is the processor's
(the machine may be shared). Memory is the peak of the process, and how far it rises above what is held after a first
short call, as Linux tells it. Wanted: time and risen memory per segment that do not grow with the call.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data_folder import data_folder
from benchmarks.results import record
from callsift.benchmarks.maec import BENCHMARK, read
from callsift.config import train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.files import sha256_of_file
from callsift.types import Call

PASSES = {"train": 2, "score": 1}
FEW = {"train": 24, "val": 8, "test": 8}
"""Short calls on which the model that scores is trained: what it answers is not the subject."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", default="25,50,100,200,400,495", help="lengths of the calls")
    parser.add_argument("--calls", type=int, default=2, help="calls of each length, those nearest to it")
    parser.add_argument("--work", type=Path, help="keep the arrays and the model in this folder")
    parser.add_argument("--dry", action="store_true", help="print only, record nothing")
    parser.add_argument("--child", choices=list(PASSES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    lengths = [int(each) for each in options.segments.split(",")]
    if options.child:
        child = {"train": train_child, "score": score_child}[options.child]
        print(json.dumps(child(options.work, lengths[0])))
        return
    with tempfile.TemporaryDirectory(prefix="long_sequences-") as made:
        work = options.work or Path(made)
        make_ready(work, lengths, options.calls)
        figures: dict[str, dict[str, Any]] = {}
        for length in lengths:
            figures[f"about {length}"] = row = measured(work, length)
            print(json.dumps({length: row}), flush=True)
    if not options.dry:
        sha256 = sha256_of_file(data_folder() / "maec/sentences.parquet")
        record("Long sequences, MAEC, one call at a time", figures, data_sha256=sha256, threads=1)


def make_ready(work: Path, lengths: Sequence[int], count: int) -> None:
    """Write the calls of each length, and the bundle that scores them, into the folder."""
    calls = read(data_folder() / "maec", work).calls
    for length in lengths:
        nearest = sorted(calls, key=lambda call: (abs(len(call.segments) - length), call.call_id))
        write_manifest(work / f"{length}.jsonl", nearest[:count])
    if (work / "bundle").is_dir():
        return
    from callsift.training.export import export
    from callsift.training.run import load_run, train

    short = sorted(calls, key=lambda call: len(call.segments))
    few = [call for split, most in FEW.items() for call in [each for each in short if each.split == split][:most]]
    write_manifest(work / "few.jsonl", few)
    train(work / "few.jsonl", work / "run", train_config(BENCHMARK.config, ["fit.epochs=1"]), asr="none", resume=True)
    export(load_run(work / "run"), work / "bundle")


def measured(work: Path, length: int) -> dict[str, Any]:
    """Training and scoring of the calls of one length, each in a process of its own with one thread."""
    row: dict[str, Any] = {}
    for kind in PASSES:
        command = [sys.executable, "-m", "benchmarks.long_sequences", "--child", kind, "--segments", str(length),
                   "--work", str(work)]  # fmt: skip
        done = subprocess.run(
            command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{kind}, {length} segments: {done.stderr.strip()}")
        found = json.loads(done.stdout.splitlines()[-1])
        row["segments"] = found["segments"]
        row[f"{kind}: ms a segment"] = found["ms"]
        row[f"{kind}: peak memory, MiB"] = found["peak"]
        row[f"{kind}: risen, KiB a segment"] = found["risen"]
    return row


def train_child(work: Path, length: int) -> dict[str, Any]:
    """Steps of one call each."""
    import torch

    from callsift.labels import load_scheme
    from callsift.pipeline import Pipeline
    from callsift.training.assemble import make_network, make_tokenizer
    from callsift.training.batches import make_example
    from callsift.training.objective import Objective
    from callsift.training.optimise import make_optimizer
    from callsift.training.start import start_from_data
    from callsift.training.step import train_step

    torch.set_num_threads(1)
    torch.manual_seed(1)
    config = train_config(BENCHMARK.config)
    scheme = load_scheme(config.labels)
    pipeline = Pipeline(config.front_end, make_tokenizer(config), None)
    prepared = [pipeline.prepare(call) for call in (_short(work), *_calls(work, length))]
    streams = config.network.streams
    examples = [make_example(pipeline.inputs(each, streams)[0], each, scheme, "call") for each in prepared]
    network = make_network(config, scheme)
    start_from_data(network, examples)
    optimizer, objective = make_optimizer(network, config.fit), Objective(scheme, config.fit)
    network.train()

    def step(at: int) -> None:
        train_step(network, optimizer, [[examples[at]]], objective, config.fit)

    return _spent(step, [len(each.inputs.segments) for each in examples], PASSES["train"])


def score_child(work: Path, length: int) -> dict[str, Any]:
    """Calls scored from their texts and arrays to the contribution of every segment."""
    from callsift.bundle import load_bundle
    from callsift.scoring.scorer import Scorer

    scorer = Scorer.from_bundle(load_bundle(work / "bundle"), asr="none")
    calls = [_short(work), *_calls(work, length)]

    def step(at: int) -> None:
        score = scorer.score(calls[at])
        if score.error:
            raise SystemExit(f"call '{calls[at].call_id}' is not scored: {score.error[1]}")

    return _spent(step, [len(call.segments) for call in calls], PASSES["score"])


def _spent(step: Callable[[int], None], segments: Sequence[int], passes: int) -> dict[str, Any]:
    """What the calls take, each `passes` times; the first one, a short one, only warms up."""
    step(0)
    Path("/proc/self/clear_refs").write_text("5", "utf-8")  # the peak is counted from here
    held, asked = _memory("VmRSS"), range(1, len(segments))
    started = time.process_time()
    for _ in range(passes):
        for at in asked:
            step(at)
    seconds = time.process_time() - started
    total = sum(segments[at] for at in asked)
    peak = _memory("VmHWM")
    return {
        "segments": round(total / len(asked)),
        "ms": 1000 * seconds / passes / total,
        "peak": round(peak / 1024),
        "risen": (peak - held) / max(segments),
    }


def _memory(what: str) -> int:
    """Kibibytes that this process holds (VmRSS), or held at most (VmHWM; unlike `ru_maxrss` without its parent's)."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def _short(work: Path) -> Call:
    return min(read_manifest(work / "few.jsonl").calls, key=lambda call: len(call.segments))


def _calls(work: Path, length: int) -> list[Call]:
    return list(read_manifest(work / f"{length}.jsonl").calls)


if __name__ == "__main__":
    main()
