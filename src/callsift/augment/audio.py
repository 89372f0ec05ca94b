"""What a call's audio might have been: the choices of one variation, and the recording changed by them.

The effects follow one another as on a real line: the speaker (speed), the room (noise), the level, the line's band, its
codec, the packets lost on the way. Silenced stretches, which are no part of any line, come last.

Every effect draws from streams of random numbers of its own, so that switching one off leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from callsift.augment.codecs import through_codec
from callsift.augment.effects import (
    drawn_losses,
    drawn_stretches,
    silenced,
    telephone_band,
    with_gain,
    with_noise,
    without_packets,
)
from callsift.augment.stretch import stretch
from callsift.config.augment import AudioAugment, Codec
from callsift.types import FloatArray, Signal

Stream = Callable[[str], np.random.Generator]
"""The name of a stream of random numbers → that stream from its beginning."""


@dataclass(frozen=True, slots=True)
class AudioChoices:
    """What happens to a call's audio; None: not this effect. `packets_repeated`: what is lost is not silent."""

    speed: float = 1.0
    noise_snr_db: float | None = None
    gain_db: float | None = None
    band: bool = False
    codec: Codec | None = None
    packets_share: float | None = None
    packets_repeated: bool = False
    mask_share: float | None = None
    mask_longest_s: float = 0.5


def draw_choices(config: AudioAugment, stream: Stream) -> AudioChoices:
    """Which effects happen, and how strongly."""
    codec, packets = stream("codec"), stream("packets")
    coded, dropped = codec.random() < config.codec, packets.random() < config.packets
    return AudioChoices(
        speed=_drawn(stream("speed"), config.speed, config.speed_factor) or 1.0,
        noise_snr_db=_drawn(stream("noise"), config.noise, config.noise_snr_db),
        gain_db=_drawn(stream("gain"), config.gain, config.gain_db),
        band=bool(stream("band").random() < config.band),
        codec=config.codecs[int(codec.integers(len(config.codecs)))] if coded else None,
        packets_share=float(packets.uniform(*config.packets_share)) if dropped else None,
        packets_repeated=bool(packets.random() < 0.5),
        mask_share=_drawn(stream("mask"), config.mask, config.mask_share),
        mask_longest_s=config.mask_longest_s,
    )


def _drawn(random: np.random.Generator, chance: float, bounds: tuple[float, float]) -> float | None:
    return float(random.uniform(*bounds)) if random.random() < chance else None


def vary_audio(choices: AudioChoices, signals: Sequence[Signal], rate_hz: int, stream: Stream) -> list[FloatArray]:
    """The channels (T,) of a call → as many, changed, each of `stretched_length(T, speed)` samples, finite.

    Silenced stretches and lost packets are the same on all channels, noise is each channel's own. The shorter ones of
    channels that differ in length are filled up with silence. Where nothing happens, the result may be the input.

    Raises:
        UsageError: a codec that this libsndfile lacks.
    """
    length = max((signal.size for signal in signals), default=0)
    channels = [_whole(signal, length) for signal in signals]
    if choices.speed != 1 and channels:
        channels = list(stretch(np.stack(channels), choices.speed, rate_hz))
    duration_s = (channels[0].size if channels else 0) / rate_hz
    lost = masked = None
    if choices.packets_share is not None:
        lost = drawn_losses(duration_s, choices.packets_share, stream("packets lost"))
    if choices.mask_share is not None:
        random = stream("mask places")
        masked = drawn_stretches(duration_s, choices.mask_share, choices.mask_longest_s, random)
    for number, samples in enumerate(channels):
        changed = samples
        if choices.noise_snr_db is not None:
            changed = with_noise(changed, rate_hz, choices.noise_snr_db, stream(f"noise {number}"))
        if choices.gain_db is not None:
            changed = with_gain(changed, choices.gain_db)
        if choices.band:
            changed = telephone_band(changed, rate_hz)
        if choices.codec is not None:
            changed = through_codec(changed, rate_hz, choices.codec)
        if lost is not None:
            changed = without_packets(changed, rate_hz, lost, repeated=choices.packets_repeated)
        if masked is not None:
            changed = silenced(changed, rate_hz, masked)
        channels[number] = changed
    return channels


def _whole(signal: Signal, length: int) -> FloatArray:
    """All of a channel in memory (length,) float32."""
    samples = np.asarray(signal[: signal.size], np.float32)
    return samples if samples.size == length else np.pad(samples, (0, length - samples.size))
