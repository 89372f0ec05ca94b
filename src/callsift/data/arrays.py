"""Precomputed streams: the arrays that a manifest's `streams` point to, `.npz` or `.parquet`.

A `.npz` holds an array per key. A `.parquet` holds a row per key: column `key`, and column `values` as list<float> or
list<list<float>>; one row group at a time is in memory. Opened files are kept, so that thousands of references into
one file cost one look at its directory.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from callsift.errors import CallsiftError, ErrorCode, RecordingError, UsageError
from callsift.types import FloatArray, StreamRef

_OPEN_FILES = 8


def read_stream(ref: StreamRef) -> FloatArray:
    """A segment's stream as (L, D) float32; an array (D,) becomes (1, D). NaN stands for a missing number.

    Raises:
        RecordingError: `missing_file`; `missing_stream`, the file lacks the key; `unreadable`, a damaged file, or an
            array that is empty, not numbers, not finite, or of other than one or two dimensions.
        UsageError: a .parquet file, and no pyarrow.
    """
    try:
        state = ref.path.stat()
        # A rewritten file is another file; so is one opened before a fork, which shares its position.
        found = _opened(ref.path.absolute(), state.st_mtime_ns, state.st_size, os.getpid()).array(ref)
    except CallsiftError:
        raise
    except FileNotFoundError as error:
        raise RecordingError(ErrorCode.MISSING_FILE, _about(ref, "the file does not exist")) from error
    except Exception as error:  # a damaged archive makes its reader raise almost anything
        what = f"can't be read: {str(error) or type(error).__name__}. Write the file anew."
        raise _unusable(ref, what) from error
    return _checked(found, ref)


class _ArrayFile(Protocol):
    def array(self, ref: StreamRef) -> NDArray[Any]:
        """What stands at `ref.key`, of any type and shape."""
        ...


@lru_cache(maxsize=_OPEN_FILES)
def _opened(path: Path, _mtime_ns: int, _size: int, _process: int) -> _ArrayFile:
    if path.suffix == ".npz":
        return _Npz(path)
    if path.suffix == ".parquet":
        return _Parquet(path)
    raise ValueError(f"a precomputed stream lies in a .npz or .parquet file, not in '{path.suffix}'")


class _Npz:
    """As numpy.load, which leaves the file open where it is damaged and can skip the archive's checksums."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        self._members = {name.removesuffix(".npy"): name for name in self._archive.namelist() if name.endswith(".npy")}

    def array(self, ref: StreamRef) -> NDArray[Any]:
        if ref.key not in self._members:
            raise _no_such_key(ref, self._members)
        stream = io.BytesIO(self._archive.read(self._members[ref.key]))
        return np.asarray(npy.read_array(stream, allow_pickle=False))


class _Parquet:
    def __init__(self, path: Path) -> None:
        try:
            from pyarrow import parquet
        except ImportError as error:
            raise UsageError(
                f'{path}: reading .parquet needs pyarrow: pip install "callsift[parquet]", or write the arrays as .npz'
            ) from error
        self._file = parquet.ParquetFile(path)
        names = self._file.schema_arrow.names
        if not {"key", "values"} <= set(names):
            raise ValueError(f"it needs the columns 'key' and 'values', and has {', '.join(names) or 'none'}")
        self._places: dict[str, tuple[int, int]] = {}
        self._twice: set[str] = set()
        for group in range(self._file.num_row_groups):
            for row, key in enumerate(map(str, self._column(group, "key").to_pylist())):
                if self._places.setdefault(key, (group, row)) != (group, row):
                    self._twice.add(key)
        self._group: tuple[int, Any] | None = None

    def array(self, ref: StreamRef) -> NDArray[Any]:
        if ref.key not in self._places:
            raise _no_such_key(ref, self._places)
        if ref.key in self._twice:
            raise _unusable(ref, "several rows have this key. Give every row a key of its own.")
        group, row = self._places[ref.key]
        held = self._group
        if held is None or held[0] != group:
            held = self._group = group, self._column(group, "values")
        return _from_lists(held[1][row], ref)

    def _column(self, group: int, name: str) -> Any:
        return self._file.read_row_group(group, columns=[name]).column(name)


def _from_lists(cell: Any, ref: StreamRef) -> NDArray[Any]:
    """A pyarrow list<number> (D,) or list<list<number>> (L, D); a null number is NaN."""
    from pyarrow import compute, types

    rows = _item(cell.type)
    number = _item(rows) or rows
    if number is None or not (types.is_floating(number) or types.is_integer(number)):
        raise _unusable(ref, f"column 'values' is {cell.type}, and must be list<float> or list<list<float>>.")
    if not cell.is_valid:
        raise _unusable(ref, "its 'values' are null. Leave the stream out of the segment instead.")
    values = cell.values
    if number is rows:
        return np.asarray(values.to_numpy(zero_copy_only=False))
    lengths = compute.list_value_length(values).fill_null(0).to_pylist()
    if len(set(lengths)) > 1:
        raise _unusable(ref, f"its rows are of different lengths, {min(lengths)} to {max(lengths)}.")
    numbers = values.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(numbers).reshape(len(lengths), lengths[0] if lengths else 0)


def _item(kind: Any) -> Any:
    """The type of a pyarrow list's items; None of what is no list."""
    from pyarrow import types

    tests = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    return kind.value_type if kind is not None and any(test(kind) for test in tests) else None


def _checked(found: NDArray[Any], ref: StreamRef) -> FloatArray:
    if found.dtype.kind not in "fiu":
        raise _unusable(ref, f"it holds {found.dtype}, not numbers. Save it as float32.")
    if found.ndim not in (1, 2) or found.size == 0:
        raise _unusable(ref, f"its shape is {found.shape}, and must be (length, width) or (width,), without zeros.")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(found, dtype=np.float32)
    if np.isinf(values).any():
        count = int(np.isinf(values).sum())
        raise _unusable(
            ref, f"{count} of {values.size} numbers are infinite in float32. Write NaN where one is missing."
        )
    return values.reshape(1, -1) if values.ndim == 1 else values


def _no_such_key(ref: StreamRef, keys: Iterable[str]) -> RecordingError:
    known = list(keys)
    shown = ", ".join(f"'{key}'" for key in known[:5]) + (", …" if len(known) > 5 else "")
    what = f"there is no such key; the file has {len(known)}" + (f": {shown}" if known else "")
    return RecordingError(ErrorCode.MISSING_STREAM, _about(ref, what))


def _unusable(ref: StreamRef, what: str) -> RecordingError:
    return RecordingError(ErrorCode.UNREADABLE, _about(ref, what))


def _about(ref: StreamRef, what: str) -> str:
    return f"{ref.path}, stream '{ref.key}': {what}"
