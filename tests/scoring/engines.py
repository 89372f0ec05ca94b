"""Engines that go wrong on purpose, named to the scorer as `module:attribute`."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from callsift.plugins import AsrText
from callsift.types import Signal, Span

LIMIT_S = 40.0


class Obedient:
    """Hears the same words everywhere; `wrong` is called first on recordings longer than `LIMIT_S`."""

    name = "obedient"
    model = ""
    languages: tuple[str, ...] = ("en",)

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        if samples.size / rate_hz > LIMIT_S:
            self.wrong()
        return tuple(AsrText(span.start_s, span.end_s, "yes please") for span in spans)

    def wrong(self) -> None:
        """Nothing is wrong with this one."""


class Crashing(Obedient):
    """Reads where nothing is, as a native library does."""

    def wrong(self) -> None:
        ctypes.string_at(0)


class Hanging(Obedient):
    """Never comes back, and lets no other thread of Python run."""

    def wrong(self) -> None:
        ctypes.PyDLL(None).sleep(10_000)


class Killed(Obedient):
    """Is ended by the system, as when memory runs out."""

    def wrong(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Slow(Obedient):
    """Takes its time, and writes down the length of what it hears in seconds."""

    def __init__(self, log: str, seconds: float) -> None:
        self.log, self.seconds = Path(log), seconds

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        with self.log.open("a") as file:
            file.write(f"{samples.size // rate_hz}\n")
        time.sleep(self.seconds)
        return super().transcribe(samples, rate_hz, spans, language)


class Failing(Obedient):
    """Raises."""

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        raise RuntimeError("the engine is out of order")


class Calling(Obedient):
    """Asks somebody else, over the network."""

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        with suppress(OSError):
            socket.create_connection(("192.0.2.1", 9), timeout=0.1)  # an address for documentation, RFC 5737
        return super().transcribe(samples, rate_hz, spans, language)
