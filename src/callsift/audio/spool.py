"""Rows of numbers that are written once and read in stretches: in memory while few, else in a temporary file.

Four hours of stereo at 8 kHz are 920 MB as float32. They lie in a file without a name (the system removes it when the
last handle is closed, even after a crash) in the folder that `TMPDIR` names, and are read with `pread` and not through
a memory map, whose pages would count as the process's own.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

import numpy as np

from callsift.audio.blocks import resampled
from callsift.errors import ErrorCode, RecordingError
from callsift.types import FloatArray, Samples, Signal

MEMORY_BYTES = 64 << 20
"""More than this goes to disk."""

_WRITE_BYTES = 1 << 20
_ITEM_BYTES = 4


class Spool:
    """Rows (n, width) float32: written block by block, then read by `[start:stop]`."""

    def __init__(self, width: int, what: str, expected: int = 0) -> None:
        """`what` they are and how many rows are `expected` (0: unknown) are said where the disk is too small."""
        self.width = width
        self._what, self._expected = what, expected
        self._rows = self._waiting_rows = 0
        self._waiting: list[FloatArray] = []
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return self._rows

    @property
    def on_disk(self) -> bool:
        """Whether the rows were too many for memory."""
        return self._file is not None

    def append(self, rows: FloatArray) -> None:
        """Add rows (n, width).

        Raises:
            RecordingError: `out_of_memory`, there is no room for them in the folder of temporary files.
        """
        self._waiting.append(np.asarray(rows, dtype=np.float32))
        self._waiting_rows += len(rows)
        self._rows += len(rows)
        if self._waiting_rows * self.width * _ITEM_BYTES > (_WRITE_BYTES if self.on_disk else MEMORY_BYTES):
            self._write()

    def __getitem__(self, key: slice, /) -> FloatArray:
        """(n, width), new in memory if it lies on disk."""
        start, stop, _ = key.indices(self._rows)
        if self._file is None:
            return self._in_memory()[start:stop]
        if self._waiting:
            self._write()
        row_bytes = self.width * _ITEM_BYTES
        content = bytearray(max(0, stop - start) * row_bytes)
        view, at = memoryview(content), start * row_bytes
        while view:
            count = os.preadv(self._file.fileno(), [view], at)
            if not count:
                raise EOFError(f"the temporary file of {self._what} ends early")
            view, at = view[count:], at + count
        return np.frombuffer(content, np.float32).reshape(-1, self.width)

    def samples(self) -> Samples:
        """The rows as channels (C, T): an array if they lie in memory."""
        if self.on_disk:
            return SpooledSamples(self)
        return np.ascontiguousarray(self._in_memory().T)

    def _in_memory(self) -> FloatArray:
        if len(self._waiting) != 1:
            whole: FloatArray = np.empty((self._rows, self.width), np.float32)
            at = 0
            for rows in self._waiting:
                whole[at : at + len(rows)] = rows
                at += len(rows)
            self._waiting = [whole]
        return self._waiting[0]

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="callsift-", buffering=0)  # noqa: SIM115
                weakref.finalize(self, self._file.close)
            for rows in self._waiting:
                view = memoryview(rows.tobytes())
                while view:
                    view = view[self._file.write(view) :]
        except OSError as error:
            raise self._no_room(error) from error
        self._waiting, self._waiting_rows = [], 0

    def _no_room(self, error: OSError) -> RecordingError:
        megabytes = max(self._rows, self._expected) * self.width * _ITEM_BYTES / 1e6
        return RecordingError(
            ErrorCode.OUT_OF_MEMORY,
            f"{self._what} needs {'' if self._expected else 'more than '}{megabytes:.0f} MB of temporary disk space "
            f"in {tempfile.gettempdir()}, and that can't be written: {error.strerror or error}. "
            "Make room there, or set TMPDIR to a folder with more.",
        )


@dataclass(frozen=True, slots=True)
class SpooledSamples:
    """Channels (C, T) whose samples lie on disk as rows."""

    rows: Spool

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, T)."""
        return self.rows.width, len(self.rows)

    def __getitem__(self, key: tuple[int | slice, slice], /) -> FloatArray:
        """`[channel, start:stop]` → (samples,); `[:, start:stop]` → (C, samples)."""
        channel, time = key
        found: FloatArray = np.ascontiguousarray(self.rows[time].T[channel])
        return found


@dataclass(frozen=True, slots=True)
class _Column:
    """The only column of some rows, as a Signal."""

    rows: Spool

    @property
    def size(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: slice, /) -> FloatArray:
        return self.rows[key][:, 0]


def signal_of(parts: Iterable[FloatArray], what: str, expected: int = 0) -> Signal:
    """Successive stretches (n,) → all of them as one Signal."""
    spool = Spool(1, what, expected)
    for part in parts:
        spool.append(part[:, None])
    return _Column(spool)


def resampled_signal(signal: Signal, from_hz: int, to_hz: int) -> Signal:
    """A channel at another rate: what `features.resample` gives of the whole; itself if the rates agree.

    Raises:
        RecordingError: `out_of_memory`, as in `Spool.append`.
    """
    if from_hz == to_hz:
        return signal
    what = f"A call of {signal.size / from_hz / 3600:.1f} h at {to_hz} Hz"
    return signal_of(resampled(signal, from_hz, to_hz), what, round(signal.size * to_hz / from_hz))
