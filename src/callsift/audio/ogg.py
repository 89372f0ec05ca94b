"""Streams that follow one another in an Ogg file (RFC 3533, section 4): a recording that was paused and continued.

libsndfile reads the first of them and stops, without a word about the rest.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO

from callsift.audio.sound_file import ByteStream

_HEADER_BYTES = 27
_BEGINS = 2


class _Stretch(io.RawIOBase):
    """The bytes [start, stop) of a file, as a file."""

    def __init__(self, file: BinaryIO, start: int, stop: int) -> None:
        self._file, self._start, self._size, self._at = file, start, stop - start, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._size - self._at)
        self._file.seek(self._start + self._at)
        found = self._file.read(left if size is None or size < 0 else min(size, left))
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at


def links(file: BinaryIO) -> list[ByteStream]:
    """The streams that lie one behind the other in an Ogg file; the file itself where it is a single one."""
    size = file.seek(0, os.SEEK_END)
    starts, at, in_data = [0], 0, False
    while at + _HEADER_BYTES <= size:
        file.seek(at)
        page = file.read(_HEADER_BYTES + 255)
        if page[:4] != b"OggS":
            break  # damaged: what follows is left to the decoder
        begins = bool(page[5] & _BEGINS)
        if begins and in_data:
            starts.append(at)
        in_data = not begins
        lacing = page[_HEADER_BYTES : _HEADER_BYTES + page[26]]
        at += _HEADER_BYTES + page[26] + sum(lacing)
    if len(starts) == 1:
        return [file]
    return [_Stretch(file, start, stop) for start, stop in zip(starts, [*starts[1:], size], strict=True)]
