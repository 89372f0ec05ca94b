"""Damaged files through the real command line: what must hold for every folder of them, and what came out."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import soundfile

from callsift.audio.decode import AUDIO_SUFFIXES
from callsift.errors import ErrorCode
from tests.fuzzing.bases import write_bases
from tests.fuzzing.mutations import mutated

SPEECH = Path(__file__).parents[2] / "src/callsift/data/demo/calls/en-05-gym.wav"
SPEECH_S = 3.0
FILE_LIMIT_S = 10
MEMORY_BYTES = 4 << 30
DISK_BYTES = 1 << 30
"""A header that lies must not make the command take more than this, of memory and for any one file."""

_LOOK_EVERY_S = 0.05

SUSPICIOUS = (ErrorCode.INTERNAL, ErrorCode.CRASHED, ErrorCode.TIMEOUT, ErrorCode.OUT_OF_MEMORY)


@dataclass(frozen=True, slots=True)
class Damaged:
    """One damaged file: number `number` of the base `name`."""

    name: str
    number: int

    @property
    def file_name(self) -> str:
        # A name that a folder scan takes up, whatever becomes of the content.
        ending = "" if Path(self.name).suffix in AUDIO_SUFFIXES else ".wav"
        return f"{self.number:05d}-{self.name}{ending}"


def damaged(first: int, count: int, names: Sequence[str]) -> list[Damaged]:
    """Which files these numbers are: the bases in turn."""
    return [Damaged(names[number % len(names)], number) for number in range(first, first + count)]


def speech_bases(folder: Path, *, commands: bool = False) -> dict[str, bytes]:
    """Three seconds of a sample call in every format that can be written here, see `write_bases`."""
    samples, rate_hz = soundfile.read(SPEECH, dtype="float32")
    return write_bases(folder, samples[: round(SPEECH_S * rate_hz)], commands=commands)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a folder came to.

    `codes`: error code by file name, None where it was scored; `messages`: of the errors; `broken`: promises that the
    run did not keep, in words; `wall_s`: how long it took; `slowest_s`: the longest wait for another line.
    """

    codes: Mapping[str, str | None]
    messages: Mapping[str, str]
    broken: tuple[str, ...]
    wall_s: float
    slowest_s: float


def write_damaged(folder: Path, files: list[Damaged], bases: Mapping[str, bytes]) -> None:
    """Write the files."""
    for file in files:
        (folder / file.file_name).write_bytes(mutated(file.name, file.number, bases)[1])


def _limit_resources() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, DISK_BYTES))


def score_folder(folder: Path, output: Path, *, workers: int = 1) -> Outcome:
    """Score a folder of recordings as a user would, and check that the run keeps its promises.

    No crash and no hang of the run, no traceback, one line for every file, a known code with a sentence for every
    error, and an exit code that fits the lines.
    """
    command = [sys.executable, "-m", "callsift.cli", "score", str(folder), "--output", str(output), "--asr", "none"]
    command += ["--timeout", str(FILE_LIMIT_S), "--workers", str(workers)]
    files = {path.name for path in folder.iterdir()}
    with (output.parent / "stderr").open("w+", encoding="utf-8", errors="replace") as stderr:
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            preexec_fn=_limit_resources,  # noqa: PLW1509 - threads hold no lock that it needs
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        arrivals = _watch(process, output, time.monotonic() + 60 + FILE_LIMIT_S * len(files))
        stderr.seek(0)
        said = stderr.read()
    slowest_s = max((after - before for before, after in pairwise(arrivals[1:])), default=0.0)
    if process.returncode < 0:
        said = f"hung or crashed: {said}"
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []
    errors = {row["call_id"]: row["error"] for row in rows}
    codes = {name: None if error is None else str(error["code"]) for name, error in errors.items()}
    messages = {name: str(error["message"]) for name, error in errors.items() if error}
    promises = {
        "no traceback": "Traceback" not in said,
        "one line for every file": len(rows) == len(errors) and set(errors) == files,
        "known codes": {code for code in codes.values() if code} <= {code.value for code in ErrorCode},
        "errors say what is wrong": all(len(message) > 20 for message in messages.values()),
        "the exit code fits the lines": process.returncode == int(any(codes.values())),
    }
    broken = tuple(
        f"{promise}: exit code {process.returncode}, {said}" for promise, kept in promises.items() if not kept
    )
    return Outcome(codes, messages, broken, arrivals[-1] - arrivals[0], slowest_s)


def _watch(process: subprocess.Popen[bytes], output: Path, deadline: float) -> list[float]:
    """Wait for the end of a run: when it began, when lines came, and when it ended; after `deadline` it is killed."""
    arrivals, seen = [time.monotonic()], 0
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
        size = output.stat().st_size if output.exists() else 0
        if size > seen:
            arrivals.append(time.monotonic())
        seen = size
        time.sleep(_LOOK_EVERY_S)
    return [*arrivals, time.monotonic()]
