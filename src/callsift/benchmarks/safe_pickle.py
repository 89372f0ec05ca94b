"""Published feature files that are pickles, read without running anything that they name.

A pickle is a program: it can name any function and have it called («pickle», The Python Standard Library), and NumPy's
own makers of arrays trust what they are given: of eight bytes, taken for a pointer, they make an object. So none of
these is called here: arrays of numbers and texts are made anew from checked bytes and shapes, beside Python's own
containers, numbers and texts; whatever else is named ends the reading.

Such a file may be far larger than the memory (CMU-MOSEI's has 13 GB), and most of it is never asked for. So large
stretches of bytes stay in it: they are taken out of the pickle beforehand, and arrays are views into the mapped file.
"""

from __future__ import annotations

import math
import mmap
import pickle
import pickletools
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from callsift.errors import DataError

_PLAIN: Final = (str, bytes, bool, int, float, type(None))
"""What an array of objects may hold: files keep their ids in such arrays."""
_LARGE: Final = 1 << 16
"""So many bytes in one stretch stay in the file."""
_STRETCHES: Final = {
    "BINBYTES": ("bytes", 5), "BINBYTES8": ("bytes", 9), "BYTEARRAY8": ("bytes", 9),
    "BINUNICODE": ("text", 5), "BINUNICODE8": ("text", 9),
}  # fmt: skip
"""Opcode of a stretch → of what, and how many bytes say so before it begins (`pickletools`)."""


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """What pickles of protocol 2 call for bytes; no other codec is looked up."""
    if encoding.replace("-", "").replace("_", "") not in ("latin1", "iso88591"):
        raise pickle.UnpicklingError(f"it wants text encoded as {encoding!r}")
    return text.encode("latin1")


class _Items:
    """The type of an array's items, as a pickle says it in two steps: a code, then its state."""

    def __init__(self, code: str) -> None:
        self.type: np.dtype[Any] = np.dtype(code)
        if self.type.kind not in "biufcSUO" or self.type.itemsize == 0:
            raise pickle.UnpicklingError(f"it has an array of {code!r}, neither numbers nor texts")

    def __setstate__(self, state: Any) -> None:
        """Of the state the order of bytes alone is taken; its parts and flags could say anything."""
        _, order, *parts = state
        if any(part is not None for part in parts[:3]):
            raise pickle.UnpicklingError("it has an array of records, neither numbers nor texts")
        self.type = self.type.newbyteorder(order)


class _Array:
    """An array to be: it is there once a pickle's state has said what it is, if that is what it says it is."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, items, by_column, raw = state
        if not isinstance(items, _Items):
            raise pickle.UnpicklingError("it has an array without a type")
        content = _content(raw, shape, items.type)
        if isinstance(content, list):
            flat = np.empty(len(content), dtype=object)
            flat[:] = content
        else:
            flat = np.frombuffer(content, items.type) if len(content) else np.empty(0, items.type)
        self.values = flat.reshape(shape, order="F" if by_column else "C")


def _content(raw: Any, shape: tuple[int, ...], items: np.dtype[Any]) -> bytes | memoryview | list[Any]:
    """The bytes of an array, or its objects, as many as the shape holds: NumPy does not count the latter."""
    if not all(type(size) is int and size >= 0 for size in shape):
        raise pickle.UnpicklingError(f"it has an array of shape {shape}")
    objects = items.kind == "O"
    content = list(raw) if objects else raw.encode("latin1") if isinstance(raw, str) else memoryview(raw)
    if len(content) != math.prod(shape) * (1 if objects else items.itemsize):
        raise pickle.UnpicklingError(f"it has an array of shape {shape} with {len(content)} bytes or objects")
    if objects and not all(type(each) in _PLAIN for each in content):
        raise pickle.UnpicklingError("it has an array of objects that are neither numbers nor texts")
    return content


def _items(code: Any, *_: Any) -> _Items:
    return _Items(code.decode("latin1") if isinstance(code, bytes) else str(code))


def _empty(*_: Any) -> _Array:
    """An array yet to be filled; of what type it is to be does not matter."""
    return _Array()


def _from_buffer(raw: Any, items: _Items, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, items, order == "F", raw))
    return array


def _scalar(items: _Items, raw: Any = b"") -> Any:
    values = _from_buffer(raw, items, (1,), "C").values
    assert values is not None
    return values[0]


class _Maker:
    """What a pickle may call and can't change: attributes set on a function would last as long as the process."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it would change what makes its arrays")


_CORES: Final = ("core", "_core")  # NumPy 2 calls its core `_core`
_MAKERS: Final[dict[tuple[str, str], Any]] = {
    ("numpy", "ndarray"): "an array's type, named for `_reconstruct` alone: a text can't be called",
    ("numpy", "dtype"): _Maker(_items),
    ("_codecs", "encode"): _Maker(_encode),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Maker(_empty) for core in _CORES},
    **{(f"numpy.{core}.multiarray", "scalar"): _Maker(_scalar) for core in _CORES},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Maker(_from_buffer) for core in _CORES},
}


class _Arrays(pickle.Unpickler):
    def __init__(self, stream: BytesIO, whole: memoryview) -> None:
        super().__init__(stream)
        self._whole = whole

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may name."""
        if (module, name) not in _MAKERS:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is neither an array nor plain data")
        return _MAKERS[module, name]

    def persistent_load(self, pid: str) -> memoryview | str:
        """What `_without_large` left in the file."""
        kind, start, end = pid.split()
        stretch = self._whole[int(start) : int(end)]
        return str(stretch, "utf-8", "surrogatepass") if kind == "text" else stretch


class _Mapped(mmap.mmap):
    """A file from whose large stretches nothing is copied, only skipped."""

    def read(self, n: int | None = -1) -> Any:
        if n is None or n < _LARGE:
            return super().read(n)
        start = self.tell()
        self.seek(n, 1)  # raises ValueError beyond the end
        return memoryview(self)[start : start + n]


def _without_large(whole: _Mapped) -> BytesIO:
    """The pickle with the places of large stretches in their stead, for `_Arrays.persistent_load`, and unframed."""
    small, done = BytesIO(), 0
    for code, _, start in pickletools.genops(cast("IO[bytes]", whole)):
        assert start is not None
        end = whole.tell()
        if code.name in ("PERSID", "BINPERSID"):
            raise pickle.UnpicklingError("it refers to what is not in it")
        if code.name == "FRAME":
            small.write(whole[done:start])
            done = end
        elif code.name in _STRETCHES and end - start > _LARGE:
            kind, before = _STRETCHES[code.name]
            small.write(whole[done:start] + f"P{kind} {start + before} {end}\n".encode())
            done = end
    small.write(whole[done : whole.tell()])
    small.seek(0)
    return small


def _arrays_in(found: Any, done: dict[int, Any]) -> Any:
    """Containers with arrays in the place of those to be; `done`: what was made of each container, by its id."""
    if isinstance(found, _Array):
        if found.values is None:
            raise pickle.UnpicklingError("it has an array without content")
        return found.values
    if isinstance(found, memoryview):
        return bytes(found)
    if not isinstance(found, dict | list | tuple):
        return found
    if id(found) not in done:
        done[id(found)] = None  # of a container in itself
        if isinstance(found, dict):
            done[id(found)] = {key: _arrays_in(value, done) for key, value in found.items()}
        else:
            done[id(found)] = type(found)(_arrays_in(value, done) for value in found)
    return done[id(found)]


def read_arrays(path: Path) -> Any:
    """What a pickle of arrays, numbers, texts and containers holds; arrays are views, also into the file, and can't be
    written to.

    Raises:
        DataError: it names anything else, or is damaged.
    """
    try:
        with path.open("rb") as stream:
            whole = _Mapped(stream.fileno(), 0, access=mmap.ACCESS_READ)
        return _arrays_in(_Arrays(_without_large(whole), memoryview(whole)).load(), {})
    except MemoryError as error:
        raise DataError("does not fit into memory", path) from error
    except Exception as error:  # a damaged pickle raises almost anything
        what = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(f"is refused: {what}. Fetch the published file anew", path) from error
