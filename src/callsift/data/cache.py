"""Feature cache: what a frozen encoder made of each input, computed once and kept on disk.

Size: HuBERT-base gives 50 frames a second of 768 numbers; in float16, 2 bytes each, that is 4.6 MB per minute of
speech and 276 MB per hour. A learned sum over its 13 layers needs all of them: 60 MB per minute.

Under `folder/v<version>`, so that a cache of another version is not used::

    pack-<random>.bin   arrays laid end to end, each at a multiple of 64 bytes; one file per process that writes,
                        with a hole at its end while it does
    index.sqlite        key → pack, start, dtype, shape, CRC-32
    lock                held for moments: while the index is opened, and while a pack is begun or removed

The index names bytes only after they are flushed to disk, so that a process killed at any instant leaves at worst a
tail that nothing names. All in it can be computed again: what is damaged counts as missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import math
import mmap
import os
import secrets
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from callsift.errors import DataError, UsageError

CACHE_VERSION: Final = 1
COMMIT_PUTS: Final = 64
"""Arrays waiting for the index before it is written."""
COMMIT_BYTES: Final = 64 << 20
"""Bytes of such arrays."""
COMMIT_S: Final = 5.0
"""Seconds that the first of them may wait before the next `put` writes the index."""

_ALIGN = 64
_ROOM_BYTES = 64 << 20
_BUSY_S = 60.0
_DTYPES: dict[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}

Row = tuple[Any, ...]
"""Of the index: pack, start, dtype, shape, crc32. A damaged index may hold anything."""

logger = logging.getLogger(__name__)
_T = TypeVar("_T")


def features_key(values: NDArray[Any], encoder: str) -> str:
    """SHA-256 over what is fed (dtype, shape, bytes), the encoder's fingerprint and the cache's version."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    digest = hashlib.sha256(json.dumps([CACHE_VERSION, encoder, little.dtype.str, values.shape]).encode())
    digest.update(b"\0")
    digest.update(_bytes(little))
    return digest.hexdigest()


class ArrayCache:
    """Small float16 or float32 arrays by key. Any number of processes may fill and read one folder at once.

    What was put is found at once in this process; others, and later ones, find it after the next commit: every
    64 puts or 64 MiB, at the first put 5 s after the last, at `flush` and at `close`. Threads may share a cache;
    a forked process opens its own.
    """

    def __init__(self, folder: Path) -> None:
        """Open or begin the cache in `folder`.

        Raises:
            DataError: the folder can't be used.
        """
        self.folder = folder
        self._home = folder / f"v{CACHE_VERSION}"
        self._guard = threading.RLock()
        self._waiting: dict[str, Row] = {}
        self._waiting_since_s = 0.0
        self._lost: dict[str, Row] = {}
        with _in_words(folder):
            self._home.mkdir(parents=True, exist_ok=True)
            self._index = _Index(self._home)
            self._packs = _Packs(self._home)
            self._writer = _Writer(self._home, self._index)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def bytes(self) -> int:
        """Bytes that it takes on the disk."""
        total = 0
        for path in self._home.iterdir():
            with suppress(FileNotFoundError):  # another process removed it meanwhile
                total += 512 * path.stat().st_blocks
        return total

    def get(self, key: str) -> NDArray[Any] | None:
        """The array of a key as a read-only view that stays valid, or None if it is not there or damaged.

        Raises:
            DataError: the folder can't be read.
        """
        with self._guard, _in_words(self.folder):
            row = self._waiting.get(key) or self._index.find(key)
            if row is None:
                return None
            found = self._packs.read(key, row)
            if found is None:
                self._waiting.pop(key, None)
                self._lost[key] = row
            return found

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Keep an array, unless there is one of this key.

        Raises:
            DataError: no room on the disk. The array may not be kept; the others are, and can be read as before.
            UsageError: the array is neither float16 nor float32.
        """
        if array.dtype.name not in _DTYPES:
            raise UsageError(f"the feature cache keeps float16 and float32, not {array.dtype}")
        values = np.asarray(array, dtype=_DTYPES[array.dtype.name], order="C")
        with self._guard, _in_words(self.folder):
            if self.get(key) is not None:
                return
            row = self._writer.append(key, values)
            self._waiting_since_s = self._waiting_since_s if self._waiting else time.monotonic()
            self._waiting[key] = row
            waited_s = time.monotonic() - self._waiting_since_s
            if len(self._waiting) >= COMMIT_PUTS or self._writer.unsettled >= COMMIT_BYTES or waited_s >= COMMIT_S:
                self.flush()

    def flush(self) -> None:
        """Commit what was put.

        Raises:
            DataError: no room on the disk; it waits for the next commit.
        """
        with self._guard, _in_words(self.folder):
            if self._waiting:
                self._writer.commit(self._waiting, self._lost)
                self._waiting, self._lost = {}, {}

    def close(self) -> None:
        """Commit, and let go of the files. Views handed out stay valid.

        Raises:
            DataError: as `flush`.
        """
        with self._guard:
            try:
                self.flush()
            finally:
                self._writer.close()
                self._packs.maps.clear()
                self._index.close()


class _Index:
    """The SQLite file. A damaged one is replaced by an empty one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "index.sqlite"
        self._connection = self._opened()

    def find(self, key: str) -> Row | None:
        command = "select pack, start, dtype, shape, crc32 from entries where key = ?"
        return self._run(lambda index: cast(Row | None, index.execute(command, (key,)).fetchone()))

    def packs(self) -> set[str]:
        """The packs that rows name. Unlike the others it mends nothing, since the folder's lock is held around it."""
        return {pack for (pack,) in self._connection.execute("select distinct pack from entries")}

    def add(self, rows: dict[str, Row], lost: dict[str, Row]) -> None:
        """Take out the rows that lead nowhere, then add; a key that another process added meanwhile keeps its row."""
        gone = [(key, start, crc32) for key, (_, start, _, _, crc32) in lost.items()]
        new = [(key, *row) for key, row in rows.items()]

        def work(index: sqlite3.Connection) -> None:
            with index:
                index.execute("begin immediate")
                index.executemany("delete from entries where key = ? and start is ? and crc32 is ?", gone)
                index.executemany("insert or ignore into entries values (?, ?, ?, ?, ?, ?)", new)

        self._run(work)

    def close(self) -> None:
        self._connection.close()

    def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return work(self._connection)
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise
        self._connection.close()
        self._connection = self._opened()
        return work(self._connection)

    def _opened(self) -> sqlite3.Connection:
        with _alone(self.home):
            try:
                return self._checked()
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
                logger.warning("%s is damaged (%s): what it named is computed anew", self.path, error)
            # A journal left behind would be played back into the new file.
            for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
                path.unlink(missing_ok=True)
            return self._checked()

    def _checked(self) -> sqlite3.Connection:
        index = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        index.text_factory = lambda text: text.decode(errors="replace")  # of a damaged row
        try:
            index.execute(
                "create table if not exists entries (key text primary key, pack text not null, start integer not null, "
                "dtype text not null, shape text not null, crc32 integer not null) without rowid"
            )
            index.execute("select key, pack, start, dtype, shape, crc32 from entries limit 1").fetchone()
            (verdict,) = index.execute("pragma quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        except BaseException:
            index.close()
            raise
        return index


class _Packs:
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
        size = math.prod(lengths) * _DTYPES[dtype].itemsize
        path = self.home / pack
        # Asked every time: to touch memory behind the end of a file that was cut would end the process.
        if path.parent != self.home or min(start, size) < 0 or path.stat().st_size < start + size:
            return None
        mapped = self.maps.get(pack)
        if mapped is None or len(mapped) < start + size:
            with path.open("rb") as stream:
                mapped = self.maps[pack] = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        view: NDArray[Any] = np.ndarray(lengths, _DTYPES[dtype], buffer=mapped, offset=start)
        right = self._right.setdefault(pack, set())
        if start not in right and _crc32(key, dtype, shape, view) != crc32:
            return None
        right.add(start)
        return view


class _Writer:
    """Appends to a pack of its own, begun at the first array.

    The file is kept longer than its arrays, a hole that takes no room on the disk, so that one map serves many puts.
    """

    def __init__(self, home: Path, index: _Index) -> None:
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
        data = _bytes(values) or memoryview(b"\0")  # an empty file could not be mapped
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
        with _alone(self.home):
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


def _bytes(values: NDArray[Any]) -> memoryview:
    return values.reshape(-1).view(np.uint8).data


def _crc32(key: str, dtype: str, shape: str, values: NDArray[Any]) -> int:
    """Over the bytes, and over what says how to read them."""
    return zlib.crc32(_bytes(values), zlib.crc32(f"{key}\n{dtype}\n{shape}".encode()))


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Wait for the folder's lock and hold it."""
    with (home / "lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is at fault, rather than a lock, the disk or a closed connection."""
    if isinstance(error, sqlite3.ProgrammingError):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # above: the extended code
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT)


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise DataError(
            f"the feature cache can't be used: {error}. Make room on its disk, or put it into another folder.", folder
        ) from error
