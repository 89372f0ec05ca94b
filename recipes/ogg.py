"""Ogg pages with a serial number of our choice, so that the same audio gives the same bytes.

The encoder draws a random serial number for each stream, and every page carries it and a checksum over it
(RFC 3533, section 6). Both are rewritten here; the audio packets stay as they are.
"""

_CAPTURE = b"OggS"
_SERIAL_AT, _CHECKSUM_AT, _SEGMENTS_AT = 14, 22, 26
_POLYNOMIAL = 0x04C11DB7


def with_serial(ogg: bytes, serial: int) -> bytes:
    """All pages of `ogg`, a file with one logical stream, with `serial` (32 bits) and correct checksums."""
    pages = bytearray(ogg)
    at = 0
    while at < len(pages):
        if pages[at : at + 4] != _CAPTURE:
            found = bytes(pages[at : at + 4])
            raise ValueError(f"No Ogg page at byte {at}: expected {_CAPTURE!r}, found {found!r}.")
        segments = pages[at + _SEGMENTS_AT]
        body_at = at + _SEGMENTS_AT + 1 + segments
        end = body_at + sum(pages[body_at - segments : body_at])
        pages[at + _SERIAL_AT : at + _SERIAL_AT + 4] = serial.to_bytes(4, "little")
        pages[at + _CHECKSUM_AT : at + _CHECKSUM_AT + 4] = bytes(4)
        pages[at + _CHECKSUM_AT : at + _CHECKSUM_AT + 4] = checksum(bytes(pages[at:end])).to_bytes(4, "little")
        at = end
    return bytes(pages)


def checksum(page: bytes) -> int:
    """The Ogg page checksum: CRC-32, polynomial 0x04c11db7, not reflected, start and final value zero."""
    crc = 0
    for byte in page:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _TABLE[(crc >> 24) ^ byte]
    return crc


def _table_entry(index: int) -> int:
    crc = index << 24
    for _ in range(8):
        crc = ((crc << 1) & 0xFFFFFFFF) ^ (_POLYNOMIAL if crc & 0x80000000 else 0)
    return crc


_TABLE = [_table_entry(index) for index in range(256)]
