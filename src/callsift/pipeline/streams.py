"""PreparedCall → the streams of every segment, as the encoders take them: text, audio, and precomputed ones.

Audio is worked out once over the whole call and sliced, so that a segment's frames do not depend on where
the call was cut, and a role's reference is the same in every segment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from callsift.audio.channels import assign_roles
from callsift.audio.decode import decode
from callsift.audio.features import (
    frame_owners,
    log_mel,
    relative_to_speaker,
    resample,
    speaker_reference,
    zero_mean_unit_variance,
)
from callsift.audio.pitch import pitch_track, relative_pitch
from callsift.config import FrontEnd, LogMel
from callsift.data.arrays import read_stream
from callsift.errors import DataError, ErrorCode, RecordingError, WarningCode
from callsift.speech.cutting import kept_spans
from callsift.speech.spans import joined, total_s, within
from callsift.speech.vad import detect_speech
from callsift.text.format import format_turns, template_for
from callsift.text.tokens import TextTokens
from callsift.types import (
    CallInputs,
    FloatArray,
    Note,
    PreparedCall,
    Role,
    Segment,
    Span,
    StreamInput,
    StreamRef,
    Waveform,
)

MADE_STREAMS = ("text", "audio")
"""Made from the recording and the transcript; a stream of any other name is read as the manifest gives it, and so is
`audio` with `input: precomputed`."""


class StreamMaker:
    """The second half of the front end."""

    def __init__(self, front_end: FrontEnd, tokens: TextTokens) -> None:
        self.front_end = front_end
        self.tokens = tokens

    def make(
        self, prepared: PreparedCall, streams: Collection[str] | None = None
    ) -> tuple[CallInputs, tuple[Note, ...]]:
        """See `callsift.pipeline.Pipeline.inputs`."""
        made: dict[str, list[StreamInput | None]] = {}
        notes: list[Note] = []
        for name in MADE_STREAMS if streams is None else streams:
            if name == "text":
                made[name], cut = self._texts(prepared)
                notes += self._cut_notes(cut)
            elif name == "audio" and self.front_end.input != "precomputed":
                made[name] = self._audio(prepared)
                notes += self._role_notes(prepared)
            else:
                made[name] = _precomputed(prepared, name)
        segments = tuple({name: values[at] for name, values in made.items()} for at in range(len(prepared.segments)))
        return CallInputs(prepared.call.call_id, segments), tuple(notes)

    def _texts(self, prepared: PreparedCall) -> tuple[list[StreamInput | None], int]:
        template = template_for(self.front_end.role_template, prepared.language)
        found: list[StreamInput | None] = []
        cuts = 0
        for segment in prepared.segments:
            said = format_turns(segment.turns, template, normalise=self.front_end.normalise_text)
            ids, cut = self.tokens.encode(said)
            cuts += cut
            found.append(StreamInput(ids) if said.text and len(ids) else None)
        return found, cuts

    def _audio(self, prepared: PreparedCall) -> list[StreamInput | None]:
        if any(segment.audio for segment in prepared.segments):
            return self._own_recordings(prepared)
        if prepared.waveform is None:
            return [None] * len(prepared.segments)
        heard = CallAudio(self.front_end, prepared.waveform, prepared.channels, prepared.speech, role_spans(prepared))
        spans = [
            Span(segment.start_s, segment.end_s) if segment.start_s is not None and segment.end_s is not None else None
            for segment in prepared.segments
        ]
        return [None if span is None else heard.cut(span) for span in spans]

    def _own_recordings(self, prepared: PreparedCall) -> list[StreamInput | None]:
        """Segments that each have a file: laid end to end, they are the call."""
        parts = [_own_waveform(segment) for segment in prepared.segments]
        rates = {part.rate_hz for part in parts if part is not None}
        counts = {part.channels for part in parts if part is not None}
        rate_hz, count = max(rates), min(counts)
        spans: list[Span | None] = []
        samples: list[FloatArray] = []
        clock = 0
        for part in parts:
            if part is None:
                spans.append(None)
                continue
            piece = np.stack([resample(channel, part.rate_hz, rate_hz) for channel in part.samples[:count]])
            spans.append(Span(clock / rate_hz, (clock + piece.shape[1]) / rate_hz))
            samples.append(piece)
            clock += piece.shape[1]
        whole = Waveform(np.concatenate(samples, axis=1), rate_hz)
        channels = assign_roles(whole, prepared.call.channels)
        speech = tuple(detect_speech(channel, rate_hz) for channel in whole.samples)
        spoken: dict[Role, list[Span]] = {}
        for channel, heard_speech in enumerate(speech):
            spoken.setdefault(channels[channel], []).extend(heard_speech)
        roles = {role: joined(spans) for role, spans in spoken.items()}
        heard = CallAudio(self.front_end, whole, channels, speech, roles)
        return [None if span is None else heard.cut(span) for span in spans]

    def _cut_notes(self, cut: int) -> tuple[Note, ...]:
        if not cut:
            return ()
        message = f"the text of {cut} segments is longer than max_tokens {self.front_end.max_tokens}"
        return (Note(WarningCode.TEXT_CUT, message),)

    def _role_notes(self, prepared: PreparedCall) -> tuple[Note, ...]:
        wanted = self.front_end.channels
        if prepared.waveform is None or wanted == "mix" or "customer" in prepared.channels.values():
            return ()
        message = f"the model hears '{wanted}', but no channel is known to be the customer's: it got the mix"
        return (Note(WarningCode.UNKNOWN_ROLES, message),)


class CallAudio:
    """The encoder's view of a call's audio, from which segments are cut.

    Log-mel (F, C·M), pitch (F, C·2), or both: relative to the speaker's own over the call if the front end says so.
    Waveform: (samples, C) at the encoder's rate, normalised over the call or the segment.
    """

    def __init__(
        self,
        front_end: FrontEnd,
        waveform: Waveform,
        channels: Mapping[int, Role],
        speech: Sequence[Sequence[Span]],
        roles: Mapping[Role, Sequence[Span]],
    ) -> None:
        self.front_end = front_end
        self.speech = speech
        signals = [
            resample(signal, waveform.rate_hz, front_end.encoder_rate_hz)
            for signal in _signals(waveform, channels, front_end.channels)
        ]
        if front_end.audio_features:
            self.rate_hz = 1.0 / front_end.logmel.hop_s
            views = [view for signal in signals for view in _features(front_end, signal, roles)]
            self.view: FloatArray = np.concatenate(views, axis=1)
        else:
            if front_end.normalise == "call":
                signals = [zero_mean_unit_variance(signal) for signal in signals]
            self.rate_hz = float(front_end.encoder_rate_hz)
            self.view = np.stack(signals, axis=1)

    def cut(self, span: Span) -> StreamInput | None:
        """What the encoder gets of a stretch of the call; None if nothing is left of it."""
        kept = kept_spans(span, self.speech, self.front_end.silence)
        bounds = [(round(s.start_s * self.rate_hz), round(s.end_s * self.rate_hz)) for s in kept]
        pieces = [self.view[start:end] for start, end in bounds]
        values = np.concatenate(pieces) if pieces else self.view[:0]
        if len(values) == 0:
            return None
        if self.front_end.input == "waveform" and self.front_end.normalise == "segment":
            values = np.stack([zero_mean_unit_variance(column) for column in values.T], axis=1)
        return StreamInput(np.ascontiguousarray(values, dtype=np.float32))


def _features(front_end: FrontEnd, signal: FloatArray, roles: Mapping[Role, Sequence[Span]]) -> list[FloatArray]:
    """Log-mel (F, M) and pitch (F, 2) of one channel (samples,), whichever the front end asks for."""
    constants, rate_hz = front_end.logmel, front_end.encoder_rate_hz
    relative = front_end.speaker_reference == "call"
    views = []
    if "logmel" in front_end.input:
        mel = log_mel(signal, rate_hz, **constants.model_dump())
        views.append(_relative(mel, constants, roles) if relative else mel)
    if "pitch" in front_end.input:
        clock = {"window_s": constants.window_s, "hop_s": constants.hop_s}
        pitch, periodic = pitch_track(signal, rate_hz, **clock)
        views.append(relative_pitch(pitch, periodic, list(roles.values()) if relative else (), **clock))
    return views


def _relative(view: FloatArray, constants: LogMel, roles: Mapping[Role, Sequence[Span]]) -> FloatArray:
    """Log-mel (F, M) less the mean of whichever role speaks in each frame; less the call's mean in silence."""
    spans = list(roles.values())
    if not spans:
        return np.asarray(view - view.mean(axis=0), dtype=np.float32)
    clock = {"window_s": constants.window_s, "hop_s": constants.hop_s}
    reference = speaker_reference([view] * len(spans), spans, **clock)
    return relative_to_speaker(view, reference, frame_owners(spans, len(view), **clock))


def role_spans(prepared: PreparedCall) -> dict[Role, tuple[Span, ...]]:
    """When each role speaks: the speech of its channel; on a channel of unknown role, its timed turns."""
    found: dict[Role, list[Span]] = {}
    for channel, spans in enumerate(prepared.speech):
        role = prepared.channels.get(channel, "unknown")
        if role != "unknown":
            found.setdefault(role, []).extend(spans)
            continue
        turns = [turn for segment in prepared.segments for turn in segment.turns if turn.timed]
        if not any(turn.role != "unknown" for turn in turns):
            found.setdefault("unknown", []).extend(spans)
        for turn in turns:
            if turn.role != "unknown" and turn.channel in (None, channel):
                found.setdefault(turn.role, []).append(Span(turn.start_s or 0.0, turn.end_s or 0.0))
    return {role: joined(spans) for role, spans in found.items()}


def speech_seconds(prepared: PreparedCall, segment: Segment) -> dict[str, float]:
    """Seconds of speech of each role inside a segment."""
    if segment.start_s is None or segment.end_s is None:
        return {}
    start_s, end_s = segment.start_s, segment.end_s
    return {role: total_s(within(spans, start_s, end_s)) for role, spans in role_spans(prepared).items()}


def segment_text(segment: Segment) -> str:
    """A segment's text for people: who said what."""
    return "; ".join(f"{turn.role}: {turn.text}" for turn in segment.turns if turn.text.strip())


def _precomputed(prepared: PreparedCall, name: str) -> list[StreamInput | None]:
    """A stream that the manifest gives as arrays (L, D); every segment of a call must have the same D."""
    refs = [segment.streams.get(name) for segment in prepared.segments]
    found = [None if ref is None else StreamInput(read_stream(ref)) for ref in refs]
    first: tuple[int, StreamRef] | None = None
    for ref, stream in zip(refs, found, strict=True):
        if ref is None or stream is None:
            continue
        width = stream.values.shape[1]
        if first is None:
            first = width, ref
        elif width != first[0]:
            raise DataError(
                f"stream '{name}' of call '{prepared.call.call_id}' is {first[0]} wide in '{first[1].key}' of "
                f"{first[1].path} and {width} wide here, in '{ref.key}'. Compute it in one way for all segments.",
                ref.path,
            )
    return found


def _own_waveform(segment: Segment) -> Waveform | None:
    """A segment's own recording; with times, that stretch of it."""
    if segment.audio is None:
        return None
    whole = decode(segment.audio).waveform
    if segment.start_s is None or segment.end_s is None:
        return whole
    first, end = (round(seconds * whole.rate_hz) for seconds in (segment.start_s, segment.end_s))
    if first >= whole.samples.shape[1]:
        raise RecordingError(
            ErrorCode.TOO_SHORT,
            f"{segment.audio.name} ends at {whole.duration_s:.2f} s, before segment {segment.segment_id} begins "
            f"({segment.start_s:.2f} s). Correct the segment's times.",
        )
    return Waveform(whole.samples[:, first:end], whole.rate_hz)


def _signals(waveform: Waveform, channels: Mapping[int, Role], wanted: str) -> list[FloatArray]:
    """The signals (samples,) that the encoder hears, at the recording's rate."""
    mix = waveform.samples.mean(axis=0, dtype=np.float32)
    by_role = {role: channel for channel, role in channels.items()}
    customer = by_role.get("customer")
    if wanted == "mix":
        return [mix]
    if wanted == "customer":
        return [mix if customer is None else waveform.samples[customer]]
    agent = by_role.get("agent")
    return [mix if channel is None else waveform.samples[channel] for channel in (agent, customer)]
