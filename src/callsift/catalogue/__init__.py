"""Models by name: which there are, which of them are on this machine, and where.

A pulled model is a folder `<models folder>/<name>` with its files and a record of them, `callsift-model.json`. It can
be copied to a machine without a network as it is. The models folder is `CALLSIFT_MODELS`, or `callsift/models` in the
user's cache (XDG Base Directory Specification).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from callsift.errors import DataError, UsageError
from callsift.files import read_json, write_json

__all__ = [
    "KINDS",
    "RECORD",
    "ModelEntry",
    "find_entry",
    "folder_of",
    "known_models",
    "model_file",
    "model_folder",
    "models_folder",
    "pulled",
    "read_record",
    "write_record",
]

Kind = Literal["sherpa-onnx", "faster-whisper", "segmentation", "embedding", "audio", "text"]
"""What runs a model: an engine of that name, half of a diarizer, or an encoder of that stream."""

KINDS: tuple[Kind, ...] = get_args(Kind)
RECORD = "callsift-model.json"
_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the catalogue. `languages`: codes, or in words where there are too many; `files`: those it needs."""

    name: str
    hub_id: str
    kind: Kind
    languages: tuple[str, ...]
    size_mb: float
    licence: str
    files: tuple[str, ...]
    about: str


@cache
def known_models() -> tuple[ModelEntry, ...]:
    """The catalogue that comes with callsift."""
    rows = yaml.safe_load((files(__name__) / "models.yaml").read_text("utf-8"))
    return tuple(
        ModelEntry(**{**row, "languages": tuple(row["languages"]), "files": tuple(row["files"])}) for row in rows
    )


def find_entry(name: str) -> ModelEntry | None:
    """The model of that name or hub id; None where the catalogue has none, or a hub id stands for several."""
    found = [entry for entry in known_models() if name in (entry.name, entry.hub_id)]
    return found[0] if len(found) == 1 else None


def models_folder() -> Path:
    """Where pulled models lie."""
    if own := os.environ.get("CALLSIFT_MODELS"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callsift" / "models"


def folder_of(entry: ModelEntry) -> Path | None:
    """Where a model lies, None where it is not here, or not all of it."""
    folder = models_folder() / entry.name
    return folder if read_record(folder) is not None else None


def model_folder(model: str, option: str = "model") -> Path:
    """The folder that an option means: a path, or the name (or hub id) of a pulled model.

    Raises:
        UsageError: neither a folder nor a pulled model; says which command gets it.
    """
    path = Path(model).expanduser()
    if path.exists():
        return path
    entry = find_entry(model)
    if entry is None:
        raise UsageError(f"{option}={model}: no such folder or model; callsift models list shows those that are known")
    folder = folder_of(entry)
    if folder is None:
        raise UsageError(f"{option}={model}: it is not on this machine; get it with: callsift models pull {entry.name}")
    return folder


def pulled(model: str) -> str:
    """The folder of a pulled model, by its name or hub id; anything else as it is."""
    entry = find_entry(model)
    folder = None if entry is None or Path(model).exists() else folder_of(entry)
    return model if folder is None else str(folder)


def model_file(model: str, option: str) -> Path:
    """The file that an option means: a path, or the name of a pulled model that is one file.

    Raises:
        UsageError: neither; says which command gets it.
    """
    path = model_folder(model, option)
    if path.is_file():
        return path
    entry = find_entry(model)
    if entry is None or len(entry.files) != 1:
        raise UsageError(f"{option}={model} is a folder; name its .onnx file, or a model of callsift models list")
    return path / entry.files[0]


def read_record(folder: Path) -> dict[str, Any] | None:
    """What `models pull` wrote of a folder, None where it wrote nothing or a file is missing or of another size."""
    try:
        record = read_json(folder / RECORD)
        whole = all((folder / name).stat().st_size == file["size"] for name, file in record["files"].items())
    except (DataError, OSError, KeyError, TypeError, AttributeError):
        return None
    return record if whole else None


def write_record(folder: Path, entry: ModelEntry, revision: str, sha256: Mapping[str, str]) -> None:
    """Write down what a folder holds, which makes it a pulled model."""
    content = {
        "schema_version": _SCHEMA_VERSION,
        "name": entry.name,
        "hub_id": entry.hub_id,
        "revision": revision,
        "licence": entry.licence,
        "files": {name: {"size": (folder / name).stat().st_size, "sha256": sha256[name]} for name in entry.files},
    }
    write_json(folder / RECORD, content)
