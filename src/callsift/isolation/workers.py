"""The parent's side: worker processes, who of them holds which item, and until when."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Pipe, wait
from typing import Any, Generic, TypeVar

from callsift.errors import CallsiftError, ErrorCode
from callsift.isolation.lost import Lost

About = TypeVar("About")
Item = TypeVar("Item")
Result = TypeVar("Result")

START_LIMIT_S = 600.0
"""A worker that is not ready after this long, imports and models loaded, is taken to hang."""

_END_LIMIT_S = 2.0
_LOOK_EVERY_S = 1.0
_BOOT = (
    "import sys; from multiprocessing.connection import Connection; pipe = Connection(int(sys.argv[1])); "
    "sys.path[:] = pipe.recv(); from callsift.isolation.serving import serve; serve(pipe)"
)

logger = logging.getLogger(__name__)


class Workers(Generic[About, Item, Result]):
    """Worker processes; a context manager that leaves none behind. Belongs to the thread that made it."""

    def __init__(self, make: Callable[[], tuple[About, Callable[[Item], Result]]], count: int = 1) -> None:
        """`make` runs once in every worker: what to know about it, and the function that does the work.

        `make`, items and results travel by pickle; `make` must be importable, so not of `__main__`.

        Raises:
            CallsiftError: as `make` does; or a worker can't be started.
        """
        self._make = make
        self._count = count
        self._workers: list[_Worker] = []
        self._about: About | None = None
        self._start_one()

    def __enter__(self) -> Workers[About, Item, Result]:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._end(at_once=error is not None)

    @property
    def about(self) -> About:
        """What `make` gave to be known about a worker; waits for the first one.

        Raises:
            CallsiftError: as `make` does; or the worker can't be started.
        """
        while self._about is None:
            self._look()
        return self._about

    def run(
        self, items: Iterable[Item], limit_s: Callable[[Item], float | None]
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """Every item with its result, in the order in which they are done; those tried again come last.

        Closing the iterator early kills the workers. `limit_s`: seconds an item may take, None for no limit.

        Raises:
            CallsiftError: workers can't be started any more.
        """
        again: list[Item] = []
        try:
            yield from self._round(deque(items), limit_s, self._count, again)
            for item in again:
                self._end(at_once=True)
                yield from self._round(deque([item]), limit_s, 1, None)
        except BaseException:
            self._end(at_once=True)
            raise

    def _round(
        self, left: deque[Item], limit_s: Callable[[Item], float | None], count: int, again: list[Item] | None
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """Work through `left` with up to `count` workers; what deserves a second try goes to `again`, if given."""
        while left or any(worker.busy for worker in self._workers):
            while len(self._workers) < min(count, self._count) and self._free < len(left):
                self._start_one()
            for worker in self._workers:
                if left and worker.ready and not worker.busy:
                    item = left.popleft()
                    worker.give(item, limit_s(item))
            for worker, answer in self._look():
                item = worker.item
                worker.item, worker.busy = None, False
                if isinstance(answer, Lost) and again is not None and worker.may_blame_others(answer):
                    again.append(item)
                else:
                    worker.done += 1
                    yield item, answer

    @property
    def _free(self) -> int:
        """Workers that hold no item, those that are starting included."""
        return sum(not worker.busy for worker in self._workers)

    def _start_one(self) -> None:
        self._workers.append(_Worker(self._make))

    def _look(self) -> list[tuple[_Worker, Any]]:
        """Wait for news, and give the answers that came, with their workers. The dead are buried."""
        now = time.monotonic()
        soonest = min((worker.deadline for worker in self._workers), default=now)
        wait([worker.pipe for worker in self._workers], timeout=max(0.0, min(soonest - now, _LOOK_EVERY_S)))
        answers = []
        for worker in tuple(self._workers):
            news = worker.news()
            if news is None:
                continue
            kind, value = news
            if kind == "dead":
                self._workers.remove(worker)
                worker.kill()
                if not worker.ready:
                    self._not_started(value)
            elif kind == "failed":
                raise value
            elif kind == "ready":
                self._about = value
            if worker.busy:
                answers.append((worker, value))
        return answers

    def _not_started(self, why: Lost) -> None:
        """Go on with one worker less, if there is another."""
        self._count -= 1
        if self._count < 1 or self._about is None:
            raise CallsiftError(f"a worker process can't be started: {why.message}")
        logger.warning("a worker process can't be started: %s. Going on with %d.", why.message, self._count)

    def _end(self, *, at_once: bool) -> None:
        """End all workers; those that are idle by themselves, unless `at_once`."""
        ending, self._workers = self._workers, []
        for worker in ending:
            worker.pipe.close()
        for worker in ending:
            if not at_once and worker.ready and not worker.busy:
                with suppress(subprocess.TimeoutExpired):
                    worker.process.wait(_END_LIMIT_S)
            worker.kill()


class _Worker:
    """One process, the pipe to it, and the item that it holds."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.item: Any = None
        self.ready = self.busy = False
        self.done = 0
        self._begin(START_LIMIT_S)
        self.pipe, theirs = Pipe()
        with theirs:
            # A process group of its own, so that it can be killed with its children and Ctrl-C does not reach it;
            # what native code prints must not mix with results on stdout.
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        with suppress(OSError):  # dead already: the pipe will say so
            self.pipe.send(sys.path)
            self.pipe.send((os.getpid(), logging.getLogger().level))
            self.pipe.send_bytes(pickle.dumps(make))

    def give(self, item: Any, limit_s: float | None) -> None:
        self.item, self.busy = item, True
        self._begin(limit_s)
        with suppress(OSError):
            self.pipe.send(item)

    def _begin(self, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self.deadline = float("inf") if limit_s is None else time.monotonic() + limit_s

    def news(self) -> tuple[str, Any] | None:
        """What the worker sent, or ("dead", Lost) where it died or has overrun its time; None: nothing yet."""
        try:
            # An answer counts even where the worker is dead, or over its time, by the moment it is read.
            if self.pipe.poll():
                kind, value = self.pipe.recv()
                self.ready, self.deadline = True, float("inf")
                return kind, value
        except (EOFError, OSError):
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_LIMIT_S)
            return "dead", self._why_dead()
        if self.process.poll() is not None:
            return "dead", self._why_dead()
        if time.monotonic() > self.deadline:
            return "dead", Lost(ErrorCode.TIMEOUT, f"not done within {self._limit_s:g} s")
        return None

    def _why_dead(self) -> Lost:
        code = self.process.poll()
        if code == -signal.SIGKILL:
            return Lost(ErrorCode.OUT_OF_MEMORY, "its process was killed, most likely for lack of memory")
        if code is not None and code < 0:
            return Lost(ErrorCode.CRASHED, f"its process was ended by {_signal_name(-code)}")
        return Lost(ErrorCode.CRASHED, "its process ended" + ("" if code is None else f" with exit code {code}"))

    def may_blame_others(self, lost: Lost) -> bool:
        """Whether what other items left behind, or use at the same time, may have caused a loss."""
        return lost.code == ErrorCode.OUT_OF_MEMORY or (lost.code == ErrorCode.CRASHED and self.done > 0)

    def kill(self) -> None:
        """End the process and its children now. One that waits for a dead disk can't be waited for in turn."""
        self.pipe.close()
        with suppress(ProcessLookupError, PermissionError):  # no process of the group is left
            os.killpg(self.process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_END_LIMIT_S)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
