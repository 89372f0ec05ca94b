"""A channel through a real codec and back, by libsndfile in memory: at the codec's rate, its delay taken out."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
import soundfile

from callsift.audio.features import resample
from callsift.config.augment import Codec
from callsift.errors import UsageError
from callsift.types import FloatArray

# fmt: off
_CODINGS: Final[dict[Codec, dict[str, Any]]] = {
    "ulaw": {"format": "WAV", "subtype": "ULAW"},
    "alaw": {"format": "WAV", "subtype": "ALAW"},
    "gsm": {"format": "WAV", "subtype": "GSM610"},
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III", "compression_level": 0.9},
    "opus": {"format": "OGG", "subtype": "OPUS", "compression_level": 0.95},
}
# fmt: on
"""MP3 with its default variable bit rate, about 11 kbit/s: of a constant one, libsndfile does not take out the delay.
Opus at about 20 kbit/s."""

TELEPHONE_HZ = 8000
"""The rate at which telephone networks use codecs."""

_SHORTEST_S = 0.25
_BLOCK = 1 << 16


def through_codec(samples: FloatArray, rate_hz: int, codec: Codec) -> FloatArray:
    """A channel (T,) → (T,) float32 as it sounds after the codec, nothing moved in time.

    All codecs work at 8 kHz (LAME's lowest qualities write frames at 16 kHz that decoders complain about). What is
    louder than full scale is brought down for the codec and up again. Opus takes 1 s per minute of audio, GSM and MP3
    a fifth of that, the laws hardly any.

    Raises:
        UsageError: this libsndfile lacks the codec.
    """
    if not samples.size:
        return np.array(samples, np.float32)
    narrow = resample(np.asarray(samples, np.float32), rate_hz, TELEPHONE_HZ)
    scale = np.float32(max(1.0, float(np.abs(narrow).max(initial=0.0))))
    least = round(_SHORTEST_S * TELEPHONE_HZ)
    coded = _coded(np.pad(narrow / scale, (0, max(0, least - narrow.size))), TELEPHONE_HZ, codec)
    wide = resample(_as_long(coded, narrow.size) * scale, TELEPHONE_HZ, rate_hz)
    return _as_long(wide, samples.size)


def _coded(samples: FloatArray, rate_hz: int, codec: Codec) -> FloatArray:
    """Encoded and decoded. Block by block: libsndfile's encoders run out of stack on very long ones."""
    coding, memory = _CODINGS[codec], io.BytesIO()
    if not soundfile.check_format(coding["format"], coding["subtype"]):
        raise UsageError(
            f"augment.audio.codecs names '{codec}', which libsndfile {soundfile.__libsndfile_version__} lacks; "
            "leave it out, or install a newer soundfile"
        )
    with soundfile.SoundFile(memory, "w", rate_hz, 1, **coding) as file:
        for at in range(0, samples.size, _BLOCK):
            file.write(samples[at : at + _BLOCK])
    memory.seek(0)
    with soundfile.SoundFile(memory) as file:
        parts: list[FloatArray] = []
        while len(part := file.read(_BLOCK, dtype="float32")):  # of GSM, no length is known
            parts.append(part)
    return np.concatenate(parts)


def _as_long(samples: FloatArray, length: int) -> FloatArray:
    """(T,) cut or filled up with silence."""
    return samples[:length] if samples.size >= length else np.pad(samples, (0, length - samples.size))
