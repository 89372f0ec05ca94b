"""What a study trains: rows (settings, and what they learn from) × folds × seeds, and how each fold is divided.

A fold is the test part; of the rest, whole groups are held out for validation. Both depend on the data, the fold and
the seed alone, never on the row, so that two rows can be compared call by call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from callsift.config import TrainConfig
from callsift.data.same_audio import files_of, same_audio
from callsift.data.splits import check_classes, folds, groups_of, hold_out, label_key, labels_of
from callsift.errors import DataError, UsageError
from callsift.labels import load_scheme
from callsift.types import Call, Target

OWN_SPLITS = 0
"""As number of folds: the manifest's own splits are the only fold."""
DATA = "data"
"""Name of a study's only data set."""
FOLDS_SEED = 1


@dataclass(frozen=True, slots=True)
class Design:
    """Folds × seeds. `folds` 0: the manifest's own splits. `test_folds`: those that are asked about, from 1; all."""

    folds: int = 5
    test_folds: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (1, 2, 3)

    def __post_init__(self) -> None:
        if self.folds == 1 or self.folds < OWN_SPLITS:
            raise UsageError(f"--folds {self.folds}: at least 2, or 0 for the manifest's own splits")
        if wrong := [fold for fold in self.test_folds if not 1 <= fold <= max(self.folds, 1)]:
            raise UsageError(f"asked about is fold {wrong[0]}, and the folds are 1 to {max(self.folds, 1)}")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise UsageError(f"--seeds must be different numbers, at least one, not {list(self.seeds)}")

    @property
    def asked(self) -> tuple[int, ...]:
        """The folds that are tested, each once."""
        return tuple(sorted(set(self.test_folds))) or tuple(range(1, max(self.folds, 1) + 1))


@dataclass(frozen=True, slots=True)
class Before:
    """What a network learns before its training, which starts from these weights (`fit.start_from`).

    `calls`: those to learn from, given the groups that must stay unheard: of the fold's test and validation part. It is
    called in every process, so it must be a function of a module, or a `partial` of one.
    """

    config: TrainConfig
    calls: Callable[[frozenset[str]], Sequence[Call]]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the study's table: settings, the calls that they learn from, and what else is asked about.

    `train_calls`: learn from so many alone. `whole`: learn from all of `data` and test on none of it. `asks`: other
    data sets whose calls the trained model answers too. `x`: where the row lies on a chart's axis.
    """

    name: str
    config: TrainConfig
    settings: tuple[str, ...] = ()
    data: str = DATA
    train_calls: int | None = None
    whole: bool = False
    asks: tuple[str, ...] = ()
    x: float | None = None
    before: Before | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One training."""

    row: Row
    fold: int
    seed: int

    @property
    def name(self) -> str:
        """`full, fold 1, seed 2`."""
        return f"{self.row.name}, {f'fold {self.fold}' if self.fold else 'all calls'}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """Below the study's `trials/`."""
        return f"{self.row.name}/{f'fold-{self.fold}' if self.fold else 'all'}-seed-{self.seed}"


@dataclass(frozen=True, slots=True)
class Study:
    """A whole study. `reference`: the row that the others are compared with.

    `owners`: set → call_id → what the call belongs to, across all sets; found from the sets where it is not given.
    """

    kind: str
    folder: Path
    design: Design
    rows: tuple[Row, ...]
    sets: Mapping[str, tuple[Call, ...]]
    reference: str
    asr: str | None = None
    diarizer: str | None = None
    notes: tuple[str, ...] = field(default=())
    owners: Mapping[str, Mapping[str, str]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not self.owners:
            object.__setattr__(self, "owners", owners_of(self.sets))

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Every training, row by row: neighbours share what was prepared."""
        return tuple(
            Job(row, fold, seed)
            for row in self.rows
            for fold in ((0,) if row.whole else self.design.asked)
            for seed in self.design.seeds
        )

    @property
    def versus(self) -> str:
        """What the differences are to, in words."""
        return "own models" if self.kind == "transfer" else self.reference

    def folder_of(self, job: Job) -> Path:
        """Where a training and its answers are kept."""
        return self.folder / "trials" / job.folder


def owners_of(sets: Mapping[str, Sequence[Call]]) -> dict[str, dict[str, str]]:
    """Set → call_id → what the call belongs to: the same name for calls of one group, or that share a recording, be
    they in one set or in two."""
    names = iter(groups_of([call for calls in sets.values() for call in calls]))
    return {name: {call.call_id: next(names) for call in calls} for name, calls in sets.items()}


def labelled(calls: Sequence[Call], target: Target) -> tuple[Call, ...]:
    """The calls that have a label to learn from."""
    return tuple(call for call in calls if any(label is not None for label in labels_of(call, target)))


def divided(calls: Sequence[Call], design: Design, fold: int, seed: int, share: float) -> tuple[Call, ...]:
    """The calls with their split: `test` is the fold (0: none), `val` holds about `share` of the rest by group.

    Of a manifest's own splits, fold 0 leaves out its `test` calls; a `val` that is named there stays.

    Raises:
        DataError: fewer groups than parts.
        UsageError: own splits are asked for and there is no test split.
    """
    if design.folds == OWN_SPLITS:
        return _own_splits(calls, fold, seed, share)
    test = set(folds(calls, design.folds, FOLDS_SEED)[fold - 1]) if fold else set()
    return _held_out(calls, test, fold, seed, share)


def check_divisible(study: Study, *, every_grade_twice: bool = True) -> None:
    """Whether every data set can be divided as the study wants, before anything is trained.

    `every_grade_twice`: off where a grade with a single call is meant (a try with a few calls).

    Raises:
        DataError, UsageError: it can't, or a grade has a single call in all.
    """
    for data, row in {row.data: row for row in study.rows}.items():
        calls = labelled(study.sets[data], row.config.target)
        if every_grade_twice:
            check_classes(calls, load_scheme(row.config.labels), row.config.target)
        for fold in study.design.asked:
            divided(calls, study.design, fold, study.design.seeds[0], row.config.fit.validation)


def _own_splits(calls: Sequence[Call], fold: int, seed: int, share: float) -> tuple[Call, ...]:
    if "test" not in {call.split for call in calls}:
        raise UsageError("--folds 0 takes the manifest's own splits, and no call there is of split 'test'")
    if not fold:
        calls = [call for call in calls if call.split != "test"]
    if any(call.split == "val" for call in calls):
        return tuple(replace(call, split=call.split or "train") for call in calls)
    return _held_out(calls, {at for at, call in enumerate(calls) if call.split == "test"}, fold, seed, share)


def _held_out(calls: Sequence[Call], test: set[int], fold: int, seed: int, share: float) -> tuple[Call, ...]:
    rest = [at for at in range(len(calls)) if at not in test]
    _, inner = hold_out([calls[at] for at in rest], share, 1000 * fold + seed)
    validation = {rest[at] for at in inner}
    names = ("test" if at in test else "val" if at in validation else "train" for at in range(len(calls)))
    return tuple(replace(call, split=name) for call, name in zip(calls, names, strict=True))


def learned_before(before: Before, calls: Sequence[Call]) -> tuple[Call, ...]:
    """The calls of a training's pretraining, `calls` being its own, each with its split.

    Raises:
        DataError: one of them is of a group that the training validates or is tested on, or has a recording of one of
            its calls, whatever the two are called.
    """
    unheard = frozenset(call.group or call.call_id for call in calls if call.split in ("val", "test"))
    found = tuple(before.calls(unheard))
    for call in found:
        if (call.group or call.call_id) in unheard:
            raise DataError(
                f"call '{call.call_id}' of the pretraining is of group '{call.group or call.call_id}', which the "
                "training validates or is tested on; leave it out"
            )
    asked = {file: call for call in calls if call.split in ("val", "test") for file in files_of(call)}
    same = same_audio([*asked, *(file for call in found for file in files_of(call))])
    homes = {same[file]: call for file, call in asked.items()}
    for call in found:
        for file in files_of(call):
            if (home := homes.get(same[file])) is not None:
                raise DataError(
                    f"call '{call.call_id}' of the pretraining has the recording {file.name} of call '{home.call_id}', "
                    "which the training validates or is tested on; leave it out, or name the groups of both alike"
                )
    return found


def trimmed(calls: Sequence[Call], count: int, fold: int, seed: int) -> tuple[Call, ...]:
    """The calls with `count` of split `train` left, each label in its share; a larger count holds a smaller one's.

    The calls of every label are put in a random order of their own and then dealt out so that each label is always as
    near to its share as whole calls allow.

    Raises:
        UsageError: fewer calls to train on.
    """
    at_hand = [at for at, call in enumerate(calls) if call.split == "train"]
    if count > len(at_hand):
        raise UsageError(f"{count} calls are asked for, and fold {fold} has {len(at_hand)} to train on")
    order = [int(at) for at in np.random.default_rng((fold, seed)).permutation(at_hand)]
    by_label: dict[str, list[int]] = {}
    for at in order:
        label = calls[at].label
        by_label.setdefault("number" if isinstance(label, float) else label_key(label), []).append(at)
    places = {at: (number + 0.5) / len(each) for each in by_label.values() for number, at in enumerate(each)}
    kept = set(sorted(order, key=lambda at: places[at])[:count])  # of equal places, the earlier in the random order
    return tuple(call for at, call in enumerate(calls) if call.split != "train" or at in kept)
