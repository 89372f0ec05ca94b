"""Where the trials of a search run: in this process, one after the other, or in several processes at once.

The study is written by one process alone; the others report to it through pipes, and end when it ends.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any, Protocol

from callsift.errors import CallsiftError, UsageError
from callsift.training.examples import Progress
from callsift.training.material import Material
from callsift.training.search_trial import Outcome, Task, run_task

Report = Callable[[int, int, float], bool]
"""(trial, epoch, figure) → whether the trial is worth going on with."""


class Workers(Protocol):
    """What trains."""

    @property
    def free(self) -> bool:
        """Whether a task can be started."""

    @property
    def busy(self) -> bool:
        """Whether a task is being worked on."""

    def start(self, task: Task) -> None:
        """Take a task."""

    def step(self, report: Report) -> list[tuple[int, Outcome]]:
        """Wait until something happens; the trials that have ended."""


@contextmanager
def workers(jobs: int, progress: Progress) -> Iterator[Workers]:
    """One worker in this process, or `jobs` processes, which are ended on leaving."""
    if jobs == 1:
        yield _Here(progress)
        return
    processes = _Processes(jobs)
    try:
        yield processes
    finally:
        processes.end()


class _Here:
    """One task after the other in this process."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._material = Material()
        self._task: Task | None = None

    @property
    def free(self) -> bool:
        return self._task is None

    @property
    def busy(self) -> bool:
        return self._task is not None

    def start(self, task: Task) -> None:
        self._task = task

    def step(self, report: Report) -> list[tuple[int, Outcome]]:
        task, self._task = self._task, None
        assert task is not None
        outcome = run_task(
            task, lambda epoch, figure: report(task.number, epoch, figure), self._material, self._progress
        )
        return [(task.number, outcome)]


class _Processes:
    """Processes that keep their prepared calls from task to task."""

    def __init__(self, jobs: int) -> None:
        self._context = get_context("spawn")
        self._idle: list[tuple[Any, Connection]] = [self._process() for _ in range(jobs)]
        self._at_work: dict[Connection, tuple[Any, int]] = {}

    @property
    def free(self) -> bool:
        return bool(self._idle)

    @property
    def busy(self) -> bool:
        return bool(self._at_work)

    def start(self, task: Task) -> None:
        process, connection = self._idle.pop()
        try:
            connection.send(task)
        except OSError:  # it was killed while it had nothing to do
            connection.close()
            process.join()
            process, connection = self._process()
            connection.send(task)
        self._at_work[connection] = (process, task.number)

    def step(self, report: Report) -> list[tuple[int, Outcome]]:
        ended = []
        for connection in wait(list(self._at_work)):
            assert isinstance(connection, Connection)
            process, number = self._at_work[connection]
            try:
                what, *said = connection.recv()
                if what == "epoch":
                    connection.send(report(number, *said))
                    continue
            except (EOFError, OSError):  # killed from outside, likely for its memory
                process.join()
                ended.append((number, Outcome("failed", reason=f"its process ended with code {process.exitcode}")))
                self._idle.append(self._process())
            else:
                if what == "error":
                    raise UsageError(f"trial {number}: {said[0]}")
                ended.append((number, said[0]))
                self._idle.append((process, connection))
            del self._at_work[connection]
        return ended

    def end(self) -> None:
        for process, connection in (*self._idle, *((p, c) for c, (p, _) in self._at_work.items())):
            process.terminate()
            connection.close()
            process.join()

    def _process(self) -> tuple[Any, Connection]:
        here, there = self._context.Pipe()
        process = self._context.Process(target=_work, args=(there,))
        process.start()
        there.close()
        return process, here


def _work(connection: Connection) -> None:
    """Train what comes through the pipe, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    Thread(target=_end_with_parent, daemon=True).start()
    material = Material()

    def report(epoch: int, figure: float) -> bool:
        connection.send(("epoch", epoch, figure))
        return bool(connection.recv())

    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            connection.send(("end", run_task(task, report, material, lambda calls, total, what: calls)))
        except CallsiftError as error:
            connection.send(("error", str(error)))
        except Exception:
            connection.send(("error", traceback.format_exc()))


def _end_with_parent() -> None:
    """A parent that was killed can't end its workers: they would train on, and hold the trial's folder."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
