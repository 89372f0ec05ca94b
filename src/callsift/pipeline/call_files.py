"""What a call is made from: its files, and hashes by which one knows whether it is still the same.

By content where a hash goes into what people keep, by size and time of change where work that was stopped goes on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from callsift.asr.transcripts import find_transcript
from callsift.canonical import sha256_of_json
from callsift.files import json_text, sha256_of_file
from callsift.types import Call


def content_of(path: Path) -> str:
    """The hash of a file's bytes; read once in a process, while its size and time of change stay.

    Raises:
        OSError: it can't be read.
    """
    stat = path.stat()
    return _content(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(1 << 16)
def _content(path: Path, size: int, mtime_ns: int) -> str:
    return sha256_of_file(path)


def transcript_of(call: Call) -> Path | None:
    """The transcript that a call's turns are read from: the one it names, else the one beside its recording."""
    if call.turns:
        return None
    if call.transcript is None and call.audio is not None and not call.segments:
        return find_transcript(call.audio)
    return call.transcript


def heard_files(call: Call) -> list[Path]:
    """A call's recording and transcript, be it named or beside the recording, and its segments' recordings."""
    beside = None if call.transcript or call.audio is None else find_transcript(call.audio)
    files = [call.audio, call.transcript, beside, *(segment.audio for segment in call.segments)]
    return [file for file in files if file is not None]


def array_files(call: Call) -> list[Path]:
    """The files of a call's precomputed streams, each once."""
    return list(dict.fromkeys(ref.path for segment in call.segments for ref in segment.streams.values()))


def stamps_of(call: Call) -> list[tuple[str, int, int]]:
    """Name, size and time of change of every file that a call is made from, of those that are there."""
    found = []
    for path in (*heard_files(call), *array_files(call)):
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append((path.name, stat.st_size, stat.st_mtime_ns))
    return found


def call_sha256(call: Call) -> str | None:
    """Hash of all that a result depends on besides the model, its settings and the call's own recording.

    What is given of the call, its transcript, its segments' recordings and arrays, files by their content wherever they
    lie; not its labels, group and split. None where a file can't be read, or a time is no number.
    """
    bare = [replace(segment, audio=None, label=None, streams={}) for segment in call.segments]
    said = replace(
        call, audio=None, transcript=None, group=None, split=None, label=None, labels=(), segments=tuple(bare)
    )
    try:
        path = transcript_of(call)
        transcript = None if path is None else content_of(path)
        heard = [None if segment.audio is None else content_of(segment.audio) for segment in call.segments]
        arrays = [
            {name: (content_of(ref.path), ref.key) for name, ref in segment.streams.items()}
            for segment in call.segments
        ]
        return sha256_of_json(as_read([asdict(said), transcript, heard, arrays]))
    except (OSError, ValueError):
        return None


def as_read(value: Any) -> Any:
    """A value after a file."""
    return json.loads(json_text(value))
