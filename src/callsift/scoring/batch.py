"""Many calls: in this process, or in several that each hold the model.

A worker that dies (a native library crashing on a file) costs that file alone: the calls in flight are
tried again one by one, and the one that kills its worker again is reported as `crashed`.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from callsift.bundle import load_bundle
from callsift.errors import ErrorCode
from callsift.scoring.scorer import Scorer, printable
from callsift.types import Call, CallScore


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """What a worker process needs to make its own scorer."""

    bundle: Path
    asr: str | None = None
    threads: int | None = None
    channels: str | None = None
    """`--channels`, which results depend on."""

    def make(self) -> Scorer:
        bundle = load_bundle(self.bundle)
        return Scorer.from_bundle(bundle, asr=self.asr, threads=self.threads, channels=self.channels)


def score_all(spec: ScorerSpec, scorer: Scorer, calls: Sequence[Call], workers: int = 1) -> Iterator[CallScore]:
    """Scores as they are ready, one per call. `scorer` does the work itself when `workers` is 1."""
    if workers <= 1 or len(calls) <= 1:
        yield from map(scorer.score, calls)
        return
    spec = replace(spec, threads=max(1, (os.cpu_count() or 1) // workers))
    left = deque(calls)
    while left:
        lost: list[Call] = []
        yield from _pooled(spec, left, workers, lost)
        for call in lost:
            again = list(_pooled(spec, deque([call]), 1, []))
            yield again[0] if again else _crashed(scorer, call)


_worker: Scorer | None = None


def _start(spec: ScorerSpec) -> None:
    global _worker  # noqa: PLW0603 - one scorer per worker process is the point
    _worker = spec.make()


def _score(call: Call) -> CallScore:
    assert _worker is not None
    return _worker.score(call)


def _pooled(spec: ScorerSpec, left: deque[Call], workers: int, lost: list[Call]) -> Iterator[CallScore]:
    """Take calls from `left` until none is left or a worker dies; the calls then under way go to `lost`."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(spec,))
    waiting: dict[Future[CallScore], Call] = {}
    try:
        while left or waiting:
            while left and len(waiting) < 2 * workers:
                call = left.popleft()
                waiting[pool.submit(_score, call)] = call
            ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for done in ready:
                result = done.result()
                del waiting[done]
                yield result
    except BrokenProcessPool:
        for future, call in waiting.items():
            if future.done() and future.exception() is None:
                yield future.result()
            else:
                lost.append(call)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _crashed(scorer: Scorer, call: Call) -> CallScore:
    return CallScore(
        call_id=call.call_id,
        path=None if call.audio is None else printable(call.audio),
        audio_sha256=None,
        duration_s=None,
        language=call.language,
        model=scorer.info,
        settings_sha256=scorer.settings_sha256,
        error=(ErrorCode.CRASHED, "a library crashed on this file; convert it to WAV and score it again"),
    )
