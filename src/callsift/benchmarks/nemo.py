"""nEMO: six acted emotions in Polish; the sentences are the same in each, so that only the voice tells them apart.

Every speaker is asked about by itself, and nothing is known of a speaker but the clip: what the front end calls the
call's mean is that of the clip, since the clip is the call.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from callsift.benchmarks import ravdess
from callsift.benchmarks.benchmark import Benchmark, Contents, Count, Row
from callsift.benchmarks.clips import (
    BY_PROSODY,
    CLIP_ROWS,
    MOODS_SCHEME,
    check_clips,
    classes_scheme,
    clip_call,
    clip_config,
    clip_files,
)
from callsift.benchmarks.reading import Row as Line
from callsift.benchmarks.reading import read_rows
from callsift.types import Call

EMOTIONS: Final = {
    "neutral": "neutral",
    "happiness": "happy",
    "sadness": "sad",
    "anger": "angry",
    "fear": "fearful",
    "surprised": "surprised",
}
"""nEMO's name of an emotion → its name among `clips.MOODS`."""
SCHEME: Final = classes_scheme("nemo", "emotion", EMOTIONS)
_COLUMNS: Final = ("file_id", "emotion", "raw_text", "speaker_id")
_TABLE: Final = "data.tsv"


def read(folder: Path, work: Path) -> Contents:
    """Every clip that data.tsv names, labelled with nEMO's own names.

    Raises:
        DataError: no data.tsv, a column or a clip that is missing, a clip named twice, an unknown emotion.
    """
    calls = read_clips(folder)
    speakers = {call.group for call in calls}
    counts = (
        Count("clips", 4481, len(calls)),
        Count("speakers", 9, len(speakers)),
        Count("emotions", 6, len({call.label for call in calls})),
    )
    return Contents(calls, counts, frozenset({"text", "audio"}))


def read_clips(folder: Path) -> tuple[Call, ...]:
    """The clips as calls of one segment. See `read`."""
    path = folder / _TABLE
    rows = read_rows(path, _COLUMNS, _clip)
    emotions = {_clip(row): row.one_of("emotion", EMOTIONS) for row in rows}
    files = clip_files(folder, "samples")
    check_clips(emotions, files, path)
    return tuple(
        clip_call(
            _clip(row),
            files[_clip(row)],
            text=row["raw_text"],
            speaker=row.filled("speaker_id"),
            emotion=emotions[_clip(row)],
            language="pl",
        )
        for row in rows
    )


def _clip(row: Line) -> str:
    return Path(row.filled("file_id")).stem


def ravdess_clips(folder: Path, unheard: frozenset[str]) -> tuple[Call, ...]:
    """RAVDESS' clips under the moods' names, if its folder is beside this one; no speaker is in both."""
    beside = folder.resolve().parent / "ravdess"
    return ravdess.mood_clips(beside) if beside.is_dir() else ()


BENCHMARK = Benchmark(
    name="nemo",
    title="nEMO, six emotions in acted Polish speech, speakers unseen",
    citation="Christop: nEMO: Dataset of Emotional Speech in Polish. LREC-COLING 2024, arXiv:2404.06292",
    licence="CC BY-NC-SA 4.0: no weights made of it may be sold",
    layout=(
        "data.tsv     file_id, emotion, raw_text, normalized_text, speaker_id, gender, age; a clip a line\n"
        "samples/     the clips, NAME.wav; also beside data.tsv, and as .flac or .ogg\n"
        "../ravdess/  RAVDESS, for the pretrained rows, if it is there"
    ),
    read=read,
    config=clip_config("nemo", SCHEME, epochs=10, patience=5, batch_calls=32),
    rows=(
        *CLIP_ROWS,
        Row(
            "pretrain",
            "RAVDESS' English clips first",
            needs=frozenset({"audio"}),
            pretrain=ravdess_clips,
            pretrain_settings=ravdess.as_settings(MOODS_SCHEME),
        ),
        Row(
            "prosody-pretrained",
            "by prosody; RAVDESS' English clips first",
            BY_PROSODY,
            needs=frozenset({"audio"}),
            pretrain=ravdess_clips,
            pretrain_settings=("fit.epochs=8", *ravdess.as_settings(MOODS_SCHEME)),
        ),
        Row(
            "text", "the sentences, which say nothing", ("network.streams=[text]", "network.fusion=text"), default=False
        ),
        ravdess.LARGE,
    ),
    metrics=("uar", "accuracy"),
    division="leave-one-group-out",
    notes=(
        "A group is a speaker. Validation, and with it the best epoch and the temperature, is on speakers other than "
        "the one that is asked about.",
        "The settings of the rows by prosody were chosen for the mood calls, by the accuracy on inner speakers over "
        "the folds. Those are nEMO's own speakers, each the test speaker of another fold, so their figures are mildly "
        "optimistic.",
    ),
    clips=True,
)
