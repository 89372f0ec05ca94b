"""Published feature files that are pickles, read without running anything that they name.

A pickle is a program: it can name any function and have it called («pickle», The Python Standard Library), and NumPy's
own makers of arrays trust what they are given: of eight bytes, taken for a pointer, they make an object. So none of
these is called here: arrays of numbers and texts are made anew from checked bytes and shapes, beside Python's own
containers, numbers and texts; whatever else is named ends the reading.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from callsift.errors import DataError

_PLAIN: Final = (str, bytes, bool, int, float, type(None))
"""What an array of objects may hold: files keep their ids in such arrays."""


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


class _Array(np.ndarray[Any, Any]):
    """An array that is filled from a pickle's state when that is what it says it is."""

    def __setstate__(self, state: Any) -> None:
        _, shape, items, by_column, raw = state
        if not isinstance(items, _Items):
            raise pickle.UnpicklingError("it has an array without a type")
        filled: Any = (1, shape, items.type, bool(by_column), _content(raw, shape, items.type))
        super().__setstate__(filled)


def _content(raw: Any, shape: tuple[int, ...], items: np.dtype[Any]) -> bytes | list[Any]:
    """The bytes of an array, or its objects, as many as the shape holds: NumPy does not count the latter."""
    if not all(type(size) is int and size >= 0 for size in shape):
        raise pickle.UnpicklingError(f"it has an array of shape {shape}")
    objects = items.kind == "O"
    content = list(raw) if objects else raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    if len(content) != math.prod(shape) * (1 if objects else items.itemsize):
        raise pickle.UnpicklingError(f"it has an array of shape {shape} with {len(content)} bytes or objects")
    if objects and not all(type(each) in _PLAIN for each in content):
        raise pickle.UnpicklingError("it has an array of objects that are neither numbers nor texts")
    return content


def _items(code: Any, *_: Any) -> _Items:
    return _Items(code.decode("latin1") if isinstance(code, bytes) else str(code))


def _empty(*_: Any) -> _Array:
    """An array yet to be filled; of what type it is to be does not matter."""
    return _Array((0,))


def _from_buffer(raw: Any, items: _Items, shape: tuple[int, ...], order: str) -> Any:
    array = _empty()
    array.__setstate__((1, shape, items, order == "F", raw))
    return array


def _scalar(items: _Items, raw: Any = b"") -> Any:
    return _from_buffer(raw, items, (1,), "C")[0]


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
    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may name."""
        if (module, name) not in _MAKERS:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is neither an array nor plain data")
        return _MAKERS[module, name]


def read_arrays(path: Path) -> Any:
    """What a pickle of arrays, numbers, texts and containers holds.

    Raises:
        DataError: it names anything else, or is damaged.
    """
    try:
        with path.open("rb") as stream:
            return _Arrays(stream).load()
    except MemoryError as error:
        raise DataError("does not fit into memory", path) from error
    except Exception as error:  # a damaged pickle raises almost anything
        what = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(f"is refused: {what}. Fetch the published file anew", path) from error
