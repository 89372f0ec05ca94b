"""Many calls, scored by worker processes that each hold the model.

A native library that crashes, hangs or eats the memory costs the call alone that it was working on; see
`callsift.isolation`. The process that hands out the calls never loads the model, so that it starts no later with
workers than it would without.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from callsift.bundle import load_bundle
from callsift.errors import ErrorCode
from callsift.isolation import Lost, Workers
from callsift.scoring.scorer import Scorer, printable
from callsift.types import Call, CallScore, ModelInfo

_ADVICE = {
    ErrorCode.TIMEOUT: "Allow more by --timeout, or convert the recording to WAV and score it again.",
    ErrorCode.CRASHED: "A library crashed on this call: convert the recording to WAV and score it again.",
    ErrorCode.OUT_OF_MEMORY: "Score it alone, with fewer --workers, or where there is more memory.",
    ErrorCode.INTERNAL: "Run with --debug for the traceback.",
}

BASE_LIMIT_S = 600.0
LIMIT_PER_AUDIO_S = 5.0
"""The default time limit of a call: slow recognition on a busy machine must not be taken for a hang."""

_THINNEST_BYTES_PER_S = 600.0
"""The bit rate of the thinnest telephone codec in files (AMR at 4.75 kbit/s, RFC 4867)."""

_WAV_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """What a worker process needs to make its own scorer."""

    bundle: Path
    asr: str | None = None
    threads: int | None = None
    diarizer: str | None = None
    redact: bool = False
    said: Mapping[str, str | int | None] = field(default_factory=dict)
    """What was said of the recordings (`channels`, `rate_hz`), which results depend on."""

    def make(self) -> Scorer:
        bundle = load_bundle(self.bundle)
        return Scorer.from_bundle(
            bundle, asr=self.asr, threads=self.threads, diarizer=self.diarizer, redact=self.redact, said=self.said
        )

    def make_worker(self) -> tuple[ScorerIdentity, Callable[..., CallScore]]:
        """Who scores, and the function that does: `Scorer.score`."""
        scorer = self.make()
        return ScorerIdentity(scorer.info, scorer.settings_sha256), scorer.score


@dataclass(frozen=True, slots=True)
class ScorerIdentity:
    """What a result says of where it is from."""

    info: ModelInfo
    settings_sha256: str


class BatchScorer:
    """Scores calls in worker processes; a context manager."""

    def __init__(self, spec: ScorerSpec, workers: int = 1, timeout_s: float | None = None, moments: int = 0) -> None:
        """`timeout_s`: how long a call may take; None: in proportion to its recording; 0: as long as it likes.

        `moments`: see `Scorer.score`.
        """
        if workers > 1:
            spec = replace(spec, threads=max(1, (os.cpu_count() or 1) // workers))
        self._limit_s = time_limit(timeout_s, moments)
        self._workers: Workers[ScorerIdentity, Call, CallScore] = Workers(partial(_worker, spec, moments), workers)

    def __enter__(self) -> BatchScorer:
        return self

    def __exit__(self, error: type[BaseException] | None, *rest: object) -> None:
        self._workers.__exit__(error, *rest)

    @property
    def identity(self) -> ScorerIdentity:
        """Model and settings, as the first worker to be ready gives them.

        Raises:
            CallsiftError: the bundle can't be loaded, the engine is not known, or no worker can be started.
        """
        return self._workers.about

    def score_all(self, calls: Iterable[Call]) -> Iterator[CallScore]:
        """Scores as they are ready, one per call.

        Raises:
            CallsiftError: as `identity`.
        """
        for call, found in self._workers.run(calls, self._limit_s):
            yield self._lost(call, found) if isinstance(found, Lost) else found

    def _lost(self, call: Call, lost: Lost) -> CallScore:
        return CallScore(
            call_id=call.call_id,
            path=None if call.audio is None else printable(call.audio),
            audio_sha256=None,
            duration_s=None,
            language=call.language,
            model=self.identity.info,
            settings_sha256=self.identity.settings_sha256,
            error=(lost.code, f"{lost.message}. {_ADVICE[lost.code]}"),
        )


def _worker(spec: ScorerSpec, moments: int) -> tuple[ScorerIdentity, Callable[[Call], CallScore]]:
    """For `callsift.isolation`: who scores, and the function that does."""
    identity, score = spec.make_worker()
    return identity, partial(score, moments=moments)


def time_limit(timeout_s: float | None, moments: int = 0) -> Callable[[Call], float | None]:
    """How long a call may take: in proportion to its recording (None), as long as it likes (0), or so many seconds.

    In proportion, every segment with moments counts as much as the call: it goes through the encoders dozens of times.
    """
    if timeout_s is not None:
        return lambda call: timeout_s or None
    return lambda call: (1 + moments) * default_limit_s(call)


def default_limit_s(call: Call) -> float:
    """How long a call may take where nobody said it: `BASE_LIMIT_S`, and more for every second it may last."""
    recordings = {path for path in (call.audio, *(segment.audio for segment in call.segments)) if path is not None}
    return BASE_LIMIT_S + LIMIT_PER_AUDIO_S * sum(map(_longest_s, recordings))


def _longest_s(path: Path) -> float:
    """How long a recording may last by its size: as a WAV header says, or in the thinnest of codecs."""
    try:
        if not path.is_file():  # reading from a pipe would wait for its other end
            return 0.0
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_WAV_HEAD_BYTES)
    except OSError:
        return 0.0  # that it can't be read is found out soon enough
    longest_s = size / _THINNEST_BYTES_PER_S
    at = head.find(b"fmt ")
    if head[:4] != b"RIFF" or at < 0:
        return longest_s
    bytes_per_s = int.from_bytes(head[at + 16 : at + 20], "little")  # nAvgBytesPerSec of WAVEFORMAT
    return min(longest_s, size / max(1, bytes_per_s))
