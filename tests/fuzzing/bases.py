"""Small sound recordings in every format that soundfile and PyAV (and ffmpeg and sox, where installed) write."""

from __future__ import annotations

import io
import shutil
import subprocess
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 8000

# name: (format, subtype) of libsndfile
_SOUNDFILE = {
    "pcm16.wav": ("WAV", "PCM_16"),
    "pcm8.wav": ("WAV", "PCM_U8"),
    "pcm24.wav": ("WAV", "PCM_24"),
    "float.wav": ("WAV", "FLOAT"),
    "mulaw.wav": ("WAV", "ULAW"),
    "alaw.wav": ("WAV", "ALAW"),
    "gsm.wav": ("WAV", "GSM610"),
    "msadpcm.wav": ("WAV", "MS_ADPCM"),
    "imaadpcm.wav": ("WAV", "IMA_ADPCM"),
    "extensible.wav": ("WAVEX", "PCM_16"),
    "rf64.wav": ("RF64", "PCM_16"),
    "pcm16.w64": ("W64", "PCM_16"),
    "pcm16.flac": ("FLAC", "PCM_16"),
    "vorbis.ogg": ("OGG", "VORBIS"),
    "opus.ogg": ("OGG", "OPUS"),
    "layer3.mp3": ("MP3", "MPEG_LAYER_III"),
    "mulaw.au": ("AU", "ULAW"),
    "float.au": ("AU", "FLOAT"),
    "pcm16.aiff": ("AIFF", "PCM_16"),
    "ima.aifc": ("AIFF", "IMA_ADPCM"),
    "alac.caf": ("CAF", "ALAC_16"),
    "mulaw.caf": ("CAF", "ULAW"),
    "bare.gsm": ("RAW", "GSM610"),
}
_MONO = {"gsm.wav", "bare.gsm", "ima.aifc"}

# name: (container, codec, options) of FFmpeg
_FFMPEG = {
    "aac.m4a": ("ipod", "aac", {}),
    "fragmented.mp4": ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}),
    "alac.m4a": ("ipod", "alac", {}),
    "amr.3gp": ("3gp", "libopencore_amrnb", {}),
    "narrow.amr": ("amr", "libopencore_amrnb", {}),
    "adts.aac": ("adts", "aac", {}),
    "v2.wma": ("asf", "wmav2", {}),
    "opus.webm": ("webm", "libopus", {}),
    "mp3.flv": ("flv", "libmp3lame", {}),
    "mp3.avi": ("avi", "libmp3lame", {}),
    "g726.wav": ("wav", "g726", {}),
    "pcm.wv": ("wv", "wavpack", {}),
    "layer2.mp2": ("mp2", "mp2", {}),
}
_CODED_AT_HZ = {"libopus": 48000, "libmp3lame": 44100, "mp2": 44100, "wmav2": 44100}

# name: arguments after the input
_COMMANDS = {
    "speex.ogg": ("ffmpeg", "-c:a", "libspeex"),
    "vorbis.webm": ("ffmpeg", "-c:a", "libvorbis"),
    "twolame.mp2": ("ffmpeg", "-c:a", "libtwolame"),
    "flac.mka": ("ffmpeg", "-c:a", "flac"),
    "flac.oga": ("ffmpeg", "-c:a", "flac"),
    "aac.mov": ("ffmpeg", "-c:a", "aac"),
    "ms-gsm.wav": ("ffmpeg", "-ac", "1", "-c:a", "libgsm_ms"),
    "sox.gsm": ("sox", "-c", "1"),
}


def write_bases(folder: Path, speech: NDArray[np.float32], *, commands: bool = False) -> dict[str, bytes]:
    """Files by name, each `speech` (T, 2) at `RATE_HZ` in another format; what can't be written here is left out.

    Args:
        folder: where to write on the way.
        speech: what to say.
        commands: also ask ffmpeg and sox.
    """
    for name, (kind, subtype) in _SOUNDFILE.items():
        samples = speech[:, 0] if name in _MONO else speech
        with suppress(soundfile.LibsndfileError, ValueError):
            soundfile.write(folder / name, samples, RATE_HZ, format=kind, subtype=subtype)
    for name, (container, codec, options) in _FFMPEG.items():
        with suppress(av.FFmpegError, ValueError):
            (folder / name).write_bytes(_encoded(speech, container, codec, options))
    for name, arguments in _COMMANDS.items() if commands else ():
        _run(folder / "pcm16.wav", folder / name, arguments)
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return {name: content for name, content in found.items() if content}


def _encoded(speech: NDArray[np.float32], container: str, codec: str, options: dict[str, str]) -> bytes:
    narrow = codec in ("libopencore_amrnb", "g726")
    rate_hz, layout = _CODED_AT_HZ.get(codec, RATE_HZ), "mono" if narrow else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=rate_hz)
        assert isinstance(stream, av.AudioStream)
        coder = stream.codec_context
        coder.layout, coder.bit_rate = layout, 12200 if narrow else 64000
        coder.format = (stream.codec.audio_formats or [])[0]
        coder.open()  # which says how many samples a frame holds
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(speech.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        resampler = av.AudioResampler(coder.format, layout, rate_hz, coder.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            output.mux(stream.encode(part))
    return file.getvalue()


def _run(source: Path, target: Path, arguments: tuple[str, ...]) -> None:
    tool, *options = arguments
    if shutil.which(tool) is None:
        return
    words = ["sox", str(source)] if tool == "sox" else ["ffmpeg", "-v", "error", "-y", "-i", str(source)]
    if subprocess.run([*words, *options, str(target)], check=False, capture_output=True).returncode:
        target.unlink(missing_ok=True)
