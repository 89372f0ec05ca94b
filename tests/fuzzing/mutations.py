"""Ways in which a recording may be damaged, or made to lie. Each takes its bytes and a seeded generator.

`mutated(name, number, bases)` is the same file for the same name, number and base, on every machine.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from random import Random

HEADER_BYTES = 200
"""Fields that say how to read the rest stand here, whatever the format."""

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 4_000_000_000)
"""Rates of nothing and of 4 GHz, 65,535 channels, blocks of no bytes, sizes beyond any disk."""

_ATOMS = (
    rb"ftyp|moov|mvhd|trak|mdia|minf|stbl|stsd|stts|stsc|stsz|stco|mdat|udta|esds|moof|traf|trun|COMM|SSND|desc|pakt"
)

Mutation = Callable[[bytes, Random], bytes]


def flip_bits(data: bytes, random: Random) -> bytes:
    """One to 64 bits anywhere."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 4, 64))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def flip_header_bits(data: bytes, random: Random) -> bytes:
    """One to eight bits of the header."""
    head = data[:HEADER_BYTES]
    changed = flip_bits(head, random) if head else head
    return changed + data[HEADER_BYTES:]


def overwrite(data: bytes, random: Random) -> bytes:
    """A stretch of zeros, of FF, or of noise."""
    start, length = _stretch(data, random)
    filling = random.choice((bytes(length), b"\xff" * length, random.randbytes(length)))
    return data[:start] + filling + data[start + length :]


def truncate(data: bytes, random: Random) -> bytes:
    """Broken off: in the header, or anywhere."""
    return data[: random.randrange(min(len(data), random.choice((HEADER_BYTES, len(data)))))]


def insert(data: bytes, random: Random) -> bytes:
    """Foreign bytes in the midst: a transfer in text mode, a proxy's page."""
    at = random.randrange(len(data))
    return data[:at] + random.randbytes(random.choice((1, 3, 100, 5000))) + data[at:]


def remove(data: bytes, random: Random) -> bytes:
    """A stretch that is missing."""
    start, length = _stretch(data, random)
    return data[:start] + data[start + length :]


def duplicate(data: bytes, random: Random) -> bytes:
    """A stretch that stands there twice, or 50 times; a long one does not, since hours of sound may take their time."""
    start, length = _stretch(data, random)
    times = random.choice((2, 50)) if length <= 1000 else 2
    return data[:start] + data[start : start + length] * times + data[start + length :]


def swap(data: bytes, random: Random) -> bytes:
    """Two stretches that changed places."""
    one, two, three = sorted(random.randrange(len(data)) for _ in range(3))
    return data[:one] + data[two:three] + data[one:two] + data[three:]


def extreme_field(data: bytes, random: Random) -> bytes:
    """A number of the header, at any place, of any width and byte order, takes an extreme value."""
    width = random.choice((1, 2, 4, 8))
    at = random.randrange(max(1, min(len(data), HEADER_BYTES) - width))
    return _with_number(data, at, width, random.choice(EXTREMES), random.choice(("little", "big")))


def wav_field(data: bytes, random: Random) -> bytes:
    """A field of a WAV's format chunk, or the size of a chunk, takes an extreme value."""
    places = [match.start() for match in re.finditer(rb"fmt |data|fact|LIST|ds64", data[:4096])]
    if not places:
        return extreme_field(data, random)
    at = random.choice(places)
    fields = (
        ((4, 4), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2), (22, 2), (24, 2))
        if data[at : at + 4] == b"fmt "
        else ((4, 4),)
    )
    offset, width = random.choice(fields)
    return _with_number(data, at + offset, width, random.choice(EXTREMES), "little")


def atom_size(data: bytes, random: Random) -> bytes:
    """An atom of an MP4 (or a chunk of an AIFF or CAF) says that it is empty, one byte long, or endless."""
    places = [match.start() for match in re.finditer(_ATOMS, data)]
    if not places:
        return extreme_field(data, random)
    at = random.choice(places)
    if random.random() < 0.5:
        return _with_number(data, max(0, at - 4), 4, random.choice(EXTREMES), "big")
    # Counts and sizes within: of samples, of chunks, of channels, of the rate.
    return _with_number(data, at + 4 + random.randrange(32), 4, random.choice(EXTREMES), "big")


def ogg_page(data: bytes, random: Random) -> bytes:
    """A page of an Ogg with other flags, position, serial, number, or segments, and a checksum that fits."""
    pages = [match.start() for match in re.finditer(b"OggS", data)]
    if not pages:
        return extreme_field(data, random)
    start = random.choice(pages)
    page = bytearray(data[start : start + _page_bytes(data, start)])
    if len(page) < 28:
        return data
    if random.random() < 0.3:
        page[random.randrange(28, len(page)) if len(page) > 28 else 27] = random.randrange(256)
    else:
        at, width = random.choice(((5, 1), (6, 8), (14, 4), (18, 4), (26, 1)))
        page[at : at + width] = random.choice((bytes(width), b"\xff" * width, random.randbytes(width)))
    page[22:26] = bytes(4)
    page[22:26] = struct.pack("<I", _ogg_checksum(page))
    return data[:start] + bytes(page) + data[start + len(page) :]


def frame_headers(data: bytes, random: Random) -> bytes:
    """Frames without a container (AMR, GSM, MP3, AAC) whose first bytes change: another mode, another length."""
    changed = bytearray(data)
    every = random.choice((13, 32, 33, 104, 417))
    for at in range(random.randrange(every), len(changed), every):
        if random.random() < 0.3:
            changed[at] = random.choice((0, 0x7C, 0x3C, 0xFF, 0xD0, random.randrange(256)))
    return bytes(changed)


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    flip_header_bits,
    overwrite,
    truncate,
    insert,
    remove,
    duplicate,
    swap,
    extreme_field,
    extreme_field,
    wav_field,
    atom_size,
    ogg_page,
    frame_headers,
)


def mutated(name: str, number: int, bases: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Damaged file `number` of a base, and in words what was done to it. One in 20 is joined with another base."""
    random = Random(f"{name} {number}")
    data, done = bases[name], []
    if random.random() < 0.05:
        other = random.choice(sorted(bases))
        data, done = data + bases[other], [f"joined with {other}"]
    for _ in range(random.choice((1, 1, 2, 3)) if not done else random.choice((0, 1))):
        mutation = random.choice(MUTATIONS)
        if data:
            data = mutation(data, random)
            done.append(mutation.__name__)
    return ", ".join(done), data


def _stretch(data: bytes, random: Random) -> tuple[int, int]:
    """Start and length of a part, short or long."""
    start = random.randrange(min(len(data), random.choice((HEADER_BYTES, len(data)))))
    return start, min(len(data) - start, random.choice((1, 4, 40, 1000, 20_000)))


def _with_number(data: bytes, at: int, width: int, value: int, order: str) -> bytes:
    number = (value & ((1 << 8 * width) - 1)).to_bytes(width, "big" if order == "big" else "little")
    return (data[:at] + number + data[at + width :])[: max(len(data), 1)]


def _page_bytes(data: bytes, start: int) -> int:
    """Length of an Ogg page by its own table of segments (RFC 3533, section 6)."""
    segments = data[start + 26] if start + 26 < len(data) else 0
    return 27 + segments + sum(data[start + 27 : start + 27 + segments])


def _ogg_checksum(page: bytes | bytearray) -> int:
    """CRC-32 of RFC 3533: polynomial 04C11DB7, not reflected, from zero."""
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
    return checksum
