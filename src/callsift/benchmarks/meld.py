"""MELD: scenes of *Friends* as calls, their utterances as segments, an emotion for every utterance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from callsift.benchmarks.benchmark import Benchmark, Contents, Count, Row
from callsift.benchmarks.clips import classes_scheme
from callsift.benchmarks.reading import Row as Line
from callsift.benchmarks.reading import files_by_stem, mended, read_rows
from callsift.types import Call, Segment, Turn

EMOTIONS: Final = ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")
SPLITS: Final = {"train": "train", "dev": "val", "test": "test"}
CLIPS: Final = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
BROKEN: Final = {("train", "dia125_utt3"), ("dev", "dia110_utt7")}
"""Clips of the published archives that hold nothing: the one can't be decoded, the other is not there."""
COLUMNS: Final = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
PUBLISHED: Final = {"train": (9989, 1038), "dev": (1109, 114), "test": (2610, 280)}
"""Utterances and dialogues of each part, README of declare-lab/MELD; it says 1,039, and its own table has 1,038."""
_SUFFIXES: Final = (".wav", ".flac", ".mp4")


def read(folder: Path, scratch: Path) -> Contents:
    """The CSV files and, where they are unpacked, the clips; nothing is written.

    Raises:
        DataError: a CSV file is missing, lacks a column, names an unknown emotion or one utterance twice.
    """
    calls: list[Call] = []
    counts: list[Count] = []
    lost: dict[str, list[str]] = {}
    heard = True
    for part, split in SPLITS.items():
        rows = read_rows(folder / f"{part}_sent_emo.csv", COLUMNS, _place)
        clips = _clips(folder, part)
        found = _dialogues(part, split, rows, clips)
        utterances, dialogues = PUBLISHED[part]
        counts += [
            Count(f"utterances, {part}", utterances, len(rows)),
            Count(f"dialogues, {part}", dialogues, len(found)),
        ]
        calls += found
        lost[part] = [_clip(row) for row in rows if (part, _clip(row)) not in BROKEN and _clip(row) not in clips]
        heard = heard and bool(clips)
    streams = frozenset({"text", "audio"} if heard else {"text"})
    return Contents(tuple(calls), tuple(counts), streams, tuple(_absent(lost, heard=heard)))


def _absent(lost: Mapping[str, Sequence[str]], *, heard: bool) -> Iterator[str]:
    if not heard:
        folders = ", ".join(f"{CLIPS[part]}/" for part, names in lost.items() if names)
        yield f"The clips ({folders}) are not there, or not of every part: the words alone are read."
        return
    for part, names in lost.items():
        if names:
            yield f"{len(names)} clips of {part} are not there, the first being {names[0]}: they are read alone."


def _place(row: Line) -> tuple[int, int]:
    return row.number("Dialogue_ID"), row.number("Utterance_ID")


def _clip(row: Line) -> str:
    return f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"


def _clips(folder: Path, part: str) -> dict[str, Path]:
    """The clips of a part by name, as published (.mp4) or as sound alone (`…_wav/`, .wav)."""
    found = files_by_stem(folder / CLIPS[part], _SUFFIXES) | files_by_stem(folder / f"{CLIPS[part]}_wav", _SUFFIXES)
    return {name: path for name, path in found.items() if (part, name) not in BROKEN}


def _dialogues(part: str, split: str, rows: list[Line], clips: Mapping[str, Path]) -> list[Call]:
    dialogues: dict[int, list[Line]] = {}
    for row in rows:
        dialogues.setdefault(row.number("Dialogue_ID"), []).append(row)
    return [
        Call(
            call_id=f"{part}-dia{dialogue}",
            group=f"{part}-dia{dialogue}",
            split=split,
            language="en",
            segments=tuple(
                Segment(
                    segment_id=_clip(row),
                    turns=(Turn("unknown", mended(row.filled("Utterance")), speaker=mended(row["Speaker"]) or None),),
                    audio=clips.get(_clip(row)),
                    label=row.one_of("Emotion", EMOTIONS),
                )
                for row in sorted(said, key=_place)
            ),
        )
        for dialogue, said in sorted(dialogues.items())
    ]


CONFIG: Final[Mapping[str, Any]] = {
    "name": "meld",
    "target": "segment",
    "labels": classes_scheme("meld-emotion", "emotion", EMOTIONS),
    "network": {"streams": ["text"], "fusion": "text", "encoder_layers": 0},
    "fit": {
        "epochs": 8,
        "learning_rate": 0.003,
        "class_weights": "sqrt",
        "monitor": "weighted_f1",
    },
}

MINILM: Final = (
    "front_end.tokens=null",
    "front_end.max_tokens=128",
    "network={streams: [text], fusion: text, width: 128, heads: 4, feed_forward: 256, hidden: 64, modality_dropout: 0}",
    "fit.epochs=10",
    "fit.learning_rate=0.001",
)
PAPER: Final = (
    "front_end={input: waveform, encoder_rate_hz: 16000, normalise: segment, speaker_reference: none, tokens: null, "
    "normalise_text: false, max_tokens: 199}",
    "network={encoders: {audio: {model: HUBERT, train: all, gradient_checkpointing: true}, text: {model: ROBERTA, "
    "train: all, gradient_checkpointing: true}}, width: 768, heads: 12, feed_forward: 3072, cross_layers: 4, "
    "hidden: 128, context_layers: 2, dropout: 0.3, token_dropout: 0, modality_dropout: 0}",
    "fit={device: auto, batch_calls: 1, accumulate: 4, learning_rate: 0.00001, patience: 8, epochs: 35, "
    "monitor: weighted_f1}",
)
"""The paper's network, of which each encoder's model is named by the row."""

BENCHMARK: Final = Benchmark(
    name="meld",
    title="MELD: the emotion of every utterance in scenes of Friends",
    citation=(
        "Poria, Hazarika, Majumder, Naik, Cambria, Mihalcea: MELD, A Multimodal Multi-Party Dataset for Emotion "
        "Recognition in Conversations. ACL 2019, arXiv 1810.02508"
    ),
    licence="GPL-3.0 (annotations and text); the clips are of a television series",
    layout=(
        "train_sent_emo.csv   dev_sent_emo.csv   test_sent_emo.csv\n"
        "train_splits/dia0_utt0.mp4 …                   the clips, where they are unpacked; also as .wav, and in\n"
        "dev_splits_complete/dia0_utt0.mp4 …            folders named train_splits_wav, …\n"
        "output_repeated_splits_test/dia0_utt0.mp4 …"
    ),
    read=read,
    config=CONFIG,
    rows=(
        Row("tiny", "hashed n-grams, trained from nothing; the words alone"),
        Row(
            "minilm",
            "frozen MiniLM, the states of its last layer; the words alone",
            MINILM,
            encoders={"text": "sentence-transformers/all-MiniLM-L6-v2"},
        ),
        Row(
            "tiny-heard",
            "hashed n-grams and log-mel, trained from nothing",
            ("network.streams=[text, audio]", "network.fusion=msmt-fn"),
            needs=frozenset({"text", "audio"}),
        ),
        Row(
            "paper",
            "MSMT-FN with RoBERTa and HuBERT, both learning",
            PAPER,
            needs=frozenset({"text", "audio"}),
            encoders={"text": "roberta-base", "audio": "facebook/hubert-base-ls960"},
            paper={"accuracy": 0.6482, "weighted_f1": 0.6319},
            source="MSMT-FN, table on MELD",
            default=False,
        ),
    ),
    metrics=("weighted_f1", "accuracy", "macro_f1", "uar"),
    notes=(
        "README and paper count 1,039 training dialogues; the published table has 1,038.",
        "Best known: MiSTER-E, weighted F1 0.695 with words and sound (arXiv 2602.23300).",
        "Row paper has HuBERT, as the draft says; the public code of MSMT-FN has data2vec-audio-base for English. The "
        "code also keeps 60 tokens (the draft 199) and 6 s of an utterance, stops by the loss and never changes the "
        "learning rate; here 199 tokens and all of the sound are read, weighted F1 decides the best of at most 35 "
        "epochs, and the rate rises and falls as a cosine.",
        "The speakers' names are kept with the turns and not read: no network here has speakers of its own.",
        "Two published clips hold nothing (train dia125_utt3, dev dia110_utt7): these utterances are read alone.",
    ),
)
