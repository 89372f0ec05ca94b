"""persuasionforgood: dialogues in which one side asks the other for a donation; the label is whether she gave.

Role 0 (persuader) is the agent, role 1 (persuadee) the customer. Text alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from callsift.benchmarks.benchmark import Benchmark, Contents, Count, Row
from callsift.benchmarks.reading import Row as Line
from callsift.benchmarks.reading import read_rows
from callsift.errors import DataError
from callsift.types import Call, Role, Turn

ROLES: Final[Mapping[str, Role]] = {"0": "agent", "1": "customer"}
DIALOGUES: Final = 1017


def read(folder: Path, scratch: Path) -> Contents:
    """Every dialogue with a known donation; nothing is written.

    Raises:
        DataError: see `read_dialogues`.
    """
    calls = tuple(labelled(call, usd) for call, usd in read_dialogues(folder))
    missing = DIALOGUES - len(calls)
    absent = (f"{missing} of the {DIALOGUES:,} dialogues are not there, or without a known donation.",)
    counts = (Count("dialogues", DIALOGUES, len(calls)),)
    return Contents(calls, counts, frozenset({"text"}), absent if missing > 0 else ())


def read_dialogues(folder: Path) -> list[tuple[Call, float]]:
    """Every dialogue with a known donation of the customer, in USD, ordered by id; calls without label.

    Raises:
        DataError: a table is missing, lacks a column, or holds what it must not or holds twice; no dialogue has a
            donation.
    """
    given = _donations(folder)
    turns: dict[str, list[Turn]] = {}
    path = folder / "full_dialog.csv"
    for row in read_rows(path, ("Unit", "Turn", "B2", "B4"), lambda row: (row["B2"], row["Turn"], row["B4"])):
        role = ROLES[row.one_of("B4", ROLES)]
        turns.setdefault(row.filled("B2"), []).append(Turn(role, row.cells["Unit"]))
    found = [
        (Call(call_id=name, language="en", turns=tuple(turns[name])), given[name])
        for name in sorted(turns)
        if name in given
    ]
    if not found:
        raise DataError("holds no dialogue of which the donation is known", path)
    return found


def labelled(call: Call, usd: float) -> Call:
    """The call with what its customer did as label of the `donation` scheme."""
    return replace(call, label="yes" if usd > 0 else "no")


def _donations(folder: Path) -> dict[str, float]:
    """Dialogue → what its persuadee gave, in USD; those of whom nothing is known are left out."""
    if (folder / "donations.csv").is_file():
        rows = read_rows(
            folder / "donations.csv", ("dialogue_id", "persuadee_donation_usd"), lambda row: row["dialogue_id"]
        )
        name, amount = "dialogue_id", "persuadee_donation_usd"
    else:
        rows = read_rows(folder / "full_info.csv", ("B2", "B4", "B6"), lambda row: (row["B2"], row["B4"]))
        rows = [row for row in rows if ROLES[row.one_of("B4", ROLES)] == "customer"]
        name, amount = "B2", "B6"
    return {row.filled(name): _usd(row, amount) for row in rows if row[amount]}


def _usd(row: Line, column: str) -> float:
    try:
        usd = float(row[column])
    except ValueError:
        usd = math.nan
    if not 0 <= usd < math.inf:
        raise row.wrong(f"'{column}' must be an amount in USD, not '{row[column]}'")
    return usd


CONFIG: Final[Mapping[str, Any]] = {
    "name": "persuasionforgood",
    "labels": "donation",
    "front_end": {"segmenting": "pack"},
    "network": {"streams": ["text"], "encoder_layers": 0, "bottleneck_layers": 1, "hidden": 16},
    "fit": {"epochs": 18, "validation": 0.1},
}

BENCHMARK: Final = Benchmark(
    name="persuasionforgood",
    title="persuasionforgood: donated or not, 5-fold",
    citation=(
        "Wang, Shi, Kim, Oh, Yang, Zhang, Yu: Persuasion for Good, Towards a Personalized Persuasive Dialogue System "
        "for Social Good. ACL 2019, arXiv 1906.06725"
    ),
    licence="Apache-2.0",
    layout=(
        "full_dialog.csv   Unit, Turn, B4 (role), B2 (dialogue)\n"
        "full_info.csv     B2 (dialogue), B4 (role), B6 (donation in USD)\n"
        "donations.csv     or, in its place: dialogue_id, persuadee_donation_usd"
    ),
    read=read,
    config=CONFIG,
    rows=(
        Row("tiny", "hashed n-grams carry it; the encoder has no layers of its own"),
        Row(
            "minilm",
            "frozen MiniLM, the states of its last layer",
            (
                "front_end.tokens=null",
                "front_end.max_tokens=199",
                "network.encoder_layers=1",
                "network.bottleneck_layers=2",
                "network.fusion=text",
                "network.width=64",
                "network.heads=4",
                "network.feed_forward=128",
                "network.hidden=32",
                "fit.epochs=20",
                "fit.batch_calls=8",
                "fit.learning_rate=0.0005",
            ),
            encoders={"text": "sentence-transformers/all-MiniLM-L6-v2"},
        ),
    ),
    metrics=("accuracy", "macro_f1"),
    division="folds",
    folds=5,
    notes=(
        "Whether she gave is decided after the dialogue, and some who promise give nothing: the words tell only a part "
        "of it.",
    ),
)
