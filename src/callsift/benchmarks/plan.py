"""Which trainings a benchmark is: its rows that can be run here, as a study of rows × folds × seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from callsift.benchmarks.benchmark import Benchmark, Contents, Row
from callsift.benchmarks.encoders import encoder_settings, given_folders
from callsift.benchmarks.few import few_of
from callsift.config import TrainConfig, train_config
from callsift.data.splits import groups_of
from callsift.errors import ConfigError, DataError, UsageError
from callsift.labels import load_scheme
from callsift.training.studies import plan as studies
from callsift.training.studies.plan import DATA, OWN_SPLITS, Design, Study, labelled
from callsift.types import Call, Target

NO_ASR: Final = "none"
"""Benchmarks are heard with the published words, or without any."""
Pretrain = Callable[[Path, frozenset[str]], Sequence[Call]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for. Empty `rows`, `seeds`, `folds`: the benchmark's own. `few`: about so many calls, for a try.

    `encoders`: `HUB_ID=FOLDER`. `settings`: over every row's own.
    """

    rows: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    folds: tuple[int, ...] = ()
    few: int | None = None
    encoders: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    @property
    def changed(self) -> str | None:
        """Why the figures are not the benchmark's, None where they are."""
        parts = [f"only about {self.few} calls were used"] if self.few is not None else []
        parts += [f"the recipe was changed ({', '.join(self.settings)})"] if self.settings else []
        return " and ".join(parts) or None


@dataclass(frozen=True, slots=True)
class Planned:
    """The study, the rows in it, and why the others are not."""

    study: Study
    rows: tuple[Row, ...]
    left_out: Mapping[str, str]


def chosen_rows(benchmark: Benchmark, names: Sequence[str]) -> tuple[Row, ...]:
    """The rows of these names in the benchmark's order; those that are run unasked where none is named.

    Raises:
        UsageError: there is none of that name.
    """
    known = {row.name: row for row in benchmark.rows}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--rows {unknown[0]}: benchmark {benchmark.name} has {', '.join(known)}")
    return tuple(row for row in benchmark.rows if (row.name in names if names else row.default))


def plan(benchmark: Benchmark, contents: Contents, source: Path, out: Path, wanted: Wanted) -> Planned:
    """The study of the rows that can be run with what is there.

    Raises:
        UsageError: an unknown row or encoder, folds that there are not, or no row that can be run.
        ConfigError: settings that don't go together.
    """
    rows = chosen_rows(benchmark, wanted.rows)
    given = given_folders(wanted.encoders, benchmark.rows)
    base = train_config(benchmark.config)
    calls = labelled(contents.calls, base.target)
    if wanted.few is not None:
        calls = few_of(calls, wanted.few, benchmark.division, base.target)
    design, validation = designed(benchmark, calls, wanted)
    made, kept, left_out = [], [], {}
    for row in rows:
        found = _settings(row, contents, given, source)
        if isinstance(found, str):
            left_out[row.name] = found
            continue
        first = None if row.pretrain is None else partial(_calls_before, row.pretrain, source, wanted.few, base.target)
        made.append(_row(benchmark, row, [*row.settings, *found, *wanted.settings], validation, first))
        kept.append(row)
    if not made:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise UsageError(f"no row of benchmark {benchmark.name} can be run here. {why}")
    study = Study("bench", out, design, tuple(made), {DATA: calls}, made[0].name, NO_ASR)
    return Planned(study, tuple(kept), left_out)


def designed(benchmark: Benchmark, calls: Sequence[Call], wanted: Wanted) -> tuple[Design, float]:
    """The folds and seeds, and the least share of the training calls that validates: a whole group, of groups.

    Raises:
        UsageError: fold numbers where there are none, or that there are not; too few groups.
    """
    seeds = wanted.seeds or benchmark.seeds
    if benchmark.division == "published":
        if wanted.folds:
            raise UsageError(f"--folds: benchmark {benchmark.name} has the published test part, and no folds")
        return Design(OWN_SPLITS, (), seeds), 0.0
    if benchmark.division == "folds":
        return Design(benchmark.folds, wanted.folds, seeds), 0.0
    groups = len(set(groups_of(calls)))
    if groups < 3:
        raise UsageError(f"benchmark {benchmark.name} leaves out one group for the test and one for validation, and "
                         f"the data have {groups}")  # fmt: skip
    return Design(groups, wanted.folds, seeds), 1 / (groups - 1)


def _settings(row: Row, contents: Contents, given: Mapping[str, Path], source: Path) -> list[str] | str:
    """What names the row's encoders, or why it can't be run."""
    if lacking := sorted(row.needs - contents.streams):
        return f"it needs {' and '.join(lacking)}, and the data here have {', '.join(sorted(contents.streams))}"
    if row.pretrain is not None and (lacking_first := _lacking_first(row.pretrain, source)):
        return lacking_first
    return encoder_settings(row, given)


def _lacking_first(pretrain: Pretrain, source: Path) -> str | None:
    """Why what is to be learned first can't be, None where it can."""
    try:
        found = pretrain(source, frozenset())
    except (DataError, FileNotFoundError) as error:
        return f"what it learns first can't be read ({error})"
    return None if found else "what it learns first is not there; the layout says where it belongs"


def _row(
    benchmark: Benchmark,
    row: Row,
    settings: Sequence[str],
    validation: float,
    first: Callable[[frozenset[str]], Sequence[Call]] | None,
) -> studies.Row:
    config = _configured(benchmark, row.name, settings, validation)
    before = None
    if first is not None:
        before = studies.Before(_configured(benchmark, row.name, [*settings, *row.pretrain_settings], 0.0), first)
    return studies.Row(row.name, config, tuple(settings), before=before)


def _calls_before(
    pretrain: Pretrain, source: Path, few: int | None, target: Target, unheard: frozenset[str]
) -> Sequence[Call]:
    """What is learned first; in a try, no more calls than are learned from afterwards."""
    found = pretrain(source, unheard)
    return found if few is None else few_of(found, few, "folds", target)


def _configured(benchmark: Benchmark, name: str, settings: Sequence[str], validation: float) -> TrainConfig:
    try:
        config = train_config(benchmark.config, settings)
    except ConfigError as error:
        raise ConfigError(f"row '{name}' of benchmark {benchmark.name}: {error}") from error
    load_scheme(config.labels)
    fit = config.fit.model_copy(update={"validation": max(config.fit.validation, validation)})
    return config.model_copy(update={"fit": fit})
