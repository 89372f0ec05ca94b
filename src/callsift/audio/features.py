"""Samples → what the encoders take: resampling, log-mel, normalisation, speaker reference. NumPy and soxr.

Training and scoring both use this one implementation, so that a network hears the same in both.

Conventions. Frame f covers the samples [f·hop, f·hop + window), without padding at the edges: its centre is
at f·hop_s + window_s / 2. Hann window (periodic). Power spectrum divided by the sum of the squared window, so
that white noise of variance v has power v in every bin. Mel scale of HTK, 2595·log10(1 + f/700), triangles of
height 1 (O'Shaughnessy 1987; Young et al., The HTK Book). Natural logarithm of the power, with a floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from callsift.errors import ConfigError
from callsift.types import BoolArray, FloatArray, IntArray, Signal, Span

NOBODY = -1
"""The owner of a frame in which no one speaks, or several at once."""

MIN_REFERENCE_S = 3.0
"""With less speech than this, a voice's own mean is too uncertain to be a reference."""

_CHUNK_FRAMES = 2048
_READ_FRAMES, _READ_SAMPLES = 8192, 1 << 18
_MAX_DOUBLINGS = 3


def resample(samples: Signal, from_hz: int, to_hz: int) -> FloatArray:
    """Samples (T,) at one rate → (T',) float32 at another, band-limited; an array itself if the rates agree.

    All of it at once: for a short stretch. A whole call goes through `callsift.audio.spool.resampled_signal`.
    """
    whole = samples if isinstance(samples, np.ndarray) else samples[: samples.size]
    if from_hz == to_hz:
        return whole
    resampled: FloatArray = soxr.resample(whole, from_hz, to_hz).astype(np.float32, copy=False)
    return resampled


def zero_mean_unit_variance(samples: FloatArray) -> FloatArray:
    """Samples (T,) → (T,) with mean 0 and variance 1 (1e-7 added to the variance, as wav2vec 2.0 does)."""
    mean, deviation = mean_and_deviation(samples)
    scaled: FloatArray = ((samples - mean) / deviation).astype(np.float32, copy=False)
    return scaled


def mean_and_deviation(samples: Signal) -> tuple[np.float32, np.float32]:
    """What `zero_mean_unit_variance` takes off samples (T,) and divides them by; they are read in stretches."""
    total = squares = 0.0
    for at in range(0, samples.size, _READ_SAMPLES):
        part = samples[at : at + _READ_SAMPLES]
        total += float(part.sum(dtype=np.float64))
        squares += float(np.square(part, dtype=np.float64).sum())
    mean = total / max(1, samples.size)
    variance = squares / max(1, samples.size) - mean * mean
    return np.float32(mean), np.float32(np.sqrt(max(variance, 0.0) + 1e-7))


def log_mel(
    samples: FloatArray,
    rate_hz: int,
    *,
    n_mels: int,
    window_s: float,
    hop_s: float,
    low_hz: float,
    high_hz: float,
    floor: float,
) -> FloatArray:
    """Samples (T,) → natural log of the power in mel bands (F, n_mels) float32, never below log(floor).

    F = 1 + (T − window) // hop; samples shorter than one window are padded with zeros to one frame.
    Memory beyond the result is constant, whatever T.

    Raises:
        ConfigError: `high_hz` is above half the rate or not above `low_hz`, or there are more bands than a
            spectrum can tell apart.
    """
    window, hop = round(window_s * rate_hz), round(hop_s * rate_hz)
    weights, fft_size = _mel_filters(rate_hz, n_mels, window, low_hz, high_hz)  # (bins, n_mels)
    taper = _taper(window)
    if samples.size < window:
        samples = np.pad(samples, (0, window - samples.size))
    framed = sliding_window_view(samples, window)[::hop]  # (F, window), no copy
    result: FloatArray = np.empty((len(framed), n_mels), dtype=np.float32)
    for start in range(0, len(framed), _CHUNK_FRAMES):
        spectrum = np.fft.rfft(framed[start : start + _CHUNK_FRAMES] * taper, fft_size)  # (chunk, bins)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        part = result[start : start + _CHUNK_FRAMES]
        np.matmul(power, weights, out=part)
        np.maximum(part, np.float32(floor), out=part)
        np.log(part, out=part)
    return result


def _taper(window: int) -> FloatArray:
    """Periodic Hann window (window,) scaled so that its squares sum to 1."""
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    scaled: FloatArray = (taper / np.sqrt(np.square(taper).sum())).astype(np.float32)
    return scaled


@lru_cache(maxsize=8)
def _mel_filters(rate_hz: int, n_mels: int, window: int, low_hz: float, high_hz: float) -> tuple[FloatArray, int]:
    """Triangles (bins, n_mels) float32 and the FFT size: the smallest power of two where no band is empty."""
    if not 0 <= low_hz < high_hz <= rate_hz / 2:
        raise ConfigError(
            f"log-mel bands from low_hz {low_hz:g} to high_hz {high_hz:g} don't fit a rate of {rate_hz} Hz: "
            f"0 <= low_hz < high_hz <= {rate_hz / 2:g} is needed"
        )
    low_mel, high_mel = (2595 * np.log10(1 + hz / 700) for hz in (low_hz, high_hz))
    edges_hz = 700 * (10 ** (np.linspace(low_mel, high_mel, n_mels + 2) / 2595) - 1)  # (n_mels + 2,)
    left, centre, right = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    sizes = [(1 << (window - 1).bit_length()) << doubling for doubling in range(_MAX_DOUBLINGS + 1)]
    fft_size = next((size for size in sizes if _none_empty(left, right, rate_hz / size)), None)
    if fft_size is None:
        raise ConfigError(f"n_mels {n_mels} is more bands than fit between {low_hz:g} and {high_hz:g} Hz")
    bins_hz = np.fft.rfftfreq(fft_size, 1 / rate_hz)[:, None]  # (bins, 1)
    rising, falling = (bins_hz - left) / (centre - left), (right - bins_hz) / (right - centre)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32), fft_size


def _none_empty(left_hz: NDArray[np.float64], right_hz: NDArray[np.float64], bin_hz: float) -> bool:
    """Whether every band (left, right) holds a bin of the spectrum strictly inside."""
    return bool((np.floor(left_hz / bin_hz + 1e-6) * bin_hz + bin_hz < right_hz - 1e-6 * bin_hz).all())


@dataclass(frozen=True, slots=True)
class SpeakerReference:
    """How a call's voices sound on the whole: log-mel is taken relative to it, because voices differ more
    than moods do.

    `means`: (C, M) float32, per channel the mean log-mel over its speech; `call_mean`: (M,) over all speech.
    """

    means: FloatArray
    call_mean: FloatArray


class Frames(Protocol):
    """Features (F, M) float32, in memory or on disk. A two-dimensional array is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice, /) -> FloatArray: ...


def speaker_reference(
    log_mels: Iterable[Frames], speech: Sequence[Sequence[Span]], *, window_s: float, hop_s: float
) -> SpeakerReference:
    """The reference of a call from each channel's log-mel (F, M) and spans of speech, channel by channel.

    `log_mels` may be a generator; each is read in stretches. A channel with less than `MIN_REFERENCE_S`
    of speech gets the call's mean. A call without any speech is averaged over all its frames.
    """
    sums, counts, silent_sums, silent_counts = [], [], [], []
    for mel, spans in zip(log_mels, speech, strict=True):
        spoken = frames_in(spans, len(mel), window_s=window_s, hop_s=hop_s)
        mine, everything = np.zeros((2, mel[:0].shape[1]))
        for at in range(0, len(mel), _READ_FRAMES):
            part = mel[at : at + _READ_FRAMES]
            mine += part[spoken[at : at + _READ_FRAMES]].sum(axis=0, dtype=np.float64)
            everything += part.sum(axis=0, dtype=np.float64)
        sums.append(mine)
        counts.append(int(spoken.sum()))
        silent_sums.append(everything)
        silent_counts.append(len(mel))
    if not any(counts):
        sums, counts = silent_sums, silent_counts
    call_mean = sum(sums) / max(1, sum(counts))
    least = MIN_REFERENCE_S / hop_s
    means = [total / count if count >= least else call_mean for total, count in zip(sums, counts, strict=True)]
    return SpeakerReference(np.asarray(means, dtype=np.float32), np.asarray(call_mean, dtype=np.float32))


def relative_to_speaker(log_mel: FloatArray, reference: SpeakerReference, owners: IntArray) -> FloatArray:
    """Log-mel (F, M) less the mean of who owns each frame.

    `owners`: (F,) channel numbers; a frame of `NOBODY` is taken relative to the call's mean.
    """
    table = np.concatenate([reference.means, reference.call_mean[None]])  # (C + 1, M); NOBODY is the last row
    relative: FloatArray = log_mel - table[owners]
    return relative


def frame_owners(
    speech: Sequence[Sequence[Span]], frames: int, *, window_s: float, hop_s: float, start_s: float = 0.0
) -> IntArray:
    """Who owns each frame (F,) of a mix: the one channel that speaks at its centre, else `NOBODY`.

    `start_s`: where in the recording the first frame begins; the spans are in the recording's time.
    """
    owners = np.full(frames, NOBODY, dtype=np.int64)
    speakers = np.zeros(frames, dtype=np.int64)
    for channel, spans in enumerate(speech):
        spoken = frames_in(spans, frames, window_s=window_s, hop_s=hop_s, start_s=start_s)
        owners[spoken] = channel
        speakers += spoken
    owners[speakers > 1] = NOBODY
    return owners


def frames_in(spans: Sequence[Span], frames: int, *, window_s: float, hop_s: float, start_s: float = 0.0) -> BoolArray:
    """Which frames (F,) have their centre inside one of the spans."""
    inside: BoolArray = np.zeros(frames, dtype=np.bool_)
    first_centre_s = start_s + window_s / 2
    for span in spans:
        first, end = (int(np.ceil((t - first_centre_s) / hop_s - 1e-6)) for t in (span.start_s, span.end_s))
        inside[max(0, first) : max(0, end)] = True
    return inside
