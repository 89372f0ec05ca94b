"""Label Studio exports (JSON): choices → labels, by annotator; regions with a label or a text → turns.

A task is a call. Its recording is looked for by the path in `/data/local-files/?d=…`, else by its file name, with or
without the eight characters that an upload puts in front. Cancelled annotations don't count, nor do predictions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from callsift.asr.transcripts.speakers import who_is
from callsift.data.importers.fields import plain
from callsift.data.importers.json_lines import json_value, objects_in
from callsift.data.importers.parts import (
    MOST,
    Faults,
    Imported,
    Place,
    Request,
    found_audio,
    read_label,
    read_split,
    winner,
)
from callsift.data.importers.said import turns_in
from callsift.errors import DataError, UsageError
from callsift.types import Call, Label, RaterLabel, Turn

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
_MAPPED = ("call_id", "audio", "text", "group", "split", "language")
_AUDIO_KEYS = ("audio", "wav", "recording", "audio_url", "url", "file")
_TEXT_KEYS = ("text", "transcript", "dialogue")


def import_label_studio(path: Path, request: Request) -> Imported:
    """The calls of an export in the format JSON (not JSON-MIN, which is a list of plain rows).

    `--map label=NAME`: the control (`from_name`) whose choices are the labels; others: keys of a task's `data`.

    Raises:
        DataError: no export, a task without a usable recording or text, several labels where one is wanted.
        UsageError: a mapping to what no task has.
    """
    tasks = json_value(path)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise DataError("is no Label Studio export: a list of tasks, each with 'data' and 'annotations'", path)
    faults = Faults(request.skip_bad)
    tasks = _whole(tasks, path, faults)
    keys = _keys(tasks, request)
    controls = sorted({str(part.get("from_name")) for task in tasks for _, part in _parts(task, "choices")})
    wanted = request.mapping.get("label")
    if wanted is not None and wanted not in controls:
        raise UsageError(f"--map label={wanted}: no choices of that name; there are {', '.join(controls) or 'none'}")
    if wanted is None and len(controls) > 1:
        raise DataError(f"has several choices ({', '.join(controls)}); say which is the label: --map label=NAME", path)
    wanted = wanted or next(iter(controls), None)
    reader = _TaskReader(path, request, keys, wanted)
    calls = []
    for at, task in enumerate(tasks, start=1):
        try:
            calls.append(reader.call(task, at))
        except DataError as error:
            faults.take(error)
    if not calls:
        first = f" ({faults.sentences[0]})" if faults.sentences else ""
        raise DataError(f"holds no tasks to import{first}", path)
    ids = [call.call_id for call in calls]
    twice = next((name for name in ids if ids.count(name) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        raise DataError(f"has two tasks with the id '{twice}'; map call_id to another key", path)
    used = {field: f"data.{key}" for field, key in keys.items()}
    used |= {"label": f"choices '{wanted}'", "rater": "completed_by"} if wanted else {}
    found = {f"data.{key}" for task in tasks for key in task["data"]} | {f"choices '{name}'" for name in controls}
    ties = sum(len(call.labels) > 1 and call.label is None for call in calls)
    notes = (f"{ties} calls of several annotators are left without one label, with all of their votes",) if ties else ()
    return Imported(tuple(calls), used, tuple(sorted(found - set(used.values()))), tuple(faults.sentences), notes)


def _keys(tasks: Sequence[Mapping[str, Any]], request: Request) -> dict[str, str]:
    """Field → key of `data`."""
    present = {key for task in tasks for key in task["data"]}
    found: dict[str, str] = {}
    for kind, names in (("audio", _AUDIO_KEYS), ("text", _TEXT_KEYS)):
        found.update([(kind, name) for name in names if name in present][:1])
    for field, key in request.mapping.items():
        if field == "label":
            continue
        if field not in _MAPPED:
            raise UsageError(f"--map {field}={key}: of Label Studio's tasks there are label, {', '.join(_MAPPED)}")
        if key not in present:
            raise UsageError(f"--map {field}={key}: no task has data '{key}'; there are {', '.join(sorted(present))}")
        found[field] = key
    return found


def _parts(task: Mapping[str, Any], kind: str) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """(annotation, part of its result) of one kind."""
    return [
        (annotation, part)
        for annotation in task.get("annotations") or ()
        if not annotation.get("was_cancelled")
        for part in annotation.get("result") or ()
        if part.get("type") == kind
    ]


def _whole(tasks: Sequence[Any], path: Path, faults: Faults) -> list[Mapping[str, Any]]:
    """The tasks that are built as tasks are."""
    found = []
    for at, task in enumerate(tasks, start=1):
        name = f"task {plain(task.get('id')) or at}: "
        place = Place(path)
        try:
            if not isinstance(task.get("data"), dict):
                raise place.wrong(f"{name}data must be a JSON object")
            for annotation in objects_in(task.get("annotations"), place, f"{name}annotations"):
                for part in objects_in(annotation.get("result"), place, f"{name}result"):
                    if not isinstance(part.get("value", {}), dict):
                        raise place.wrong(f"{name}value must be a JSON object, not {str(part['value'])[:60]}")
        except DataError as error:
            faults.take(error)
        else:
            found.append(task)
    return found


class _TaskReader:
    """One task → a call."""

    def __init__(self, path: Path, request: Request, keys: Mapping[str, str], control: str | None) -> None:
        self.path = path
        self.request = request
        self.keys = keys
        self.control = control

    def call(self, task: Mapping[str, Any], at: int) -> Call:
        name = plain(task.get("id")) or str(at)
        place = Place(self.path)
        told = {field: plain(task["data"].get(key)) or None for field, key in self.keys.items()}
        ratings = self._ratings(task, name, place)
        turns = self._turns(task, name, place) or turns_in(told.get("text") or "")
        audio = None if told.get("audio") is None else self._audio(str(told["audio"]), name, place)
        if audio is None and not turns:
            raise place.wrong(f"task {name} has neither audio nor text; map audio or text to a key of its data")
        split = told.get("split")
        return Call(
            told.get("call_id") or name,
            audio=audio,
            language=told.get("language"),
            group=told.get("group"),
            split=None if split is None else read_split(split, place, f"task {name}: split"),
            label=winner(ratings, self.request.votes) if ratings else None,
            labels=ratings,
            turns=turns,
        )

    def _ratings(self, task: Mapping[str, Any], name: str, place: Place) -> tuple[RaterLabel, ...]:
        found: dict[str, Label] = {}
        for annotation, part in _parts(task, "choices"):
            if part.get("from_name") != self.control:
                continue
            choices = (part.get("value") or {}).get("choices")
            label = read_label(choices, self.request.scheme, place, f"task {name}: choices")
            rater = _rater(annotation)
            if label is not None and found.setdefault(rater, label) != label:
                raise place.wrong(f"task {name} has two labels by annotator {rater}: '{found[rater]}' and '{label}'")
        return tuple(RaterLabel(rater, label) for rater, label in found.items())

    def _turns(self, task: Mapping[str, Any], name: str, place: Place) -> tuple[Turn, ...]:
        """The regions of the first annotation that has any, in time."""
        regions: dict[str, dict[str, Any]] = {}
        owner: Any = None
        for kind in ("labels", "textarea"):
            for annotation, part in _parts(task, kind):
                value = part.get("value") or {}
                if "start" not in value or "end" not in value:
                    continue
                owner = annotation if owner is None else owner
                if annotation is owner:
                    regions.setdefault(str(part.get("id")), {}).update(value)
        turns = [self._turn(value, name, place) for value in regions.values()]
        return tuple(sorted(turns, key=lambda turn: turn.start_s or 0.0))

    def _turn(self, value: Mapping[str, Any], name: str, place: Place) -> Turn:
        start_s, end_s = value["start"], value["end"]
        if not all(isinstance(time, int | float) for time in (start_s, end_s)) or not 0 <= start_s <= end_s <= MOST:
            raise place.wrong(f"task {name}: a region from {start_s!r} to {end_s!r} is no stretch of time in seconds")
        said = value.get("text") or ""
        text = " ".join(map(plain, said)) if isinstance(said, list) else plain(said)
        who = who_is(plain(next(iter(value.get("labels") or []), "")))
        return Turn(who.role, text, float(start_s), float(end_s), None, who.speaker)

    def _audio(self, url: str, name: str, place: Place) -> Path:
        root = self.request.audio_root or self.path.parent
        parts = urlsplit(url)
        local = parse_qs(parts.query).get("d", [""])[0]
        given = local or unquote(parts.path)
        file = PurePosixPath(given).name
        for candidate in (given.lstrip("/") if local else given, file, _UPLOADED.sub("", file)):
            if candidate and (root / candidate).is_file():
                return root / candidate
        return found_audio(file or url, root, place, f"task {name}: audio '{url}'; file")


def _rater(annotation: Mapping[str, Any]) -> str:
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    return plain(by) or f"annotation {annotation.get('id')}"
