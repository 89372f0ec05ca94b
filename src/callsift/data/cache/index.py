"""What all processes of the feature cache share: its index, which says where each array lies, and the folder's lock."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

_BUSY_S = 60.0

Row = tuple[Any, ...]
"""Of the index: pack, start, dtype, shape, crc32. A damaged index may hold anything."""

logger = logging.getLogger(__package__)
_T = TypeVar("_T")


class Index:
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
        with alone(self.home):
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


@contextmanager
def alone(home: Path) -> Iterator[None]:
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
