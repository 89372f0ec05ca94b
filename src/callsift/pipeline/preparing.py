"""Preparing many calls, each by a worker process: see `callsift.isolation`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callsift.config import FrontEnd
from callsift.pipeline import Pipeline, make_asr, make_diarizer
from callsift.pipeline.prepared_set import PreparedRow, Refused, row_or_refusal
from callsift.text.tokens import word_tokenizer
from callsift.types import Call


@dataclass(frozen=True, slots=True)
class PreparerSpec:
    """What a worker process needs to prepare calls for a prepared set."""

    front_end: FrontEnd
    asr: str | None = None
    diarizer: str | None = None
    measured: bool = False

    def make_worker(self) -> tuple[str, Callable[[Call], PreparedRow | Refused]]:
        """For `callsift.isolation`: the engine's name, and the function that prepares a call."""
        pipeline = Pipeline(self.front_end, word_tokenizer(), make_asr(self.asr), make_diarizer(self.diarizer))
        return pipeline.asr_name, self._worker(pipeline)

    def _worker(self, pipeline: Pipeline) -> Callable[[Call], PreparedRow | Refused]:
        return lambda call: row_or_refusal(pipeline.prepare, call, measured=self.measured)
