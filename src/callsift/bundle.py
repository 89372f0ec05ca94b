"""The bundle: a folder that can score. This is the only place that reads, writes and verifies one.

`bundle.json` holds the versions, the label scheme, the front end, the names of the ONNX graphs, calibration,
provenance, and the SHA-256 of every other file. Nothing in a bundle is unpickled or names code.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from callsift import __version__
from callsift.canonical import sha256_of_json
from callsift.config import FrontEnd, front_end_from
from callsift.decision import Calibration, vector_from, vector_rows
from callsift.errors import BundleError, CallsiftError
from callsift.files import read_json, sha256_of_file, write_json
from callsift.labels import LabelScheme, load_scheme
from callsift.types import ModelInfo, Target

SCHEMA_VERSION = 1
STARTER = "starter"


@dataclass(frozen=True, slots=True)
class Graphs:
    """File names of the ONNX graphs, relative to the bundle."""

    encoders: Mapping[str, str]
    fusion: str
    call: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `path`: its folder; `sha256`: hash over everything in it."""

    path: Path
    name: str
    version: str
    scheme: LabelScheme
    front_end: FrontEnd
    graphs: Graphs
    calibration: Calibration
    provenance: Mapping[str, Any]
    sha256: str
    target: Target = "call"
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(self.name, self.version, self.sha256)

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer.json"


def find_bundle(model: str) -> Path:
    """The folder of a model: a path, or the name of a shipped one (`starter`).

    Raises:
        BundleError: there is none.
    """
    folder = Path(model)
    if (folder / "bundle.json").is_file():
        return folder
    shipped = Path(str(files("callsift") / "data" / model))
    if os.sep not in model and (shipped / "bundle.json").is_file():
        return shipped
    raise BundleError(
        f"model '{model}' is neither a folder with a bundle.json nor the shipped '{STARTER}'. "
        "A run becomes a bundle with: callsift export RUN -o BUNDLE"
    )


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle and verify the hash of every file in it.

    Raises:
        BundleError: missing, damaged, or of a newer format.
    """
    try:
        data = read_json(folder / "bundle.json")
        return _parse(folder, data)
    except BundleError:
        raise
    except CallsiftError as error:
        raise BundleError(str(error)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BundleError(f"{folder / 'bundle.json'} is damaged or not a bundle: {error!r}") from error


def _parse(folder: Path, data: Any) -> Bundle:
    version = data["schema_version"]
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise BundleError(
            f"{folder}: bundle format {version!r} is newer than this callsift knows ({SCHEMA_VERSION}). "
            "Update callsift to use it."
        )
    _verify(folder, data["files"])
    graphs = Graphs(dict(data["graphs"]["encoders"]), data["graphs"]["fusion"], data["graphs"]["call"])
    for name in (*graphs.encoders.values(), graphs.fusion, graphs.call, "tokenizer.json"):
        if name not in data["files"]:
            raise BundleError(f"{folder}: bundle.json does not list '{name}' among its files")
    calibration = data["calibration"]
    scheme = load_scheme(data["label_scheme"])
    return Bundle(
        path=folder,
        name=str(data["name"]),
        version=str(data["version"]),
        scheme=scheme,
        front_end=front_end_from(data["front_end"], folder / "bundle.json"),
        graphs=graphs,
        calibration=Calibration(
            temperature={task: float(value) for task, value in calibration["temperature"].items()},
            train_balance=calibration.get("train_balance"),
            target_balance=calibration.get("target_balance"),
            vector=vector_from(calibration.get("vector"), scheme),
        ),
        provenance=data.get("provenance", {}),
        sha256=sha256_of_json(data),
        target=_target(data.get("target", "call"), folder),
        files=dict(data["files"]),
    )


def _target(value: Any, folder: Path) -> Target:
    if value not in ("call", "segment"):
        raise BundleError(f"{folder}: target {value!r} is neither 'call' nor 'segment'. Update callsift to use it.")
    return "call" if value == "call" else "segment"


def _verify(folder: Path, expected: Mapping[str, str]) -> None:
    for name, sha256 in expected.items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BundleError(f"{folder}: bundle.json names a file outside the bundle: '{name}'")
        if not path.is_file():
            raise BundleError(f"{folder}: '{name}' is missing. Copy the whole bundle again.")
        if sha256_of_file(path) != sha256:
            raise BundleError(f"{folder}: '{name}' is not the file that was exported (hash differs). Copy it again.")


def check_free(folder: Path) -> None:
    """A bundle may be written there: the folder is new, empty or a bundle.

    Raises:
        BundleError: it is something else.
    """
    if folder.exists() and (folder.is_file() or (any(folder.iterdir()) and not (folder / "bundle.json").is_file())):
        raise BundleError(f"{folder} exists and is not a bundle; choose another folder or remove it")


def write_bundle(
    folder: Path,
    contents: Path,
    *,
    name: str,
    version: str,
    scheme: LabelScheme,
    front_end: FrontEnd,
    graphs: Graphs,
    calibration: Calibration,
    provenance: Mapping[str, Any],
    target: Target = "call",
) -> Bundle:
    """Make `folder` a bundle of the files in `contents` (graphs, tokenizer.json, README.md); all or nothing.

    Raises:
        BundleError: the folder exists and is not a bundle.
    """
    check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        shutil.copytree(contents, staged, dirs_exist_ok=True)
        hashes = {
            path.relative_to(staged).as_posix(): sha256_of_file(path)
            for path in sorted(staged.rglob("*"))
            if path.is_file()
        }
        write_json(
            staged / "bundle.json",
            {
                "schema_version": SCHEMA_VERSION,
                "callsift": __version__,
                "name": name,
                "version": version,
                "target": target,
                "label_scheme": scheme.model_dump(mode="json"),
                "front_end": front_end.model_dump(mode="json"),
                "graphs": {"encoders": dict(graphs.encoders), "fusion": graphs.fusion, "call": graphs.call},
                "calibration": _calibration_rows(calibration),
                "provenance": dict(provenance),
                "files": hashes,
            },
        )
        staged.chmod(0o755)
        load_bundle(staged)
        _swap(staged, folder)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return load_bundle(folder)


def _swap(staged: Path, target: Path) -> None:
    """Put a finished folder in the place of another: at every instant one of the two is whole on the disk."""
    aside = target.with_name(f".{target.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if target.exists():
        target.replace(aside)
    staged.replace(target)
    shutil.rmtree(aside, ignore_errors=True)


def _calibration_rows(calibration: Calibration) -> dict[str, Any]:
    """`vector` stands there only where there is one: a callsift that doesn't know it uses the temperature alone."""
    rows: dict[str, Any] = {
        "temperature": dict(calibration.temperature),
        "train_balance": _or_none(calibration.train_balance),
        "target_balance": _or_none(calibration.target_balance),
    }
    return rows | ({"vector": vector_rows(calibration)} if calibration.vector else {})


def _or_none(balance: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if balance is None else dict(balance)
