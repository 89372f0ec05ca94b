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

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from callsift.data.cache.index import Index, Row
from callsift.data.cache.packs import DTYPES, Packs, Writer, bytes_of
from callsift.errors import DataError, UsageError

CACHE_VERSION: Final = 1
COMMIT_PUTS: Final = 64
"""Arrays waiting for the index before it is written."""
COMMIT_BYTES: Final = 64 << 20
"""Bytes of such arrays."""
COMMIT_S: Final = 5.0
"""Seconds that the first of them may wait before the next `put` writes the index."""


def features_key(values: NDArray[Any], encoder: str) -> str:
    """SHA-256 over what is fed (dtype, shape, bytes), the encoder's fingerprint and the cache's version."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    digest = hashlib.sha256(json.dumps([CACHE_VERSION, encoder, little.dtype.str, values.shape]).encode())
    digest.update(b"\0")
    digest.update(bytes_of(little))
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
            self._index = Index(self._home)
            self._packs = Packs(self._home)
            self._writer = Writer(self._home, self._index)

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
        if array.dtype.name not in DTYPES:
            raise UsageError(f"the feature cache keeps float16 and float32, not {array.dtype}")
        values = np.asarray(array, dtype=DTYPES[array.dtype.name], order="C")
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


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise DataError(
            f"the feature cache can't be used: {error}. Make room on its disk, or put it into another folder.", folder
        ) from error
