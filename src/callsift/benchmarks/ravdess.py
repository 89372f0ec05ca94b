"""RAVDESS: eight acted emotions in English by 24 actors; a clip's name says all that is known of it.

A name is `modality-channel-emotion-intensity-statement-repetition-actor`, each of two digits. Spoken clips are taken,
songs are left out. The four actors of a fold are unseen; the two statements are the same in every emotion.

Odd numbers are men, even ones women, and the actors are divided in pairs of neighbours: 1 and 2, 3 and 4, … So every
fold, and every validation part, has as many women as men.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from callsift.benchmarks.benchmark import Benchmark, Contents, Count, Row
from callsift.benchmarks.clips import CLIP_ROWS, MOODS, classes_scheme, clip_call, clip_config, clip_files
from callsift.errors import DataError
from callsift.types import Call

EMOTIONS: Final = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
STATEMENTS: Final = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
_NAME: Final = re.compile(r"(0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")
_SPEECH: Final = "01"

LARGE: Final = Row(
    "hubert",
    "published HuBERT, its last two layers learn",
    (
        "front_end.input=waveform",
        "front_end.encoder_rate_hz=16000",
        "front_end.normalise=segment",
        "front_end.speaker_reference=none",
        "network.encoders.audio={model: facebook/hubert-base-ls960, train: top-k, top_k: 2}",
        "network.width=192",
        "network.heads=12",
        "network.feed_forward=768",
        "fit.device=auto",
        "fit.batch_calls=16",
        "fit.learning_rate=0.0002",
        "fit.encoder_learning_rate=0.00003",
    ),
    needs=frozenset({"audio"}),
    encoders={"audio": "facebook/hubert-base-ls960"},
    default=False,
)
"""The row of the paper's size, for single clips."""


def read(folder: Path, work: Path) -> Contents:
    """Every spoken clip, labelled with RAVDESS' own names; a group is a pair of actors.

    Raises:
        DataError: no clip, a clip that is there twice, a name that is not RAVDESS'.
    """
    calls, songs = _read(folder)
    counts = (
        Count("spoken clips", 1440, len(calls)),
        Count("actors", 24, len({call.group for call in calls})),
        Count("emotions", 8, len({call.label for call in calls})),
    )
    absent = (f"{songs} sung clips are left out.",) if songs else ()
    paired = tuple(replace(call, group=_pair(str(call.group))) for call in calls)
    return Contents(paired, counts, frozenset({"text", "audio"}), absent)


def _pair(actor: str) -> str:
    """`actor-03`, a man, and `actor-04`, a woman → `actors-03-04`."""
    man = (int(actor.removeprefix("actor-")) - 1) // 2 * 2 + 1
    return f"actors-{man:02d}-{man + 1:02d}"


def read_clips(folder: Path) -> tuple[Call, ...]:
    """The spoken clips as calls of one segment, each actor a group. See `read`."""
    return _read(folder)[0]


def mood_clips(folder: Path) -> tuple[Call, ...]:
    """The spoken clips under the names of `clips.MOODS`; calm is neutral, disgust is left out."""
    named = (replace(call, label="neutral") if call.label == "calm" else call for call in read_clips(folder))
    return tuple(call for call in named if call.label in MOODS)


def as_settings(scheme: Mapping[str, Any]) -> tuple[str, ...]:
    """The setting, as `--set` takes it, that puts a label scheme in place of a benchmark's own."""
    return (f"labels={json.dumps(dict(scheme))}",)


def _read(folder: Path) -> tuple[tuple[Call, ...], int]:
    """The spoken clips, and how many are sung."""
    calls, songs = [], 0
    for name, path in clip_files(folder, "Actor_*").items():
        found = _NAME.fullmatch(name)
        if found is None:
            raise DataError(
                "is not named as RAVDESS' clips are, modality-channel-emotion-intensity-statement-repetition-actor, "
                "as in 03-01-05-02-01-02-12; move it elsewhere",
                path,
            )
        _, channel, emotion, _, statement, _, actor = found.groups()
        if channel != _SPEECH:
            songs += 1
            continue
        calls.append(
            clip_call(
                name,
                path,
                text=STATEMENTS[statement],
                speaker=f"actor-{actor}",
                emotion=EMOTIONS[emotion],
                language="en",
            )
        )
    return tuple(calls), songs


BENCHMARK = Benchmark(
    name="ravdess",
    title="RAVDESS, eight emotions in acted English speech, actors unseen",
    citation=(
        "Livingstone, Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). "
        "PLoS ONE 13(5), 2018, doi:10.1371/journal.pone.0196391"
    ),
    licence="CC BY-NC-SA 4.0: no weights made of it may be sold",
    layout=(
        "Actor_01/ … Actor_24/   03-01-EMOTION-INTENSITY-STATEMENT-REPETITION-ACTOR.wav\n"
        "                        also without the actors' folders, and as .flac or .ogg"
    ),
    read=read,
    config=clip_config(
        "ravdess", classes_scheme("ravdess", "emotion", EMOTIONS.values()), epochs=15, patience=6, batch_calls=16
    ),
    rows=(
        *CLIP_ROWS,
        Row(
            "text",
            "the statements, which say nothing",
            ("network.streams=[text]", "network.fusion=text"),
            default=False,
        ),
        LARGE,
    ),
    metrics=("uar", "accuracy"),
    division="folds",
    folds=6,
    notes=(
        "A group is a pair of actors, a man (odd number) and a woman (the next): the two pairs of a fold are neither "
        "trained nor stopped early on. Intervals are by pair.",
    ),
    clips=True,
    reading=2,
)
