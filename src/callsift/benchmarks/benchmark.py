"""What a benchmark is: a public data set's layout, published counts and licence, and the rows that are trained on it.

A benchmark says everything that is peculiar to its data set and runs nothing; `benchmarks/run.py` runs any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from callsift.types import Call

Division = Literal["published", "folds", "leave-one-group-out"]
"""Which calls are asked about: the published test part; every fold of k; every group (a speaker) by itself."""


@dataclass(frozen=True, slots=True)
class Count:
    """Something that the publishers counted, and what was found of it. `published` None: they give no number."""

    what: str
    published: int | None
    found: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder holds of a data set.

    `calls`: labelled, each with its `group`, and with `split` (train, val, test) where the publishers divide them.
    `streams`: what the calls have, by the network's names (`text`, `audio`, or a precomputed one's): rows that need
    more are not run. `absent`: a sentence for each thing that is published and not there. `tested_on`: what the test
    part is, in words, where the data's own splits are not the published ones.
    """

    calls: tuple[Call, ...]
    counts: tuple[Count, ...]
    streams: frozenset[str]
    absent: tuple[str, ...] = ()
    tested_on: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the benchmark's table: one kind of network, trained alike on every fold with every seed.

    `settings`: over the benchmark's own, as `--set` takes them. `needs`: streams without which it is not run.
    `encoders`: stream → the published model that it is meant with, a hub id; a folder can stand for it (`--encoder`).
    `paper`: metric → the figure that was published for this row, with `source`.
    `pretrain`: the calls to learn first, given the data folder and the groups that must stay unheard, and the settings
    for them; the row's own training then starts from those weights.
    """

    name: str
    about: str
    settings: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset({"text"})
    encoders: Mapping[str, str] = field(default_factory=dict)
    paper: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    default: bool = True
    """Whether it is run when no rows are named; rows of the paper's size are named by who has the machine for them."""
    pretrain: Callable[[Path, frozenset[str]], Sequence[Call]] | None = None
    pretrain_settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One data set. `read` takes its folder, and a folder in which it may write arrays, and gives what is there.

    `layout`: the files, as published, for people. `config`: a TrainConfig as nested settings, shared by all rows.
    `metrics`: names of `evaluation.metrics.ALL_METRICS`, the first one being what the data set is known by; of the
    finest task, or of the one named behind it: `accuracy (two)`. `seeds`: of a full run.
    `read` raises FileNotFoundError, or gives no calls, where the folder is not in the layout.
    """

    name: str
    title: str
    citation: str
    licence: str
    layout: str
    read: Callable[[Path, Path], Contents]
    config: Mapping[str, Any]
    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    division: Division = "published"
    folds: int = 5
    seeds: tuple[int, ...] = (1, 2, 3)
    notes: tuple[str, ...] = ()
    clips: bool = False
    """Whether logistic regression on statistics of the sound is a baseline too."""
    reading: int = 1
    """The version of `read`: one more whenever it gives something else of the same files, so that they are read anew
    where a run goes on."""
