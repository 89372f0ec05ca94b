"""Acted emotional speech: a clip is a call of one segment, and emotions have the same names in every data set."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

from callsift.benchmarks.benchmark import Row
from callsift.errors import DataError
from callsift.types import Call, Segment, Turn

SUFFIXES: Final = (".wav", ".flac", ".ogg")
MOODS: Final = ("neutral", "happy", "sad", "angry", "fearful", "surprised")
"""What the data sets have in common: RAVDESS' calm is neutral, and its disgust has no counterpart."""
MOODS_SCHEME: Final[Mapping[str, Any]] = {
    "id": "moods",
    "kind": "classes",
    "grades": list(MOODS),
    "tasks": {"mood": {mood: [mood] for mood in MOODS}},
}
BY_PROSODY: Final = (
    "network.streams=[prosody]",
    "network.fusion=concat",
    "network.own_layers=0",
    "network.encoder_layers=0",
    "network.width=32",
    "network.heads=2",
    "network.dropout=0.3",
    "fit.epochs=24",
    "fit.keep=last",
    "fit.monitor=accuracy",
    "fit.batch_calls=32",
    "fit.learning_rate=0.003",
    "fit.weight_decay=1.0",
)
"""Settings of a row that reads how each clip was said, summed up in numbers, and nothing else.

All epochs are learned: the best of one or two validation speakers is little better than drawn by lot.
"""

CLIP_ROWS: Final = (
    Row("audio", "log-mel and pitch relative to the clip's own mean", needs=frozenset({"audio"})),
    Row("prosody", "how it was said, summed up in numbers", BY_PROSODY, needs=frozenset({"audio"})),
    Row("logmel", "log-mel alone", ("front_end.input=logmel",), needs=frozenset({"audio"}), default=False),
    Row("pitch", "pitch and voicing alone", ("front_end.input=pitch",), needs=frozenset({"audio"}), default=False),
)
"""What every data set of single clips is asked by."""


def clip_config(
    name: str, labels: Mapping[str, Any], *, epochs: int, patience: int, batch_calls: int
) -> dict[str, Any]:
    """A benchmark's settings for single clips: a small acoustic encoder, without context."""
    return {
        "name": name,
        "labels": labels,
        "front_end": {"input": "logmel+pitch"},
        "network": {
            "streams": ["audio"],
            "fusion": "audio",
            "context": "none",
            "audio_patches": [4, 2],
            "width": 64,
            "heads": 4,
            "encoder_layers": 1,
            "hidden": 32,
            "dropout": 0.2,
            "head_dropout": 0.3,
        },
        "fit": {
            "epochs": epochs,
            "patience": patience,
            "batch_calls": batch_calls,
            "learning_rate": 0.002,
            "weight_decay": 0.1,
            "monitor": "macro_f1",
        },
    }


def classes_scheme(name: str, task: str, classes: Collection[str]) -> dict[str, Any]:
    """A label scheme of classes without order, and one task that tells them apart."""
    return {"id": name, "kind": "classes", "grades": list(classes), "tasks": {task: {each: [each] for each in classes}}}


def clip_files(folder: Path, inside: str) -> dict[str, Path]:
    """The clips of a folder and of its folders that match `inside`: name without its ending → file.

    Raises:
        DataError: one name twice, or no clip at all.
    """
    found: dict[str, Path] = {}
    for place in (folder, *sorted(folder.glob(inside))):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.suffix.lower() not in SUFFIXES:
                continue
            if path.stem in found:
                raise DataError(f"is the same clip as {found[path.stem]}; remove one of the two", path)
            found[path.stem] = path
    if not found:
        raise DataError(f"no clip ({', '.join(SUFFIXES)}) lies here or in {inside}: name the data set's folder", folder)
    return found


def check_clips(wanted: Collection[str], files: Mapping[str, Path], table: Path) -> None:
    """Refuse a data set of which clips are missing.

    Raises:
        DataError: how many of the clips that `table` names are not there, and the first of them.
    """
    if missing := [name for name in wanted if name not in files]:
        raise DataError(
            f"{len(missing)} of {len(wanted)} clips are not beside it, the first being '{missing[0]}'; "
            "fetch them, or take their lines out",
            table,
        )


def clip_call(name: str, file: Path, *, text: str, speaker: str, emotion: str, language: str) -> Call:
    """A clip as a call whose only segment is heard from beginning to end; its speaker is its group."""
    segment = Segment("0", (Turn("customer", text),), audio=file)
    return Call(name, group=speaker, label=emotion, language=language, segments=(segment,))


def in_calls(clips: Sequence[Call]) -> tuple[Call, ...]:
    """Single clips → calls of three to six clips by one speaker, each segment with its clip's label.

    What is taken relative to the speaker then has a voice to be relative to, as in a real call. A clip is in one call;
    the same clips of a speaker always make the same calls, whoever else is there.
    """
    found: list[Call] = []
    for speaker in sorted({str(clip.group) for clip in clips}):
        own = sorted((clip for clip in clips if clip.group == speaker), key=lambda clip: clip.call_id)
        random = Random(speaker)
        random.shuffle(own)
        while own:
            size = random.randint(3, 6)
            part, own = own[:size], own[size:]
            segments = tuple(
                replace(clip.segments[0], segment_id=str(at), label=clip.label) for at, clip in enumerate(part)
            )
            found.append(replace(part[0], call_id=f"{speaker}-{part[0].call_id}", label=None, segments=segments))
    return tuple(found)
