"""What is wrong with a recording's channels, measured in one pass: and the recording with that mended.

Telephone systems write two copies of one mixed channel ("fake stereo"), leave a channel dead, add a constant to every
sample, drive it into its limits, and let one side leak into the other. Whoever trusts such channels gives the
customer the agent's words. What can be mended is; all of it is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from callsift.audio.blocks import BLOCK_S
from callsift.audio.comparing import FRAME_S, SILENT_DB, are_copies, leak_level_db
from callsift.errors import WarningCode
from callsift.types import FloatArray, Note, Samples, Waveform

DEAD_DB: Final = -60.0
DEAD_BELOW_OTHER_DB: Final = 50.0
"""A channel whose loudest `LEAST_WORD_S` stays below full scale, or below the other channel's, by so much is dead:
a customer may say no more than "no, thanks" in a whole call."""

LEAST_WORD_S: Final = 0.2

LEAST_OFFSET: Final = 0.003
"""A constant of this share of full scale (−50 dB) or more is taken out."""

LEAST_CLIPPED_PEAK: Final = 0.5
"""Below this share of full scale nothing is clipped: silence and hum stand at their peak all the time."""

CLIPPED_RUN: Final = 3
CLIPPED_SHARE: Final = 1e-3
"""Recordings with so large a share of samples in runs at the very peak, of three or more, are reported as clipped."""


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """One channel: level of its loudest word in dB of full scale, its constant, its share of clipped samples.

    `leak_db`: how far below the other side's own level that side is heard on this channel; None where it is not.
    """

    loudest_db: float
    offset: float
    clipped_share: float
    leak_db: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """All channels, frame levels (C, F) in dB of full scale per 10 ms, and whether two channels are one."""

    channels: tuple[ChannelHealth, ...]
    levels_db: FloatArray
    identical: bool

    @property
    def dead(self) -> tuple[int, ...]:
        """Channels without sound, where another has some."""
        loudest = max(channel.loudest_db for channel in self.channels)
        bound_db = max(DEAD_DB, loudest - DEAD_BELOW_OTHER_DB)
        silent = tuple(number for number, channel in enumerate(self.channels) if channel.loudest_db < bound_db)
        return silent if len(silent) < len(self.channels) else ()

    @property
    def live(self) -> tuple[int, ...]:
        """Channels to listen to: those that aren't dead, and of two copies the louder one."""
        alive = tuple(number for number in range(len(self.channels)) if number not in self.dead)
        if self.identical and {0, 1} <= set(alive):
            softer = min((1, 0), key=lambda number: self.channels[number].loudest_db)
            return tuple(number for number in alive if number != softer)
        return alive


@dataclass(frozen=True, slots=True)
class _Mended:
    """Some channels of a recording, less a constant each, read when asked for."""

    samples: Samples
    chosen: tuple[int, ...]
    offsets: FloatArray

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.chosen), int(self.samples.shape[1])

    def __getitem__(self, key: tuple[int | slice, slice], /) -> FloatArray:
        which, stretch = key
        if isinstance(which, slice):
            numbers = range(len(self.chosen))[which]
            return np.stack([self[number, stretch] for number in numbers])
        return np.asarray(self.samples[self.chosen[which], stretch] - self.offsets[which], dtype=np.float32)


def examine(waveform: Waveform) -> Health:
    """Measure every channel of a recording, in blocks.

    With more than two channels, copies and leaks are looked for between the first two alone.
    """
    count, hop = waveform.channels, max(1, round(FRAME_S * waveform.rate_hz))
    block = hop * round(BLOCK_S / FRAME_S)
    sums, at_peak = np.zeros(count), np.zeros(count)
    peaks = np.zeros(count, dtype=np.float32)
    levels: list[FloatArray] = []
    for start in range(0, waveform.length, block):
        samples = waveform.samples[:, start : start + block]
        sums += samples.sum(axis=1, dtype=np.float64)
        largest = np.abs(samples).max(axis=1)
        at_peak[largest > peaks] = 0  # a higher peak: what was counted before was no limit
        peaks = np.maximum(peaks, largest)
        at_peak += [
            _in_runs(np.abs(one) >= np.float32(0.999) * peak) if peak > LEAST_CLIPPED_PEAK else 0
            for one, peak in zip(samples, peaks, strict=True)
        ]
        whole = samples[:, : samples.shape[1] // hop * hop].reshape(count, -1, hop)
        levels.append(whole.var(axis=2, dtype=np.float32))
    power = np.concatenate(levels, axis=1) if levels else np.zeros((count, 0), np.float32)
    levels_db = (10 * np.log10(np.maximum(power, 10 ** (SILENT_DB / 10)))).astype(np.float32)
    length = max(1, waveform.length)
    found = [
        ChannelHealth(_loudest_word_db(levels_db[c]), float(sums[c] / length), float(at_peak[c] / length))
        for c in range(count)
    ]
    identical = count > 1 and are_copies(waveform, levels_db)
    if count > 1 and not identical:
        for own, other in ((0, 1), (1, 0)):
            measured = found[own]
            leak_db = leak_level_db(levels_db[own], levels_db[other])
            found[own] = ChannelHealth(measured.loudest_db, measured.offset, measured.clipped_share, leak_db)
    return Health(tuple(found), levels_db, identical)


def mended(waveform: Waveform, health: Health) -> Waveform:
    """The live channels without their constants; the recording itself where nothing is to be done."""
    offsets = np.array([channel.offset for channel in health.channels], dtype=np.float32)
    offsets[np.abs(offsets) < LEAST_OFFSET] = 0.0
    chosen = health.live
    if len(chosen) == waveform.channels and not offsets.any():
        return waveform
    return Waveform(_Mended(waveform.samples, chosen, offsets[list(chosen)]), waveform.rate_hz)


def notes_on(health: Health) -> tuple[Note, ...]:
    """What a user should know of it."""
    notes: list[Note] = []
    if health.identical:
        message = "both channels carry the same sound: taken as one, speakers told apart by their voices"
        notes.append(Note(WarningCode.IDENTICAL_CHANNELS, message))
    for number in health.dead:
        level = health.channels[number].loudest_db
        message = f"channel {number} is dead (never above {level:.0f} dB): check the recorder"
        notes.append(Note(WarningCode.DEAD_CHANNEL, message))
    for number, channel in enumerate(health.channels):
        if number in health.dead:
            continue
        if abs(channel.offset) >= LEAST_OFFSET:
            message = f"channel {number} has a constant of {channel.offset:+.3f} in every sample: taken out"
            notes.append(Note(WarningCode.DC_OFFSET, message))
        if channel.clipped_share > CLIPPED_SHARE:
            message = (
                f"channel {number} is clipped ({channel.clipped_share:.1%} of its samples): lower the recording level"
            )
            notes.append(Note(WarningCode.CLIPPING, message))
        if channel.leak_db is not None:
            message = (
                f"channel {number} also carries the other side, {-channel.leak_db:.0f} dB lower: "
                "what is no louder than that was left out"
            )
            notes.append(Note(WarningCode.CROSSTALK, message))
    return tuple(notes)


def _loudest_word_db(levels_db: FloatArray) -> float:
    """The highest level (F,) that lasts for `LEAST_WORD_S`, clicks apart."""
    half = round(LEAST_WORD_S / FRAME_S / 2)
    if levels_db.size < 2 * half:
        return float(np.median(levels_db)) if levels_db.size else SILENT_DB
    halves = np.median(levels_db[: levels_db.size // half * half].reshape(-1, half), axis=1)
    return float(np.minimum(halves[:-1], halves[1:]).max())


def _in_runs(at_limit: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """How many samples stand in runs of at least `CLIPPED_RUN`."""
    edges = np.flatnonzero(np.diff(at_limit, prepend=False, append=False))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= CLIPPED_RUN].sum())
