"""Every plug point on one screen: the protocols, and the tables that turn a name into a part.

A part is asked for by a specification, `NAME` or `NAME,key=value`. The name is looked up in the built-in table, then
among the installed entry points of `callsift.<kind>`, then read as `package.module:attribute`. A part is
imported only when it is chosen.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol

import yaml

from callsift.errors import ConfigError
from callsift.types import BoolArray, FloatArray, IntArray, Signal, Span


@dataclass(frozen=True, slots=True)
class AsrText:
    """What an engine heard in one stretch. `confidence` in [0, 1], None where the engine gives none."""

    start_s: float
    end_s: float
    text: str
    confidence: float | None = None


class AsrEngine(Protocol):
    """Speech recognition of one channel. Made with the options of its specification as keyword arguments."""

    name: str
    """As in the table below."""
    model: str
    """Which model does the work, in short; '' where there is only one."""
    languages: tuple[str, ...]
    """Two-letter codes; empty: whatever the model knows."""

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        """Text of every span of speech in `samples` (T,); one entry per span, text empty where none is heard.

        Raises:
            RecordingError: `asr_failed`, `timeout`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who speaks when in one channel: per speaker, in order of first speech, the spans (in order, disjoint).

    `confidence` in [0, 1]: how far the speakers' voices lie apart.
    """

    speakers: tuple[tuple[Span, ...], ...]
    confidence: float


class Diarizer(Protocol):
    """Tells speakers of one channel apart. Made with the options of its specification as keyword arguments."""

    name: str

    def diarize(self, samples: Signal, rate_hz: int, speech: Sequence[Span]) -> Diarization:
        """Speakers of the speech in `samples` (T,): one, where no second voice is heard."""
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
    "asr": {
        "pocketsphinx": "callsift.asr.pocketsphinx:PocketsphinxEngine",
        "sherpa-onnx": "callsift.asr.sherpa_onnx:SherpaOnnxEngine",
        "faster-whisper": "callsift.asr.faster_whisper:FasterWhisperEngine",
        "http": "callsift.asr.http:HttpEngine",
        "iflytek": "callsift.asr.iflytek:IflytekEngine",
    },
    "diarizer": {
        "clustering": "callsift.speech.diarize:ClusteringDiarizer",
        "sherpa-onnx": "callsift.speech.sherpa_diarizer:SherpaDiarizer",
    },
}


def make(kind: str, specification: str) -> Any:
    """The part that a specification names, made with its options: `NAME` or `NAME,key=value,key=value`.

    Values are read as YAML scalars: `threads=2` is a number, `model=models/sense-voice` a text.

    Raises:
        ConfigError: nothing goes by that name, or an option that it does not have or can't use.
    """
    name, *pairs = specification.split(",")
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip().isidentifier():
            raise ConfigError(f"{kind} '{specification}': '{pair}' is not key=value. Write {name},key=value,key=value.")
        options[key.strip()] = yaml.safe_load(value)
    part = load(kind, name.strip())
    try:
        inspect.signature(part).bind(**options)
    except TypeError as error:
        known = ", ".join(inspect.signature(part).parameters) or "none"
        raise ConfigError(f"{kind} '{name}': {error}. Its options: {known}.") from error
    return part(**options)


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
