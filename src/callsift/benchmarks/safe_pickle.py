"""Published feature files that are pickles, read without running anything that they name.

A pickle is a program: it can name any function and have it called («pickle», The Python Standard Library). Only NumPy's
arrays, their types, and Python's own containers, numbers and texts are made here; whatever else is named ends the
reading.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Final

import numpy as np

from callsift.errors import DataError


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """What pickles of protocol 2 call for bytes; no other codec is looked up."""
    if encoding.replace("-", "").replace("_", "") not in ("latin1", "iso88591"):
        raise pickle.UnpicklingError(f"it wants text encoded as {encoding!r}")
    return text.encode("latin1")


_ARRAY: Final = np.zeros(1)
_MAKERS: Final[dict[tuple[str, str], Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _ARRAY.__reduce__()[0] for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): np.float64(0).__reduce__()[0] for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _ARRAY.__reduce_ex__(5)[0] for core in ("core", "_core")},
}  # NumPy 2 calls its core `_core`


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
