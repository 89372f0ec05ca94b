"""Engines that go wrong on purpose, named to the scorer as `module:attribute`."""

from __future__ import annotations

import os
from collections.abc import Sequence

from callsift.plugins import AsrText
from callsift.types import FloatArray, Span

LIMIT_S = 40.0


class Crashing:
    """Ends its process, as a native library does, on recordings longer than `LIMIT_S`."""

    name = "crashing"
    languages: tuple[str, ...] = ("en",)

    def transcribe(
        self, samples: FloatArray, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        if len(samples) / rate_hz > LIMIT_S:
            os._exit(3)
        return tuple(AsrText(span.start_s, span.end_s, "yes please") for span in spans)


class Failing(Crashing):
    """Raises."""

    name = "failing"

    def transcribe(
        self, samples: FloatArray, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        raise RuntimeError("the engine is out of order")
