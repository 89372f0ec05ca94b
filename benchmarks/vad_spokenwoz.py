"""How well `detect_speech` agrees with human word times: SpokenWOZ calls, 8 kHz, one speaker a channel.

Truth: words closer than 0.3 s are joined. Compared per 10 ms frame: F1 of speech, share of speech missed,
share of silence taken for speech (false alarm); then the same with noise, crosstalk and soft voices, as the
recordings themselves are clean. Run from the project's root:

    python benchmarks/vad_spokenwoz.py
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callsift.audio.decode import decode
from callsift.speech.vad import detect_speech
from callsift.types import BoolArray, FloatArray, Span

FRAME_S = 0.01
JOIN_GAP_S = 0.3
SPEAKERS = ("A", "B")


@dataclass(frozen=True, slots=True)
class Channel:
    """One side of one call: samples (T,), the other side's (T,), and where there truly is speech (F,)."""

    name: str
    samples: FloatArray
    other: FloatArray
    rate_hz: int
    truth: BoolArray


@dataclass(frozen=True, slots=True)
class Agreement:
    """Frame counts of heard against true speech, and the usual ratios of them."""

    both: int
    missed: int
    alarms: int
    silent: int

    @property
    def f1(self) -> float:
        return 2 * self.both / max(1, 2 * self.both + self.missed + self.alarms)

    @property
    def miss(self) -> float:
        return self.missed / max(1, self.both + self.missed)

    @property
    def false_alarm(self) -> float:
        return self.alarms / max(1, self.alarms + self.silent)


def data_folder() -> Path:
    """The SpokenWOZ folder, under `CALLSIFT_DATA` or `../shared/data` from the project's root."""
    root = os.environ.get("CALLSIFT_DATA") or Path(__file__).parents[2] / "shared" / "data"
    return Path(root) / "calls" / "spokenwoz"


def channels(folder: Path) -> Iterator[Channel]:
    """Both sides of every call with audio."""
    for path in sorted((folder / "audio").glob("*.wav")):
        waveform = decode(path).waveform
        words = json.loads((folder / "text" / f"{path.stem}.json").read_text(encoding="utf-8"))
        frames = int(waveform.duration_s / FRAME_S)
        for number, speaker in enumerate(SPEAKERS):
            spoken = [Span(word["start"], word["end"]) for word in words if word["speaker"] == speaker]
            sides = waveform.samples[number], waveform.samples[1 - number]
            yield Channel(f"{path.stem}.{speaker}", *sides, waveform.rate_hz, frame_mask(spoken, frames, JOIN_GAP_S))


def frame_mask(spans: Sequence[Span], frames: int, join_gap_s: float = 0.0) -> BoolArray:
    """Spans → (F,) frames of `FRAME_S`; gaps shorter than `join_gap_s` are filled."""
    mask: BoolArray = np.zeros(frames, dtype=np.bool_)
    end_s = -np.inf
    for span in sorted(spans, key=lambda span: span.start_s):
        start_s = min(span.start_s, end_s) if span.start_s - end_s < join_gap_s else span.start_s
        mask[round(start_s / FRAME_S) : round(span.end_s / FRAME_S)] = True
        end_s = max(end_s, span.end_s)
    return mask


def agreement(sides: Sequence[Channel], samples: Sequence[FloatArray]) -> Agreement:
    """Counts over some channels, heard in these samples (each (T,))."""
    counts = np.zeros(4, dtype=np.int64)
    for side, heard_in in zip(sides, samples, strict=True):
        heard, truth = frame_mask(detect_speech(heard_in, side.rate_hz), side.truth.size), side.truth
        counts += [
            (heard & truth).sum(),
            (~heard & truth).sum(),
            (heard & ~truth).sum(),
            (~heard & ~truth).sum(),
        ]
    return Agreement(*counts.tolist())


def disturbed(side: Channel, kind: str, level_db: float) -> FloatArray:
    """One channel (T,) with white noise (SNR in dB), crosstalk (the other side's gain) or a gain."""
    gain = np.float32(10 ** (level_db / 20))
    if kind == "crosstalk":
        return side.samples + side.other * gain
    if kind == "gain":
        return side.samples * gain
    spoken = side.samples[: side.truth.size * round(FRAME_S * side.rate_hz)]
    loudness = np.sqrt(np.square(spoken[np.repeat(side.truth, round(FRAME_S * side.rate_hz))]).mean())
    noise = np.random.default_rng(0).standard_normal(side.samples.size, dtype=np.float32)
    return side.samples + noise * np.float32(loudness) / gain


def main() -> int:
    """Print the tables."""
    folder = data_folder()
    if not folder.is_dir():
        print(f"{folder} is not there: set CALLSIFT_DATA to the folder with the public data.", file=sys.stderr)
        return 2
    sides = list(channels(folder))
    print(f"{'':18} {'F1':>6} {'miss':>6} {'false alarm':>12}")
    for side in sides:
        show(side.name, agreement([side], [side.samples]))
    begin = time.perf_counter()
    total = agreement(sides, [side.samples for side in sides])
    speed = sum(side.samples.size / side.rate_hz for side in sides) / (time.perf_counter() - begin)
    show("all", total)
    conditions = [("noise", snr) for snr in (30, 20, 15, 10, 5)]
    conditions += [("crosstalk", gain) for gain in (-45, -30)] + [("gain", gain) for gain in (-20, -30)]
    for kind, level_db in conditions:
        show(f"{kind} {level_db} dB", agreement(sides, [disturbed(side, kind, level_db) for side in sides]))
    print(f"{speed:.0f} times faster than real time, one channel")
    return 0


def show(name: str, figures: Agreement) -> None:
    """One line of the table."""
    print(f"{name:18} {figures.f1:6.3f} {figures.miss:6.3f} {figures.false_alarm:12.3f}")


if __name__ == "__main__":
    raise SystemExit(main())
