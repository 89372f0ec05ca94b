"""Files that survive a crash: atomic writes, locks, hashes, JSON Lines."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import IO, Any

from callsift.errors import DataError, UsageError

_BLOCK = 1 << 20


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_writer(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write beside `path`, flush to disk, then rename: readers see the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        binary = "b" in mode
        with open(handle, mode, encoding=None if binary else "utf-8", newline=None if binary else "") as stream:  # noqa: PTH123
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_writer(path) as stream:
        stream.write(text)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON that UTF-8 can hold, letters as they are; NaN is refused with ValueError.

    Bytes of a file name in another encoding stand in text as halves of a character (PEP 383): UTF-8 has none for these,
    JSON's escapes have, and reading gives the same name again.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, allow_nan=False)
    return text


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json_text(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it can't be read or is not JSON; names the file and the line.
    """
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"not valid JSON: {error.msg}", path, error.lineno) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't be read: {_in_words(error)}", path) from error


def _in_words(error: OSError | UnicodeDecodeError) -> str:
    """Without the system's number and the path, which is said already."""
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON value a line, atomically."""
    with atomic_writer(path) as stream:
        for row in rows:
            stream.write(json_text(row) + "\n")


def read_jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number, value) of every line that is not blank.

    Raises:
        DataError: a line is not JSON; names the file and the line.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                try:
                    yield number, json.loads(line)
                except json.JSONDecodeError as error:
                    raise DataError(f"not valid JSON: {error.msg}", path, number) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't be read: {_in_words(error)}", path) from error


def append_line(stream: FileIO, line: str) -> None:
    """Add one line and hand it to the operating system before going on; where it has no room, none of it stays.

    `stream`: opened to append ("ab"), unbuffered, by nobody else. `line`: without its end.

    Raises:
        OSError: it can't be written; the file is left as it was.
    """
    rest, whole = memoryview((line + "\n").encode()), os.fstat(stream.fileno()).st_size
    try:
        while rest:
            rest = rest[stream.write(rest) :]
    except OSError:
        os.ftruncate(stream.fileno(), whole)
        raise


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold `path` as a lock file while writing beside it; a second holder is refused, not made to wait.

    The operating system drops the lock when the process ends, however it ends.

    Raises:
        UsageError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = _locked(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is still held: nobody can be waiting on this very file
        stream.close()


def _locked(path: Path) -> IO[str]:
    """Open and lock `path`; a file that its last holder removed in between is opened anew."""
    import fcntl

    while True:
        stream = path.open("a")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.close()
            raise UsageError(
                f"another callsift is writing in {path.parent} and holds {path.name}. "
                "Wait for it, or write somewhere else."
            ) from error
        if path.exists() and path.stat().st_ino == os.fstat(stream.fileno()).st_ino:
            return stream
        stream.close()
