"""Files that survive a crash."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from callsift.errors import DataError, UsageError
from callsift.files import atomic_writer, exclusive_lock, read_json, read_jsonl, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_writer(path) as stream:
        stream.write("new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _write_for_ever(path: str) -> None:
    number = 0
    while True:
        number += 1
        write_json(Path(path), {"number": number, "filling": ["x" * 50] * 2000})


def test_kill_9_never_leaves_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    write_json(path, {"number": 0})
    for delay in (0.05, 0.09, 0.13):
        writer = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(str(path),))
        writer.start()
        time.sleep(delay)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert "number" in read_json(path)


def test_a_second_writer_is_refused_and_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / ".lock"), pytest.raises(UsageError, match="another callsift"):
        with exclusive_lock(tmp_path / ".lock"):
            pass
    with exclusive_lock(tmp_path / ".lock"):
        pass
    assert not list(tmp_path.iterdir())


def test_json_lines_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(DataError, match=r"f\.jsonl, line 3"):
        list(read_jsonl(path))


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "f.json", {"a": float("nan")})
    assert not (tmp_path / "f.json").exists()
