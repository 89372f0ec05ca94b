"""A folder for each grade: `DIR/A/x.wav` has the label A. Files beside the folders have none."""

from __future__ import annotations

from pathlib import Path

from callsift.asr.transcripts import SUFFIXES
from callsift.audio.decode import looks_like_audio
from callsift.data.importers.parts import Faults, Imported, Place, Request, read_label
from callsift.errors import DataError, UsageError
from callsift.types import Call


def import_folders(path: Path, request: Request) -> Imported:
    """The recordings in and under `path`; the first folder on the way to each is its grade.

    Raises:
        DataError: no recordings, or a folder that is no grade of the scheme.
        UsageError: a mapping, as there are no columns.
    """
    if request.mapping:
        raise UsageError("--map names columns, and folders of recordings have none; their names are the grades")
    faults = Faults(request.skip_bad)
    calls: list[Call] = []
    others: list[Path] = []
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        if any(part.startswith(".") for part in inside.parts) or not file.is_file():
            continue
        if not looks_like_audio(file):
            others.append(file)
            continue
        grade = inside.parts[0] if len(inside.parts) > 1 else None
        try:
            label = read_label(grade, request.scheme, Place(file), "folder")
        except DataError as error:
            faults.take(error)
            continue
        calls.append(Call(inside.as_posix(), audio=file, label=label))
    if not calls:
        raise DataError("holds no recordings; one folder for each grade is looked for (A/x.wav)", path)
    beside = {call.audio.with_suffix(suffix) for call in calls if call.audio for suffix in SUFFIXES}
    others = [file for file in others if file not in beside]
    notes = (f"{len(others)} other files passed over, as {others[0].relative_to(path)}",) if others else ()
    return Imported(tuple(calls), {"label": "the folder's name"}, (), tuple(faults.sentences), notes)
