"""What a training of a study is made from, and what it answered, without making it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsift.canonical import sha256_of_json
from callsift.config import TrainConfig
from callsift.data.manifest import call_row
from callsift.errors import UsageError
from callsift.files import read_json
from callsift.labels import load_scheme
from callsift.training.studies.plan import Job, Study, divided, labelled, learned_before, trimmed
from callsift.types import Call, Label

ANSWER = "answer.json"
ITEM = ("call_id", "segment_id", "group", "label", "said")


@dataclass(frozen=True, slots=True)
class Item:
    """What was answered of one call or segment: the probability of every grade, or the number.

    `group`: what the call belongs to (`callsift.training.studies.plan.owners_of`).
    """

    call_id: str
    segment_id: str
    group: str
    label: Label
    said: Mapping[str, float] | float

    @property
    def name(self) -> tuple[str, str]:
        """What the item is called in every training."""
        return self.call_id, self.segment_id


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished training: answers to its test calls, and to the calls of other sets; and what it took."""

    items: tuple[Item, ...]
    asked: Mapping[str, tuple[Item, ...]]
    about: Mapping[str, Any]


def read_answer(folder: Path) -> Answer | None:
    """What a training answered; None where it is not done."""
    if not (folder / ANSWER).is_file():
        return None
    found = read_json(folder / ANSWER)
    asked = {name: tuple(map(_item, rows)) for name, rows in found.pop("asked").items()}
    return Answer(tuple(map(_item, found.pop("items"))), asked, found)


def _item(row: Sequence[Any]) -> Item:
    call_id, segment_id, group, label, said = row
    return Item(call_id, segment_id, group, tuple(label) if isinstance(label, list) else label, said)


def configured(job: Job) -> TrainConfig:
    """The row's configuration with the job's seed."""
    return job.row.config.model_copy(update={"fit": job.row.config.fit.model_copy(update={"seed": job.seed})})


def calls_of(study: Study, job: Job) -> tuple[Call, ...]:
    """The calls of a job, each with its split."""
    config = job.row.config
    calls = divided(
        labelled(study.sets[job.row.data], config.target), study.design, job.fold, job.seed, config.fit.validation
    )
    return calls if job.row.train_calls is None else trimmed(calls, job.row.train_calls, job.fold, job.seed)


def asked_of(study: Study, job: Job, own: Sequence[Call]) -> dict[str, tuple[Call, ...]]:
    """The calls of other sets that a job answers: none whose group or recording it has learned from or chosen by."""
    home = study.owners[job.row.data]
    seen = {home[call.call_id] for call in own if call.split != "test"}
    every = {home[call.call_id] for call in own}
    first = job.fold in (0, study.design.asked[0])
    found = {}
    for name in job.row.asks:
        theirs = study.owners[name]
        apart = [call for call in study.sets[name] if theirs[call.call_id] not in seen]
        found[name] = tuple(call for call in apart if first or theirs[call.call_id] in every)
    return found


class Fingerprints:
    """What each training of a study is made from, hashed; rows that learn from the same calls hash them once.

    Of recordings and transcripts the size and time of change count, of arrays the content, of pretrained encoders the
    weights themselves.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._calls: dict[tuple[Any, ...], str] = {}
        self._heard: dict[tuple[str, str], str] = {}
        self._first: dict[tuple[Any, ...], str] = {}
        self._encoders: dict[str, Mapping[str, Any]] = {}

    def of(self, job: Job) -> str:
        """The hash of a training's settings, calls with their files, and parts.

        Raises:
            UsageError, DataError: the calls can't be divided so.
            ConfigError: a pretrained encoder can't be loaded.
            RecordingError: a file is there no more.
        """
        share = job.row.config.fit.validation
        key = (job.row.data, job.row.asks, job.row.train_calls, job.row.config.target, share, job.fold, job.seed)
        if key not in self._calls:
            calls = calls_of(self.study, job)
            given = {job.row.data: calls, **asked_of(self.study, job, calls)}
            self._calls[key] = sha256_of_json([[name, *(self._call(name, call) for call in each)]
                                               for name, each in given.items()])  # fmt: skip
        config = configured(job)
        before = [] if job.row.before is None else [self._before(job)]
        parts = [self._encoders_of(config), self.study.asr, self.study.diarizer]
        return sha256_of_json([config.model_dump(mode="json"), self._calls[key], *parts, *before])

    def _before(self, job: Job) -> str:
        """The hash of what the job learns first."""
        from callsift.training.material import call_key

        assert job.row.before is not None
        calls = calls_of(self.study, job)
        key = (job.row.name, tuple(call.split for call in calls))
        if key not in self._first:
            first = [[call_row(call, Path("/")), call_key(call)] for call in learned_before(job.row.before, calls)]
            self._first[key] = sha256_of_json([job.row.before.config.model_dump(mode="json"), first])
        return self._first[key]

    def _call(self, name: str, call: Call) -> list[Any]:
        """A call as the training gets it: its line, its files as they are now, and what it belongs to."""
        from callsift.training.material import call_key

        if (name, call.call_id) not in self._heard:
            self._heard[name, call.call_id] = call_key(call)
        return [call_row(call, Path("/")), self._heard[name, call.call_id], self.study.owners[name][call.call_id]]

    def _encoders_of(self, config: TrainConfig) -> Mapping[str, Any]:
        """The fingerprints of the pretrained encoders, worked out once."""
        if not any(config.network.encoder(stream).pretrained for stream in config.network.streams):
            return {}
        from callsift.training.assemble import encoders_used, make_network

        network = config.network.model_dump(mode="json", include={"streams", "encoders"})
        key = sha256_of_json(network)
        if key not in self._encoders:
            self._encoders[key] = encoders_used(make_network(config, load_scheme(config.labels)), config)
        return self._encoders[key]

    def done(self, job: Job) -> bool:
        """Whether a training's answers are there.

        Raises:
            UsageError: they were made from something else, or the calls can't be divided so.
        """
        folder = self.study.folder_of(job)
        if not (folder / ANSWER).is_file():
            return False
        if read_json(folder / ANSWER)["made_from"] != self.of(job):
            raise UsageError(f"{folder} was made with other settings, data or parts; name another folder, or remove it")
        return True
