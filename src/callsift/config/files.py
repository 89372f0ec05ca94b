"""Settings from a preset, a YAML file and `key=value` overrides; an error names file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError

from callsift.config.augment import AUGMENT_PRESETS
from callsift.config.training import TrainConfig
from callsift.errors import ConfigError

PRESETS: Final = ("tiny", "english", "mandarin", "multilingual", "paper-marketcalls")
"""Shipped configurations, by the name that `--config` takes."""


def load_train_config(path: Path | str | None = None, overrides: Sequence[str] = ()) -> TrainConfig:
    """The configuration from a preset or a YAML file, and `key=value` overrides (`fit.epochs=3`); values are YAML.

    Raises:
        ConfigError: unreadable file, unknown key or bad value; names file and line where there is one.
    """
    data: dict[str, Any] = {}
    text = ""
    if path is not None:
        path = preset_path(str(path)) if str(path) in PRESETS else Path(path)
        try:
            text = path.read_text("utf-8")
            data = yaml.safe_load(text) or {}
        except FileNotFoundError as error:
            raise ConfigError(
                f"config {path} is neither a file that is there nor one of {', '.join(PRESETS)}"
            ) from error
        except OSError as error:
            raise ConfigError(f"config {path} can't be read: {(error.strerror or str(error)).lower()}") from error
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"config {path} can't be read: {error}") from error
        if not isinstance(data, dict):
            raise ConfigError(f"config {path} must be a mapping of settings, not {type(data).__name__}")
    return _validated(data, overrides, path, text)


def train_config(data: Mapping[str, Any], overrides: Sequence[str] = ()) -> TrainConfig:
    """The configuration of nested settings, as a YAML file would hold them, and `key=value` overrides.

    Raises:
        ConfigError: unknown key or bad value.
    """
    return _validated(deepcopy(dict(data)), overrides)


def _validated(data: dict[str, Any], overrides: Sequence[str], path: Path | None = None, text: str = "") -> TrainConfig:
    for override in overrides:
        _apply(data, override)
    try:
        return TrainConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, text, overrides)) from error


def preset_path(name: str) -> Path:
    """Where a shipped configuration lies."""
    return Path(str(files("callsift") / "presets" / f"{name}.yaml"))


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override!r} is not of the form key=value, as in --set fit.epochs=20")
    *parents, last = key.split(".")
    for parent in parents:
        if parent == "augment" and isinstance(name := data.get(parent), str) and name in AUGMENT_PRESETS:
            data[parent] = deepcopy(AUGMENT_PRESETS[name])  # a preset, and one setting of it changed
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise ConfigError(f"--set {override!r}: '{parent}' is a value, not a group of settings")
    try:
        data[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is not YAML: {error}") from error


def _explain(error: ValidationError, path: Path | None, text: str, overrides: Sequence[str]) -> str:
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    key = ".".join(location)
    line = _line_of(text, location)
    where = "settings" if path is None else f"{path}" if line is None else f"{path}, line {line}"
    if override := next((o for o in reversed(overrides) if f"{key}.".startswith(f"{o.partition('=')[0]}.")), ""):
        named = key if "'" in override else override
        where = f"--set '{named}'"  # the file's line is not what was wrong
    if first["type"] == "extra_forbidden":
        meant = _meant(location)
        return (
            f"{where}: unknown key '{key}'{f'; did you mean {meant}?' if meant else '.'} "
            f"Known here: {', '.join(_known_keys(location[:-1]))}"
        )
    if first["type"] == "tuple_type" and isinstance(first["input"], str):
        return f"{where}: {key} = {first['input']!r}: it is a list: [{first['input']}]"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] == "value_error" else f" = {first['input']!r}"
    return f"{where}: {key}{given}: {message}" if key else f"{where}: {message}"


def _meant(location: Sequence[str]) -> str:
    """The setting that an unknown key may stand for: one like it in its group, or of its name in another group."""
    *parents, last = location
    if close := get_close_matches(last, _known_keys(parents), n=1, cutoff=0.75):
        return ".".join([*parents, close[0]])
    groups = [name for name in TrainConfig.model_fields if _known_keys([name])]
    return ", ".join(f"{name}.{last}" for name in groups if last in _known_keys([name])) if not parents else ""


def _known_keys(parents: Sequence[str]) -> list[str]:
    model: Any = TrainConfig
    for parent in parents:
        annotation = model.model_fields[parent].annotation if parent in model.model_fields else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if model is None:
            return []
    return sorted(model.model_fields)


def _line_of(text: str, location: Sequence[str]) -> int | None:
    """The 1-based line of a key in a YAML text, or None where it isn't there."""
    node = yaml.compose(text) if text else None
    line = None
    for part in location:
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == part:
                line, node = key.start_mark.line + 1, value
                break
        else:
            break
    return line
