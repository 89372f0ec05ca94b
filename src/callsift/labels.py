"""LabelScheme: which grades exist, which coarser questions are asked of them, and what a grade is worth.

A scheme is data (YAML or a mapping), not code. Its grades are the finest classes in order, best first. Each
task groups them: the paper's 5-, 4-, 3- and 2-class tasks are four groupings of A–E. A label is one grade,
or a list of grades of which one is true (a coarser answer). A scheme of kind `number` has a range instead of
grades, and a label is a number in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from callsift.canonical import sha256_of_json
from callsift.errors import ConfigError, DataError
from callsift.types import BoolArray, FloatArray, Label

NUMBER_TASK = "value"
"""Name of the one task of a scheme of kind `number`."""

SHIPPED = ("marketcalls", "donation")
RESERVED = {*dir(dict), "type", "training", "forward"}  # names that a part of the network has already


class LabelScheme(BaseModel):
    """The grades of a call and the tasks derived from them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """Short name, written into runs and bundles."""
    kind: Literal["ordered", "classes", "number"] = "ordered"
    """`ordered`: best grade first, a rank score is given. `classes`: no order, no rank score. `number`: a range."""
    grades: tuple[str, ...] = ()
    """The finest classes; for `ordered`, best first."""
    tasks: dict[str, dict[str, tuple[str, ...]]] = {}
    """Task name → class name → the grades it stands for. One task must tell all grades apart."""
    range: tuple[float, float] | None = None
    """For `number` alone: the lowest and the highest label; higher is better."""
    positive: tuple[str, ...] = ()
    """Grades that count as a likely buyer; `propensity` is their probability. Empty: no propensity."""
    worth: dict[str, float] = {}
    """What a call of each grade is worth, for ranking; empty: no rank score."""
    descriptions: dict[str, str] = {}
    """One line per grade for people."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind == "number") != (self.range is not None):
            raise ValueError("a range belongs to kind 'number' and to no other: range: [lowest, highest]")
        return self._consistent_grades() if self.range is None else self._consistent_number(*self.range)

    def _consistent_number(self, low: float, high: float) -> Self:
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f"range must be two numbers, the lower first, not [{low:g}, {high:g}]")
        if self.grades or self.tasks or self.positive or self.worth:
            raise ValueError("a number has neither grades nor tasks, positive or worth: leave them out")
        return self

    def _consistent_grades(self) -> Self:
        known = set(self.grades)
        if len(known) != len(self.grades) or len(known) < 2:
            raise ValueError(f"grades must be at least two different names, not {list(self.grades)}")
        for task, classes in self.tasks.items():
            covered = [grade for members in classes.values() for grade in members]
            if sorted(covered) != sorted(self.grades) or not all(classes.values()):
                raise ValueError(
                    f"task '{task}' must hold each of {list(self.grades)} in exactly one class, and no class may be "
                    f"empty; it holds {dict(classes)}"
                )
        if not any(len(classes) == len(self.grades) for classes in self.tasks.values()):
            raise ValueError(f"one task must tell all of {list(self.grades)} apart")
        for name, wanted in (("positive", set(self.positive)), ("worth", set(self.worth))):
            if wanted - known:
                raise ValueError(f"{name} names unknown grades {sorted(wanted - known)}")
        if len(set(self.positive)) != len(self.positive):
            raise ValueError(f"positive names a grade twice: {list(self.positive)}")
        if self.worth and self.kind == "classes":
            raise ValueError("worth ranks grades, and classes have no order: leave it out, or make the kind 'ordered'")
        if any(not task.isidentifier() or task in RESERVED for task in self.tasks):
            raise ValueError(f"task names must be plain words, not {list(self.tasks)}")
        if self.worth and set(self.worth) != known:
            raise ValueError(f"worth must name every grade; missing {sorted(known - set(self.worth))}")
        return self

    @property
    def sha256(self) -> str:
        """Hash of the scheme's content."""
        return sha256_of_json(self.model_dump(mode="json"))

    @property
    def finest_task(self) -> str:
        """The task whose classes are the grades themselves; of a number, its only task."""
        if self.kind == "number":
            return NUMBER_TASK
        return next(task for task, classes in self.tasks.items() if len(classes) == len(self.grades))

    @property
    def class_counts(self) -> dict[str, int]:
        """Number of classes K of every task; 1 of a number."""
        if self.kind == "number":
            return {NUMBER_TASK: 1}
        return {task: len(classes) for task, classes in self.tasks.items()}

    def membership(self, task: str) -> BoolArray:
        """(K, G): does class k of the task hold grade g?"""
        classes = self.tasks[task]
        return np.array([[grade in members for grade in self.grades] for members in classes.values()])

    def check(self, label: Label) -> None:
        """Refuse a label that this scheme does not have.

        Raises:
            DataError: names the label and what the scheme has.
        """
        if self.kind == "number":
            self.number(label)
        else:
            self.grade_set(label)

    def number(self, label: Label) -> float:
        """The label of a `number` scheme.

        Raises:
            DataError: no number, or outside the range.
        """
        assert self.range is not None
        low, high = self.range
        if not isinstance(label, float | int) or not low <= label <= high:
            raise DataError(f"label {label!r} is not a number from {low:g} to {high:g}, as scheme '{self.id}' needs")
        return float(label)

    def target(self, label: Label | None) -> dict[str, BoolArray | FloatArray]:
        """Per task (K,), what is learned from: the allowed classes, or the number; all False or NaN without label."""
        if self.kind == "number":
            value = np.nan if label is None else self.number(label)
            return {NUMBER_TASK: np.array([value], dtype=np.float32)}
        if label is None:
            return {task: np.zeros(count, dtype=np.bool_) for task, count in self.class_counts.items()}
        return dict(self.allowed(label))

    def grade_set(self, label: Label) -> frozenset[str]:
        """The grades that a label allows.

        Raises:
            DataError: a grade outside the scheme.
        """
        names = (label,) if isinstance(label, str) else label
        if not isinstance(names, tuple) or not names:
            raise DataError(f"label {label!r} is not a grade of scheme '{self.id}'; it has {', '.join(self.grades)}")
        unknown = [name for name in names if name not in self.grades]
        if unknown:
            raise DataError(
                f"label {unknown[0]!r} is not a grade of scheme '{self.id}'; it has {', '.join(self.grades)}"
                f"{self._meant(unknown[0])}. "
                "Correct the label, or name another scheme with --labels SCHEME (train: --set labels=SCHEME)"
            )
        return frozenset(names)

    def _meant(self, name: str) -> str:
        """A hint where a name differs from a grade only in case or blanks."""
        alike = {"".join(grade.split()).casefold(): grade for grade in self.grades}
        grade = alike.get("".join(name.split()).casefold())
        return "" if grade is None else f" (did you mean '{grade}'?)"

    def allowed(self, label: Label) -> dict[str, BoolArray]:
        """Per task (K,): the classes in which at least one allowed grade lies.

        `["A","B","C"]` allows three classes of the 5-class task and one of the 2-class task.
        """
        grades = self.grade_set(label)
        mine = np.array([grade in grades for grade in self.grades])
        return {task: (self.membership(task) & mine).any(axis=1) for task in self.tasks}

    def class_of(self, task: str, label: Label) -> str | None:
        """The one class of the task that a label means, or None where the label leaves it open."""
        names = list(self.tasks[task])
        open_to = np.flatnonzero(self.allowed(label)[task])
        return names[int(open_to[0])] if len(open_to) == 1 else None


def load_scheme(source: str | Mapping[str, Any] | Path) -> LabelScheme:
    """A scheme from a shipped name (`marketcalls`, `donation`), a YAML file, or a mapping.

    Raises:
        ConfigError: unknown name, unreadable file, or an inconsistent scheme.
    """
    where = str(source) if not isinstance(source, Mapping) else "labels"
    data: Any = source
    if isinstance(source, str) and source in SHIPPED:
        data = yaml.safe_load((files("callsift") / "schemes" / f"{source}.yaml").read_text("utf-8"))
    elif isinstance(source, (str, Path)):
        path = Path(source)
        if not path.is_file():
            raise ConfigError(f"label scheme '{source}' is neither one of {', '.join(SHIPPED)} nor a file")
        try:
            data = yaml.safe_load(path.read_text("utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"label scheme {path} can't be read: {error}") from error
    try:
        return LabelScheme.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"label scheme {where}: {at + ': ' if at else ''}{first['msg'].removeprefix('Value error, ')}"
        ) from error
