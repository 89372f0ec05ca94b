"""Many calls: in this process, or in several that each hold the model.

A worker that dies (a native library crashing on a file) costs that file alone: the calls in flight are
tried again one by one, and the one that kills its worker again is reported as `crashed`.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from callsift.bundle import load_bundle
from callsift.errors import ErrorCode
from callsift.scoring.scorer import Scorer
from callsift.types import Call, CallScore


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """What a worker process needs to make its own scorer."""

    bundle: Path
    asr: str | None = None
    threads: int | None = None

    def make(self) -> Scorer:
        return Scorer.from_bundle(load_bundle(self.bundle), asr=self.asr, threads=self.threads)


def score_all(spec: ScorerSpec, scorer: Scorer, calls: Sequence[Call], workers: int = 1) -> Iterator[CallScore]:
    """Scores as they are ready, one per call. `scorer` does the work itself when `workers` is 1."""
    if workers <= 1 or len(calls) <= 1:
        yield from map(scorer.score, calls)
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    spec = ScorerSpec(spec.bundle, spec.asr, threads)
    survivors: list[Call] = []
    yield from _pooled(spec, calls, workers, lost=survivors.append)
    for call in survivors:
        again = list(_pooled(spec, [call], 1, lost=lambda _: None))
        yield again[0] if again else _crashed(scorer, call)


_worker: Scorer | None = None


def _start(spec: ScorerSpec) -> None:
    global _worker  # noqa: PLW0603 - one scorer per worker process is the point
    _worker = spec.make()


def _score(call: Call) -> CallScore:
    assert _worker is not None
    return _worker.score(call)


def _pooled(spec: ScorerSpec, calls: Sequence[Call], workers: int, lost: Callable[[Call], None]) -> Iterator[CallScore]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(spec,)) as pool:
        waiting: dict[Future[CallScore], Call] = {pool.submit(_score, call): call for call in calls}
        for done in as_completed(waiting):
            try:
                result = done.result()
            except BrokenProcessPool:
                lost(waiting[done])
            else:
                yield result


def _crashed(scorer: Scorer, call: Call) -> CallScore:
    return CallScore(
        call_id=call.call_id,
        path=None if call.audio is None else str(call.audio),
        audio_sha256=None,
        duration_s=None,
        language=call.language,
        model=scorer.info,
        settings_sha256=scorer.settings_sha256,
        error=(ErrorCode.CRASHED, "a library crashed on this file; convert it to WAV and score it again"),
    )
