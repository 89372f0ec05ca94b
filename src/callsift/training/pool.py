"""The pool of calls without grades, and what must not be in it: calls that the model is judged by.

A pool that holds test or validation calls would teach the model the very calls that it is then judged by. A call is
taken for the same if it has the same id, group, recording (by name, link or content; one shared segment is enough), or
text of some length. Calls of the pool that are training calls already are left out: they have better labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from callsift.asr.transcripts import read_transcript
from callsift.canonical import sha256_of_json
from callsift.data.manifest import Manifest, call_row, manifest_file, read_manifest
from callsift.data.same_audio import files_of, same_audio
from callsift.errors import CallsiftError, DataError
from callsift.types import Call, Label, Segment

_LEAST_TEXT = 20
"""Characters from which on equal texts are one call; "Hello? Hello?" may be said in many."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Calls to get pseudo-labels, their own labels taken off. `truth`: these labels, for the report alone."""

    source: Path
    calls: tuple[Call, ...]
    truth: Mapping[str, Label]
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of what is known of the calls."""
        return sha256_of_json([call_row(call, Path("/")) for call in self.calls])


def read_pool(source: Path | None, data: Manifest) -> Pool:
    """The calls of a manifest, a prepared set or a folder of recordings; of None the calls of DATA without a label.

    Raises:
        DataError: nothing there, or a call that its own manifest keeps for validation or test.
        UsageError: a folder without recordings.
    """
    from callsift.scoring.sources import find_calls

    if source is None:
        calls = [call for call in data.calls if call.label is None and call.split in (None, "train")]
        if not calls:
            raise DataError("every call has a label; name a pool of calls without by --pool", data.path)
        return _without_labels(data.path, calls)
    file = manifest_file(source)
    if source.is_dir() and not file.is_file():
        return _without_labels(source, find_calls([str(source)]).calls)
    manifest = read_manifest(file)
    for call in manifest.calls:
        if call.split in ("val", "test") and file.resolve() != data.path.resolve():
            raise DataError(
                f"call '{call.call_id}' of the pool stands in split '{call.split}', which is kept to judge models by; "
                "take such calls out of the pool",
                manifest.path,
                manifest.lines[call.call_id],
            )
    return _without_labels(file, manifest.calls)


def checked_pool(pool: Pool, parts: Mapping[str, Sequence[Call]], *, chosen_here: bool) -> Pool:
    """The pool without calls that are trained on anyway.

    `parts`: the labelled calls of `train`, `val` and `test`. `chosen_here`: validation calls were not named by the data
    but drawn by callsift, so that nobody could keep them out of the pool: what overlaps with them is left out, too.

    Raises:
        DataError: a call of the pool overlaps with test or validation calls; nothing is left.
    """
    alike = _Alike([*pool.calls, *(call for calls in parts.values() for call in calls)])
    judged = ("test",) if chosen_here else ("test", "val")
    for part in judged:
        _refuse(pool, part, parts.get(part, ()), alike)
    drawn = alike.overlap(pool.calls, parts["val"]) if chosen_here else {}
    known = alike.copies(pool.calls, parts["train"])
    left = tuple(call for call in pool.calls if call.call_id not in drawn and call.call_id not in known)
    notes = list(pool.notes)
    if known:
        notes.append(f"{len(known)} calls of the pool are trained on with their own labels and left out of it")
    if drawn:
        notes.append(f"{len(drawn)} calls of the pool are left out: they overlap with the calls drawn for validation")
    if not left:
        raise DataError(f"none of {len(pool.calls)} calls of the pool is left ({'; '.join(notes)})", pool.source)
    return replace(pool, calls=left, truth={c.call_id: pool.truth[c.call_id] for c in left if c.call_id in pool.truth},
                   notes=tuple(notes))  # fmt: skip


def _refuse(pool: Pool, part: str, calls: Sequence[Call], alike: _Alike) -> None:
    found = alike.overlap(pool.calls, calls)
    if found:
        name, why = next(iter(found.items()))
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        what = "test" if part == "test" else "validation"
        raise DataError(
            f"call '{name}'{more} of the pool overlaps with the {what} calls: {why}; take it out", pool.source
        )


class _Alike:
    """What makes two calls the same. Files are compared by content, once for all calls."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._first = same_audio(path for call in calls for path in files_of(call))

    def overlap(self, pool: Sequence[Call], judged: Sequence[Call]) -> dict[str, str]:
        """Calls of the pool, by id, that share anything with others, and what."""
        marks = {mark: (what, call.call_id) for call in judged for what, mark in self._marks(call)}
        found = {}
        for call in pool if judged else ():
            for _, mark in self._marks(call):
                if mark in marks:
                    what, other = marks[mark]
                    found[call.call_id] = f"{what} of call '{other}'"
                    break
        return found

    def copies(self, pool: Sequence[Call], known: Sequence[Call]) -> set[str]:
        """Calls of the pool that are one of `known`: its id, all of its recordings, or its text."""
        marks = {mark for call in known for mark in self._whole(call)}
        return {call.call_id for call in pool if marks & set(self._whole(call))}

    def _marks(self, call: Call) -> Iterable[tuple[str, tuple[str, str]]]:
        yield "the call_id", ("id", call.call_id)
        if call.group is not None:
            yield f"group '{call.group}'", ("group", call.group)
        for path in files_of(call):
            yield f"the recording {path.name}", ("file", str(self._first[path]))
        if text := _text(call):
            yield "the text", ("text", text)

    def _whole(self, call: Call) -> Iterable[tuple[str, str]]:
        yield "id", call.call_id
        if files := files_of(call):
            yield "files", "\n".join(str(self._first[path]) for path in files)
        if text := _text(call):
            yield "text", text


def _text(call: Call) -> str:
    """What is said in a call, in one writing; empty where that is too little, or not known."""
    turns = [*call.turns, *(turn for segment in call.segments for turn in segment.turns)]
    if not turns and call.transcript is not None:
        try:
            turns = list(read_transcript(call.transcript))
        except CallsiftError:
            return ""  # a broken transcript is reported where the call is prepared
    text = "".join(c for turn in turns for c in turn.text.casefold() if c.isalnum())
    return text if len(text) >= _LEAST_TEXT else ""


def _without_labels(source: Path, calls: Sequence[Call]) -> Pool:
    bare = tuple(replace(call, label=None, labels=(), split=None, segments=_unlabelled(call)) for call in calls)
    return Pool(source, bare, {call.call_id: call.label for call in calls if call.label is not None})


def _unlabelled(call: Call) -> tuple[Segment, ...]:
    return tuple(replace(segment, label=None) for segment in call.segments)
