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
from types import NoneType
from typing import Any, Protocol, get_args, get_type_hints

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

    A value is what the part's constructor says: text as it stands, anything else as a YAML scalar (`threads=2`).

    Raises:
        ConfigError: nothing goes by that name, or an option that it does not have, lacks, or can't use.
    """
    name, *pairs = specification.split(",")
    name = name.strip()
    part = load(kind, name)
    known = inspect.signature(part).parameters
    annotations = _annotations(part)
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = (text.strip() for text in pair.partition("="))
        if not equals or not key.isidentifier():
            raise ConfigError(f"{kind} '{specification}': '{pair}' is not key=value. Write {name},key=value,key=value.")
        options[key] = _value(f"{kind} '{name}': {key}", value, annotations.get(key, Any))
    their_names = f"Its options: {', '.join(known) or 'none'}."
    lacking = [key for key, one in known.items() if _required(one) and key not in options]
    if lacking:
        raise ConfigError(f"{kind} '{name}' needs {lacking[0]}: write {name},{lacking[0]}=VALUE. {their_names}")
    try:
        inspect.signature(part).bind(**options)
    except TypeError as error:
        raise ConfigError(f"{kind} '{name}': {error}. {their_names}") from error
    return part(**options)


_IN_WORDS = {int: "a whole number", float: "a number", bool: "true or false"}


def _value(option: str, text: str, annotation: Any) -> Any:
    """An option's value as its annotation wants it; where that says nothing, as YAML reads it."""
    if not text:
        raise ConfigError(f"{option} is empty; give a value")
    wanted = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not NoneType]
    if str in wanted:
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{option} is '{text}', which can't be read; give a number, a word, true or false") from error
    if (
        not wanted
        or any(kind not in _IN_WORDS for kind in wanted)
        or (value is None and NoneType in get_args(annotation))
    ):
        return value
    if type(value) is int and float in wanted and int not in wanted:
        return float(value)
    if type(value) not in wanted:
        raise ConfigError(f"{option} is '{text}'; give {' or '.join(_IN_WORDS[kind] for kind in wanted)}")
    return value


def _annotations(part: Any) -> Mapping[str, Any]:
    """What a part's constructor says of its options; nothing where its names can't be resolved."""
    try:
        return get_type_hints(part.__init__ if inspect.isclass(part) else part)
    except (NameError, TypeError, AttributeError):
        return {}


def _required(parameter: inspect.Parameter) -> bool:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variable


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
