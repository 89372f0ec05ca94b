"""JSON and JSON Lines, plain or gzipped, as importers read them: any damage is one sentence with file and line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from callsift.data.importers.parts import Place
from callsift.errors import DataError


def read_text(path: Path) -> str:
    """The text of a file, unpacked where it is gzipped.

    Raises:
        DataError: truncated, damaged, or no UTF-8.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"is a truncated or damaged gzip file ({error}); copy it again", path) from error
    except UnicodeDecodeError as error:
        raise DataError(f"is no UTF-8 text (byte {error.start})", path) from error


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, object) of every line that is not blank.

    Raises:
        DataError: a line that is no JSON object; a file without any.
    """
    found = False
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        found = True
        value = _parsed(text, path, line)
        if not isinstance(value, dict):
            raise DataError(f"must be a JSON object, not {type(value).__name__}", path, line)
        yield line, value
    if not found:
        raise DataError("is empty", path)


def json_value(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: no JSON.
    """
    text = read_text(path)
    if not text.strip():
        raise DataError("is empty", path)
    return _parsed(text, path, 1)


def _parsed(text: str, path: Path, line: int) -> Any:
    """The value of a text that begins on this line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg} (is the file truncated?)"
        raise DataError(message, path, line + error.lineno - 1) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists thousands deep
        raise DataError(f"not usable JSON: {error}", path, line) from error


def objects_in(value: Any, place: Place, what: str) -> list[dict[str, Any]]:
    """A list of objects; nothing is an empty one.

    Raises:
        DataError: anything else.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise place.wrong(f"{what} must be a list of JSON objects, not {str(value)[:60]}")
    return value


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """An object in an object as `outer.inner`; lists are kept as they are."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= flat(item, f"{prefix}{key}.") if isinstance(item, dict) else {f"{prefix}{key}": item}
    return found
