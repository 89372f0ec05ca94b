"""The nouns of callsift as small frozen values. No I/O, no torch.

Shape letters, used in every docstring: B calls, S segments per call, N = B·S, T tokens, F audio frames,
D width, C channels, K classes. Times are float seconds from the first decoded sample of the original
recording, half-open `[start_s, end_s)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from callsift.errors import ErrorCode, WarningCode

Role = Literal["agent", "customer", "unknown"]
ROLES: tuple[Role, ...] = ("agent", "customer", "unknown")

Target = Literal["call", "segment"]
"""What has a label, and what the network answers for."""

Label = str | float | tuple[str, ...]
"""A grade, a number, or several grades of which one is true (a coarser answer)."""

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Note:
    """A warning about one call: what a user should know about a result given all the same."""

    code: WarningCode
    message: str


class Signal(Protocol):
    """One channel (T,) float32, in memory or on disk. A one-dimensional array is one."""

    @property
    def size(self) -> int:
        """T, the number of samples."""
        ...

    def __getitem__(self, key: slice, /) -> FloatArray:
        """A stretch of samples, read when asked for."""
        ...


class Samples(Protocol):
    """All channels (C, T) float32, in memory or on disk. A two-dimensional array is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, T)."""
        ...

    def __getitem__(self, key: tuple[int | slice, slice], /) -> FloatArray:
        """`[channel, start:stop]` → (samples,); `[:, start:stop]` → (C, samples)."""
        ...


@dataclass(frozen=True, slots=True)
class _Channel:
    """One channel of some samples, as a Signal."""

    samples: Samples
    number: int

    @property
    def size(self) -> int:
        return int(self.samples.shape[1])

    def __getitem__(self, key: slice, /) -> FloatArray:
        return self.samples[self.number, key]


@dataclass(frozen=True, slots=True)
class Waveform:
    """Decoded audio. `samples`: (C, T) float32, finite, full scale = 1; `rate_hz`: its own rate.

    The samples of a long recording lie on disk: read them in stretches (`channel(c)[start:stop]`), never all at once.
    """

    samples: Samples
    rate_hz: int

    def channel(self, number: int) -> Signal:
        """One channel, to be read in stretches."""
        return _Channel(self.samples, number)

    @property
    def length(self) -> int:
        """Samples per channel."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        return self.length / self.rate_hz

    @property
    def channels(self) -> int:
        return int(self.samples.shape[0])


@dataclass(frozen=True, slots=True)
class Recording:
    """A decoded audio file: its waveform, the SHA-256 of its bytes, and what was odd about it."""

    path: Path
    sha256: str
    waveform: Waveform
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, half-open, in seconds."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's stretch. Times are None in a transcript without them; `channel` None where unknown."""

    role: Role
    text: str = ""
    start_s: float | None = None
    end_s: float | None = None
    channel: int | None = None
    speaker: str | None = None
    """Label of an anonymous speaker ("SPEAKER_00"), where a transcript gives one."""
    confidence: float | None = None
    """How sure the speech recognition that heard the text is of it, in [0, 1]; None where it doesn't say."""

    @property
    def timed(self) -> bool:
        return self.start_s is not None and self.end_s is not None


@dataclass(frozen=True, slots=True)
class StreamRef:
    """Where a precomputed stream of a segment lies: an array file and the key in it."""

    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class Segment:
    """What the encoders see at once: one round (agent + customer), or several packed.

    `audio` is set only where the segment has a file of its own. Without times the segment has text alone.
    """

    segment_id: str
    turns: tuple[Turn, ...] = ()
    start_s: float | None = None
    end_s: float | None = None
    audio: Path | None = None
    label: Label | None = None
    streams: Mapping[str, StreamRef] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RaterLabel:
    """What one person graded a call."""

    rater: str
    label: Label


@dataclass(frozen=True, slots=True)
class Call:
    """One conversation, as a manifest line or a bare path gives it."""

    call_id: str
    audio: Path | None = None
    rate_hz: int | None = None
    """Sampling rate of a headerless recording (.ulaw, .alaw, .vox, .sln); None where the file says it."""
    channels: Mapping[int, Role] | None = None
    language: str | None = None
    group: str | None = None
    split: str | None = None
    label: Label | None = None
    labels: tuple[RaterLabel, ...] = ()
    transcript: Path | None = None
    turns: tuple[Turn, ...] = ()
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A call decoded, cut and transcribed: what both worlds consume.

    `waveform`: (C, samples) at the recording's own rate, None for a call of text alone.
    `speech`: per channel, the spans in which the VAD heard speech (empty without audio).
    `asr`: name of the engine that wrote the text, None where the text was given.
    `muted`: when something was said that is redacted, and on which channel (None: not known).
    `kept`: which channels of the file the waveform still has, in order; everything else numbers the waveform's.
    """

    call: Call
    segments: tuple[Segment, ...]
    waveform: Waveform | None
    audio_sha256: str | None
    language: str | None
    speech: tuple[tuple[Span, ...], ...] = ()
    channels: Mapping[int, Role] = field(default_factory=dict)
    asr: str | None = None
    muted: tuple[tuple[Span, int | None], ...] = ()
    notes: tuple[Note, ...] = ()
    kept: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamInput:
    """One stream of one segment, as its encoder takes it: (L, ...) without padding.

    `source`: the array, or what makes it. Of a long call no segment's array is kept, and each is made when asked for.
    """

    source: FloatArray | IntArray | Callable[[], FloatArray | IntArray]

    @property
    def values(self) -> FloatArray | IntArray:
        """The array (L, ...). Ask once and hold it: where it is not kept, every time it is made anew."""
        return self.source() if callable(self.source) else self.source

    def kept(self) -> StreamInput:
        """The same with its array in memory."""
        return StreamInput(self.values) if callable(self.source) else self


@dataclass(frozen=True, slots=True)
class CallInputs:
    """The streams of every segment of a call; a stream that a segment lacks is None."""

    call_id: str
    segments: tuple[Mapping[str, StreamInput | None], ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """A part of a segment: words, a stretch of sound, or a pause, and what it adds to the quantity that is explained.

    `contribution` = quantity(all) − quantity(all but this part of `stream`). Times are of the original recording, those
    of a word its turn's; None where they can't be told. `text`: the words, or what the pause is; None of a sound.
    `turn`, `at`: where words begin: the number of the turn among those of the segment that have text, and the character
    in that turn's text; None of anything else.
    """

    stream: str
    kind: Literal["word", "sound", "pause"]
    text: str | None
    start_s: float | None
    end_s: float | None
    contribution: float
    turn: int | None = None
    at: int | None = None


@dataclass(frozen=True, slots=True)
class SegmentEvidence:
    """One segment of a scored call. `contribution` = propensity(all) − propensity(all without it).

    `weight`: the same difference of the quantity that is explained, which every model has; None where it was not asked
    for, of a call's only segment, and of a model that answers for every segment.
    `moments`: its parts, those that count most first; empty where they were not asked for.
    `grade`, `value`, `probabilities`, `raw_probabilities`: of a model that answers for every segment.
    """

    segment_id: str
    start_s: float | None
    end_s: float | None
    speech_s: Mapping[str, float]
    text: str
    contribution: float | None
    grade: str | None = None
    value: float | None = None
    probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    raw_probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    moments: tuple[Moment, ...] = ()
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model gave a score."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class CallScore:
    """The result for one call: a line of the JSONL output. With `error` set, everything graded is None.

    `probabilities` are coherent over the tasks; `raw_probabilities`, for evaluation only, are each task's own.
    `value`: the answer of a model that gives a number instead of a grade. A model that answers for every segment
    leaves what is said of the call None. `streams`: what each stream adds to the quantity that is explained (Shapley
    values); `explained`: that quantity, in words; `evidence`: in how many segments moments were looked for. Empty, None
    and 0 where it was not asked for.
    """

    call_id: str
    path: str | None
    audio_sha256: str | None
    duration_s: float | None
    language: str | None
    model: ModelInfo
    settings_sha256: str
    grade: str | None = None
    propensity: float | None = None
    rank_score: float | None = None
    probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    raw_probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    value: float | None = None
    segments: Sequence[SegmentEvidence] = ()
    warnings: Sequence[Note] = ()
    error: tuple[ErrorCode, str] | None = None
    streams: Mapping[str, float] = field(default_factory=dict)
    explained: str | None = None
    evidence: int = 0
    call_sha256: str | None = None
    """Hash of what else is given of the call: see `callsift.pipeline.call_files.call_sha256`."""
