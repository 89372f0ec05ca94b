"""CPED: scenes of Chinese television as calls, their utterances as segments, a sentiment for every utterance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from callsift.benchmarks.benchmark import Benchmark, Contents, Count, Row
from callsift.benchmarks.clips import classes_scheme
from callsift.benchmarks.reading import Row as Line
from callsift.benchmarks.reading import read_rows
from callsift.errors import DataError
from callsift.types import Call, Segment, Turn

SENTIMENTS: Final = ("positive", "neutral", "negative")
SPLITS: Final = {"train": "train", "valid": "val", "test": "test"}
COLUMNS: Final = ("TV_ID", "Dialogue_ID", "Utterance_ID", "Speaker", "Sentiment", "Utterance")
PUBLISHED: Final = {"train": (94187, 8086, 26), "valid": (11137, 934, 5), "test": (27438, 2815, 9)}
"""Utterances, dialogues and television plays of each part, README of scutcyr/CPED."""


def read(folder: Path, scratch: Path) -> Contents:
    """The CSV files that are there; without the training part the validation part is what is learned from.

    Raises:
        DataError: no test part, or nothing to learn from; a file that lacks a column, names an unknown sentiment or one
            utterance twice, or a play that lies in two parts.
    """
    there = {part: folder / f"{part}_split.csv" for part in SPLITS}
    missing = [part for part, path in there.items() if not path.is_file()]
    if "test" in missing or {"train", "valid"} <= set(missing):
        raise DataError(f"does not exist; CPED is {', '.join(path.name for path in there.values())}", there[missing[0]])
    calls: list[Call] = []
    counts: list[Count] = []
    home: dict[str, str] = {}
    for part, path in there.items():
        rows = [] if part in missing else read_rows(path, COLUMNS, lambda row: row["Utterance_ID"])
        for row in rows:
            if home.setdefault(row["TV_ID"], part) != part:
                raise row.wrong(f"play '{row['TV_ID']}' lies in the {home[row['TV_ID']]} part too")
        found = _dialogues("train" if part == "valid" and "train" in missing else SPLITS[part], rows)
        for what, published, here in zip(
            ("utterances", "dialogues", "plays"),
            PUBLISHED[part],
            (len(rows), len(found), len({row["TV_ID"] for row in rows})),
            strict=True,
        ):
            counts.append(Count(f"{what}, {part}", published, here))
        calls += found
    return Contents(tuple(calls), tuple(counts), frozenset({"text"}), _absent(missing))


def _absent(missing: list[str]) -> tuple[str, ...]:
    found = ["The films and their sound are not published with the tables: text alone is read."]
    if "train" in missing:
        found.append(
            "train_split.csv is not there: the validation part, an eighth of its size, is learned from and a share of "
            "its dialogues held out. Figures are lower than with the training part."
        )
    if "valid" in missing:
        found.append("valid_split.csv is not there: a share of the training dialogues is held out for validation.")
    return tuple(found)


def _dialogues(split: str, rows: list[Line]) -> list[Call]:
    dialogues: dict[str, list[Line]] = {}
    for row in rows:
        dialogues.setdefault(row.filled("Dialogue_ID"), []).append(row)
    return [
        Call(
            call_id=dialogue,
            group=dialogue,
            split=split,
            language="zh",
            segments=tuple(
                Segment(
                    segment_id=row.filled("Utterance_ID"),
                    turns=(Turn("unknown", row.filled("Utterance"), speaker=row["Speaker"] or None),),
                    label=row.one_of("Sentiment", SENTIMENTS),
                )
                for row in said
            ),
        )
        for dialogue, said in dialogues.items()
    ]


CONFIG: Final[Mapping[str, Any]] = {
    "name": "cped",
    "target": "segment",
    "labels": classes_scheme("cped-sentiment", "sentiment", SENTIMENTS),
    "network": {"streams": ["text"], "fusion": "text", "encoder_layers": 0},
    "fit": {
        "epochs": 8,
        "learning_rate": 0.003,
        "class_weights": "balanced",
        "monitor": "macro_f1",
    },
}

BENCHMARK: Final = Benchmark(
    name="cped",
    title="CPED: the sentiment of every utterance in Chinese television scenes",
    citation=(
        "Chen, Fan, Xing, Pang, Huang, Han, Tie, Xu: CPED, A Large-Scale Chinese Personalized and Emotional Dialogue "
        "Dataset for Conversational AI. 2022, arXiv 2205.14727"
    ),
    licence="Apache-2.0 (repository scutcyr/CPED)",
    layout="train_split.csv   valid_split.csv   test_split.csv",
    read=read,
    config=CONFIG,
    rows=(
        Row("tiny", "hashed characters and pairs of them, trained from nothing"),
        Row(
            "roberta",
            "Chinese RoBERTa, which learns",
            (
                "front_end={tokens: null, normalise_text: false, max_tokens: 128}",
                "network={streams: [text], fusion: text, encoders: {text: {model: ROBERTA, train: all, "
                "gradient_checkpointing: true}}, width: 768, heads: 12, feed_forward: 3072, hidden: 128, "
                "context_layers: 2, token_dropout: 0, modality_dropout: 0}",
                "fit={device: auto, batch_calls: 4, learning_rate: 0.0001, encoder_learning_rate: 0.00002, epochs: 10, "
                "class_weights: balanced, monitor: macro_f1}",
            ),
            encoders={"text": "hfl/chinese-roberta-wwm-ext"},
            default=False,
        ),
    ),
    metrics=("macro_f1", "accuracy", "weighted_f1", "uar"),
    notes=(
        "The three sentiments are what is asked for; the thirteen emotions of the tables are not read.",
        "The plays of the three parts are different ones: no speaker of the test part was learned from.",
    ),
)
