"""An audio file → samples at its own rate, judged by content and not by name.

soundfile (libsndfile) reads what telephone systems mostly write: PCM, mu-law, A-law, GSM and ADPCM WAV,
MP3, Ogg, FLAC. PyAV (FFmpeg) reads the rest: M4A, AMR, WMA, WebM, G.726, bare GSM; imported only when needed.
A file that breaks off is decoded as far as it goes and gets the warning `truncated`. Samples of a long recording
are kept on disk while they are needed (`callsift.audio.spool`).
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from callsift.audio.collect import Collector
from callsift.audio.containers import HEAD_BYTES, container_of, missing_bytes
from callsift.audio.ogg import links
from callsift.audio.sound_file import ByteStream, Nameless, by_soundfile, raw_coding
from callsift.errors import ErrorCode, RecordingError, WarningCode
from callsift.types import Note, Recording, Waveform

if TYPE_CHECKING:
    from av.container import InputContainer

MIN_DURATION_S = 0.5
"""A shorter recording can't hold a call."""

# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".wav", ".wave", ".w64", ".rf64", ".mp3", ".mp2", ".m4a", ".mp4", ".aac", ".amr", ".awb", ".3gp", ".3ga",
    ".ogg", ".oga", ".opus", ".spx", ".flac", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".wma", ".asf",
    ".webm", ".mka", ".gsm", ".vox", ".ulaw", ".ul", ".alaw", ".al", ".sln", ".raw", ".g729",
})
# fmt: on
"""Names that a folder scan takes for recordings, so that one whose content is wrong is reported."""

_MAX_FAILED_SHARE = 0.5
_DURATION_SLACK_S = 0.5
_LENGTH_IN_HEADER = frozenset({"MP4/M4A", "WMA", "WebM/Matroska"})
_AMR_DECODERS = {"amrnb": ("libopencore_amrnb", 8000), "amrwb": ("libopencore_amrwb", 16000)}
"""FFmpeg's own decoders refuse the silence frames that real telephones send."""


def looks_like_audio(path: Path) -> bool:
    """Whether a folder scan should take this file, by its extension or its first bytes."""
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return True
    try:
        if not path.is_file():  # to open a pipe would be to wait for its writer
            return False
        with path.open("rb") as file:
            return container_of(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False


def decode(path: Path, raw_rate_hz: int | None = None) -> Recording:
    """Read a recording: waveform (C, samples) at the file's own rate, SHA-256 of its bytes, what was odd.

    `raw_rate_hz`: the rate of a file without a header, which is read by what its suffix says (.ulaw, .alaw, .vox,
    .sln, .raw). Of any other file it is not needed and not believed.

    Raises:
        RecordingError: `missing_file`, `unreadable`, `empty_file`, `not_audio`, `too_short`, `bad_samples`, or
            `out_of_memory` if a long recording finds no room on the disk.
    """
    try:
        if not stat.S_ISREG(kind := path.stat().st_mode) and not stat.S_ISDIR(kind):
            message = f"'{path.name}' is no regular file but a pipe or a device. Save the recording as a file."
            raise RecordingError(ErrorCode.UNREADABLE, message)
        with path.open("rb") as file:
            return _decode_open(path, file, raw_rate_hz)
    except FileNotFoundError:
        message = f"'{path.name}' does not exist (looked in {path.parent}). Check the path."
        raise RecordingError(ErrorCode.MISSING_FILE, message) from None
    except IsADirectoryError:
        message = f"'{path.name}' is a folder, not a recording. Give the files in it, or score the folder."
        raise RecordingError(ErrorCode.UNREADABLE, message) from None
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"'{path.name}' can't be read: {reason}. Check its permissions and the disk."
        raise RecordingError(ErrorCode.UNREADABLE, message) from error


def _decode_open(path: Path, file: BufferedReader, raw_rate_hz: int | None) -> Recording:
    before = os.fstat(file.fileno())
    head = file.read(HEAD_BYTES)
    if not head:
        message = f"'{path.name}' is empty (0 bytes). Export or copy it again."
        raise RecordingError(ErrorCode.EMPTY_FILE, message)
    container, sound = container_of(head), Collector(path.name)
    coding = None if container else _raw_coding(path, head, raw_rate_hz)
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if container is None:
        by_soundfile(file, sound, coding, raw_rate_hz or 0)
    else:
        _decode_parts(path, file, container, sound)
        sound.broke_off |= missing_bytes(file, container) > 0
    after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        message = f"'{path.name}' is still being written: it changed while it was read. Score it when it is finished."
        raise RecordingError(ErrorCode.UNREADABLE, message)
    samples, notes = sound.finish()
    duration_s = len(sound) / sound.rate_hz if len(sound) else 0.0
    if duration_s < MIN_DURATION_S:
        message = (
            f"'{path.name}' lasts {duration_s:.2f} s; at least {MIN_DURATION_S} s of audio is needed. "
            f"{'The file breaks off: copy it again.' if sound.broke_off else 'Leave it out.'}"
        )
        raise RecordingError(ErrorCode.TOO_SHORT, message)
    if sound.broke_off:
        message = f"'{path.name}' breaks off: the {container} data ends early; used its first {duration_s:.1f} s."
        notes = (*notes, Note(WarningCode.TRUNCATED, message))
    return Recording(path, sha256, Waveform(samples, sound.rate_hz), notes)


def _raw_coding(path: Path, head: bytes, raw_rate_hz: int | None) -> str:
    """What is in a file whose content says nothing.

    Raises:
        RecordingError: `not_audio`, with what it seems to be.
    """
    other, coding = _what_else(head), raw_coding(path)
    if other is None and coding is not None and raw_rate_hz is not None:
        return coding
    if other is None and coding is not None:
        other = (
            f"audio without a header at best ({coding} by its name), and its sampling rate is not said. If it is a "
            'telephone recording, give --rate 8000, or "rate_hz": 8000 in the manifest.'
        )
    other = other or (
        "not a known kind of audio file. If it is a recording without a header, name it by its coding (.ulaw, .alaw, "
        ".vox, .sln) and give --rate 8000 (rate_hz in a manifest)."
    )
    raise RecordingError(ErrorCode.NOT_AUDIO, f"'{path.name}' is {other}")


def _what_else(head: bytes) -> str | None:
    """What a file that is not audio seems to be, and what to do about it; None where its bytes may be anything."""
    if head.startswith(b"%PDF"):
        return "a PDF document, not audio. Give the recording itself."
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP archive or office document, not audio. Unpack it and give the recordings."
    if b"\0" not in head:
        try:
            codecs.getincrementaldecoder("utf-8")().decode(head)
        except UnicodeDecodeError:
            return None
        return "text, not audio. Give the recording itself."
    return None


def _decode_parts(path: Path, file: BufferedReader, container: str, sound: Collector) -> None:
    """Decode a file to its end; of Ogg, each of the streams that may follow one another in it."""
    parts: list[ByteStream] = links(file) if container == "Ogg" else [file]
    for number, part in enumerate(parts):
        try:
            if not by_soundfile(part, sound):
                _by_pyav(path, part, container, sound)
        except RecordingError as error:
            if not number or error.code != ErrorCode.NOT_AUDIO:
                raise
            sound.broke_off = True


@dataclass(slots=True)
class _Packets:
    """How the packets of a sound track fared."""

    count: int = 0
    failed: list[int] = field(default_factory=list)


def _by_pyav(path: Path, file: ByteStream, container: str, sound: Collector) -> None:
    """Decode with FFmpeg. Packets that fail are left out; with too few good ones it is not audio at all."""
    import av

    before = len(sound)
    file.seek(0)
    try:
        with av.open(Nameless(file), "r", "gsm" if container == "GSM" else None, metadata_errors="ignore") as source:
            if not source.streams.audio:
                message = f"'{path.name}' is {container} without a sound track. Give the recording."
                raise RecordingError(ErrorCode.NOT_AUDIO, message)
            if source.streams.audio[0].codec_context is None:
                raise _undecodable(path, container, "its coding is not known")
            declared_s = (source.duration or 0) / av.time_base if container in _LENGTH_IN_HEADER else 0.0
            packets = _read_track(source, declared_s, sound)
    except (av.FFmpegError, ValueError) as error:
        raise _undecodable(path, container, getattr(error, "strerror", None) or str(error)) from error
    found = len(sound) - before
    if not found and not packets.failed and not sound.broke_off:
        return
    if not found or len(packets.failed) > _MAX_FAILED_SHARE * packets.count:
        raise _undecodable(path, container, f"{len(packets.failed)} of {packets.count} packets are damaged")
    # A last packet that is cut short is the rule in GSM-WAV and costs 20 ms: no reason to warn.
    damaged = any(number < packets.count - 1 for number in packets.failed)
    sound.broke_off |= damaged or declared_s - found / sound.rate_hz > _DURATION_SLACK_S


def _read_track(source: InputContainer, declared_s: float, sound: Collector) -> _Packets:
    """Decode the first sound track."""
    import av

    track = source.streams.audio[0]
    decoder: Any = track
    if track.codec_context.name in _AMR_DECODERS:
        name, rate_hz = _AMR_DECODERS[track.codec_context.name]
        decoder = av.CodecContext.create(name, "r")
        decoder.layout, decoder.sample_rate = "mono", rate_hz
    resampler = av.AudioResampler(format="fltp")
    packets, source_packets = _Packets(), source.demux(track)
    while True:
        try:
            packet = next(source_packets)
        except StopIteration:
            return packets
        except av.FFmpegError:
            sound.broke_off = True
            return packets
        packets.count += 1
        try:
            parts = [part for frame in decoder.decode(packet) for part in resampler.resample(frame)]
        except (av.FFmpegError, ValueError):
            packets.failed.append(packets.count - 1)
            continue
        for part in parts:
            block = part.to_ndarray().T.astype(np.float32, copy=False)  # (n, C)
            if sound.accepts(part.sample_rate, block.shape[1], round(declared_s * part.sample_rate)):
                sound.add(block)
            else:
                packets.failed.append(packets.count - 1)


def _undecodable(path: Path, container: str, reason: str) -> RecordingError:
    message = (
        f"'{path.name}' begins like {container} but can't be decoded ({reason}). "
        "It is damaged or incomplete: export or copy it again."
    )
    return RecordingError(ErrorCode.NOT_AUDIO, message)
