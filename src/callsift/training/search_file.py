"""A space of `callsift tune` read from its file and checked against the configuration, before any training."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

from callsift.config import TrainConfig
from callsift.errors import ConfigError
from callsift.training.search_space import Base, Range, Space, Values, as_yaml, code_of, without_place

GRIDS: Final = ("paper",)
"""Shipped spaces, by the name that `--grid` takes."""

_NOT_SEARCHED: Final = {
    "schema_version": "it is the version of the file's format",
    "name": "it changes nothing in a training",
    "version": "it changes nothing in a training",
    "labels": "trials with other labels can't be compared",
    "target": "trials with another target can't be compared",
    "fit.seed": "the best seed is luck; --seeds N trains every point with N of them",
    "fit.monitor": "all trials must be measured alike; name the measure by --metric",
    "fit.monitor_task": "all trials must be measured alike; choose the task by --set fit.monitor_task=…",
    "fit.validation": "all trials share one validation part; choose its size by --set fit.validation=…",
    "fit.calibration": "it is fitted after the figure that decides was taken",
    **dict.fromkeys(
        ("fit.device", "fit.threads", "fit.processes", "fit.data_workers", "fit.checkpoint_s"),
        "it decides where or how fast a training runs, not what is learned",
    ),
}
_IN_THE_LOSS: Final = ("fit.loss", "fit.focal_gamma")
"""What validation loss is made of; the weights of tasks are in the training loss alone."""

_FLOAT_WITHOUT_POINT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")

_EXAMPLE: Final = (
    "as in 'fit.learning_rate: {low: 0.0001, high: 0.001, log: true}' or 'network.tokens: {values: [2, 4]}'"
)


def load_space(path: Path | None, grid: str | None, base: Base) -> Space:
    """The space from a YAML file or by the name of a shipped one, every value checked against the configuration.

    Raises:
        ConfigError: nothing to search, an unknown key, an empty list, limits the wrong way round, a value that the
            configuration refuses.
    """
    if (path is None) == (grid is None):
        both = "not both" if path is not None else "and nothing to search was given"
        raise ConfigError(f"give --space FILE.yaml or --grid {'|'.join(GRIDS)}, {both}")
    if grid is not None and grid not in GRIDS:
        raise ConfigError(f"--grid '{grid}' is not one of {', '.join(GRIDS)}; your own goes into a file for --space")
    if grid is not None:
        path, where = Path(str(files("callsift") / "presets/search" / f"{grid}.yaml")), f"grid {grid}"
    else:
        where = f"space {path}"
    assert path is not None
    try:
        data = yaml.load(path.read_text("utf-8"), _UniqueKeys)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{where} can't be read: {error}") from error
    return space_of(data, where, base)


def space_of(data: Any, where: str, base: Base) -> Space:
    """The space from a mapping, checked. `where`: what messages call it.

    Raises:
        ConfigError: as `load_space`.
    """
    if not isinstance(data, dict) or not data:
        raise ConfigError(f"{where}: nothing to search; it must map settings to values, {_EXAMPLE}")
    base.at()
    entries = tuple(_entry(str(key), data[key], where) for key in sorted(data, key=str))
    for one, other in itertools.permutations([entry.key for entry in entries], 2):
        if other.startswith(f"{one}."):
            raise ConfigError(f"{where}: '{other}' is a part of '{one}'; search over one of them")
    for entry in entries:
        _check_entry(entry, where, base)
    if all(entry.codes is not None and len(entry.codes) == 1 for entry in entries):
        raise ConfigError(f"{where}: nothing to search; every setting has a single value. Give one of them more")
    return Space(where, entries)


def check_comparable(space: Space, monitor: str) -> None:
    """The figure that decides must mean the same in every trial.

    Raises:
        ConfigError: validation loss decides, and the loss itself is searched.
    """
    made_of = [entry.key for entry in space.entries if entry.key in _IN_THE_LOSS]
    if monitor == "loss" and made_of:
        raise ConfigError(
            f"{space.where}: {made_of[0]} changes what a loss means, so trials can't be compared by it; "
            "add --metric macro_f1"
        )


def _entry(key: str, given: Any, where: str) -> Values | Range:
    if key in _NOT_SEARCHED:
        raise ConfigError(f"{where}: {key} can't be searched: {_NOT_SEARCHED[key]}")
    if not isinstance(given, dict) or not given:
        raise ConfigError(f"{where}: {key} is {given!r}, and must be {{values: …}} or {{low: …, high: …}}, {_EXAMPLE}")
    if "values" in given:
        if set(given) != {"values"}:
            other = next(name for name in given if name != "values")
            raise ConfigError(f"{where}: {key} has 'values' and '{other}'; a list of values stands alone")
        return _values(key, given["values"], where)
    if unknown := [name for name in given if name not in ("low", "high", "log", "step")]:
        raise ConfigError(f"{where}: {key} has '{unknown[0]}', which is not one of values, low, high, log, step")
    return _range(key, given, where)


def _values(key: str, values: Any, where: str) -> Values:
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{where}: {key}.values is {values!r}, and must be a list of at least one value")
    values = [_number(value) for value in values]
    for at, value in enumerate(values):
        if code_of(value) in [code_of(earlier) for earlier in values[:at]]:
            raise ConfigError(f"{where}: {key}.values has {value!r} twice; leave one out")
    return Values(key, tuple(values))


def _range(key: str, given: Mapping[str, Any], where: str) -> Range:
    numbers = {name: _number(given.get(name)) for name in ("low", "high", "step")}
    for name, number in numbers.items():
        if name == "step" and number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise ConfigError(f"{where}: {key}.{name} is {number!r}, and must be a number")
    low, high, step, log = numbers["low"], numbers["high"], numbers["step"], given.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"{where}: {key}.log is {log!r}, and must be true or false")
    if low > high:
        raise ConfigError(f"{where}: {key}.low {low:g} is above high {high:g}; exchange them")
    if log and low <= 0:
        raise ConfigError(f"{where}: {key}.low {low:g} has no logarithm; give a low above 0, or leave log out")
    if log and step is not None:
        raise ConfigError(f"{where}: {key} has log and step, which exclude each other; leave one out")
    if step is not None and step <= 0:
        raise ConfigError(f"{where}: {key}.step {step:g} must be above 0")
    annotation = _annotation(key)
    whole_limits = all(float(x).is_integer() for x in (low, high, step or 0))
    whole = whole_limits and (annotation is int or not (_takes_float(annotation) or _any_float(low, high, step)))
    if step is not None:  # the last step may stop short of the end
        high = low + math.floor((high - low) / step + 1e-9) * step
        high = float(f"{high:.12g}")
    kind = int if whole else float
    return Range(key, kind(low), kind(high), log, None if step is None else kind(step), whole)


def _any_float(*numbers: float | None) -> bool:
    return any(isinstance(number, float) for number in numbers)


def _check_entry(entry: Values | Range, where: str, base: Base) -> None:
    """The values, or the ends of a range, are each taken by the configuration, whatever other settings are."""
    group = isinstance(_annotation(entry.key), type) and issubclass(_annotation(entry.key), BaseModel)
    if group and not all(isinstance(value, str) for value in entry.values or ()):  # a name stands for a group's preset
        names = ", ".join(sorted(_annotation(entry.key).model_fields))
        raise ConfigError(f"{where}: {entry.key} is a group of settings; search over one of them: {names}")
    for value in entry.values if isinstance(entry, Values) else (entry.low, entry.high):
        try:
            base.at([f"{entry.key}={as_yaml(value)}"])
        except ConfigError as error:
            if _is_unknown(error):
                raise ConfigError(f"{where}: {without_place(error)}") from error
            if not _between_settings(error, entry.key):
                raise ConfigError(f"{where}: {entry.key} can't be {value!r}: {without_place(error)}") from error


def _is_unknown(error: ConfigError) -> bool:
    cause: Any = error.__cause__
    return hasattr(cause, "errors") and cause.errors()[0]["type"] == "extra_forbidden"


def _between_settings(error: ConfigError, key: str) -> bool:
    """Whether it is a contradiction between settings, which another value of the other may solve."""
    cause: Any = error.__cause__
    if not hasattr(cause, "errors"):
        return False
    first = cause.errors()[0]
    return bool(first["type"] == "value_error") and ".".join(map(str, first["loc"])) != key


def _annotation(key: str) -> Any:
    """The type of a setting; None where it is not known here."""
    found: Any = TrainConfig
    for part in key.split("."):
        options = [found, *get_args(found)] if get_origin(found) in (Union, UnionType) else [found]
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if model is None or part not in model.model_fields:
            return None
        found = model.model_fields[part].annotation
    return found


def _takes_float(annotation: Any) -> bool:
    return annotation is float or float in get_args(annotation)


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-5 as a text; here it is the number that everybody means by it."""
    return float(value) if isinstance(value, str) and _FLOAT_WITHOUT_POINT.fullmatch(value) else value


class _UniqueKeys(yaml.SafeLoader):
    """A key that stands twice is an error: the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.YAMLError(f"'{key.value}' stands twice (line {key.start_mark.line + 1})")
            seen.add(key.value)
        return super().construct_mapping(node, deep)
