"""What a training of a study is made from and what it answered, without making it: no torch is needed for this."""

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
from callsift.training.studies.plan import Job, Study, divided, labelled, trimmed
from callsift.types import Call

ANSWER = "answer.json"
ITEM = ("call_id", "segment_id", "group", "label", "said")


@dataclass(frozen=True, slots=True)
class Item:
    """What was answered of one call or segment: the probability of every grade, or the number."""

    call_id: str
    segment_id: str
    group: str
    label: str
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
    asked = {name: tuple(Item(*row) for row in rows) for name, rows in found.pop("asked").items()}
    return Answer(tuple(Item(*row) for row in found.pop("items")), asked, found)


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
    """The calls of other sets that a job answers: none whose group, or id, it has learned from or chosen by."""
    seen = {owner_of(call) for call in own if call.split != "test"}
    every = {owner_of(call) for call in own}
    first = job.fold in (0, study.design.asked[0])
    return {
        name: tuple(
            call for call in study.sets[name] if owner_of(call) not in seen and (owner_of(call) in every or first)
        )
        for name in job.row.asks
    }


class Fingerprints:
    """What each training of a study is made from, hashed; rows that learn from the same calls hash them once."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._calls: dict[tuple[Any, ...], str] = {}

    def of(self, job: Job) -> str:
        """The hash of a training's settings, calls and parts.

        Raises:
            UsageError, DataError: the calls can't be divided so.
        """
        share = job.row.config.fit.validation
        key = (job.row.data, job.row.asks, job.row.train_calls, job.row.config.target, share, job.fold, job.seed)
        if key not in self._calls:
            root, calls = Path("/"), calls_of(self.study, job)
            asked = asked_of(self.study, job, calls)
            rows = [[call_row(call, root) for call in each] for each in (calls, *asked.values())]
            self._calls[key] = sha256_of_json([rows, list(asked)])
        settings = configured(job).model_dump(mode="json")
        return sha256_of_json([settings, self._calls[key], self.study.asr, self.study.diarizer])

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


def owner_of(call: Call) -> str:
    """What a call belongs to: its group, else itself."""
    return call.group or call.call_id
