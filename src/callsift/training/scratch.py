"""Room for what trainings read again and again: in memory while there is enough of it, else in a temporary file.

Features of 3,000 calls of five minutes are 15 GB. The file has no name (the system removes it with the last process
that has it open, even after a crash), lies in the folder that `TMPDIR` names, and is read with `pread`, so processes
that were forked share it.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callsift.errors import NoRoomError
from callsift.types import CallInputs, StreamInput

MEMORY_BYTES = 2 << 30
"""More than this goes to the file."""
_LEFT_FREE_BYTES = 256 << 20
"""Of the disk: others live there, too."""


class Scratch:
    """Holds the inputs of calls."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._left = memory_bytes
        self._file: _File | None = None
        self._end = 0

    def room(self, size: int) -> bool:
        """Whether so many bytes still fit into memory; if so, they are counted as taken."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def held(self, inputs: CallInputs, kept: Collection[str] = ()) -> CallInputs:
        """The same inputs, held here, but for streams that are `kept` on disk already.

        Raises:
            NoRoomError: the disk is full.
        """
        segments = tuple(
            {
                name: given if given is None or name in kept else self._stream(given.values)
                for name, given in segment.items()
            }
            for segment in inputs.segments
        )
        return CallInputs(inputs.call_id, segments)

    def _stream(self, values: NDArray[Any]) -> StreamInput:
        if self.room(values.nbytes):
            return StreamInput(values)
        if self._file is None:
            self._file = _File()
        start, self._end = self._end, self._end + values.nbytes
        self._write(np.ascontiguousarray(values).tobytes(), start)
        return StreamInput(partial(_read, self._file, start, values.shape, values.dtype))

    def _write(self, content: bytes, start: int) -> None:
        assert self._file is not None
        try:
            disk = os.fstatvfs(self._file.number)
            if disk.f_bavail * disk.f_frsize < len(content) + _LEFT_FREE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            while content:  # a nearly full disk takes a part before it refuses
                written = os.pwrite(self._file.number, content, start)
                content, start = content[written:], start + written
        except OSError as error:
            raise NoRoomError(
                f"features of the calls find no room in {tempfile.gettempdir()} ({error.strerror}); name a folder with "
                "more by TMPDIR, or train on fewer calls"
            ) from error


class _File:
    """A nameless file that is there as long as anybody reads it."""

    number = -1

    def __init__(self) -> None:
        self.number, name = tempfile.mkstemp(prefix="callsift-")
        Path(name).unlink()

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


def _read(file: _File, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    found = os.pread(file.number, int(np.prod(shape)) * dtype.itemsize, start)
    return np.frombuffer(found, dtype=dtype).reshape(shape)
