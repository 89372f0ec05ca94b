"""A preparation that was stopped goes on where it was."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import NoRoomError, WarningCode
from callsift.pipeline.measures import MeasuredRow
from callsift.pipeline.prepared_journal import NAME, Journal
from callsift.pipeline.prepared_set import PreparedRow
from callsift.types import Call, Note, Segment, StreamRef, Turn
from tests.cli.commands import callsift, rows_of


@pytest.fixture
def call(tmp_path: Path) -> Call:
    audio = tmp_path / "a.wav"
    audio.write_bytes(b"first")
    return Call("a", audio=audio, label="B")


def _row(call: Call) -> PreparedRow:
    segments = (Segment("0", (Turn("agent", "您好", 0.5, 1.5, 0),), 0.0, 2.0),)
    prepared = replace(call, language="zh", segments=segments)
    notes = (Note(WarningCode.FALLBACK_ASR, "weak"),)
    return PreparedRow(
        prepared, "pocketsphinx", notes, (MeasuredRow("a", "", {"overlap_s": 0.25, "gap_mean_s": None}),)
    )


def test_what_was_kept_is_found_again(call: Call, tmp_path: Path) -> None:
    Journal(tmp_path, {"asr": "x"}).add(call, _row(call))
    assert Journal(tmp_path, {"asr": "x"}).found(call) == _row(call)


def test_a_file_name_in_another_encoding_is_kept(call: Call, tmp_path: Path) -> None:
    assert call.audio is not None
    old = call.audio.rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    call = replace(call, audio=old)
    Journal(tmp_path, {"asr": "x"}).add(call, _row(call))
    assert Journal(tmp_path, {"asr": "x"}).found(call) == _row(call)
    write_manifest(tmp_path / "manifest.jsonl", [call])
    assert read_manifest(tmp_path / "manifest.jsonl").calls == (call,)


def test_other_settings_another_call_or_another_file_are_not_taken_for_it(call: Call, tmp_path: Path) -> None:
    Journal(tmp_path, {"asr": "x"}).add(call, _row(call))
    assert Journal(tmp_path, {"asr": "y"}).found(call) is None
    assert Journal(tmp_path, {"asr": "x"}).found(replace(call, channels={0: "agent"})) is None
    assert call.audio is not None
    call.audio.write_bytes(b"another one")
    assert Journal(tmp_path, {"asr": "x"}).found(call) is None


@pytest.mark.parametrize("name", ["a.txt", "streams.npz"])
def test_another_transcript_beside_it_or_another_array_is_not_taken_for_it(
    call: Call, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("agent: hello")
    if name == "streams.npz":
        segment = Segment("0", (), 0.0, 2.0, streams={"video": StreamRef(tmp_path / name, "a")})
        call = replace(call, segments=(segment,))
    Journal(tmp_path, {}).add(call, _row(call))
    assert Journal(tmp_path, {}).found(call) == _row(call)
    (tmp_path / name).write_text("agent: something else")
    assert Journal(tmp_path, {}).found(call) is None


def test_what_changes_while_it_is_prepared_is_prepared_again(call: Call, tmp_path: Path) -> None:
    journal = Journal(tmp_path, {})
    assert journal.found(call) is None
    assert call.audio is not None
    call.audio.write_bytes(b"copied over it meanwhile")
    journal.add(call, _row(call))
    assert Journal(tmp_path, {}).found(call) is None


def test_a_line_cut_short_costs_that_line(call: Call, tmp_path: Path) -> None:
    """Not the next one as well, which would stand on the same line."""
    journal = Journal(tmp_path, {})
    journal.add(call, _row(call))
    with (tmp_path / NAME).open("a") as stream:
        stream.write('{"key": "0a", "call": {"call_')
    again, other = Journal(tmp_path, {}), replace(call, call_id="b")
    assert again.found(call) == _row(call)
    again.add(other, _row(other))
    assert [Journal(tmp_path, {}).found(each) for each in (call, other)] == [_row(call), _row(other)]
    journal.remove()
    assert Journal(tmp_path, {}).found(call) is None


def test_a_full_disk_is_said_and_leaves_whole_lines(call: Call, tmp_path: Path) -> None:
    """A limit on the size of a file stands for the disk: the write fails in the midst of a line."""
    journal, other = Journal(tmp_path, {}), replace(call, call_id="b")
    journal.add(call, _row(call))
    whole = (tmp_path / NAME).read_bytes()
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) * 3 // 2, hard))
    try:
        with pytest.raises(NoRoomError, match="Make room, then give the same command again"):
            journal.add(other, _row(other))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert (tmp_path / NAME).read_bytes() == whole


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX signals")
def test_killed_and_begun_again(demo: Path, tmp_path: Path) -> None:
    """kill -9 once the first call is kept; the second run prepares the rest alone."""
    calls = read_manifest(demo / "manifest.jsonl").calls[:4]
    recordings = [str(call.audio) for call in calls]
    arguments = ["prepare", *recordings, "-o", str(tmp_path / "set"), "--asr", "none"]
    running = subprocess.Popen(
        [sys.executable, "-m", "callsift.cli", *arguments], stderr=subprocess.PIPE, start_new_session=True
    )
    journal = tmp_path / "set" / NAME
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.read_bytes().count(b"\n")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert journal.exists(), "the run was over before it could be stopped"
    kept = journal.read_bytes().count(b"\n")
    done = callsift(*arguments)
    assert done.returncode == 0, done.stderr
    assert f"{kept} of 4 calls were prepared before this was stopped" in done.stderr
    assert [row["call_id"] for row in rows_of(tmp_path / "set" / "manifest.jsonl")] == [
        Path(path).name for path in recordings
    ]
    assert not journal.exists()
