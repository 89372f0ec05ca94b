"""Clips as nEMO and RAVDESS publish them, made here: an emotion is how far a tone's pitch swings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from callsift.benchmarks import nemo

RATE_HZ = 8000
LENGTH_S = 0.5
SPEAKERS = ("AA0", "BB0", "CC0")
EMOTIONS = tuple(nemo.EMOTIONS)
_ACTORS_FROM = 100  # no actor has the voice of one of nEMO's speakers


def write_clip(path: Path, kind: int, voice: int) -> None:
    """A harmonic tone whose pitch swings around the voice's own, with a little noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng((kind, voice))
    count = int(LENGTH_S * RATE_HZ)
    swing = (kind + 1) / 20 * np.sin(2 * np.pi * 4 * np.arange(count) / RATE_HZ)
    phase = 2 * np.pi * np.cumsum((110 + 5 * voice) * np.exp(swing)) / RATE_HZ
    tone = sum(np.sin(phase * overtone) / overtone for overtone in range(1, 6))
    soundfile.write(path, 0.1 * tone + 0.003 * random.normal(size=count), RATE_HZ)


def make_nemo(folder: Path, speakers: Sequence[str] = SPEAKERS, each: int = 1) -> Path:
    """data.tsv and samples/, so many clips of every emotion by every speaker."""
    lines = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    for voice, speaker in enumerate(speakers):
        for kind, emotion in enumerate(EMOTIONS):
            for number in range(1, each + 1):
                name = f"{speaker}_{emotion}_{number}.wav"
                lines.append(f"{name}\t{emotion}\tTo jest zdanie.\tto jest zdanie\t{speaker}\tfemale\t30")
                write_clip(folder / "samples" / name, kind, voice + len(speakers) * number)
    (folder / "data.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def make_ravdess(folder: Path, actors: Sequence[int], *, song: bool = False) -> Path:
    """Actor_01/…, a clip of every emotion by every actor."""
    for actor in actors:
        for kind in range(8):
            name = f"03-01-{kind + 1:02d}-01-{1 + kind % 2:02d}-01-{actor:02d}.wav"
            write_clip(folder / f"Actor_{actor:02d}" / name, kind, _ACTORS_FROM + actor)
    if song:
        write_clip(folder / f"Actor_{actors[0]:02d}" / f"03-02-01-01-01-01-{actors[0]:02d}.wav", 0, 0)
    return folder


def make_mood_calls(folder: Path, speakers: Sequence[str] = SPEAKERS) -> Path:
    """nEMO's folder and mood_calls.jsonl, a call of every grade by every speaker."""
    make_nemo(folder, speakers)
    courses = {"A": (0, 1), "B": (1, 0), "C": (0, 2), "D": (0, 3), "E": (0, 0)}
    rows = [
        {
            "call_id": f"{speaker}_{grade}",
            "speaker": speaker,
            "split": "train",
            "grade": grade,
            "segments": [
                {"file": f"{speaker}_{EMOTIONS[kind]}_1.ogg", "text": "To jest zdanie.", "emotion": EMOTIONS[kind]}
                for kind in kinds
            ],
        }
        for speaker in speakers
        for grade, kinds in courses.items()
    ]
    (folder / "mood_calls.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder
