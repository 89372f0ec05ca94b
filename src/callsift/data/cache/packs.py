"""The files that hold the arrays of the feature cache, end to end: each written by one process, read by all."""

from __future__ import annotations

import fcntl
import logging
import math
import mmap
import os
import secrets
import sqlite3
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from callsift.data.cache.index import Index, Row, alone

_ALIGN = 64
_ROOM_BYTES = 64 << 20
DTYPES: dict[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}

logger = logging.getLogger(__package__)


class Packs:
    """Reads packs, each mapped once, and once more when it has grown. A view keeps the map it looks into."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.maps: dict[str, mmap.mmap] = {}
        self._right: dict[str, set[int]] = {}  # by pack, the starts of arrays whose checksum was right
        self._told: set[str] = set()

    def read(self, key: str, row: Row) -> NDArray[Any] | None:
        """The array that a row of the index names; None, with a word in the log, if it is not there as it should be."""
        try:
            view = self._view(key, row)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError, FileNotFoundError):
            view = None  # a row of nonsense, or no such pack
        if view is None and str(row[0]) not in self._told:
            self._told.add(str(row[0]))
            logger.warning("%s is missing or damaged: what is lost of it is computed anew", self.home / str(row[0]))
        return view

    def _view(self, key: str, row: Row) -> NDArray[Any] | None:
        pack, start, dtype, shape, crc32 = row
        lengths = tuple(map(int, shape.split()))
        size = math.prod(lengths) * DTYPES[dtype].itemsize
        path = self.home / pack
        # Asked every time: to touch memory behind the end of a file that was cut would end the process.
        if path.parent != self.home or min(start, size) < 0 or path.stat().st_size < start + size:
            return None
        mapped = self.maps.get(pack)
        if mapped is None or len(mapped) < start + size:
            with path.open("rb") as stream:
                mapped = self.maps[pack] = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        view: NDArray[Any] = np.ndarray(lengths, DTYPES[dtype], buffer=mapped, offset=start)
        right = self._right.setdefault(pack, set())
        if start not in right and _crc32(key, dtype, shape, view) != crc32:
            return None
        right.add(start)
        return view


class Writer:
    """Appends to a pack of its own, begun at the first array.

    The file is kept longer than its arrays, a hole that takes no room on the disk, so that one map serves many puts.
    """

    def __init__(self, home: Path, index: Index) -> None:
        self.home = home
        self.index = index
        self._path = home
        self._stream: IO[bytes] | None = None
        self._end = self._settled = self._room = 0

    @property
    def unsettled(self) -> int:
        """Bytes that the index does not name yet."""
        return self._end - self._settled

    def append(self, key: str, values: NDArray[Any]) -> Row:
        """Write an array behind the others; its row for the index. If that fails, nothing of it is left."""
        stream = self._stream if self._stream and self._path.exists() else self._begin()
        data = bytes_of(values) or memoryview(b"\0")  # an empty file could not be mapped
        start = at = -(-self._end // _ALIGN) * _ALIGN
        try:
            if start + len(data) > self._room:
                self._room = max(_ROOM_BYTES, 2 * (start + len(data)))
                with suppress(OSError):
                    os.ftruncate(stream.fileno(), self._room)
            while at < start + len(data):
                at += os.pwrite(stream.fileno(), data[at - start :], at)
        except OSError:
            self._cut()
            raise
        self._end = at
        dtype, shape = values.dtype.name, " ".join(map(str, values.shape))
        return self._path.name, start, dtype, shape, _crc32(key, dtype, shape, values)

    def commit(self, rows: dict[str, Row], lost: dict[str, Row]) -> None:
        """Flush the arrays to disk, then name them in the index."""
        if self._stream is not None:
            os.fsync(self._stream.fileno())
        self.index.add(rows, lost)
        self._settled = self._end

    def close(self) -> None:
        if self._stream is not None:
            self._cut()
            if not self._settled:
                self._path.unlink(missing_ok=True)
            self._stream.close()
            self._stream = None

    def _cut(self) -> None:
        """Take away what is behind the last array; into the arrays themselves somebody may be looking."""
        self._room = self._end
        if self._stream is not None:
            with suppress(OSError):
                os.ftruncate(self._stream.fileno(), self._end)

    def _begin(self) -> IO[bytes]:
        with alone(self.home):
            self.close()
            self._sweep()
            self._path = self.home / f"pack-{secrets.token_hex(8)}.bin"
            self._stream = stream = self._path.open("xb", buffering=0)
            fcntl.flock(stream, fcntl.LOCK_EX)
        self._end = self._settled = self._room = 0
        return stream

    def _sweep(self) -> None:
        """Remove packs that no row names and no process writes: of killed processes, or of a lost index."""
        for path in sorted(self.home.glob("pack-*.bin")):
            with suppress(OSError, sqlite3.Error), path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Looked up under the lock: its writer may have committed and gone just before.
                if path.name not in self.index.packs():
                    path.unlink()


def bytes_of(values: NDArray[Any]) -> memoryview:
    return values.reshape(-1).view(np.uint8).data


def _crc32(key: str, dtype: str, shape: str, values: NDArray[Any]) -> int:
    """Over the bytes, and over what says how to read them."""
    return zlib.crc32(bytes_of(values), zlib.crc32(f"{key}\n{dtype}\n{shape}".encode()))
