"""Memory and time of long calls: the whole command line on stereo calls of a quarter of an hour to four hours.

    python -m benchmarks.long_calls [--hours 0.25,2,4] [--work DIR] [--dry]

Two voices (flite) say the same sentences over and over with pauses, one on each channel, as 8 kHz mu-law with a
transcript beside it, so that speech recognition is not the subject. Each call is scored with the shipped model by
`callsift score` in a process of its own; peak memory is that of the largest of its processes (`ru_maxrss`). What is
wanted: a time per minute of audio that does not depend on the length, and a memory that hardly does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.results import record
from callsift.audio.features import resample
from callsift.types import FloatArray

RATE_HZ = 8000
NOISE = 0.0005
SENTENCES = {
    "slt": (
        "Good morning, this is Anna from Green Valley, do you have a minute?",
        "The yearly plan is twenty percent cheaper, and the service is included.",
        "I can send you the contract today, and you would only have to sign it.",
        "May I ask what you are paying for your current line, and since when?",
        "That is a good question, let me look it up for you.",
    ),
    "rms": (
        "Yes, but please be quick, I am at work.",
        "That sounds interesting. How much would it be each month?",
        "I am not sure. I would have to talk to my wife about it first.",
        "Too expensive, we are quite happy with what we have at the moment.",
        "All right, send me the papers and I will read them.",
    ),
}
"""What the agent (channel 0) and the customer (channel 1) say, each in turn."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--hours", default="0.25,2,4", help="lengths of the calls; the first is the measure of the rest"
    )
    parser.add_argument("--work", type=Path, help="keep the calls in this folder")
    parser.add_argument("--dry", action="store_true", help="print only, record nothing")
    options = parser.parse_args()
    if shutil.which("flite") is None:
        raise SystemExit("flite is needed for the voices: apt install flite")
    lengths = [float(hours) for hours in options.hours.split(",")]
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="long_calls-") as made:
        work = options.work or Path(made)
        work.mkdir(parents=True, exist_ok=True)
        for hours in lengths:
            found = measured(make_call(work, hours))
            first = next(iter(figures.values()), found)
            per_minute = "processor seconds per minute of audio"
            found["the same over that of the first call"] = found[per_minute] / first[per_minute]
            figures[f"{hours:g} h"] = found
            print(json.dumps({f"{hours:g} h": found}), flush=True)
    if not options.dry:
        record("Long calls, stereo, given transcript", figures, threads=1)


def make_call(work: Path, hours: float) -> Path:
    """A call of this length and its transcript, written block by block; one that is there is kept."""
    path = work / f"call-{hours:g}h.wav"
    if path.is_file() and path.with_suffix(".json").is_file():
        return path
    said = [[(text, spoken(voice, text)) for text in texts] for voice, texts in SENTENCES.items()]
    random, clock, turns, number = np.random.default_rng(0), 0, [], 0
    with soundfile.SoundFile(path, "w", RATE_HZ, 2, subtype="ULAW", format="WAV") as target:
        while clock < hours * 3600 * RATE_HZ:
            side = number % 2
            text, samples = said[side][number // 2 % len(said[side])]
            pause = round(random.uniform(0.3, 1.5) * RATE_HZ)
            block = random.normal(0, NOISE, (len(samples) + pause, 2)).astype(np.float32)
            block[: len(samples), side] += samples
            target.write(block)
            start_s, end_s = clock / RATE_HZ, (clock + len(samples)) / RATE_HZ
            role = ("agent", "customer")[side]
            turns.append({"role": role, "text": text, "start_s": round(start_s, 3), "end_s": round(end_s, 3)})
            clock += len(block)
            number += 1
    path.with_suffix(".json").write_text(json.dumps({"turns": turns}), "utf-8")
    return path


def spoken(voice: str, text: str) -> FloatArray:
    """A sentence (T,) at `RATE_HZ`."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", file.name], check=True)
        samples, rate_hz = soundfile.read(file.name, dtype="float32")
    return 0.7 * resample(samples, rate_hz, RATE_HZ)


def measured(path: Path) -> dict[str, Any]:
    """Score a call through the command line, with one thread; figures of its process and those it started."""
    command = [sys.executable, "-m", "callsift.cli", "score", str(path), "--output", f"{path}.jsonl", "--timeout", "0"]
    Path(f"{path}.jsonl").unlink(missing_ok=True)
    begin = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    row = json.loads(Path(f"{path}.jsonl").read_text("utf-8").splitlines()[-1])
    if process.returncode or row["error"]:
        raise SystemExit(f"{path.name} was not scored: exit code {process.returncode}, {row['error']}")
    minutes = row["duration_s"] / 60
    return {
        "minutes of audio": round(minutes, 1),
        "segments": len(row["segments"]),
        "peak memory, MB": round(usage.ru_maxrss / 1024),
        "wall seconds": round(wall_s, 1),
        "wall seconds per minute of audio": wall_s / minutes,
        "processor seconds per minute of audio": (usage.ru_utime + usage.ru_stime) / minutes,
    }


if __name__ == "__main__":
    main()
