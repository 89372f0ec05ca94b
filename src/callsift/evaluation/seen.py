"""Which graded calls a model may know already: figures and thresholds on those would flatter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsift.bundle import Bundle
from callsift.data.manifest import read_manifest
from callsift.data.same_audio import files_of, same_audio
from callsift.errors import CallsiftError
from callsift.files import read_json, sha256_of_file
from callsift.types import Call


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model knows of the calls that it is asked about.

    `learnt`: ids of its training calls; None where no record of them is kept, and `note` says so. `related`: ids of new
    calls of groups (customers) that it learned from. `chosen_by`: whether some of the calls chose its epoch and fitted
    its calibration. `same_data`: of how many calls the manifest says that they are training calls, where it is the very
    one that a bundle was trained on; None where it is another.
    """

    learnt: tuple[str, ...] | None = ()
    note: str | None = None
    related: tuple[str, ...] = ()
    chosen_by: bool = False
    same_data: int | None = None

    def warnings(self, calls: int) -> Iterator[str]:
        """For people, a sentence each; none where all is as it should be."""
        if self.learnt:
            yield (
                f"WARNING: the run was trained on {len(self.learnt)} of these {calls} calls ('{self.learnt[0]}' is the "
                "first): the figures say what it remembers, not what it is worth"
            )
        if self.note is not None:
            yield f"WARNING: {self.note}" if self.same_data else self.note
        if self.related:
            yield (
                f"WARNING: {len(self.related)} of these {calls} calls ('{self.related[0]}' is the first) are new ones "
                "of groups that the run learned from: figures may be worse with customers that it has never heard"
            )
        if self.chosen_by:
            yield (
                "WARNING: among these calls are those that chose the run's epoch and fitted its calibration: its "
                "figures flatter; a test split would not"
            )


def seen_by_run(run: Path, calls: Sequence[Call]) -> Seen:
    """What a run knows of calls, by its own record."""
    learnt = seen_in_training(run, calls)
    known = {call.group for data in lineage(run) for call in _training_calls(data) if call.group is not None}
    chosen = set(_split(next(lineage(run), {}), "val"))
    return Seen(
        tuple(learnt),
        related=tuple(call.call_id for call in calls if call.group in known and call.call_id not in set(learnt)),
        chosen_by=any(call.call_id in chosen for call in calls),
    )


def seen_by_bundle(bundle: Bundle, manifest: Path, calls: Sequence[Call]) -> Seen:
    """What can be said of a bundle, which knows by its provenance on what manifest it was trained, but not on which
    calls of it."""
    note = "a bundle keeps no record of the calls that it was trained on, so whether these are among them is not known"
    if bundle.provenance.get("data_sha256") != sha256_of_file(manifest):
        return Seen(None, note)
    count = sum(call.split == "train" for call in calls)
    which = f"{count} of the {len(calls)} calls asked about are of its training part"
    if all(call.split is None for call in calls):
        count, which = len(calls), f"which of these {len(calls)} calls it learned from, the data do not say"
    return Seen(None, f"these are the very data that the bundle was trained on; {which}", same_data=count)


def lineage(run: Path) -> Iterator[dict[str, Any]]:
    """What a run's `data.json` says, and those of the runs that it started from, as far as they are there."""
    been: set[Path] = set()
    while run.resolve() not in been and (run / "data.json").is_file():
        been.add(run.resolve())
        yield (data := read_json(run / "data.json"))
        if not data.get("started_from"):
            return
        run = Path(data["started_from"]["run"])


def learnt_by(run: Path) -> frozenset[str]:
    """Ids of the calls that a run learned from, and those of the runs that it started from."""
    return frozenset(call for data in lineage(run) for call in _split(data, "train"))


def seen_in_training(run: Path, calls: Sequence[Call]) -> list[str]:
    """Ids of the calls that were training calls of a run: by their id, or by a recording of the same content.

    Those of the run that it started from count too. Recordings are compared where a run's manifest is still there, as
    it was.
    """
    learnt = learnt_by(run)
    paths = [path for data in lineage(run) for call in _training_calls(data) for path in files_of(call)]
    first = same_audio([*paths, *(path for call in calls for path in files_of(call))])
    heard = {first[path] for path in paths}
    return [
        call.call_id for call in calls if call.call_id in learnt or any(first[path] in heard for path in files_of(call))
    ]


def _split(data: dict[str, Any], name: str) -> list[str]:
    """The calls of one part; none of an old run that does not tell."""
    return [str(call) for call in data.get("splits", {}).get(name, ())]


def _training_calls(data: dict[str, Any]) -> list[Call]:
    """The calls that were learned from, as their manifest has them; none where it is gone or has changed."""
    names = frozenset(_split(data, "train"))
    try:
        manifest = Path(data["manifest"])
        if sha256_of_file(manifest) != data["sha256"]:
            return []
        return [call for call in read_manifest(manifest).calls if call.call_id in names]
    except (KeyError, OSError, CallsiftError):
        return []
