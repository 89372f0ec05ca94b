"""lhotse manifests, JSON Lines or gzipped: recordings and supervisions side by side, or cuts.

A recording is a call and its supervisions are its turns. A cut is a call too: the stretch of its recording that it
names, as the call's only segment, or all of it. Cuts made of several recordings (mixed, padded) are refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from callsift.data.importers.fields import columns_of
from callsift.data.importers.json_lines import flat, json_objects, objects_in
from callsift.data.importers.parts import MOST, Faults, Imported, Place, Request
from callsift.data.importers.pieces import Row
from callsift.data.importers.rows import import_rows
from callsift.errors import DataError

SLACK_S = 0.02
"""A cut that misses its recording's start and end by no more is all of it."""

_FIELDS = {
    "call_id": "call", "audio": "source", "segment_id": "cut", "start_s": "start", "duration_s": "duration",
    "text": "text", "role": "speaker", "channel": "channel", "language": "language", "label": "custom.label",
}  # fmt: skip
_OWN = {"call", "source", "cut", "start", "duration", "text", "speaker", "channel", "language"}


def files_in(folder: Path) -> dict[str, list[Path]]:
    """The files of lhotse's three kinds in a folder, by their names: `recordings.jsonl`, `cuts_train.jsonl.gz`, …"""
    found: dict[str, list[Path]] = {"recordings": [], "supervisions": [], "cuts": []}
    for path in sorted(folder.iterdir()):
        for kind, paths in found.items():
            if kind in path.name and path.name.endswith((".jsonl", ".jsonl.gz")):
                paths.append(path)
    return found


def import_lhotse(path: Path, request: Request) -> Imported:
    """The calls of a folder with lhotse manifests, or of one file of cuts or recordings.

    Raises:
        DataError: no such manifests, several of a kind, a recording that is no file, a cut of several recordings.
        UsageError: a mapping to a key that no line has.
    """
    faults = Faults(request.skip_bad)
    recordings, supervisions, cuts = _sources(path)
    rows = list(_of_cuts(cuts, faults)) if cuts else list(_of_recordings(recordings, supervisions, faults))
    where = cuts or supervisions or recordings
    assert where is not None
    keys = dict.fromkeys(key for row in rows for key in row.cells)
    header = [*keys, *(key for key in _OWN if key not in keys)]
    fields = {field: key for field, key in _FIELDS.items() if key in keys}
    found = import_rows(where, rows, columns_of(header, request.mapping, fields), request)
    unused = tuple(key for key in found.unused if key not in _OWN)
    return Imported(found.calls, found.used, unused, (*faults.sentences, *found.left_out), found.notes)


def _sources(path: Path) -> tuple[Path | None, Path | None, Path | None]:
    """The files of recordings, supervisions and cuts that count."""
    if path.is_file():
        _, first = next(json_objects(path))
        kind = kind_of(first)
        if kind == "supervisions":
            raise DataError("has supervisions alone; name the folder that has recordings.jsonl too, or cuts", path)
        return (path, None, None) if kind == "recordings" else (None, None, path)
    found = files_in(path)
    if found["cuts"] and not found["recordings"]:
        del found["recordings"], found["supervisions"]
    elif found["recordings"]:
        found["cuts"] = []
    for kind, paths in found.items():
        if len(paths) > 1:
            raise DataError(f"has several files of {kind} ({paths[0].name}, {paths[1].name}); name one of them", path)
    first_of = {kind: paths[0] for kind, paths in found.items() if paths}
    if not first_of.keys() & {"recordings", "cuts"}:
        raise DataError("has neither recordings.jsonl nor cuts.jsonl (or .jsonl.gz)", path)
    return first_of.get("recordings"), first_of.get("supervisions"), first_of.get("cuts")


def kind_of(value: dict[str, Any]) -> str | None:
    """Which of lhotse's kinds a line is."""
    if "sources" in value and "sampling_rate" in value:
        return "recordings"
    if "recording_id" in value and "start" in value:
        return "supervisions"
    return "cuts" if "recording" in value or value.get("type") in {"MonoCut", "MultiCut", "MixedCut"} else None


def _of_recordings(recordings: Path | None, supervisions: Path | None, faults: Faults) -> Iterator[Row]:
    assert recordings is not None
    said: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for line, value in json_objects(supervisions) if supervisions else ():
        said[str(value.get("recording_id"))].append((line, value))
    for line, value in json_objects(recordings):
        try:
            source = _file(value, Place(recordings, line))
        except DataError as error:
            faults.take(error)
            said.pop(str(value.get("id")), None)
            continue
        mine = {"call": str(value.get("id")), "source": source}
        spoken = said.pop(mine["call"], [])
        yield from (Row(at, {**_supervision(one), **mine}) for at, one in spoken)
        if not spoken:
            yield Row(line, {**_custom(value), **mine})
    for name, left in said.items():
        assert supervisions is not None
        faults.take(Place(supervisions, left[0][0]).wrong(f"supervision of recording '{name}': there is none"))


def _of_cuts(path: Path, faults: Faults) -> Iterator[Row]:
    for line, cut in json_objects(path):
        try:
            yield from _cut_rows(cut, Place(path, line))
        except DataError as error:
            faults.take(error)


def _cut_rows(cut: dict[str, Any], place: Place) -> list[Row]:
    name = str(cut.get("id"))
    recording = cut.get("recording")
    if not isinstance(recording, dict):
        raise place.wrong(
            f"cut '{name}' ({cut.get('type', 'no type')}) is not of one recording; save its mix as a file"
        )
    mine: dict[str, Any] = {"call": name, "source": _file(recording, place)}
    start_s, duration_s = _seconds(cut, "start", place), _seconds(cut, "duration", place)
    whole = start_s <= SLACK_S and abs(duration_s - _seconds(recording, "duration", place)) <= SLACK_S
    spoken = [_supervision(one) for one in objects_in(cut.get("supervisions"), place, f"supervisions of cut '{name}'")]
    for one in spoken:
        one["start"] = start_s + _seconds(one, "start", place)
    if not whole:
        mine["cut"] = "0"
        spoken.insert(0, {"start": start_s, "duration": duration_s})
    custom = _custom(cut)
    return [Row(place.line or 0, {**custom, **one, **mine}) for one in spoken or [{}]]


def _supervision(value: dict[str, Any]) -> dict[str, Any]:
    kept = ("start", "duration", "text", "speaker", "language")
    channel = value.get("channel")
    found = {key: value[key] for key in kept if key in value}
    return {**found, **({"channel": channel} if isinstance(channel, int) else {}), **_custom(value)}


def _custom(value: dict[str, Any]) -> dict[str, Any]:
    return flat({"custom": value["custom"]}) if isinstance(value.get("custom"), dict) else {}


def _seconds(value: dict[str, Any], key: str, place: Place) -> float:
    found = value.get(key)
    if not isinstance(found, int | float) or isinstance(found, bool) or not 0 <= found <= MOST:
        raise place.wrong(f"{key} {found!r} is not a number of seconds, 0 or more")
    return float(found)


def _file(recording: dict[str, Any], place: Place) -> str:
    """The only file of a recording."""
    name = recording.get("id")
    sources = objects_in(recording.get("sources"), place, f"sources of recording '{name}'")
    if len(sources) != 1:
        raise place.wrong(f"recording '{name}' has {len(sources)} sources; join its channels in one file")
    if sources[0].get("type") != "file":
        kind = sources[0].get("type")
        raise place.wrong(f"recording '{name}' is a '{kind}', not a file; save it as a file (lhotse: save_audios)")
    return str(sources[0].get("source"))
