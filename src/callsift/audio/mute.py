"""A call written again without what must not be heard in it.

Silence, and no tone: a tone would be speech to no listener, but energy to every voice activity detector and mel filter.
The edges are faded so that they don't click.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from callsift.audio.blocks import BLOCK_S
from callsift.files import atomic_writer
from callsift.types import FloatArray, Span, Waveform

FADE_S = 0.005
"""From full level to silence, before the span and after it: the span itself is all silent."""

Muted = tuple[Span, int | None]
"""A stretch that must not be heard and the channel on which it was said; None: not known."""


def write_muted(
    waveform: Waveform, muted: Iterable[Muted], path: Path, *, every_channel: bool = True, block_s: float = BLOCK_S
) -> None:
    """Write a call as 16-bit WAV at its own rate, all its channels, the `muted` spans silent. Atomic; read in blocks.

    `every_channel`: a span is silent on all channels, since a telephone line echoes one side into the other; else only
    on the one that it was said on, and on all where that is not known or does not exist.

    Raises:
        OSError: the file can't be written.
    """
    everything = list(muted)
    spans = [
        _in_samples(
            (
                span
                for span, said_on in everything
                if every_channel or said_on == channel or said_on not in range(waveform.channels)
            ),
            waveform.rate_hz,
        )
        for channel in range(waveform.channels)
    ]
    fade = max(1, round(FADE_S * waveform.rate_hz))
    step = max(1, round(block_s * waveform.rate_hz))
    with (
        atomic_writer(path, "wb") as stream,
        soundfile.SoundFile(stream, "w", waveform.rate_hz, waveform.channels, "PCM_16", format="WAV") as file,
    ):
        for start in range(0, waveform.length, step):
            block = np.array(waveform.samples[:, start : start + step], np.float32)  # a copy: it is changed
            for samples, silent in zip(block, spans, strict=True):
                _silence(samples, start, silent, fade)
            file.write(np.clip(block, -1.0, 1.0).T)


def _in_samples(spans: Iterable[Span], rate_hz: int) -> list[tuple[int, int]]:
    """Spans as samples [first, last), outwards to whole ones, in order and without overlaps."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted((int(span.start_s * rate_hz), -int(-span.end_s * rate_hz // 1)) for span in spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif end > start:
            joined.append((start, end))
    return joined


def _silence(samples: FloatArray, offset: int, spans: Sequence[tuple[int, int]], fade: int) -> None:
    """Silence spans, in place, in a block (n,) that begins at the sample `offset` of its channel."""
    end = offset + samples.size
    for first, last in spans:
        low, high = max(first - fade, offset), min(last + fade, end)
        if low < high:
            at = np.arange(low, high)
            away = np.maximum(first - at, at - last + 1)  # how far outside the span: ≤ 0 inside it
            samples[low - offset : high - offset] *= np.clip(away / (fade + 1), 0.0, 1.0).astype(np.float32)
