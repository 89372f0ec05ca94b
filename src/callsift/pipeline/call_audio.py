"""The encoder's view of a call's audio, in memory that does not grow with the call.

Log-mel and pitch are worked out once over the whole call, in stretches, and sliced, so that a segment's frames do not
depend on where the call was cut, and a role's reference is the same in every segment. What is long lies on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from callsift.audio.features import (
    Frames,
    SpeakerReference,
    frame_owners,
    log_mel,
    mean_and_deviation,
    relative_to_speaker,
    speaker_reference,
    zero_mean_unit_variance,
)
from callsift.audio.pitch import pitch_track, relative_pitch
from callsift.audio.spool import MEMORY_BYTES, Spool
from callsift.config import FrontEnd
from callsift.speech.cutting import kept_spans
from callsift.types import FloatArray, IntArray, Role, Samples, Signal, Span, StreamInput

_BLOCK_FRAMES = 4096
_ITEM_BYTES = 4


@dataclass(frozen=True, slots=True)
class Mix:
    """The mean of all channels, as a Signal."""

    samples: Samples

    @property
    def size(self) -> int:
        """Samples per channel."""
        return int(self.samples.shape[1])

    def __getitem__(self, key: slice, /) -> FloatArray:
        """A stretch of samples (n,)."""
        return np.asarray(self.samples[:, key].mean(axis=0, dtype=np.float32))


class CallAudio:
    """What is cut into segments.

    Log-mel (F, C·M), pitch (F, C·2), or both: relative to the speaker's own over the call if the front end says so.
    Waveform: (samples, C) at the encoder's rate, normalised over the call or the segment.
    """

    def __init__(
        self,
        front_end: FrontEnd,
        signals: Sequence[Signal],
        speech: Sequence[Sequence[Span]],
        roles: Mapping[Role, Sequence[Span]],
    ) -> None:
        """`signals`: what the encoder hears, at its rate. `speech`: per channel of the recording.

        Raises:
            RecordingError: `out_of_memory`, no room on the disk for the features of a long call.
        """
        self.front_end = front_end
        self.speech = speech
        self.views: list[Frames]
        if front_end.audio_features:
            self.rate_hz = 1.0 / front_end.logmel.hop_s
            self.views = [view for signal in signals for view in _features(front_end, signal, roles)]
        else:
            self.rate_hz = float(front_end.encoder_rate_hz)
            self.views = [_scaled(signal, over_call=front_end.normalise == "call") for signal in signals]

    def __len__(self) -> int:
        """Frames, or samples, of the call."""
        return len(self.views[0])

    @property
    def small(self) -> bool:
        """Whether all of it may lie in memory."""
        width = sum(int(view[:0].shape[1]) for view in self.views)
        return len(self) * width * _ITEM_BYTES <= MEMORY_BYTES

    def cut(self, span: Span) -> StreamInput | None:
        """What the encoder gets of a stretch of the call, read when asked for; None if nothing is left of it."""
        kept = kept_spans(span, self.speech, self.front_end.silence)
        bounds = [slice(round(s.start_s * self.rate_hz), round(s.end_s * self.rate_hz)) for s in kept]
        if not any(len(range(*each.indices(len(self)))) for each in bounds):
            return None
        return StreamInput(partial(self._values, bounds))

    def _values(self, bounds: Sequence[slice]) -> FloatArray:
        pieces = [np.concatenate([view[each] for view in self.views], axis=1) for each in bounds]
        values = np.concatenate(pieces)
        if self.front_end.input == "waveform" and self.front_end.normalise == "segment":
            values = np.stack([zero_mean_unit_variance(column) for column in values.T], axis=1)
        return np.ascontiguousarray(values, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Relative:
    """Log-mel (F, M) less the mean of whichever role speaks in each frame; less the call's mean in silence."""

    frames: Frames
    reference: SpeakerReference
    owners: IntArray

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, key: slice, /) -> FloatArray:
        return relative_to_speaker(self.frames[key], self.reference, self.owners[key])


@dataclass(frozen=True, slots=True)
class _Scaled:
    """A waveform as one column (T, 1), less its mean and over its deviation."""

    signal: Signal
    mean: np.float32
    deviation: np.float32

    def __len__(self) -> int:
        return self.signal.size

    def __getitem__(self, key: slice, /) -> FloatArray:
        column: FloatArray = ((self.signal[key] - self.mean) / self.deviation)[:, None]
        return column


def _scaled(signal: Signal, *, over_call: bool) -> _Scaled:
    return _Scaled(signal, *(mean_and_deviation(signal) if over_call else (np.float32(0), np.float32(1))))


def _features(front_end: FrontEnd, signal: Signal, roles: Mapping[Role, Sequence[Span]]) -> list[Frames]:
    """Log-mel (F, M) and pitch (F, 2) of one channel (samples,), whichever the front end asks for."""
    constants = front_end.logmel
    clock = {"window_s": constants.window_s, "hop_s": constants.hop_s}
    relative = front_end.speaker_reference == "call"
    spans = list(roles.values())
    views: list[Frames] = []
    if "logmel" in front_end.input:
        mel = _log_mel(front_end, signal)
        if relative:
            reference = speaker_reference([mel] * max(1, len(spans)), spans or [()], **clock)
            mel = _Relative(mel, reference, frame_owners(spans, len(mel), **clock))
        views.append(mel)
    if "pitch" in front_end.input:
        pitch, periodic = pitch_track(signal, front_end.encoder_rate_hz, **clock)
        views.append(relative_pitch(pitch, periodic, spans if relative else (), **clock))
    return views


def _log_mel(front_end: FrontEnd, signal: Signal) -> Frames:
    """Log-mel (F, M) of a channel, stretch by stretch: what `log_mel` gives of the whole."""
    constants, rate_hz = front_end.logmel, front_end.encoder_rate_hz
    window, hop = round(constants.window_s * rate_hz), round(constants.hop_s * rate_hz)
    frames = 1 + max(0, signal.size - window) // hop
    found = Spool(constants.n_mels, f"A call of {signal.size / rate_hz / 3600:.1f} h, its log-mel,", frames)
    for first in range(0, frames, _BLOCK_FRAMES):
        count = min(_BLOCK_FRAMES, frames - first)
        stretch = signal[first * hop : (first + count - 1) * hop + window]
        found.append(log_mel(stretch, rate_hz, **constants.model_dump()))
    return found
