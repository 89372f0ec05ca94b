"""What the other side's leak costs, and what leaving it out gains: SpokenWOZ calls with each side mixed into the other.

    python -m benchmarks.leaks_spokenwoz [--dry]

The first side's leak comes 30 ms late, as an echo does, the second's at once. Speech per 10 ms against human word
times, by the voice activity detector alone and without what `audio.health` and `speech.crosstalk` take for leaks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import numpy as np

from benchmarks.data_folder import data_folder
from benchmarks.results import record
from benchmarks.spokenwoz import Channel, channels, frame_mask
from callsift.audio.health import examine
from callsift.speech.crosstalk import without_leak
from callsift.speech.vad import detect_speech
from callsift.types import BoolArray, Waveform

LEVELS_DB = (None, -6.0, -10.0, -20.0, -30.0, -40.0)
DELAY_S = 0.03


def main() -> None:
    """Print the table, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="print the figures, keep none")
    arguments = parser.parse_args()
    sides = list(channels(data_folder()))
    calls = list(zip(sides[::2], sides[1::2], strict=True))
    figures = {"as recorded" if db is None else f"{db:.0f} dB": with_leak(calls, db) for db in LEVELS_DB}
    print(json.dumps(figures, indent=2))
    if not arguments.dry:
        record("hearing, each side leaking into the other", figures)


def with_leak(calls: Sequence[tuple[Channel, Channel]], leak_db: float | None) -> dict[str, float]:
    """F1 over all channels with and without what is taken for a leak, and on how many channels one is found."""
    counts = {"F1, leaks heard": np.zeros(3), "F1, leaks left out": np.zeros(3)}
    found = 0
    for first, second in calls:
        gain = np.float32(0.0 if leak_db is None else 10 ** (leak_db / 20))
        late = np.roll(second.samples, round(DELAY_S * second.rate_hz))
        mixed = np.stack([first.samples + gain * late, second.samples + gain * first.samples])
        health = examine(Waveform(mixed, first.rate_hz))
        for number, side in enumerate((first, second)):
            speech = detect_speech(mixed[number], side.rate_hz)
            counts["F1, leaks heard"] += agreement(frame_mask(speech, side.truth.size), side.truth)
            own_leak_db = health.channels[number].leak_db
            if own_leak_db is not None:
                found += 1
                speech = without_leak(speech, health.levels_db[number], health.levels_db[1 - number], own_leak_db)
            counts["F1, leaks left out"] += agreement(frame_mask(speech, side.truth.size), side.truth)
    f1 = {name: float(2 * both / (2 * both + missed + alarms)) for name, (both, missed, alarms) in counts.items()}
    return {**f1, "channels with a leak found": float(found), "channels": float(2 * len(calls))}


def agreement(heard: BoolArray, truth: BoolArray) -> tuple[int, int, int]:
    """Frames in both, missed, and heard where there is nothing."""
    return int((heard & truth).sum()), int((~heard & truth).sum()), int((heard & ~truth).sum())


if __name__ == "__main__":
    main()
