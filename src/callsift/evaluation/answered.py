"""What runs answered to the same calls, as rows to compare: trainings that differ in their seed alone are one row.

A row's trainings are divided by seed; of one seed there may be several that answered different calls (the folds of a
study), which count as one. What is read is a run's `predictions`, decided by its own calibration, without torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.canonical import sha256_of_json
from callsift.config import TrainConfig
from callsift.decision import decide
from callsift.errors import DataError, UsageError
from callsift.evaluation.predictions import FinishedRun, read_run
from callsift.evaluation.seen import learnt_by, lineage
from callsift.files import read_json
from callsift.labels import NUMBER_TASK, LabelScheme
from callsift.types import Label

Item = tuple[str, str]
"""A call and a segment of it; "" for the call itself."""
Progress = Callable[[Iterable[Any], int, str], Iterator[Any]]
_STUDY: Final = "study "
_LISTED: Final = 5  # trainings that did not finish


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one item: its label, what it is evidence of together with others, and the probability of every grade (G,), or
    the number (1,)."""

    label: Label
    group: str
    said: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """Trainings of the same settings. `seeds`: seed → item → its answer.

    `learnt`: calls that any of them learned from, or the runs that they started from. `leaked`: those among them that
    the very training that learned from them was asked about, too. `data`: SHA-256 of the manifests, as far as known.
    """

    name: str
    folders: tuple[Path, ...]
    config: TrainConfig
    scheme: LabelScheme
    seeds: Mapping[int, Mapping[Item, Answer]]
    learnt: frozenset[str]
    leaked: frozenset[str]
    data: tuple[str, ...] = ()

    @property
    def items(self) -> set[Item]:
        """Those that every seed answered."""
        return set.intersection(*(set(answers) for answers in self.seeds.values()))


@dataclass(frozen=True, slots=True)
class _Read:
    """One run, read. `key`: equal for those that may be seeds or folds of one row. `data`: SHA-256 of its manifest."""

    run: FinishedRun
    answers: Mapping[Item, Answer]
    key: str
    data: str | None
    learnt: frozenset[str]


def read_rows(
    paths: Sequence[Path], split: str, progress: Progress, note: Callable[[str], None] = lambda _: None
) -> list[Row]:
    """The rows of run folders, in the order given; of a study, or a row of one, all runs that it holds.

    `note` is told of trainings of a study that did not finish: they are left out.

    Raises:
        UsageError: fewer than two rows.
        DataError: no run, one that did not finish, or one without labelled predictions on `split`.
    """
    folders = [run for path in paths for run in runs_in(path, note)]
    rows: list[list[_Read]] = []
    for folder in progress(folders, len(folders), "reading runs"):
        found = _read(folder, split)
        home = next((row for row in rows if _belongs(found, row)), None)
        if home is None:
            rows.append([found])
        else:
            home.append(found)
    if len(rows) < 2:
        what = "no two of them differ in more than their seed" if len(folders) > 1 else "one run was given"
        raise UsageError(f"a comparison needs at least two rows, and {what}: name another run")
    names = _names([[each.run.folder for each in row] for row in rows])
    return [_row(name, row) for name, row in zip(names, rows, strict=True)]


def runs_in(path: Path, note: Callable[[str], None] = lambda _: None) -> list[Path]:
    """The run folders that a path stands for: itself, or those of a study, of a row of it, or of one training.

    Rows of a study or a benchmark come in the order of its own table; its trainings that did not finish are left out,
    of which `note` is told.

    Raises:
        DataError: it holds none, or of a study none that finished.
    """
    if (path / "config.yaml").is_file() or (path / "result.json").is_file():
        return _finished(path, [path], note)
    for pattern in ("run", "*/run", "trials/*/*/run"):
        if found := sorted(each for each in path.glob(pattern) if (each / "config.yaml").is_file()):
            place = {row: at for at, row in enumerate(_rows_of(path))} if pattern.startswith("trials") else {}
            found = sorted(found, key=lambda run: place.get(run.parent.parent.name, len(place)))
            return _finished(path, found, note)
    raise DataError("is not a run, and holds none; name the folder that callsift train wrote" if path.is_dir()
                    else "is not there; name the folder that callsift train wrote", path)  # fmt: skip


def _finished(path: Path, runs: list[Path], note: Callable[[str], None]) -> list[Path]:
    """Of a study's runs those that finished, of others all: `read_run` says what is wrong with them."""
    done = [run for run in runs if (run / "result.json").is_file()]
    study = next((each for each in runs[0].resolve().parents[:4] if (each / "study.json").is_file()), None)
    if study is None or len(done) == len(runs):
        return runs
    command = read_json(study / "study.json").get("command")
    again = "give the command that made the study again" + (f" ({command})" if command else "") + ": it goes on"
    if not done:
        raise DataError(f"holds no training that finished; {again}", path)
    names = [f"{run.parent.parent.name}/{run.parent.name}" for run in runs if run not in done]
    listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    note(f"Left out of {study.name}, for not finished: {len(names)} of {len(runs)} trainings ({listed}); {again}.")
    return done


def _rows_of(study: Path) -> list[str]:
    """The rows of a study or a benchmark, as its table has them; of a study, first the one that it compares with."""
    found: list[str] = []
    for name in ("results.json", "study.json"):
        about = read_json(study / name) if (study / name).is_file() else {}
        found += [str(about[key]) for key in ("reference",) if key in about]
        found += [row for key in ("rows", "configs") if isinstance(about.get(key), dict) for row in about[key]]
    return list(dict.fromkeys(found))


def _read(folder: Path, split: str) -> _Read:
    run = read_run(folder)
    path = folder / f"predictions/{split}.csv"
    other = "val" if split == "test" else "test"
    if not path.is_file():
        raise DataError(f"holds no predictions on the {split} split; compare by --split {other}, or train anew with a "
                        f"{split} split in the data", folder)  # fmt: skip
    found = run.predictions(split)
    said = _said(run.scheme, decide(found.logits, run.scheme, run.calibration))
    answers: dict[Item, Answer] = {}
    each = zip(found.call_ids, found.segment_ids, found.labels, found.groups, said, strict=True)
    for call_id, segment_id, label, group, mine in each:
        if label is None:
            continue
        if (call_id, segment_id) in answers:
            raise DataError(f"answers {shown_item((call_id, segment_id))} twice; train anew", path)
        answers[call_id, segment_id] = Answer(label, group, mine)
    if not answers:
        raise DataError(f"holds no labelled {split} calls; compare by --split {other}", path)
    about = next(lineage(folder), {})
    return _Read(run, answers, _key(run, about.get("splits", {})), about.get("sha256"), learnt_by(folder))


def _said(scheme: LabelScheme, verdicts: Sequence[Any]) -> NDArray[np.float64]:
    """(items, G) probabilities in the order of the scheme's grades, or (items, 1) numbers."""
    if scheme.kind == "number":
        return np.array([[verdict.value] for verdict in verdicts], dtype=np.float64).reshape(-1, 1)
    names = {members[0]: name for name, members in scheme.tasks[scheme.finest_task].items()}
    rows = [[v.probabilities[scheme.finest_task][names[grade]] for grade in scheme.grades] for v in verdicts]
    return np.array(rows, dtype=np.float64).reshape(-1, len(scheme.grades))


def _key(run: FinishedRun, splits: Mapping[str, Sequence[str]]) -> str:
    """Of a study's trainings the row they are of; else all settings but the seed, and the calls of all parts."""
    trial = run.folder.resolve().parent
    if run.folder.name == "run" and (trial / "answer.json").is_file():
        return f"{_STUDY}{trial.parent}"
    settings = run.config.model_copy(update={"fit": run.config.fit.model_copy(update={"seed": 0})})
    return sha256_of_json(
        [settings.model_dump(mode="json"), sorted(call for calls in splits.values() for call in calls)]
    )


def plain_settings(config: TrainConfig) -> dict[str, Any]:
    """The settings, a line each (`fit.epochs`), without the seed; of a label scheme its name and tasks."""
    found: dict[str, Any] = {}

    def walk(value: Any, at: str) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(inner, f"{at}.{key}" if at else str(key))
        else:
            found[at] = value

    walk(config.model_dump(mode="json"), "")
    if isinstance(config.labels, dict):
        found = {key: value for key, value in found.items() if not key.startswith("labels.")}
        found["labels"] = f"{config.labels.get('id')}: {', '.join(config.labels.get('tasks') or [NUMBER_TASK])}"
    del found["fit.seed"]
    return found


def _belongs(found: _Read, row: Sequence[_Read]) -> bool:
    """Whether a run is another seed of a row, or answered other calls than its runs of the same seed.

    Runs that answered the same calls must have been trained on the same data, transcripts and all: equal ids do not
    make them equal. Folds may have a manifest each, and a study has seen to that itself.
    """
    seed, study = found.run.config.fit.seed, found.key.startswith(_STUDY)
    return found.key == row[0].key and all(
        each.answers.keys().isdisjoint(found.answers)
        or (each.run.config.fit.seed != seed and (study or each.data == found.data))
        for each in row
    )


def _row(name: str, runs: Sequence[_Read]) -> Row:
    seeds: dict[int, dict[Item, Answer]] = {}
    for each in runs:
        seeds.setdefault(each.run.config.fit.seed, {}).update(each.answers)
    learnt = frozenset(call for each in runs for call in each.learnt)
    leaked = frozenset(item[0] for each in runs for item in each.answers if item[0] in each.learnt)
    folders, first = tuple(each.run.folder for each in runs), runs[0].run
    data = tuple(sorted({each.data for each in runs if each.data is not None}))
    return Row(name, folders, first.config, first.scheme, dict(sorted(seeds.items())), learnt, leaked, data)


def _names(rows: Sequence[Sequence[Path]]) -> list[str]:
    """A short name for every row: its folder's, or what its folders' names begin with; numbered where not enough."""
    found: list[str] = []
    for folders in rows:
        own = [_own_name(folder) for folder in folders]
        name = own[0] if len(set(own)) == 1 else _beginning(own)
        numbered = (f"{name} ({at})" for at in itertools.count(2))
        found.append(next(each for each in itertools.chain([name], numbered) if each not in found))
    return found


def _own_name(folder: Path) -> str:
    folder = folder.resolve()
    if folder.name != "run":
        return folder.name
    trial = folder.parent
    return trial.parent.name if (trial / "answer.json").is_file() else trial.name


def _beginning(names: Sequence[str]) -> str:
    """What names have in common at their start, without a dangling number: `agt-1`, `agt-2` → `agt`."""
    low, high = min(names), max(names)
    size = next((at for at, letter in enumerate(low) if at >= len(high) or letter != high[at]), len(low))
    common = low[:size].rstrip("0123456789").rstrip("-_. ")
    return common.removesuffix("seed").rstrip("-_. ") or names[0]


def shown_item(item: Item) -> str:
    """`call 'x'`, or `segment 's' of call 'x'`."""
    return f"segment '{item[1]}' of call '{item[0]}'" if item[1] else f"call '{item[0]}'"
