"""An audio file → samples at its own rate, judged by content and not by name.

soundfile (libsndfile) reads what telephone systems mostly write: PCM, mu-law, A-law, GSM and ADPCM WAV,
MP3, Ogg, FLAC. PyAV (FFmpeg) reads the rest: M4A, AMR, WMA, WebM, G.726, bare GSM; imported only when needed.
A file that breaks off is decoded as far as it goes and gets the warning `truncated`.
"""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from callsift.audio.containers import HEAD_BYTES, container_of, missing_bytes
from callsift.errors import ErrorCode, RecordingError, WarningCode
from callsift.types import FloatArray, Note, Recording, Waveform

if TYPE_CHECKING:
    from av.container import InputContainer

MIN_DURATION_S = 0.5
"""A shorter recording can't hold a call."""

MAX_BAD_SHARE = 0.01
"""Up to this share of samples that are not numbers (NaN, infinity) is repaired, more is refused."""

# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".wav", ".wave", ".w64", ".rf64", ".mp3", ".mp2", ".m4a", ".mp4", ".aac", ".amr", ".awb", ".3gp", ".3ga",
    ".ogg", ".oga", ".opus", ".spx", ".flac", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".wma", ".asf",
    ".webm", ".mka", ".gsm", ".vox", ".ulaw", ".alaw", ".sln", ".g729",
})
# fmt: on
"""Names that a folder scan takes for recordings, so that one whose content is wrong is reported."""

_BLOCK_S = 30.0
_RATES_HZ = range(2000, 384001)
_MAX_FAILED_SHARE = 0.5
_DURATION_SLACK_S = 0.5
_LENGTH_IN_HEADER = frozenset({"MP4/M4A", "WMA", "WebM/Matroska"})


def looks_like_audio(path: Path) -> bool:
    """Whether a folder scan should take this file, by its extension or its first bytes."""
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return container_of(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False


def decode(path: Path) -> Recording:
    """Read a recording: waveform (C, samples) at the file's own rate, SHA-256 of its bytes, what was odd.

    Raises:
        RecordingError: `missing_file`, `unreadable`, `empty_file`, `not_audio`, `too_short` or `bad_samples`.
    """
    try:
        with path.open("rb") as file:
            return _decode_open(path, file)
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


def _decode_open(path: Path, file: BufferedReader) -> Recording:
    head = file.read(HEAD_BYTES)
    if not head:
        message = f"'{path.name}' is empty (0 bytes). Export or copy it again."
        raise RecordingError(ErrorCode.EMPTY_FILE, message)
    container = container_of(head)
    if container is None:
        message = f"'{path.name}' is {_what_else(path, head)}"
        raise RecordingError(ErrorCode.NOT_AUDIO, message)
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    samples, rate_hz, broke_off = _samples(path, file, container)
    broke_off = broke_off or missing_bytes(file, container) > 0
    samples, notes = _repaired(path, samples)
    duration_s = samples.shape[1] / rate_hz
    if duration_s < MIN_DURATION_S:
        message = (
            f"'{path.name}' lasts {duration_s:.2f} s; at least {MIN_DURATION_S} s of audio is needed. "
            f"{'The file breaks off: copy it again.' if broke_off else 'Leave it out.'}"
        )
        raise RecordingError(ErrorCode.TOO_SHORT, message)
    if broke_off:
        message = f"'{path.name}' breaks off: the {container} data ends early; used its first {duration_s:.1f} s."
        notes = (*notes, Note(WarningCode.TRUNCATED, message))
    return Recording(path, sha256, Waveform(samples, rate_hz), notes)


def _what_else(path: Path, head: bytes) -> str:
    """What a file that is not audio seems to be, and what to do about it."""
    if head.startswith(b"%PDF"):
        return "a PDF document, not audio. Give the recording itself."
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP archive or office document, not audio. Unpack it and give the recordings."
    if b"\0" not in head:
        try:
            codecs.getincrementaldecoder("utf-8")().decode(head)
        except UnicodeDecodeError:
            pass
        else:
            return "text, not audio. Give the recording itself."
    return (
        "not a known kind of audio file. If it is a recording without a header, add one first, e.g. "
        f"sox -t raw -r 8000 -e mu-law -c 1 '{path.name}' out.wav"
    )


def _repaired(path: Path, samples: FloatArray) -> tuple[FloatArray, tuple[Note, ...]]:
    """Samples (C, samples) with the few that are not numbers set to 0, and a note about it."""
    good = np.isfinite(samples)
    bad = samples.size - int(np.count_nonzero(good))
    if not bad:
        return samples, ()
    share = bad / samples.size
    if share > MAX_BAD_SHARE:
        message = (
            f"'{path.name}' holds {bad} samples ({share:.1%}) that are not numbers (NaN or infinity); "
            f"at most {MAX_BAD_SHARE:.0%} can be repaired. Export it again, e.g. as 16-bit PCM."
        )
        raise RecordingError(ErrorCode.BAD_SAMPLES, message)
    message = f"'{path.name}': {bad} samples that are not numbers (NaN or infinity) were set to 0."
    return np.where(good, samples, np.float32(0)), (Note(WarningCode.REPAIRED_SAMPLES, message),)


def _samples(path: Path, file: BufferedReader, container: str) -> tuple[FloatArray, int, bool]:
    """Samples (C, samples), their rate, and whether decoding broke off before the end."""
    found = _by_soundfile(file)
    if found is None:
        found = _by_pyav(path, file, container)
    samples, rate_hz, broke_off = found
    if rate_hz not in _RATES_HZ:
        message = f"'{path.name}' declares a rate of {rate_hz} Hz: its header is damaged. Export it again."
        raise RecordingError(ErrorCode.NOT_AUDIO, message)
    return samples, rate_hz, broke_off


class _Nameless:
    """A file without its name, from which soundfile would draw conclusions (`.gsm`, `.vox`, `.raw`)."""

    def __init__(self, file: BufferedReader) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _by_soundfile(file: BufferedReader) -> tuple[FloatArray, int, bool] | None:
    """Decode with libsndfile; None where it can't, or finds nothing."""
    file.seek(0)
    blocks: list[FloatArray] = []
    broke_off = False
    try:
        with soundfile.SoundFile(_Nameless(file)) as sound:
            rate_hz, declared = int(sound.samplerate), int(sound.frames)
            block = max(1, int(_BLOCK_S * rate_hz))
            try:
                while len(read := sound.read(block, dtype="float32", always_2d=True)):
                    blocks.append(read.T)  # (C, block)
            except soundfile.LibsndfileError:
                broke_off = True
    except soundfile.LibsndfileError:
        return None
    if not blocks:
        return None
    samples = np.ascontiguousarray(np.concatenate(blocks, axis=1))
    unread = declared - samples.shape[1]
    # MP3 without a length in its header gets an estimate, hence the slack.
    return samples, rate_hz, broke_off or unread > _DURATION_SLACK_S * rate_hz


@dataclass(slots=True)
class _Stream:
    """What FFmpeg made of a sound track, block by block, and how its packets fared."""

    blocks: list[FloatArray] = field(default_factory=list)
    rate_hz: int = 0
    packets: int = 0
    failed: list[int] = field(default_factory=list)
    broke_off: bool = False


def _by_pyav(path: Path, file: BufferedReader, container: str) -> tuple[FloatArray, int, bool]:
    """Decode with FFmpeg. Packets that fail are left out; with too few good ones it is not audio at all."""
    import av

    file.seek(0)
    try:
        with av.open(file, "r", "gsm" if container == "GSM" else None, metadata_errors="ignore") as source:
            if not source.streams.audio:
                message = f"'{path.name}' is {container} without a sound track. Give the recording."
                raise RecordingError(ErrorCode.NOT_AUDIO, message)
            declared_s = (source.duration or 0) / av.time_base if container in _LENGTH_IN_HEADER else 0.0
            stream = _read_stream(source)
    except (av.FFmpegError, ValueError) as error:
        raise _undecodable(path, container, getattr(error, "strerror", None) or str(error)) from error
    if not stream.blocks and not stream.failed and not stream.broke_off:
        return np.zeros((1, 0), dtype=np.float32), _RATES_HZ.start, False
    if not stream.blocks or len(stream.failed) > _MAX_FAILED_SHARE * stream.packets:
        reason = f"{len(stream.failed)} of {stream.packets} packets are damaged"
        raise _undecodable(path, container, reason)
    samples = np.concatenate(stream.blocks, axis=1)
    short_s = declared_s - samples.shape[1] / stream.rate_hz
    # A last packet that is cut short is the rule in GSM-WAV and costs 20 ms: no reason to warn.
    damaged = any(number < stream.packets - 1 for number in stream.failed)
    return samples, stream.rate_hz, stream.broke_off or damaged or short_s > _DURATION_SLACK_S


def _read_stream(source: InputContainer) -> _Stream:
    """Decode the first sound track to float32 blocks (C, samples)."""
    import av

    track = source.streams.audio[0]
    decoder: Any = track
    if track.codec_context.name == "amrnb":
        # FFmpeg's own decoder refuses the silence frames that real telephones send.
        decoder = av.CodecContext.create("libopencore_amrnb", "r")
        decoder.layout, decoder.sample_rate = "mono", 8000
    resampler = av.AudioResampler(format="fltp")
    stream = _Stream()
    packets = source.demux(track)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return stream
        except av.FFmpegError:
            stream.broke_off = True
            return stream
        stream.packets += 1
        try:
            frames = decoder.decode(packet)
            converted = [part for frame in frames for part in resampler.resample(frame)]
        except (av.FFmpegError, ValueError):
            stream.failed.append(stream.packets - 1)
            continue
        for part in converted:
            stream.rate_hz = stream.rate_hz or part.sample_rate
            stream.blocks.append(part.to_ndarray().astype(np.float32, copy=False))


def _undecodable(path: Path, container: str, reason: str) -> RecordingError:
    message = (
        f"'{path.name}' begins like {container} but can't be decoded ({reason}). "
        "It is damaged or incomplete: export or copy it again."
    )
    return RecordingError(ErrorCode.NOT_AUDIO, message)
