"""Label Studio exports (JSON): choices or ratings → labels, by annotator; regions with a label or a text → turns.

A task is a call. A list of who says what (`[{"author": …, "text": …}, …]`, as of a dialogue) is its turns. A recording
is looked for by the longest end of its URL's path (of `/data/local-files/?d=…`, of what stands in `d`) that is a file,
at last by the file name without the eight characters that an upload puts in front. Cancelled annotations don't count,
nor do predictions.
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
_TEXT_KEYS = ("text", "transcript", "dialogue", "dialog", "conversation", "messages", "paragraphs")
_SPEAKER_KEYS = ("author", "speaker", "role", "name")
_GRADES = ("choices", "rating", "number")
"""Kinds of controls that give a label: the first that there is counts, unless one is named."""


def import_label_studio(path: Path, request: Request) -> Imported:
    """The calls of an export in the format JSON (not JSON-MIN, which is a list of plain rows).

    `--map label=NAME`: the control (`from_name`) whose choices, rating or number are labels; others: keys of `data`.

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
    kinds = _controls(tasks)
    wanted = _label_control(kinds, request, path)
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
    used |= {"label": f"{kinds[wanted]} '{wanted}'", "rater": "completed_by"} if wanted else {}
    found = {f"data.{key}" for task in tasks for key in task["data"]}
    found |= {f"{kind} '{name}'" for name, kind in kinds.items()}
    ties = sum(len(call.labels) > 1 and not isinstance(call.label, str | float) for call in calls)
    notes = (f"{ties} calls of several annotators are left without one grade, with all of their votes",) if ties else ()
    return Imported(tuple(calls), used, tuple(sorted(found - set(used.values()))), tuple(faults.sentences), notes)


def _controls(tasks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Control → its kind, of those that could give a label."""
    found = {str(part.get("from_name")): kind for kind in _GRADES for task in tasks for _, part in _parts(task, kind)}
    return dict(sorted(found.items()))


def _label_control(kinds: Mapping[str, str], request: Request, path: Path) -> str | None:
    """The control whose values are the labels.

    Raises:
        UsageError: the one that is asked for does not exist.
        DataError: several could be.
    """
    wanted = request.mapping.get("label")
    if request.raters:
        raise UsageError("--raters names columns, and Label Studio's tasks have none; its annotators are the graders")
    if wanted is not None and wanted not in kinds:
        raise UsageError(f"--map label={wanted}: no choices of that name; there are {', '.join(kinds) or 'none'}")
    if wanted is not None:
        return wanted
    for kind in _GRADES:
        names = [name for name, its in kinds.items() if its == kind]
        if len(names) > 1:
            raise DataError(f"has several {kind} ({', '.join(names)}); say which is the label: --map label=NAME", path)
        if names:
            return names[0]
    return None


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
        self.found: dict[Path, tuple[str, str]] = {}
        """Recording → the place its URL names, and the task."""

    def call(self, task: Mapping[str, Any], at: int) -> Call:
        name = plain(task.get("id")) or str(at)
        place = Place(self.path)
        said = task["data"].get(self.keys.get("text"))
        spoken = said if isinstance(said, list) else None
        told = {
            field: self._text(task, key, name, place)
            for field, key in self.keys.items()
            if spoken is None or field != "text"
        }
        ratings = self._ratings(task, name, place)
        turns = self._turns(task, name, place) or (
            turns_in(told.get("text") or "") if spoken is None else self._dialogue(spoken, name, place)
        )
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
            label=winner(ratings, self.request),
            labels=ratings,
            turns=turns,
        )

    def _text(self, task: Mapping[str, Any], key: str, name: str, place: Place) -> str | None:
        value = task["data"].get(key)
        if isinstance(value, list | dict):
            raise place.wrong(f"task {name}: data.{key} {str(value)[:60]} is neither a text nor a number")
        return plain(value) or None

    def _dialogue(self, said: Sequence[Any], name: str, place: Place) -> tuple[Turn, ...]:
        """The turns of a list of who says what."""
        found = []
        for at, one in enumerate(said):
            if not isinstance(one, dict) or not isinstance(one.get("text"), str):
                raise place.wrong(
                    f"task {name}: data.{self.keys['text']} is a list whose entry {at} is no {{author, text}}: "
                    f"{str(one)[:60]}"
                )
            who = who_is(plain(next((one[key] for key in _SPEAKER_KEYS if one.get(key)), "")))
            if one["text"].strip():
                found.append(Turn(who.role, plain(one["text"]), speaker=who.speaker))
        return tuple(found)

    def _ratings(self, task: Mapping[str, Any], name: str, place: Place) -> tuple[RaterLabel, ...]:
        found: dict[str, Label] = {}
        parts = [(kind, *both) for kind in _GRADES for both in _parts(task, kind)]
        for kind, annotation, part in parts:
            if part.get("from_name") != self.control:
                continue
            given = (part.get("value") or {}).get(kind)
            label = read_label(given, self.request.scheme, place, f"task {name}: {kind}")
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
        names = [part for part in PurePosixPath(given).parts if part not in ("/", "..")]
        file = names[-1] if names else ""
        longest_first = [str(PurePosixPath(*names[at:])) for at in range(len(names))]
        candidates = [*([] if local or parts.scheme else [given]), *longest_first, _UPLOADED.sub("", file)]
        path = next((root / each for each in candidates if each and self._is_file(root / each)), None)
        if path is None:
            path = found_audio(file or url, root, place, f"task {name}: audio '{url}'; file")
        meant = f"{parts.netloc}/{given}"
        before, task = self.found.setdefault(path.resolve(), (meant, name))
        if before != meant:
            raise place.wrong(
                f"task {name}: audio '{url}' and that of task {task} are both found as {path}; "
                "keep the folders of their paths under --audio-root"
            )
        return path

    @staticmethod
    def _is_file(path: Path) -> bool:
        try:
            return path.is_file()
        except (OSError, ValueError):
            return False


def _rater(annotation: Mapping[str, Any]) -> str:
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    return plain(by) or f"annotation {annotation.get('id')}"
