"""A training that is killed at random instants and resumed each time ends in the weights of one that was not.

    python -m benchmarks.killed_training [--kills 20] [--dry]

Each attempt is a real `callsift train --resume` of a small network on the shipped calls' text, with a moving average
of the weights, accumulated gradients and a state saved after every step. Three of four are killed a random time after
they began to learn, the others while they start. Compared bit by bit: the final weights, and the state, which holds
AdamW's moments, the average and the random state too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import torch
from safetensors.torch import load_file

from benchmarks.results import ROOT, record
from callsift.data.manifest import read_manifest, write_manifest
from callsift.files import sha256_of_file

BEST = "checkpoints/best/network.safetensors"
STATE = "checkpoints/last/state.safetensors"
SETTINGS = (
    "network.streams=[text]",
    "network.width=16",
    "network.heads=2",
    "network.feed_forward=16",
    "network.embedding_width=8",
    "network.hidden=8",
    "front_end.tokens.buckets=256",
    "fit.batch_calls=2",
    "fit.accumulate=2",
    "fit.ema=0.95",
    "fit.checkpoint_s=0",
    "fit.threads=1",
)
SPLITS = ("train",) * 8 + ("val",) * 2 + ("test",) * 2

Start = Callable[[Path], int]
"""Starts a training in a folder, or goes on with it; gives its process id."""


@dataclass(frozen=True)
class Chain:
    """What became of a training that was killed again and again."""

    kills: int
    while_learning: int
    same: bool
    tensors: int


def write_calls(path: Path) -> None:
    """Twelve of the shipped calls, without their recordings."""
    calls = read_manifest(ROOT / "src/callsift/data/demo/manifest.jsonl").calls
    spoken = [call for call in calls if call.turns][: len(SPLITS)]
    write_manifest(path, [replace(c, audio=None, split=split) for c, split in zip(spoken, SPLITS, strict=False)])


def run_chain(start: Start, folder: Path, kills: int, seed: int) -> Chain:
    """Train once in peace, then again with `kills` kills in a row, and compare."""
    began_s = time.monotonic()
    pid = start(folder / "whole")
    start_s = _wait_for_state(folder / "whole", pid, began_s + 600) - began_s
    _ended(pid)
    learning_s = time.monotonic() - began_s - start_s
    random = Random(seed)
    done = learnt = 0
    while done < kills:
        while_starting = random.random() < 0.25
        delay_s = random.uniform(0, start_s) if while_starting else random.uniform(0, learning_s / (kills + 1))
        pid = start(folder / "killed")
        if not while_starting:
            _wait_for_state(folder / "killed", pid, time.monotonic() + 600)
        time.sleep(delay_s)
        os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code != -signal.SIGKILL:
            raise SystemExit(f"attempt {done + 1} ended with code {code} before it was killed; train for more epochs")
        done, learnt = done + 1, learnt + (not while_starting)
        print(f"kill {done}: {'starting' if while_starting else 'learning'}, after {delay_s:.2f} s", flush=True)
    _ended(start(folder / "killed"))
    whole, killed = (_weights(folder / name) for name in ("whole", "killed"))
    same = whole.keys() == killed.keys() and all(torch.equal(value, killed[name]) for name, value in whole.items())
    return Chain(done, learnt, same, len(whole))


def _wait_for_state(folder: Path, pid: int, until_s: float) -> float:
    """Wait until a training has saved its state anew; the time then."""
    state = folder / STATE
    before = state.stat().st_mtime_ns if state.is_file() else 0
    while time.monotonic() < until_s:
        if state.is_file() and state.stat().st_mtime_ns != before:
            return time.monotonic()
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise SystemExit(f"the training in {folder} ended before it was killed; train for more epochs")
        time.sleep(0.002)
    raise SystemExit(f"the training in {folder} saved no state")


def _ended(pid: int) -> None:
    if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit(f"a training that nobody killed ended with code {code}")


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    """All that is compared."""
    return {f"{file}:{name}": value for file in (BEST, STATE) for name, value in load_file(folder / file).items()}


def command_line(manifest: Path, settings: Sequence[str]) -> Start:
    """Trainings as a person starts them."""

    def start(folder: Path) -> int:
        sets = [word for setting in settings for word in ("--set", setting)]
        command = ["train", str(manifest), "-o", str(folder), "--asr", "none", "--resume", *sets]
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-c", "from callsift.cli import main; main()", *command], stdout=log, stderr=log
            ).pid

    return start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/killed_training"), help="folder of what is done")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1, help="of the instants")
    parser.add_argument("--dry", action="store_true", help="a trial: print, record nothing")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    manifest = options.work / "manifest.jsonl"
    write_calls(manifest)
    settings = [*SETTINGS, f"fit.epochs={options.epochs}", f"fit.patience={options.epochs}"]
    found = run_chain(command_line(manifest, settings), options.work, options.kills, options.seed)
    figures = {
        "kills": found.kills,
        "of them while learning": found.while_learning,
        "tensors compared": found.tensors,
        "bit-identical": found.same,
    }
    print(figures)
    if not options.dry:
        record("Trainings killed and resumed", figures, data_sha256=sha256_of_file(manifest), seeds=[options.seed])
    if not found.same:
        raise SystemExit("the weights differ")


if __name__ == "__main__":
    main()
