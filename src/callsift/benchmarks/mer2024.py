"""MER2024's semi-supervised track: short Mandarin clips, six emotions, and a large pool without labels.

A clip is a call of one segment. What MERTools has computed of it (`features/NAME-UTT/CLIP.npy`) becomes precomputed
streams. The unlabelled clips are written as a manifest of their own, for `callsift self-train --pool`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from callsift.benchmarks.benchmark import Benchmark, Contents, Count, Row
from callsift.benchmarks.clips import classes_scheme
from callsift.benchmarks.reading import files_by_stem, read_rows
from callsift.data.manifest import write_manifest
from callsift.data.splits import hold_out
from callsift.errors import DataError
from callsift.files import atomic_writer
from callsift.types import Call, Segment, StreamRef, Turn

EMOTIONS: Final = ("neutral", "angry", "happy", "sad", "worried", "surprise")
LABELS, TEST_LABELS, WORDS = "label-disdim.csv", "test1_name_convert_label.csv", "label-transcription.csv"
MORE_WORDS: Final = ("transcription-merge.csv", "transcription.csv")
"""Words of the unlabelled clips, as MERTools' recogniser writes them."""
POOLS: Final = ("video-unlabeled", "video-unlabeled-with-test2noise")
FEATURES: Final = {"clip": "clip-vit-large-patch14", "baichuan": "Baichuan-13B-Base", "hubert": "chinese-hubert-large"}
"""Stream → the name of MERTools' features, in `features/NAME-UTT` or `features/NAME-FRA`."""
WIDTHS: Final = {"clip": 768, "baichuan": 5120, "hubert": 1024}
PUBLISHED: Final = {"labelled clips": 5030, "test clips": 1169}
TEST_SHARE, TEST_SEED = 0.2, 1
_HELD_OUT: Final = "a fifth of the labelled clips, held out here; the challenge's test clips have no labels here"
POOL_FILE: Final = "pool.jsonl"
_SOUND: Final = (".wav", ".flac", ".mp4", ".avi")


def read(folder: Path, scratch: Path) -> Contents:
    """The labelled clips; `scratch` gets the features as one archive a stream, and the pool's manifest.

    Raises:
        DataError: no labels, an unknown emotion, a clip that is there twice, or features that are no array.
    """
    known = _labels(folder / LABELS)
    test = _labels(folder / TEST_LABELS) if (folder / TEST_LABELS).is_file() else {}
    if both := sorted(known.keys() & test.keys()):
        raise DataError(f"clip '{both[0]}' has its label in {LABELS} too", folder / TEST_LABELS)
    words = _words(folder)
    sounds = _sounds(folder)
    pool = sorted(name for name in sounds if name not in known and name not in test)
    streams = _streams(folder, scratch, [*known, *test, *pool])
    calls = [_clip(name, words, sounds, streams, label) for name, label in known.items()]
    calls = _with_test(calls, [_clip(name, words, sounds, streams, label) for name, label in test.items()])
    if pool:
        write_manifest(scratch / POOL_FILE, (_clip(name, words, sounds, streams, None) for name in pool))
    else:
        (scratch / POOL_FILE).unlink(missing_ok=True)  # of an earlier reading
    counts = (
        Count("labelled clips", PUBLISHED["labelled clips"], len(known)),
        Count("test clips", PUBLISHED["test clips"], len(test)),
        Count("clips without label", None, len(pool)),
    )
    labelled = [*known, *test]
    there = {name for name, refs in streams.items() if all(clip in refs for clip in labelled)}
    there |= {"text"} if any(words.get(name) for name in labelled) else set()
    there |= {"audio"} if all(name in sounds for name in labelled) else set()
    absent = tuple(_absent(there, test, pool, sounds, labelled))
    return Contents(tuple(calls), counts, frozenset(there), absent, None if test else _HELD_OUT)


def _labels(path: Path) -> dict[str, str]:
    rows = read_rows(path, ("name", "discrete"), lambda row: row["name"])
    return {row.filled("name"): row.one_of("discrete", EMOTIONS) for row in rows}


def _words(folder: Path) -> dict[str, str]:
    """Clip → what is said, by people where they have checked it, else by a recogniser."""
    found: dict[str, str] = {}
    for name in (*reversed(MORE_WORDS), WORDS):
        path = folder / name
        if path.is_file():
            rows = read_rows(path, ("name",), lambda row: row["name"])
            column = next((each for each in ("chinese", "sentence") if rows and each in rows[0].cells), None)
            if rows and column is None:
                raise rows[0].wrong("the table has neither a column 'chinese' nor 'sentence'")
            found |= {row["name"]: row[column] for row in rows if column is not None and row[column]}
    return found


def _sounds(folder: Path) -> dict[str, Path]:
    """Clip → its sound: the one that MERTools took out (`audio/`), else its film."""
    found: dict[str, Path] = {}
    for name in (*reversed(POOLS), "video-test1", "video-labeled", "audio"):
        found |= files_by_stem(folder / name, _SOUND)
    return found


def _clip(
    name: str,
    words: Mapping[str, str],
    sounds: Mapping[str, Path],
    streams: Mapping[str, Mapping[str, StreamRef]],
    label: str | None,
) -> Call:
    said = words.get(name, "")
    refs = {stream: found[name] for stream, found in streams.items() if name in found}
    turns = (Turn("unknown", said),) if said else ()
    return Call(
        call_id=name,
        group=name,
        language="zh",
        label=label,
        split="train",
        segments=(Segment("0", turns, audio=sounds.get(name), streams=refs),),
    )


def _with_test(known: Sequence[Call], test: Sequence[Call]) -> list[Call]:
    """The challenge's test clips as such; without their labels, a fifth of the labelled clips in their place."""
    if test:
        return [*known, *(_as_test(call) for call in test)]
    _, held_out = hold_out(known, TEST_SHARE, TEST_SEED)
    return [_as_test(call) if at in set(held_out) else call for at, call in enumerate(known)]


def _as_test(call: Call) -> Call:
    return replace(call, split="test")


def _streams(folder: Path, scratch: Path, names: Sequence[str]) -> dict[str, dict[str, StreamRef]]:
    """Stream → clip → where its features lie, for the features that are there."""
    found: dict[str, dict[str, StreamRef]] = {}
    for stream, features in FEATURES.items():
        for level in ("UTT", "FRA"):
            files = files_by_stem(folder / f"features/{features}-{level}", (".npy",))
            if here := [name for name in names if name in files]:
                archive = scratch / f"{stream}.npz"
                _archive(archive, ((name, files[name]) for name in here))
                found[stream] = {name: StreamRef(archive, name) for name in here}
                break
    return found


def _archive(path: Path, files: Iterable[tuple[str, Path]]) -> None:
    """Write arrays, each in a file of its own, into one .npz; one of them is in memory at a time."""
    with atomic_writer(path, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, values in _arrays(files):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, values, allow_pickle=False)


def _arrays(files: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    for name, path in files:
        try:
            with path.open("rb") as stream:
                values = np.lib.format.read_array(stream, allow_pickle=False)
        except Exception as error:  # a damaged header raises almost anything
            raise DataError(f"is no array as numpy.save writes it ({error}); compute it anew", path) from error
        if values.dtype.kind not in "fiu" or values.ndim not in (1, 2) or not values.size:
            raise DataError(
                f"holds {values.dtype} of shape {values.shape}; features are numbers of a clip (D,) or of its frames "
                "(L, D). Compute it anew",
                path,
            )
        yield name, np.asarray(values, dtype=np.float32)


def _absent(
    there: set[str], test: Mapping[str, str], pool: Sequence[str], sounds: Mapping[str, Path], labelled: Sequence[str]
) -> Iterator[str]:
    if not test:
        yield (
            f"{TEST_LABELS}, the labels of the challenge's test clips, is not there: a fifth of the labelled clips is "
            "the test part, and its figures are not the challenge's."
        )
    if "audio" not in there:
        silent = [name for name in labelled if name not in sounds]
        yield f"{len(silent)} of {len(labelled)} labelled clips have no sound, the first being '{silent[0]}'."
    if "text" not in there:
        yield f"{WORDS}, what is said in the clips, is not there."
    for stream, features in FEATURES.items():
        if stream not in there:
            yield f"The features features/{features}-UTT (stream '{stream}') are not there for every labelled clip."
    if not pool:
        yield "There are no clips without label (video-unlabeled/): nothing to train on by itself."


CONFIG: Final[Mapping[str, Any]] = {
    "name": "mer2024",
    "labels": classes_scheme("mer2024", "emotion", EMOTIONS),
    "front_end": {"speaker_reference": "none"},
    "network": {"context": "none"},
    "fit": {"epochs": 20, "monitor": "weighted_f1", "class_weights": "sqrt"},
}

_HEARD: Final = (
    "front_end.input=waveform",
    "front_end.encoder_rate_hz=16000",
    "front_end.normalise=segment",
    "network.fusion=agt",
    "network.width=256",
    "network.heads=8",
    "network.feed_forward=1024",
    "fit.device=auto",
    "fit.batch_calls=16",
    "fit.learning_rate=0.0002",
)
_HUBERT: Final = "TencentGameMate/chinese-hubert-large"
_SOURCE: Final = "Shi and Gao 2024, arXiv 2409.05007: third place; with pseudo-labels and votes by the test's balance"


def _features(*streams: str) -> str:
    return ", ".join(f"{name}: {{model: precomputed, features: {WIDTHS[name]}}}" for name in streams)


BENCHMARK: Final = Benchmark(
    name="mer2024",
    title="MER2024, semi-supervised track: six emotions in Mandarin clips",
    citation=(
        "Lian et al.: MER 2024, Semi-Supervised Learning, Noise Robustness, and Open-Vocabulary Multimodal Emotion "
        "Recognition. MRAC 2024, arXiv 2404.17113"
    ),
    licence="by agreement with the organisers: academic research alone, no clip may be passed on",
    layout=(
        "label-disdim.csv                  name, discrete\n"
        "label-transcription.csv           name, chinese\n"
        "video-labeled/NAME.mp4            the labelled clips\n"
        "video-unlabeled/NAME.mp4          the others, the test clips among them\n"
        "test1_name_convert_label.csv      name, discrete: the labels of the test clips, where they are there\n"
        "audio/NAME.wav                    the sound, transcription-merge.csv their words (name, chinese),\n"
        "features/FEATURES-UTT/NAME.npy    and features, as MERTools makes them, where they are there; FEATURES is\n"
        "                                  clip-vit-large-patch14, Baichuan-13B-Base, chinese-hubert-large"
    ),
    read=read,
    config=CONFIG,
    rows=(
        Row(
            "tiny",
            "hashed characters and log-mel, trained from nothing",
            needs=frozenset({"text", "audio"}),
        ),
        Row(
            "tiny-text",
            "hashed characters alone",
            ("network.streams=[text]", "network.fusion=text"),
        ),
        Row(
            "agt",
            "audio guides: HuBERT-large hears, CLIP and Baichuan are read from their features",
            (
                *_HEARD,
                "network.streams=[audio, clip, baichuan]",
                f"network.encoders={{audio: {{model: {_HUBERT}}}, {_features('clip', 'baichuan')}}}",
            ),
            needs=frozenset({"audio", "clip", "baichuan"}),
            encoders={"audio": _HUBERT},
            paper={"weighted_f1": 0.8983},
            source=_SOURCE,
            default=False,
        ),
        Row(
            "agt-features",
            "the same, every stream from its features, the audio too",
            (
                *_HEARD[3:],
                "network.streams=[hubert, clip, baichuan]",
                f"network.encoders={{{_features('hubert', 'clip', 'baichuan')}}}",
            ),
            needs=frozenset({"hubert", "clip", "baichuan"}),
            paper={"weighted_f1": 0.8983},
            source=_SOURCE,
        ),
    ),
    metrics=("weighted_f1", "accuracy", "macro_f1"),
    notes=(
        "Clips without label, where there are some, are in OUT/data/pool.jsonl. To learn from them, as the challenge "
        "means it: callsift self-train OUT/manifest.jsonl --pool OUT/data/pool.jsonl -o RUN --set "
        "labels=OUT/labels.yaml",
        "AGT's authors first tuned CLIP and Baichuan on the labelled clips; here their features are as MERTools makes "
        "them. Of the published figure's sizes and rates nothing is known here: those of the rows are our own.",
        "The winner of the track reached a weighted F1 of 0.9015; the row 'agt' learns from the labelled clips alone.",
    ),
)
