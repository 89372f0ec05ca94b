"""lhotse manifests, JSON Lines or gzipped: recordings and supervisions side by side, or cuts.

A recording is a call and its supervisions are its turns. A cut is a call too: the stretch of its recording that it
names, as the call's only segment, or all of it. Cuts made of several recordings (mixed, padded) are refused.
A folder may hold several parts, as `recordings_train` with `supervisions_train` and `recordings_dev` with its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from callsift.data.importers.fields import columns_of
from callsift.data.importers.json_lines import flat, json_objects, objects_in
from callsift.data.importers.parts import MOST, SPLIT_NAMES, Faults, Imported, Place, Request
from callsift.data.importers.pieces import Row
from callsift.data.importers.rows import import_rows
from callsift.errors import DataError
from callsift.types import Call

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


@dataclass(frozen=True, slots=True)
class _Part:
    """Files that belong together, and the split that their names say."""

    recordings: Path | None
    supervisions: Path | None
    cuts: Path | None
    split: str | None = None

    @property
    def where(self) -> Path:
        """The file whose lines are named in messages."""
        path = self.cuts or self.supervisions or self.recordings
        assert path is not None
        return path

    def rows(self, faults: Faults) -> list[Row]:
        """A row for each supervision, and one for each call without any."""
        found = _of_cuts(self.cuts, faults) if self.cuts else _of_recordings(self.recordings, self.supervisions, faults)
        return list(found)


def import_lhotse(path: Path, request: Request) -> Imported:
    """The calls of a folder with lhotse manifests, or of one file of cuts, recordings or supervisions.

    Raises:
        DataError: no such manifests, or not clear which belong together; a recording that is no file; a cut of several.
        UsageError: a mapping to a key that no line has.
    """
    faults = Faults(request.skip_bad)
    parts, notes = _parts(path)
    rows = [part.rows(faults) for part in parts]
    keys = dict.fromkeys(key for some in rows for row in some for key in row.cells)
    header = [*keys, *(key for key in _OWN if key not in keys)]
    columns = columns_of(header, request.mapping, {f: key for f, key in _FIELDS.items() if key in keys}, request.raters)
    found = [import_rows(part.where, some, columns, request) for part, some in zip(parts, rows, strict=True)]
    calls: dict[str, Call] = {}
    for part, its in zip(parts, found, strict=True):
        for call in its.calls:
            if call.call_id in calls:
                raise DataError(f"has call '{call.call_id}', which another part of the folder has too", part.where)
            calls[call.call_id] = replace(call, split=call.split or part.split)
    unused = tuple(key for key in columns.unused if key not in _OWN)
    left_out = (*faults.sentences, *(sentence for its in found for sentence in its.left_out))
    told = (*notes, *(note for its in found for note in its.notes))
    used = dict(columns.used) | ({"split": "the files' names"} if any(part.split for part in parts) else {})
    return Imported(tuple(calls.values()), used, unused, left_out, told)


def _parts(path: Path) -> tuple[list[_Part], list[str]]:
    """The files that count, by part, and what to know of it."""
    if path.is_file():
        return [_named(path)], []
    found = files_in(path)
    if not found["recordings"]:
        if not found["cuts"]:
            raise DataError("has neither recordings.jsonl nor cuts.jsonl (or .jsonl.gz)", path)
        several = len(found["cuts"]) > 1
        return [_Part(None, None, cuts, _split(cuts, "cuts", found["cuts"]) if several else None)
                for cuts in found["cuts"]], []  # fmt: skip
    notes = [f"not read, as there are recordings: {found['cuts'][0].name} (name that file)"] if found["cuts"] else []
    recordings, supervisions = found["recordings"], found["supervisions"]
    if len(recordings) == 1 and len(supervisions) <= 1:
        return [_Part(recordings[0], next(iter(supervisions), None), None)], notes
    said = {_stem(other, "supervisions"): other for other in supervisions}
    left = [other for other in supervisions if said[_stem(other, "supervisions")] != other]
    split_of = {one: _split(one, "recordings", recordings) if len(recordings) > 1 else None for one in recordings}
    parts = [_Part(one, said.pop(_stem(one, "recordings"), None), None, split) for one, split in split_of.items()]
    left += said.values()
    if left:
        raise DataError(
            f"has several files of supervisions, and {left[0].name} belongs to no file of recordings by its name; "
            "name one file of recordings, with its supervisions called alike",
            path,
        )
    return parts, notes


def _named(path: Path) -> _Part:
    """The file that the user names, with what stands beside it under the same name."""
    _, first = next(json_objects(path))
    kind = kind_of(first)
    if kind not in ("recordings", "supervisions"):
        return _Part(None, None, path)
    other = "supervisions" if kind == "recordings" else "recordings"
    beside = files_in(path.parent)[other]
    partner = next((each for each in beside if kind in path.name and _stem(each, other) == _stem(path, kind)), None)
    if kind == "supervisions":
        if partner is None:
            raise DataError("has supervisions alone; name the folder that has recordings.jsonl too, or cuts", path)
        return _Part(partner, path, None)
    if partner is None and beside:
        raise DataError(
            f"has recordings, and none of the supervisions beside it ({beside[0].name}) is called like it "
            "(recordings_x.jsonl, supervisions_x.jsonl); rename them, or put the file in a folder of its own",
            path,
        )
    return _Part(path, partner, None)


def _stem(path: Path, kind: str) -> str:
    """What is left of a name without the kind and the suffixes: the same for files that belong together."""
    return path.name.removesuffix(".gz").removesuffix(".jsonl").replace(kind, "*", 1)


def _split(path: Path, kind: str, paths: Sequence[Path]) -> str:
    """The split that the end of a file's name says, or its beginning.

    Raises:
        DataError: none.
    """
    words = [word for word in re.split(r"[^a-z]+", _stem(path, kind).lower()) if word]
    split = next((SPLIT_NAMES[word] for word in reversed(words) if word in SPLIT_NAMES), None)
    if split is None:
        raise DataError(
            f"has several files of {kind} ({', '.join(each.name for each in paths[:3])}), and '{path.name}' does not "
            "end in train, dev or test; name one of them",
            path.parent,
        )
    return split


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
    spoken = [
        {**_supervision(one), **within}
        for one in objects_in(cut.get("supervisions"), place, f"supervisions of cut '{name}'")
        if (within := _within(one, start_s, duration_s, place)) is not None
    ]
    if not whole:
        mine["cut"] = "0"
        spoken.insert(0, {"start": start_s, "duration": duration_s})
    custom = _custom(cut)
    return [Row(place.line or 0, {**custom, **one, **mine}) for one in spoken or [{}]]


def _within(value: dict[str, Any], start_s: float, duration_s: float, place: Place) -> dict[str, float] | None:
    """Start and length of a supervision in its recording, as far as it lies in the cut; None: nowhere in it.

    A cut that was truncated keeps supervisions that begin before it, or end behind it.
    """
    begin_s = _seconds(value, "start", place, least=-MOST)
    end_s = min(begin_s + _seconds(value, "duration", place), duration_s)
    begin_s = max(begin_s, 0.0)
    return {"start": start_s + begin_s, "duration": end_s - begin_s} if begin_s <= end_s else None


def _supervision(value: dict[str, Any]) -> dict[str, Any]:
    kept = ("start", "duration", "text", "speaker", "language")
    channel = value.get("channel")
    found = {key: value[key] for key in kept if key in value}
    return {**found, **({"channel": channel} if isinstance(channel, int) else {}), **_custom(value)}


def _custom(value: dict[str, Any]) -> dict[str, Any]:
    return flat({"custom": value["custom"]}) if isinstance(value.get("custom"), dict) else {}


def _seconds(value: dict[str, Any], key: str, place: Place, least: float = 0.0) -> float:
    found = value.get(key)
    if not isinstance(found, int | float) or isinstance(found, bool) or not least <= found <= MOST:
        raise place.wrong(f"{key} {found!r} is not a number of seconds{'' if least else ', 0 or more'}")
    return float(found)


def _file(recording: dict[str, Any], place: Place) -> str:
    """The only file of a recording."""
    name = recording.get("id")
    changes = objects_in(recording.get("transforms"), place, f"transforms of recording '{name}'")
    if changes:
        what = ", ".join(str(change.get("name")) for change in changes)
        raise place.wrong(f"recording '{name}' is to be transformed ({what}); save what results (lhotse: save_audios)")
    sources = objects_in(recording.get("sources"), place, f"sources of recording '{name}'")
    if len(sources) != 1:
        raise place.wrong(f"recording '{name}' has {len(sources)} sources; join its channels in one file")
    if sources[0].get("type") != "file":
        kind = sources[0].get("type")
        raise place.wrong(f"recording '{name}' is a '{kind}', not a file; save it as a file (lhotse: save_audios)")
    return str(sources[0].get("source"))
