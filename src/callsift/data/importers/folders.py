"""A folder for each grade: `DIR/A/x.wav` has the label A. Files beside the folders have none.

Where the folders are called train, val (or dev, …) and test, they are the splits, and those in them the grades.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from callsift.asr.transcripts import SUFFIXES
from callsift.audio.decode import looks_like_audio
from callsift.data.importers.parts import SPLIT_NAMES, Faults, Imported, Place, Request, read_label
from callsift.errors import DataError, UsageError
from callsift.types import Call


def import_folders(path: Path, request: Request) -> Imported:
    """The recordings in and under `path`; the first folder on the way to each is its grade, or split.

    Raises:
        DataError: no recordings, or a folder that is no grade of the scheme.
        UsageError: a mapping, as there are no columns.
    """
    if request.raters:
        raise UsageError("--raters names columns, and folders of recordings have none")
    if request.mapping:
        raise UsageError("--map names columns, and folders of recordings have none; their names are the grades")
    faults = Faults(request.skip_bad)
    calls: list[Call] = []
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    heard = [file for file in files if looks_like_audio(file)]
    others = [file for file in files if file not in set(heard)]
    splits = _splits([file.relative_to(path).parts[0] for file in heard if file.parent != path], request)
    for file in heard:
        inside = file.relative_to(path)
        folders = inside.parts[:-1]
        split = splits.get(folders[0]) if folders else None
        grade = next(iter(folders if split is None else folders[1:]), None)
        try:
            label = read_label(grade, request.scheme, Place(file), "folder")
        except DataError as error:
            faults.take(error)
            continue
        calls.append(Call(inside.as_posix(), audio=file, label=label, split=split))
    if not calls:
        raise DataError("holds no recordings; one folder for each grade is looked for (A/x.wav)", path)
    beside = {call.audio.with_suffix(suffix) for call in calls if call.audio for suffix in SUFFIXES}
    others = [file for file in others if file not in beside]
    notes = (f"{len(others)} other files passed over, as {others[0].relative_to(path)}",) if others else ()
    used = {"split": "the first folder's name", "label": "the second folder's name"}
    used = used if splits else {"label": "the folder's name"}
    return Imported(tuple(calls), used, (), tuple(faults.sentences), notes)


def _splits(folders: Sequence[str], request: Request) -> dict[str, str]:
    """Folder → split, where all of them are called like one, and none like a grade."""
    grades = request.scheme.grades if request.scheme is not None else ()
    if not all(name.lower() in SPLIT_NAMES and name not in grades for name in folders):
        return {}
    return {name: SPLIT_NAMES[name.lower()] for name in folders}
