"""Every plug point on one screen: the protocols, and the tables that turn a name into a part.

A config says `asr: {name: pocketsphinx, options: {...}}`. The name is looked up in the built-in table, then
among the installed entry points of `callsift.<kind>`, then read as `package.module:attribute`. A part is
imported only when it is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol

from callsift.errors import ConfigError
from callsift.types import BoolArray, FloatArray, IntArray, Span


@dataclass(frozen=True, slots=True)
class AsrText:
    """What an engine heard in one stretch. `confidence` in [0, 1], None where the engine gives none."""

    start_s: float
    end_s: float
    text: str
    confidence: float | None = None


class AsrEngine(Protocol):
    """Speech recognition of one channel."""

    name: str
    languages: tuple[str, ...]

    def transcribe(
        self, samples: FloatArray, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        """Text of every span of speech in `samples` (T,); one entry per span, text empty where none is heard."""
        ...


class Runtime(Protocol):
    """The network as the scorer sees it: three operations on NumPy arrays (ONNX in bundles, torch in runs)."""

    widths: Mapping[str, int]
    """Streams that the network reads, and the width D of each one's states."""

    def encode(self, stream: str, values: FloatArray | IntArray, mask: BoolArray) -> tuple[FloatArray, BoolArray]:
        """(N, L, ...) and mask (N, L) → states (N, L', D) and their mask (N, L')."""
        ...

    def fuse(self, streams: Mapping[str, tuple[FloatArray, BoolArray, BoolArray]]) -> FloatArray:
        """Per stream states (N, L, D), mask (N, L), present (N,) → segment vectors (N, D)."""
        ...

    def call(self, vectors: FloatArray, mask: BoolArray) -> dict[str, FloatArray]:
        """Segment vectors (B, S, D), mask (B, S) → logits (B, K) of every task."""
        ...


BUILT_IN: dict[str, dict[str, str]] = {
    "asr": {"pocketsphinx": "callsift.asr.pocketsphinx:PocketsphinxEngine"},
}


def load(kind: str, name: str) -> Any:
    """The part called `name` of a kind (`asr`; others join the table as they come).

    Raises:
        ConfigError: nothing goes by that name; the message lists what does.
    """
    table = BUILT_IN[kind]
    if name in table:
        return _attribute(table[name])
    for point in entry_points(group=f"callsift.{kind}"):
        if point.name == name:
            return point.load()
    if ":" in name:
        return _attribute(name)
    raise ConfigError(
        f"{kind} '{name}' is not known. Built in: {', '.join(sorted(table))}. "
        f"Other parts are named by an installed entry point of 'callsift.{kind}' or as 'package.module:attribute'."
    )


def _attribute(target: str) -> Any:
    module_name, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"'{target}' can't be loaded: {error}") from error
