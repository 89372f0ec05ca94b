"""MAEC: earnings calls of up to 495 sentences, and how much the company's share moves in the days after.

What will happen to a share is next to unpredictable; the set is here for long sequences, not for accuracy. A sentence
is a segment, with 29 acoustic measures (Praat) as the precomputed stream `praat`, some of them missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from callsift.benchmarks.benchmark import Benchmark, Contents, Count, Row
from callsift.canonical import sha256_of_json
from callsift.errors import DataError, UsageError
from callsift.files import atomic_writer, sha256_of_file
from callsift.types import Call, FloatArray, Segment, StreamRef, Turn

STREAM: Final = "praat"
MEASURES: Final = 29
LABEL: Final = "log_volatility_3d"
SPLITS: Final = {"train": "train", "dev": "val", "test": "test"}
TESTED_ON: Final = "the test part of calls.parquet, which is not the published division"
_CALLS, _SENTENCES, _COLUMNS = "calls.parquet", "sentences.parquet", "audio_columns.txt"
_BATCH_ROWS: Final = 8192


def read(folder: Path, work: Path) -> Contents:
    """Every call with its sentences; the measures go to `work`, an array file for each call.

    Raises:
        DataError: a file is missing or none of parquet, lacks a column, names a sentence twice or of no call, or has a
            call without sentences or without a number to learn.
        UsageError: no pyarrow.
    """
    calls = _labelled(folder / _CALLS)
    measures = _measures(folder / _COLUMNS)
    sentences = _sentences(folder / _SENTENCES, calls)
    made_of = sha256_of_json([sha256_of_file(folder / name) for name in (_CALLS, _SENTENCES)])
    arrays = work / f"{STREAM}-{made_of[:16]}"  # a file is named by the place of its call in the one table
    found = tuple(
        replace(call, segments=_segments(call, sentences[call.call_id], arrays / f"{at:05d}.npz", folder / _SENTENCES))
        for at, call in enumerate(calls.values())
    )
    counts = (
        Count("calls", None, len(found)),
        Count("sentences", None, sum(len(call.segments) for call in found)),
        Count("acoustic measures of a sentence", MEASURES, measures),
    )
    return Contents(found, counts, frozenset({"text", STREAM}), tested_on=TESTED_ON)


@dataclass(slots=True)
class _Said:
    """The sentences of a call, in the file's order: their turns, texts and measures."""

    turns: list[int]
    texts: list[str]
    rows: list[FloatArray]


def _labelled(path: Path) -> dict[str, Call]:
    """Call id → the call, without its sentences."""
    calls: dict[str, Call] = {}
    for row in _batches(path, ("call_id", "split", LABEL)):
        for name, split, label in zip(*(row.column(at).to_pylist() for at in range(3)), strict=True):
            if name in calls:
                raise DataError(f"names call '{name}' twice", path)
            if split not in SPLITS:
                raise DataError(f"call '{name}' is in split '{split}'; there are {', '.join(SPLITS)}", path)
            if label is None or not np.isfinite(label):
                raise DataError(f"call '{name}' has no {LABEL}", path)
            calls[name] = Call(name, group=name, split=SPLITS[split], label=float(label), language="en")
    if not calls:
        raise DataError("holds no calls", path)
    return calls


def _measures(path: Path) -> int:
    """How many measures a sentence has, a name a line."""
    if not path.is_file():
        raise DataError("is not there; it names the measures of a sentence, one a line", path)
    names = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    if len(names) != MEASURES:
        raise DataError(f"names {len(names)} measures, and a sentence has {MEASURES}", path)
    return len(names)


def _sentences(path: Path, calls: Mapping[str, Call]) -> dict[str, _Said]:
    """Call id → what was said in it; a batch of rows is in memory beside it."""
    found = {name: _Said([], [], []) for name in calls}
    for batch in _batches(path, ("call_id", "turn", "text", "audio")):
        names, turns, texts = (batch.column(at).to_pylist() for at in range(3))
        audio = batch.column(3)
        if getattr(audio.type, "list_size", 0) != MEASURES or audio.null_count:
            raise DataError(f"column 'audio' is {audio.type}, and must be {MEASURES} numbers a sentence", path)
        rows = np.asarray(audio.flatten().to_numpy(zero_copy_only=False), dtype=np.float32).reshape(-1, MEASURES)
        for name, turn, text, row in zip(names, turns, texts, rows, strict=True):
            if name not in found:
                raise DataError(f"has sentences of call '{name}', which {_CALLS} does not name", path)
            said = found[name]
            said.turns.append(int(turn))
            said.texts.append(text or "")
            said.rows.append(row)
    return found


def _segments(call: Call, said: _Said, arrays: Path, source: Path) -> tuple[Segment, ...]:
    """The sentences in order, their measures written to `arrays` unless they lie there already."""
    if not said.turns:
        raise DataError(f"has no sentence of call '{call.call_id}'", source)
    if len(set(said.turns)) < len(said.turns):
        raise DataError(f"has two sentences of one turn of call '{call.call_id}'", source)
    order = np.argsort(said.turns)
    names = [f"{said.turns[at]:03d}" for at in order]
    if not arrays.is_file():
        write_arrays(arrays, dict(zip(names, (said.rows[at] for at in order), strict=True)))
    return tuple(
        Segment(name, (Turn("unknown", said.texts[at]),), streams={STREAM: StreamRef(arrays, name)})
        for name, at in zip(names, order.tolist(), strict=True)
    )


def write_arrays(path: Path, arrays: Mapping[str, FloatArray]) -> None:
    """Write arrays under their names as one .npz, whole or not at all."""
    with atomic_writer(path, "wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # the stubs take the arrays for its one option


def _batches(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """A parquet file's columns, some thousand rows at a time."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UsageError(f'{path}: reading .parquet needs pyarrow: pip install "callsift[parquet]"') from error
    if not path.is_file():
        raise DataError(f"is not there; the folder of MAEC has {_CALLS}, {_SENTENCES} and {_COLUMNS}", path)
    try:
        file = parquet.ParquetFile(path)
        if lacking := [name for name in columns if name not in file.schema_arrow.names]:
            raise DataError(f"has no column '{lacking[0]}'; it has {', '.join(file.schema_arrow.names)}", path)
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(columns)):
            yield batch.select(list(columns))
    except (ArrowException, OSError) as error:
        raise DataError(f"can't be read: {str(error).splitlines()[0]}; fetch it anew", path) from error


BENCHMARK = Benchmark(
    name="maec",
    title="MAEC, volatility of a share after an earnings call",
    citation=(
        "Li, Yang, Smyth, Dong: MAEC: A Multimodal Aligned Earnings Conference Call Dataset for Financial Risk "
        "Prediction. CIKM 2020, doi:10.1145/3340531.3412879"
    ),
    licence="CC BY-SA 4.0 (measures and text); the volatilities state none",
    layout=(
        "calls.parquet       call_id, split (train, dev, test), log_volatility_3d; a call a row\n"
        "sentences.parquet   call_id, turn, text, audio (29 numbers); a sentence a row\n"
        "audio_columns.txt   the names of the 29 numbers, one a line\n"
        "                    Published are text.txt and features.csv for each call; the tables are made of these."
    ),
    read=read,
    config={
        "name": "maec",
        "labels": {"id": "log-volatility", "kind": "number", "range": [-10.0, 0.0]},
        "front_end": {"max_tokens": 64, "tokens": {"buckets": 8192, "word_ngrams": 1, "by_role": False}},
        "network": {
            "streams": ["text", STREAM],
            "encoders": {STREAM: {"model": "precomputed", "features": MEASURES}},
            "width": 16,
            "heads": 2,
            "feed_forward": 32,
            "encoder_layers": 0,
            "bottleneck_layers": 1,
            "embedding_width": 32,
            "hidden": 16,
        },
        "fit": {
            "epochs": 3,
            "patience": 2,
            "batch_calls": 8,
            "learning_rate": 0.003,
            "monitor": "mean_absolute_error",
        },
    },
    rows=(
        Row("msmt-fn", "sentences and acoustic measures, fused", needs=frozenset({"text", STREAM})),
        Row("text", "the sentences alone", ("network.streams=[text]", "network.fusion=text", "network.encoders={}")),
    ),
    metrics=("mean_absolute_error", "correlation"),
    division="published",
    seeds=(1,),
    notes=(
        "The volatility is that of the three days after the call, as a logarithm. What is published is a mean squared "
        "error on other days and another division, and is not set beside these figures.",
        "Many companies have calls in two parts of the division, so each call is a group by itself.",
    ),
)
