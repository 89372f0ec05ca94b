"""Where calls are worked on: in this process, or in several at once with every answer kept as it comes.

What is asked of a call is a function of a scorer and the call, and its answer plain JSON. So the answer is the same,
to the last digit, whether it was found here, by one of many processes, or before the evaluation was stopped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter

from callsift import __version__
from callsift.canonical import sha256_of_json
from callsift.config import FrontEnd
from callsift.decision import Calibration
from callsift.errors import NoRoomError, UsageError
from callsift.isolation import Workers
from callsift.labels import LabelScheme
from callsift.pipeline.call_files import as_read, stamps_of
from callsift.scoring.batch import time_limit
from callsift.scoring.output import ResultFile
from callsift.scoring.scorer import Scorer
from callsift.types import Call, ModelInfo, Target

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Passes items through and shows how far it is: items, how many there are, what is done with them."""
CALL: TypeAdapter[Call] = TypeAdapter(Call)
"""A call as JSON and back, times to the last digit."""


def silently(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    """The Progress that shows nothing."""
    return items


@dataclass(frozen=True, slots=True)
class Front:
    """Of a pipeline: its settings, and the engines that it uses."""

    front_end: FrontEnd
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """What has to be known of a scorer that is judged, wherever it is at work; named as in a `Scorer`."""

    scheme: LabelScheme
    calibration: Calibration
    target: Target
    info: ModelInfo
    settings_sha256: str
    pipeline: Front

    @classmethod
    def of(cls, scorer: Scorer) -> Subject:
        """That of a scorer in this process."""
        front = Front(scorer.pipeline.front_end, dict(scorer.pipeline.parts))
        return cls(scorer.scheme, scorer.calibration, scorer.target, scorer.info, scorer.settings_sha256, front)

    @property
    def sha256(self) -> str:
        """Hash of everything besides the call that an answer depends on."""
        scheme, calibration = self.scheme.model_dump(mode="json"), asdict(self.calibration)
        return sha256_of_json([__version__, self.info.sha256, self.settings_sha256, scheme, calibration])


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of a call: `work(scorer, call, *given)`, a function of a module, whose answer is plain JSON.

    An answer None, or one that names an `error`, is not kept. `moments`: in how many segments moments are looked for,
    by which it may take longer.
    """

    work: Callable[..., Any]
    call: Call
    given: tuple[Any, ...] = ()
    moments: int = 0

    def answer(self, scorer: Scorer) -> Any:
        """The answer as it will be read again."""
        return as_read(self.work(scorer, self.call, *self.given))

    @property
    def sha256(self) -> str:
        """Hash of what is asked: the call with its labels, its files by size and time of change, and what is given."""
        return sha256_of_json(as_read([CALL.dump_python(self.call, mode="json"), stamps_of(self.call), self.given]))


class Desk(Protocol):
    """Takes tasks, gives answers."""

    @property
    def subject(self) -> Subject:
        """Of the scorer that answers."""
        ...

    def answers(self, tasks: Sequence[Task], progress: Progress, what: str) -> Iterator[tuple[Task, Any]]:
        """Every task with its answer, in any order; with a `Lost` where a process did not live to give one."""
        ...


class InProcess:
    """A desk that works here, on one task after another, and keeps nothing."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.subject = Subject.of(scorer)

    def answers(self, tasks: Sequence[Task], progress: Progress, what: str) -> Iterator[tuple[Task, Any]]:
        for task in progress(tasks, len(tasks), what):
            yield task, task.answer(self._scorer)


def desk_of(scorer: Scorer | Desk) -> Desk:
    """The desk of a scorer in this process; a desk stays what it is."""
    return InProcess(scorer) if isinstance(scorer, Scorer) else scorer


class InProcesses:
    """A desk of several processes, each with a scorer; a context manager.

    All compute alike, with as many threads as one alone would, as figures may change in the last digit with these.
    """

    def __init__(self, make: Callable[[], Scorer], jobs: int = 1, timeout_s: float | None = None) -> None:
        """`make` travels by pickle. `timeout_s`: see `scoring.batch.time_limit`.

        Raises:
            CallsiftError: a process can't be started.
        """
        self._timeout_s = timeout_s
        self._kept_in: Path | None = None
        self._say: Callable[[str], None] | None = None
        self._workers: Workers[Subject, Task, Any] = Workers(partial(_worker, make), jobs)

    def __enter__(self) -> InProcesses:
        return self

    def __exit__(self, error: type[BaseException] | None, *rest: object) -> None:
        self._workers.__exit__(error, *rest)

    @property
    def subject(self) -> Subject:
        """Of the scorers, as the first process to be ready gives it.

        Raises:
            CallsiftError: as `make` does; or no process can be started.
        """
        return self._workers.about

    def keep_in(self, path: Path, say: Callable[[str], None]) -> None:
        """Keep answers from now on in files whose names begin as `path`; take up those that are there, and `say` so.

        Answers of another model, or by other settings, are in files of another name.
        """
        self._kept_in, self._say = path, say

    def forget(self) -> None:
        """What is made of the answers is written: none of them is needed any more, whatever model gave it."""
        if self._kept_in is not None:
            ours = re.compile(re.escape(self._kept_in.name) + r"-[a-z_]+-[0-9a-f]{16}\.jsonl")
            for path in self._kept_in.parent.iterdir():
                if ours.fullmatch(path.name):
                    path.unlink()

    def answers(self, tasks: Sequence[Task], progress: Progress, what: str) -> Iterator[tuple[Task, Any]]:
        if not tasks:
            return
        if self._kept_in is None:
            yield from self._found(tasks, progress, what)
            return
        asked = {task.call.call_id: task.sha256 for task in tasks}  # before a file may change under the work
        with closing(self._opened(self._kept_in, tasks, asked)) as file:
            done = {name: row["answer"] for name, row in file.done.items()}
            if done and self._say is not None:
                self._say(f"{what}: {len(done)} of {len(tasks)} were done before this was stopped")
            yield from ((task, done[task.call.call_id]) for task in tasks if task.call.call_id in done)
            left = [task for task in tasks if task.call.call_id not in done]
            for task, answer in self._found(left, progress, what):
                if isinstance(answer, dict) and answer.get("error") is None:
                    self._keep(file, task.call.call_id, {"asked": asked[task.call.call_id], "answer": answer})
                yield task, answer

    def _found(self, tasks: Sequence[Task], progress: Progress, what: str) -> Iterable[tuple[Task, Any]]:
        return progress(self._workers.run(tasks, self._limit_s), len(tasks), what)

    def _limit_s(self, task: Task) -> float | None:
        return time_limit(self._timeout_s, task.moments)(task.call)

    def _opened(self, path: Path, tasks: Sequence[Task], asked: Mapping[str, str]) -> ResultFile:
        """The file of one kind of tasks. `asked`: call id → hash of what is asked now."""
        name = f"{path.name}-{tasks[0].work.__name__}-{self.subject.sha256[:16]}.jsonl"
        try:
            return ResultFile(
                path.with_name(name),
                model=self.subject.info,
                settings_sha256=self.subject.settings_sha256,
                calls=[task.call for task in tasks],
                resume=True,
                same=lambda row, call: bool(row.get("asked") == asked[call.call_id]),
            )
        except OSError as error:
            raise _unwritten(path.parent, error) from error

    def _keep(self, file: ResultFile, call_id: str, found: Mapping[str, Any]) -> None:
        about = {"model": asdict(self.subject.info), "settings_sha256": self.subject.settings_sha256}
        try:
            file.add({"call_id": call_id, "path": None, "audio_sha256": None, "error": None, **about, **found})
        except UsageError as error:
            if isinstance(error.__cause__, OSError):
                raise _unwritten(file.path, error.__cause__) from error
            raise


def _unwritten(path: Path, error: OSError) -> UsageError:
    why = (error.strerror or str(error)).lower()
    return NoRoomError(f"{path} can't be written: {why}. Mend that, then give the same command again: it goes on.")


def _worker(make: Callable[[], Scorer]) -> tuple[Subject, Callable[[Task], Any]]:
    """For `callsift.isolation`: who answers, and the function that does."""
    scorer = make()
    return Subject.of(scorer), partial(_answered, scorer)


def _answered(scorer: Scorer, task: Task) -> Any:
    return task.answer(scorer)
