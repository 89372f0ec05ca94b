"""Scoring needs no network and does not look for one: in three ways, each shown to notice an engine that does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile

ENGINES = Path(__file__).parent / "scoring"

AUDIT = """
import os, socket, sys

def objects(event, args):
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"):
        return args[0].family in (socket.AF_INET, socket.AF_INET6)
    return event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo",
                     "urllib.Request", "http.client.connect", "ftplib.connect", "smtplib.connect")

def hook(event, args):
    if objects(event, args):
        with open({log!r}, "a") as file:
            file.write(event + "\\n")
        os._exit(99)

sys.addaudithook(hook)
"""


@pytest.fixture
def calls(demo: Path, tmp_path: Path) -> Path:
    """A sample call with its transcript, and a few seconds of another without one."""
    folder = tmp_path / "calls"
    folder.mkdir()
    for path in (demo / "calls").glob("en-02-home-insurance.*"):
        shutil.copy(path, folder)
    samples, rate_hz = soundfile.read(demo / "calls/en-05-gym.wav")
    soundfile.write(folder / "bare.wav", samples[: 6 * rate_hz], rate_hz)
    return folder


def score(
    calls: Path, *options: str, before: tuple[str, ...] = (), path: Path | None = None
) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Exit code, rows by call, and what was said, of the command run behind `before`, with `path` to import from."""
    command = [*before, sys.executable, "-m", "callsift.cli", "score", str(calls), *options]
    imports = [str(folder) for folder in (path, ENGINES) if folder is not None]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(imports)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, {row["call_id"]: row for row in map(json.loads, done.stdout.splitlines())}, done.stderr


def check_scored(code: int, rows: dict[str, dict[str, Any]], said: str) -> None:
    assert code == 0, said
    assert set(rows) == {"en-02-home-insurance.ogg", "bare.wav"}
    assert all(row["error"] is None and row["grade"] for row in rows.values())
    assert "fallback_asr" in {note["code"] for note in rows["bare.wav"]["warnings"]}


def test_no_connection_is_tried(calls: Path, tmp_path: Path) -> None:
    """Python's own sockets, in the command and its workers."""
    hooked, log = tmp_path / "hooked", tmp_path / "log"
    hooked.mkdir()
    (hooked / "sitecustomize.py").write_text(AUDIT.format(log=str(log)))
    check_scored(*score(calls, path=hooked))
    assert not log.exists()
    code, rows, _ = score(calls, "--asr", "engines:Calling", path=hooked)
    assert code == 1
    assert rows["bare.wav"]["error"]["code"] == "crashed"
    assert "exit code 99" in rows["bare.wav"]["error"]["message"]
    assert set(log.read_text().split()) == {"socket.getaddrinfo"}


def test_no_library_writes_down_whom_it_works_for(calls: Path, tmp_path: Path) -> None:
    """ONNX Runtime since 1.29 sends usage data from Linux too, seconds after it loads, by way of a file in a cache.

    The variables by which it knows a machine for tests, and keeps quiet, are taken away.
    """
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "callsift.cli", "score", str(calls), "--asr", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert not [path for path in home.rglob("*") if path.is_file()]


def without_network() -> tuple[str, ...]:
    """The command before a command that takes the network from it; skips where that is not permitted."""
    for before in (("unshare", "-n"), ("unshare", "-rn")):
        if (
            shutil.which("unshare")
            and not subprocess.run([*before, "true"], check=False, capture_output=True).returncode
        ):
            return before
    pytest.skip("unshare may not make a network namespace here")


def test_scoring_works_where_there_is_no_network(calls: Path) -> None:
    """Not even a loopback that is up: what native code would try fails too."""
    before = without_network()
    reach = "import socket; socket.create_connection(('127.0.0.1', 9), timeout=5)"
    cut_off = subprocess.run([*before, sys.executable, "-c", reach], capture_output=True, text=True, check=False)
    assert "Network is unreachable" in cut_off.stderr
    check_scored(*score(calls, before=before))


def test_no_system_call_reaches_for_the_network(calls: Path, tmp_path: Path) -> None:
    """Native code included."""
    log = tmp_path / "log"
    before = ("strace", "-f", "-qq", "-e", "trace=connect,bind,sendto,sendmsg,sendmmsg", "-o", str(log))
    if not shutil.which("strace") or subprocess.run([*before, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs strace, and the permission to use it")
    check_scored(*score(calls, before=before))
    assert not re.findall(r".*AF_INET.*", log.read_text())
    code, _, said = score(calls, "--asr", "engines:Calling", before=before)
    assert code == 0, said
    assert re.findall(r"connect\(.*AF_INET.*192\.0\.2\.1", log.read_text())
