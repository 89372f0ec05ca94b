"""What `callsift tune` may change: settings and their values, checked against the configuration before any training.

A space is a mapping from setting keys to `{values: […]}` or `{low:, high:, log:, step:}`. A *point* is one value of
every key; a *code* is how a value stands in the study: itself, or JSON where it is a list or a mapping.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from callsift.config import TrainConfig, load_train_config
from callsift.errors import ConfigError

LISTED_POINTS: Final = 20_000
"""A space with no more points is listed: its impossible points are known before the first training."""

Code = str | int | float | bool | None
Point = Mapping[str, Code]


@dataclass(frozen=True, slots=True)
class Values:
    """A setting that takes one of several values."""

    key: str
    values: tuple[Any, ...]

    @property
    def codes(self) -> tuple[Code, ...]:
        """How the values stand in the study."""
        return tuple(code_of(value) for value in self.values)

    def value(self, code: Code) -> Any:
        """The value that a code stands for."""
        return self.values[self.codes.index(code)]

    def nearest(self, code: Code) -> Code:
        """The code itself."""
        return code


@dataclass(frozen=True, slots=True)
class Range:
    """A setting that takes a number from `low` to `high`, both included; `log`: evenly over orders of magnitude."""

    key: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    @property
    def values(self) -> tuple[float, ...] | None:
        """All numbers it can be; None where they are too many to list."""
        step = self.step or (1 if self.whole else None)
        if self.low == self.high:
            return (self.low,)
        if step is None or (self.high - self.low) / step >= LISTED_POINTS:
            return None
        found = (self.low + at * step for at in range(math.floor((self.high - self.low) / step + 1e-9) + 1))
        return tuple(int(x) if self.whole else float(f"{x:.12g}") for x in found)

    @property
    def codes(self) -> tuple[Code, ...] | None:
        """How the numbers stand in the study."""
        return self.values

    def value(self, code: Code) -> Any:
        """The number itself."""
        return code

    def nearest(self, code: Any) -> Code:
        """The number of the list, where there is one, that is meant by one which was rounded on its way."""
        return code if self.values is None else min(self.values, key=lambda value: abs(value - code))


@dataclass(frozen=True, slots=True)
class Space:
    """Settings to search over, in the order of their names."""

    where: str
    entries: tuple[Values | Range, ...]

    @property
    def size(self) -> int | None:
        """How many points there are; None: endlessly many, or too many to count."""
        sizes = [len(entry.codes) if entry.codes is not None else None for entry in self.entries]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    @property
    def listed(self) -> bool:
        """Whether the points are few enough to be listed."""
        return self.size is not None and self.size <= LISTED_POINTS

    def points(self) -> Iterator[Point]:
        """All points of a space that is listed."""
        keys = [entry.key for entry in self.entries]
        for codes in itertools.product(*(entry.codes or () for entry in self.entries)):
            yield dict(zip(keys, codes, strict=True))

    def settings(self, point: Point) -> list[str]:
        """A point as `key=value`."""
        return [f"{entry.key}={as_yaml(entry.value(point[entry.key]))}" for entry in self.entries]

    def plain(self) -> dict[str, Any]:
        """The space as it would stand in a file."""
        return {entry.key: _plain(entry) for entry in self.entries}


@dataclass(frozen=True, slots=True)
class Base:
    """The configuration that points are laid upon."""

    config: Path | str | None
    settings: tuple[str, ...] = ()

    def at(self, settings: Sequence[str] = ()) -> TrainConfig:
        """The configuration with settings laid upon it.

        Raises:
            ConfigError: it is refused.
        """
        return load_train_config(self.config, [*self.settings, *settings])


def possible_points(space: Space, base: Base) -> tuple[list[Point], list[tuple[Point, str]]]:
    """Of a listed space, the points that the configuration takes, and those that it refuses with the reasons.

    Raises:
        ConfigError: it refuses all.
    """
    possible: list[Point] = []
    refused: list[tuple[Point, str]] = []
    for point in space.points():
        reason = refusal(space, base, point)
        if reason is None:
            possible.append(point)
        else:
            refused.append((point, reason))
    if not possible:
        raise ConfigError(
            f"{space.where}: no trial is left, all {len(refused)} combinations are refused; the first: {refused[0][1]}"
        )
    return possible, refused


def refusal(space: Space, base: Base, point: Point) -> str | None:
    """Why the configuration refuses a point; None where it takes it."""
    try:
        base.at(space.settings(point))
    except ConfigError as error:
        return without_place(error)
    return None


def draw(space: Space, generator: np.random.Generator) -> Point:
    """A point drawn evenly."""
    return {entry.key: _draw(entry, generator) for entry in space.entries}


def _draw(entry: Values | Range, generator: np.random.Generator) -> Code:
    if entry.codes is not None and not (isinstance(entry, Range) and entry.log):
        return entry.codes[int(generator.integers(len(entry.codes)))]
    assert isinstance(entry, Range)
    low, high = (math.log(entry.low), math.log(entry.high)) if entry.log else (entry.low, entry.high)
    found = float(generator.uniform(low, high))
    found = min(max(math.exp(found) if entry.log else found, entry.low), entry.high)
    return round(found) if entry.whole else found


def code_of(value: Any) -> Code:
    """How a value stands in the study."""
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _plain(entry: Values | Range) -> dict[str, Any]:
    if isinstance(entry, Values):
        return {"values": list(entry.values)}
    return {"low": entry.low, "high": entry.high, "log": entry.log, "step": entry.step}


def as_yaml(value: Any) -> str:
    """A value on one line, to be read back as it is."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1 << 30)
    return text.strip().removesuffix("...").strip()


def without_place(error: ConfigError) -> str:
    """The message without the place of the base configuration: the value is not from there."""
    return re.sub(r"^(settings: |\S+, line \d+: |--set '[^']*': )", "", str(error))
