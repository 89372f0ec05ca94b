"""What others keep graded calls in → a manifest. One file per format; this one tells which format a source is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from callsift.data.importers.folders import import_folders
from callsift.data.importers.json_lines import json_objects, json_value, read_text
from callsift.data.importers.kaldi import import_kaldi
from callsift.data.importers.label_studio import import_label_studio
from callsift.data.importers.lhotse import files_in, import_lhotse, kind_of
from callsift.data.importers.nemo import import_nemo
from callsift.data.importers.parts import Imported, Request, Votes
from callsift.data.importers.tables import import_csv, import_xlsx
from callsift.errors import DataError, UsageError

__all__ = ["FORMATS", "Imported", "Request", "Votes", "import_calls", "recognise"]

FORMATS: dict[str, Callable[[Path, Request], Imported]] = {
    "csv": import_csv,
    "xlsx": import_xlsx,
    "folders": import_folders,
    "kaldi": import_kaldi,
    "nemo": import_nemo,
    "lhotse": import_lhotse,
    "label-studio": import_label_studio,
}


def import_calls(source: Path, request: Request, name: str | None = None) -> tuple[str, Imported]:
    """The calls of a source, and the format it was read as. `name`: the format, where it is not to be recognised.

    Raises:
        UsageError: no such format or source, or a mapping to what the source does not have.
        DataError: what is wrong with the source.
    """
    if name is not None and name not in FORMATS:
        raise UsageError(f"--format {name} is not one of {', '.join(FORMATS)}")
    if not source.exists():
        raise UsageError(f"'{source}' does not exist")
    name = name or recognise(source)
    if source.is_dir() != (name in {"folders", "kaldi"} or (name == "lhotse" and source.is_dir())):
        kind = "file" if source.is_dir() else "folder"
        raise UsageError(f"'{source}' is a {'folder' if source.is_dir() else 'file'}; the format {name} is a {kind}")
    if source.is_file() and not source.stat().st_size:
        raise DataError("is empty", source)
    return name, FORMATS[name](source, request)


def recognise(source: Path) -> str:
    """The format of a source, by its content.

    Raises:
        DataError: none of them.
    """
    if source.is_dir():
        if (source / "wav.scp").is_file():
            return "kaldi"
        found = files_in(source)
        return "lhotse" if found["recordings"] or found["cuts"] else "folders"
    with source.open("rb") as stream:
        head = stream.read(8)
    if not head:
        raise DataError("is empty", source)
    if head.startswith(b"PK") or source.suffix.lower() in {".xlsx", ".xlsm"}:
        return "xlsx"
    if head.startswith(b"\x1f\x8b") or source.suffix.lower() in {".json", ".jsonl"}:
        return _kind_of_json(source)
    if source.suffix.lower() in {".csv", ".tsv", ".txt", ""}:
        return "csv"
    raise DataError(f"is of no known format; --format names one of {', '.join(FORMATS)}", source)


def _kind_of_json(source: Path) -> str:
    """Of JSON and JSON Lines."""
    text = read_text(source).lstrip()
    if text.startswith("["):
        tasks = json_value(source)
        if tasks and isinstance(tasks[0], dict) and "data" in tasks[0]:
            return "label-studio"
        raise DataError("is a list without 'data' and 'annotations': no Label Studio export in the format JSON", source)
    _, first = next(json_objects(source))
    if "audio_filepath" in first:
        return "nemo"
    if kind_of(first) is not None:
        return "lhotse"
    if "call_id" in first:
        raise DataError("is a manifest of callsift already; it needs no import", source)
    raise DataError("is JSON of no known kind: NeMo has 'audio_filepath', lhotse 'recording' or 'sources'", source)
