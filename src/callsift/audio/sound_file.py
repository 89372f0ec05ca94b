"""Decoding with libsndfile: PCM, mu-law, A-law, GSM and ADPCM WAV, MP3, Ogg, FLAC, and files without a header."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import soundfile

from callsift.audio.collect import Collector

RAW_CODINGS = {
    ".ulaw": "ULAW",
    ".ul": "ULAW",
    ".alaw": "ALAW",
    ".al": "ALAW",
    ".vox": "VOX_ADPCM",
    ".sln": "PCM_16",
    ".raw": "PCM_16",
}
"""What is in a file without a header, by its suffix: nothing else can tell. One channel, little-endian (`.vox`:
Dialogic's 4-bit ADPCM; `.sln`, `.raw`: what Asterisk writes)."""

_BLOCK_SAMPLES = 1 << 20
_DURATION_SLACK_S = 0.5


class ByteStream(Protocol):
    """A file, or a stretch of one."""

    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


class Nameless:
    """A file without its name, from which soundfile would draw conclusions (`.gsm`, `.vox`, `.raw`)."""

    def __init__(self, file: ByteStream) -> None:
        self.read, self.tell = file.read, file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Where the file stands afterwards; a damaged header may ask for a place before its start."""
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


def raw_coding(path: Path) -> str | None:
    """The coding of a headerless file of this name, None where the name says nothing of the kind."""
    return RAW_CODINGS.get(path.suffix.lower())


def by_soundfile(file: ByteStream, sound: Collector, coding: str | None = None, rate_hz: int = 0) -> bool:
    """Decode with libsndfile; False where it can't, or finds nothing.

    `coding`, `rate_hz`: of a file without a header, which is then not asked what it is.

    Raises:
        RecordingError: as `Collector.accepts` and `Collector.add`.
    """
    file.seek(0)
    raw: dict[str, Any] = {}
    if coding is not None:
        raw = {"samplerate": rate_hz, "channels": 1, "format": "RAW", "subtype": coding}
        raw |= {"endian": "LITTLE"} if coding == "PCM_16" else {}
    before = len(sound)
    try:
        with soundfile.SoundFile(Nameless(file), **raw) as opened:
            _read(opened, sound)
    except soundfile.LibsndfileError:
        return False
    return len(sound) > before


def _read(opened: Any, sound: Collector) -> None:
    """All that can be read of an opened file."""
    rate_hz, declared = int(opened.samplerate), int(opened.frames)
    if not sound.accepts(rate_hz, opened.channels, declared):
        sound.broke_off = True
        return
    read, block_size = 0, max(1, _BLOCK_SAMPLES // opened.channels)
    try:
        while len(block := opened.read(block_size, dtype="float32", always_2d=True)):  # (n, C)
            sound.add(block)
            read += len(block)
    except soundfile.LibsndfileError:
        sound.broke_off |= read > 0
    if opened.format != "MP3":  # whose length is an estimate, and wrong where the bit rate varies
        sound.broke_off |= read > 0 and declared - read > _DURATION_SLACK_S * rate_hz
