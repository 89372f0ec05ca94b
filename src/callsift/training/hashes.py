"""Files by what stands in them: whole files are hashed once in a process, while their size and time of change stay."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from callsift.asr.transcripts.reading import find_transcript
from callsift.files import sha256_of_file
from callsift.types import Call


def content_of(path: Path) -> str:
    """The hash of a file's bytes.

    Raises:
        OSError: it can't be read.
    """
    stat = path.stat()
    return _content(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(1 << 16)
def _content(path: Path, size: int, mtime_ns: int) -> str:
    return sha256_of_file(path)


def heard_files(call: Call) -> list[Path]:
    """A call's recording and transcript, be it named or beside the recording, and its segments' recordings."""
    beside = None if call.transcript or call.audio is None else find_transcript(call.audio)
    files = [call.audio, call.transcript, beside, *(segment.audio for segment in call.segments)]
    return [file for file in files if file is not None]


def array_files(call: Call) -> list[Path]:
    """The files of a call's precomputed streams, each once."""
    return list(dict.fromkeys(ref.path for segment in call.segments for ref in segment.streams.values()))
