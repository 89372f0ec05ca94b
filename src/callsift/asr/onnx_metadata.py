"""The metadata of an ONNX file, read without a runtime and without its weights.

sherpa-onnx ends the whole process when a key that it needs is missing, so engines look first. An ONNX file is one
protobuf message `ModelProto` (onnx/onnx.proto): field 14, `metadata_props`, repeats pairs of key (1) and value (2);
field 7, the graph with the weights, is stepped over.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

from callsift.errors import UsageError

_METADATA = 14
_KEY, _VALUE = 1, 2
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a model: what its exporter wrote about it.

    Raises:
        UsageError: not an ONNX file, or one that breaks off.
    """
    found: dict[str, str] = {}
    try:
        with path.open("rb") as stream:
            for _, content in _contents(stream, path.stat().st_size, (_METADATA,)):
                pair = dict(_contents(BytesIO(content), len(content), (_KEY, _VALUE)))
                found[pair.get(_KEY, b"").decode()] = pair.get(_VALUE, b"").decode()
    except (ValueError, EOFError) as error:
        raise UsageError(f"{path} is no ONNX model, or not all of one ({error}); fetch it again") from error
    return found


def _contents(stream: IO[bytes], size: int, wanted: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    """(number, content) of the `wanted` fields of a message of `size` bytes; the others are not read."""
    while stream.tell() < size:
        number, kind = divmod(_varint(stream), 8)
        if kind == _VARINT:
            _varint(stream)
        elif kind in (_FIXED_64, _FIXED_32):
            stream.seek(8 if kind == _FIXED_64 else 4, 1)
        elif kind == _BYTES and number > 0:
            length = _varint(stream)
            if stream.tell() + length > size:
                raise EOFError(f"it breaks off at {size} bytes")
            if number in wanted:
                yield number, stream.read(length)
            else:
                stream.seek(length, 1)
        else:
            raise ValueError(f"unknown content at byte {stream.tell()}")


def _varint(stream: IO[bytes]) -> int:
    """A number of seven bits a byte, lowest first; the eighth says that more follow."""
    value = 0
    for place in range(_LONGEST_VARINT):
        byte = stream.read(1)
        if not byte:
            raise EOFError("it breaks off")
        value |= (byte[0] & 0x7F) << (7 * place)
        if not byte[0] & 0x80:
            return value
    raise ValueError(f"unknown content at byte {stream.tell()}")
