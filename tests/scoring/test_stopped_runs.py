"""Runs that are killed, doubled, interrupted, or run out of disk: nothing is lost, nothing is mixed up."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

LENGTHS_S = (15, 16, 17, 18, 19, 20)
PATIENCE_S = 120.0


@pytest.fixture
def calls(demo: Path, tmp_path: Path) -> Path:
    """Mono recordings of different lengths."""
    folder = tmp_path / "calls"
    folder.mkdir()
    samples, rate_hz = soundfile.read(demo / "calls/en-05-gym.wav", dtype="float32")
    for length in LENGTHS_S:
        soundfile.write(folder / f"{length}.wav", samples[: length * rate_hz, 0], rate_hz)
    return folder


def start(*arguments: str | Path, limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    """The command, with the engines of these tests."""
    command = [sys.executable, "-m", "callsift.cli", "score", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        preexec_fn=lambda: begin(limit),  # noqa: PLW1509 - threads hold no lock that it needs
    )


def begin(limit: Callable[[], None] | None) -> None:
    """In the command's process: heed interrupts, as in the foreground, wherever these tests run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if limit is not None:
        limit()


def lines_of(path: Path) -> list[str]:
    """Whole lines."""
    return path.read_text("utf-8").split("\n")[:-1] if path.exists() else []


def wait_until(ready: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def slow(log: Path, seconds: float) -> str:
    return f"engines:Slow,log={log},seconds={seconds}"


def heard(log: Path) -> Counter[str]:
    """How often the engine heard a call of each length."""
    return Counter(log.read_text().splitlines())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_where_it_was(calls: Path, tmp_path: Path, workers: int) -> None:
    output, log = tmp_path / "scores.jsonl", tmp_path / "log"
    arguments = (calls, "--output", output, "--workers", workers)
    with start(*map(str, arguments), "--asr", slow(log, 0.5)) as killed:
        wait_until(lambda: len(lines_of(output)) >= 2)
        killed.send_signal(signal.SIGKILL)
    before = lines_of(output)
    assert 2 <= len(before) < len(LENGTHS_S)
    time.sleep(1)  # a worker that outlived its parent would go on now
    begun = heard(log)
    assert sum(begun.values()) <= len(before) + workers
    with start(*map(str, arguments), "--asr", slow(log, 0.5), "--resume") as resumed:
        _, said = resumed.communicate()
    assert resumed.returncode == 0, said
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines_of(output)]
    assert sorted(row["call_id"] for row in rows) == sorted(f"{length}.wav" for length in LENGTHS_S)
    assert lines_of(output)[: len(before)] == before
    in_flight = set(begun) - {row.removesuffix(".wav") for row in (json.loads(line)["call_id"] for line in before)}
    assert {length for length, times in heard(log).items() if times > 1} == in_flight


def test_two_runs_on_one_output_are_refused(calls: Path, tmp_path: Path) -> None:
    output, log = tmp_path / "scores.jsonl", tmp_path / "log"
    with start(calls, "--output", output, "--asr", slow(log, PATIENCE_S)) as first:
        wait_until(log.exists)
        for resume in ((), ("--resume",)):
            with start(calls, "--output", output, "--asr", "none", *resume) as second:
                _, said = second.communicate()
            assert second.returncode == 2
            assert "another callsift" in said
        first.kill()
    assert lines_of(output) == []


def test_ctrl_c_ends_at_once_and_keeps_what_is_done(calls: Path, tmp_path: Path) -> None:
    output, log = tmp_path / "scores.jsonl", tmp_path / "log"
    with start(calls, "--output", output, "--asr", slow(log, 0.5), "--workers", "2") as run:
        wait_until(lambda: lines_of(output))
        os.killpg(run.pid, signal.SIGINT)  # what the terminal does
        _, said = run.communicate()
    assert run.returncode == 130
    assert "stopped. The same command goes on, with --resume" in said
    assert "Traceback" not in said
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert 1 <= len(rows) < len(LENGTHS_S)


def test_a_full_disk_is_said_and_what_was_written_can_be_gone_on_with(calls: Path, tmp_path: Path) -> None:
    """A limit on the size of a file stands for the disk: the write fails in the midst of a line."""
    output = tmp_path / "scores.jsonl"
    with start(calls, "--output", output, "--asr", "none") as whole:
        whole.communicate()
    size = output.stat().st_size
    output.unlink()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    with start(calls, "--output", output, "--asr", "none", limit=limit) as full:
        _, said = full.communicate()
    assert full.returncode == 2
    assert "Traceback" not in said
    assert "File too large" in said
    kept = [json.loads(line) for line in lines_of(output)]
    assert 1 <= len(kept) < len(LENGTHS_S)
    with start(calls, "--output", output, "--asr", "none", "--resume") as resumed:
        _, said = resumed.communicate()
    assert resumed.returncode == 0, said
    assert f"{len(kept)} calls are scored already" in said
    assert len(lines_of(output)) == len(LENGTHS_S)
