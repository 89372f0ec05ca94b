"""Which kind of audio file some bytes are, and how much of it is missing.

The file name is never asked: recorders and exports misname files all the time, and decoders that trust a
name (soundfile's `.gsm`, `.vox`, `.raw`) or guess freely (FFmpeg finds "MP3" in random bytes and pictures in
text) turn rubbish into noise that would be graded. So nothing is decoded whose first bytes are not known.

Sizes in headers: RIFF/WAVE (Microsoft, 1991), RF64 (EBU Tech 3306), AIFF (Apple, 1989), Ogg (RFC 3533).
"""

from __future__ import annotations

import os
from typing import BinaryIO

HEAD_BYTES = 1 << 16
"""How much of a file is looked at: MP3 files may begin with this much of other matter, not more."""

_STREAMING_FROM = 0x7FFFF000
"""A WAV data size from here on is what recorders write into a pipe, where the size can't be known."""

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"fLaC", "FLAC"),
    (b"OggS", "Ogg"),
    (b"#!AMR", "AMR"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (b"\x1a\x45\xdf\xa3", "WebM/Matroska"),
    (b".snd", "AU"),
    (b"caff", "CAF"),
    (b"wvpk", "WavPack"),
    (b"MAC ", "Monkey's Audio"),
    (b"riff\x2e\x91\xcf\x11", "Wave64"),
    (b"FLV\x01", "FLV"),
)
_PICTURE_BRANDS = frozenset({b"heic", b"heix", b"heif", b"mif1", b"msf1", b"avif", b"avis", b"crx "})

_MP3_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MP3_KBPS = {
    (3, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by (MPEG version, layer) in the header's own codes: version 3 = MPEG-1; layer 1 = Layer III."""


def container_of(head: bytes) -> str | None:
    """The kind of audio (or film with sound) that a file's first `HEAD_BYTES` bytes announce, or None."""
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return {b"WAVE": "WAV", b"AVI ": "AVI"}.get(head[8:12])
    if head[:4] == b"FORM":
        return "AIFF" if head[8:12] in (b"AIFF", b"AIFC") else None
    if head[4:8] == b"ftyp":
        return None if head[8:12] in _PICTURE_BRANDS else "MP4/M4A"
    if _is_gsm(head):
        return "GSM"
    if _frames_chain(head, _adts_bytes):
        return "AAC"
    if head.startswith(b"ID3") or _frames_chain(head, _mp3_bytes):
        return "MP3"
    return None


def missing_bytes(file: BinaryIO, container: str) -> int:
    """How many bytes a file lacks by its own header; 0 where it is whole, or where the header can't tell.

    For Ogg the number lost is unknown: 1 where the closing page is missing.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if container == "WAV":
        return _wav_missing(file, size)
    if container == "AIFF":
        return max(0, 8 + int.from_bytes(file.read(8)[4:8], "big") - size)
    if container == "Ogg":
        file.seek(max(0, size - HEAD_BYTES))
        tail = file.read(HEAD_BYTES)
        page = tail.rfind(b"OggS")
        return int(page < 0 or len(tail) < page + 6 or not tail[page + 5] & 4)
    return 0


def _wav_missing(file: BinaryIO, size: int) -> int:
    """The declared size of the data chunk less what the file holds of it."""
    order = "big" if file.read(12)[:4] == b"RIFX" else "little"
    wide_size: int | None = None
    while len(header := file.read(8)) == 8:
        declared = int.from_bytes(header[4:8], "big" if order == "big" else "little")
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


def _is_gsm(head: bytes) -> bool:
    """Bare GSM 06.10 frames, as Asterisk writes them: 33 bytes each, the first half-byte 0xD (RFC 3551, 4.5.8.1)."""
    starts = head[: 33 * 100 : 33]
    return len(starts) >= 16 and all(byte >> 4 == 0xD for byte in starts)


def _frames_chain(head: bytes, frame_bytes: object, least: int = 4) -> bool:
    raise NotImplementedError
