"""Which kind of audio file some bytes are, and how much of it is missing.

The file name is never asked: recorders and exports misname files all the time, and decoders that trust a
name (soundfile's `.gsm`, `.vox`, `.raw`) or guess freely (FFmpeg finds "MP3" in random bytes and pictures in
text) turn rubbish into noise that would be graded. So nothing is decoded whose first bytes are not known.

Sizes in headers: RIFF/WAVE (Microsoft, 1991), RF64 (EBU Tech 3306), AIFF (Apple, 1989), CAF (Apple, 2005),
Ogg (RFC 3533).
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from typing import BinaryIO, Literal

HEAD_BYTES = 1 << 16
"""How much of a file is looked at: MP3 files may begin with this much of other matter, not more."""

_STREAMING_FROM = 0x7FFFF000
"""A WAV data size from here on is what recorders write into a pipe, where the size can't be known."""

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"fLaC", "FLAC"),
    (b"OggS", "Ogg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (b"\x1a\x45\xdf\xa3", "WebM/Matroska"),
    (b".snd", "AU"),
    (b"caff", "CAF"),
    (b"wvpk", "WavPack"),
    (b"MAC ", "Monkey's Audio"),
    (b"riff\x2e\x91\xcf\x11", "Wave64"),
    (b"FLV\x01", "FLV"),
)
_WAV_OR_AVI = {b"WAVE": "WAV", b"AVI ": "AVI"}
_RIFF_KINDS = {
    b"RIFF": _WAV_OR_AVI,
    b"RIFX": _WAV_OR_AVI,
    b"RF64": _WAV_OR_AVI,
    b"BW64": _WAV_OR_AVI,
    b"FORM": {b"AIFF": "AIFF", b"AIFC": "AIFF"},
}
_PICTURE_BRANDS = frozenset({b"heic", b"heix", b"heif", b"mif1", b"msf1", b"avif", b"avis", b"crx "})

_OTHER_STARTS = (b"PK\x03\x04", b"%PDF", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"\x89PNG", b"\xff\xd8\xff")
"""Archives, documents and pictures: they may hold MP3 frames further on, and are no recordings."""

_MP3_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MP3_KBPS = {
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by (MPEG-1?, layer code: 1 = Layer III, 2 = Layer II), ISO/IEC 11172-3 and 13818-3."""

_AMR_FRAME_BYTES = {
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1),
}
"""Bytes of a frame by its type, 0 = no such type (RFC 4867, section 5.3)."""

_CHAIN_FRAMES = 4
_CHAIN_WITHIN_BYTES = 4096


def container_of(head: bytes) -> str | None:
    """The kind of audio (or film with sound) that a file's first `HEAD_BYTES` bytes announce, or None."""
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[8:12] in _RIFF_KINDS.get(head[:4], ()):
        return _RIFF_KINDS[head[:4]][head[8:12]]
    if head[4:8] == b"ftyp":
        return None if head[8:12] in _PICTURE_BRANDS else "MP4/M4A"
    return None if head.startswith(_OTHER_STARTS) else _by_frames(head)


def _by_frames(head: bytes) -> str | None:
    """The kind of a file that is frames without a container around them, or None."""
    kinds = {
        "AMR": _is_amr(head),
        "GSM": _is_gsm(head),
        "MP3": head.startswith(b"ID3") or _frames_chain(head, _mp3_frame_bytes),
        "AAC": _frames_chain(head, _adts_frame_bytes),
    }
    return next((kind for kind, is_so in kinds.items() if is_so), None)


def missing_bytes(file: BinaryIO, container: str) -> int:
    """How many bytes a file lacks by its own header; 0 where it is whole, or where the header can't tell.

    For Ogg the number lost is unknown: 1 where the closing page is missing. Of files that are frames alone, it is
    what the last frame lacks.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if container == "WAV":
        return _wav_missing(file, size)
    if container == "AIFF":
        return max(0, 8 + int.from_bytes(file.read(8)[4:8], "big") - size)
    if container == "AU":
        start, declared = (int.from_bytes(field, "big") for field in (file.read(8)[4:], file.read(4)))
        return 0 if declared == 0xFFFFFFFF else max(0, start + declared - size)
    if container == "CAF":
        return _caf_missing(file, size)
    if container == "Ogg":
        file.seek(max(0, size - HEAD_BYTES))
        tail = file.read(HEAD_BYTES)
        page = tail.rfind(b"OggS")
        return int(page < 0 or len(tail) < page + 6 or not tail[page + 5] & 4)
    return _last_frame_missing(file, size, container) if container in ("AMR", "AAC", "MP3") else 0


def _last_frame_missing(file: BinaryIO, size: int, container: str) -> int:
    """How many bytes the last of successive frames lacks; 0 where something else follows them."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if container == "AMR":
            start = next(start for start in _AMR_FRAME_BYTES if content[: len(start)] == start)
            position, lengths = len(start), _AMR_FRAME_BYTES[start]
            while position < size and (length := lengths[content[position] >> 3 & 15]):
                position += length
            return max(0, position - size)
        frame_bytes = _adts_frame_bytes if container == "AAC" else _mp3_frame_bytes
        position = _after_id3(content[:10])
        if declared := _xing_bytes(content[position : position + 200]):
            return max(0, position + declared - size)
        while position < size:
            length = frame_bytes(content[position : position + 6])
            if not length:
                return 0
            position += length
        return position - size


def _after_id3(head: bytes) -> int:
    """Where an ID3v2 tag at the beginning of a file ends (id3.org, ID3v2.4.0 section 3.1); 0 without one."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = sum((byte & 127) << 7 * (3 - at) for at, byte in enumerate(head[6:10]))
    return 10 + size + (10 if head[5] & 16 else 0)


def _wav_missing(file: BinaryIO, size: int) -> int:
    """The declared size of the data chunk less what the file holds of it."""
    order: Literal["big", "little"] = "big" if file.read(12)[:4] == b"RIFX" else "little"
    wide_size: int | None = None
    while len(header := file.read(8)) == 8:
        declared = int.from_bytes(header[4:8], order)
        if header[:4] == b"ds64":
            wide_size = int.from_bytes(file.read(24)[8:16], "little")
            file.seek(declared - 24, os.SEEK_CUR)
        elif header[:4] == b"data":
            if declared == 0xFFFFFFFF and wide_size is not None:
                declared = wide_size
            elif declared == 0 or declared >= _STREAMING_FROM:
                return 0
            return max(0, declared - (size - file.tell()))
        else:
            file.seek(declared + declared % 2, os.SEEK_CUR)
    return 0


def _xing_bytes(frame: bytes) -> int:
    """The bytes of all frames by the tag that encoders put into the first one of an MP3 (Xing, LAME); 0 without it."""
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or not frame[at + 7] & 2:
        return 0
    place = at + 8 + (4 if frame[at + 7] & 1 else 0)
    return int.from_bytes(frame[place : place + 4], "big")


def _caf_missing(file: BinaryIO, size: int) -> int:
    """The same of a Core Audio file: chunks after 8 bytes, -1 as the size of one that was never closed."""
    file.seek(8)
    while len(header := file.read(12)) == 12:
        declared = int.from_bytes(header[4:], "big", signed=True)
        if header[:4] == b"data" or declared < 0:
            return max(0, declared - (size - file.tell()))
        file.seek(declared, os.SEEK_CUR)
    return 0


def _is_gsm(head: bytes) -> bool:
    """Bare GSM 06.10 frames, as Asterisk writes them: 33 bytes, the first half-byte 0xD (RFC 3551, 4.5.8)."""
    starts = head[: 33 * 100 : 33]
    return len(starts) >= 16 and all(byte >> 4 == 0xD for byte in starts)


def _is_amr(head: bytes) -> bool:
    """Whether the first frames of an AMR file have valid headers: the decoder itself takes anything."""
    for start, frame_bytes in _AMR_FRAME_BYTES.items():
        if head.startswith(start):
            position = len(start)
            for _ in range(50):
                if position >= len(head):
                    return True
                length = 0 if head[position] & 0x83 else frame_bytes[head[position] >> 3 & 15]
                if not length:
                    return False
                position += length
            return True
    return False


def _frames_chain(head: bytes, frame_bytes: Callable[[bytes], int]) -> bool:
    """Whether frames without a container follow one another, from near the start (after any leading zeros).

    Four in a row: in random bytes that happens less than once in 10^9 files, a single sync word in every one.
    """
    first = len(head) - len(head.lstrip(b"\0"))
    at = head.find(b"\xff", first)
    while 0 <= at < first + _CHAIN_WITHIN_BYTES:
        position = at
        for _ in range(_CHAIN_FRAMES):
            length = frame_bytes(head[position : position + 6])
            if not length:
                break
            position += length
        else:
            return True
        at = head.find(b"\xff", at + 1)
    return False


def _mp3_frame_bytes(header: bytes) -> int:
    """Length of the MPEG audio frame (Layer II or III) that begins here; 0 where none does."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    kbps_code, rate_code, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer not in (1, 2) or kbps_code in (0, 15) or rate_code == 3:
        return 0
    kbps = _MP3_KBPS[version == 3, layer][kbps_code - 1]
    samples = 576 if layer == 1 and version != 3 else 1152
    return samples * kbps * 125 // _MP3_RATES_HZ[version][rate_code] + padding


def _adts_frame_bytes(header: bytes) -> int:
    """Length of the AAC frame with an ADTS header that begins here; 0 where none does."""
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0
