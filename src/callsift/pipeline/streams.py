"""PreparedCall → the streams of every segment, as the encoders take them: text, audio, and precomputed ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from callsift.audio.channels import assign_roles
from callsift.audio.decode import decode
from callsift.audio.spool import Spool
from callsift.audio.spool import resampled_signal as resample
from callsift.config import FrontEnd
from callsift.data.arrays import read_stream
from callsift.errors import DataError, ErrorCode, RecordingError, WarningCode
from callsift.pipeline.call_audio import CallAudio, Mix
from callsift.pipeline.prosody import FRAMES, prosody_inputs
from callsift.pipeline.silence import silence_inputs
from callsift.speech.spans import joined, scaled, total_s, within
from callsift.speech.vad import detect_speech
from callsift.text.format import format_turns, template_for
from callsift.text.tokens import TextTokens
from callsift.types import (
    CallInputs,
    Note,
    PreparedCall,
    Role,
    Segment,
    Signal,
    Span,
    StreamInput,
    StreamRef,
    Waveform,
)

if TYPE_CHECKING:
    from callsift.augment import Variation

MADE_STREAMS = ("text", "audio", "silence", "prosody")
"""Made from the recording and the transcript; a stream of any other name is read as the manifest gives it, and so is
`audio` with `input: precomputed`."""

USUAL_STREAMS = ("text", "audio")
"""What is made where nothing is named."""

_BLOCK = 1 << 18


class StreamMaker:
    """The second half of the front end."""

    def __init__(self, front_end: FrontEnd, tokens: TextTokens) -> None:
        self.front_end = front_end
        self.tokens = tokens

    def make(
        self, prepared: PreparedCall, streams: Collection[str] | None = None, variation: Variation | None = None
    ) -> tuple[CallInputs, tuple[Note, ...]]:
        """See `callsift.pipeline.Pipeline.inputs`."""
        made: dict[str, list[StreamInput | None]] = {}
        notes: list[Note] = []
        for name in USUAL_STREAMS if streams is None else streams:
            if name == "text":
                made[name], cut = self._texts(prepared, variation)
                notes += self._cut_notes(cut)
            elif name == "audio" and self.front_end.input != "precomputed":
                made[name] = self._audio(prepared, variation)
                notes += self._role_notes(prepared)
            elif name == "silence":
                made[name] = silence_inputs(prepared, role_spans(prepared))
            elif name == "prosody":
                made[name] = self._prosody(prepared, variation)
                notes += [] if "audio" in made else self._role_notes(prepared)
            else:
                made[name] = _precomputed(prepared, name)
        segments = tuple({name: values[at] for name, values in made.items()} for at in range(len(prepared.segments)))
        return CallInputs(prepared.call.call_id, segments), tuple(notes)

    def _texts(self, prepared: PreparedCall, variation: Variation | None) -> tuple[list[StreamInput | None], int]:
        template = template_for(self.front_end.role_template, prepared.language)
        found: list[StreamInput | None] = []
        cuts = 0
        for segment in prepared.segments:
            turns = segment.turns
            if variation is not None:
                turns = variation.text(segment.segment_id, turns, prepared.language)
            said = format_turns(
                turns,
                template,
                normalise=self.front_end.normalise_text,
                simplified=self.front_end.chinese == "simplified",
            )
            ids, cut = self.tokens.encode(said)
            cuts += cut
            found.append(StreamInput(ids) if said.text and len(ids) else None)
        return found, cuts

    def _audio(self, prepared: PreparedCall, variation: Variation | None) -> list[StreamInput | None]:
        if any(segment.audio for segment in prepared.segments):
            return self._own_recordings(prepared, variation)
        if prepared.waveform is None:
            return [None] * len(prepared.segments)
        spans = [
            Span(segment.start_s, segment.end_s) if segment.start_s is not None and segment.end_s is not None else None
            for segment in prepared.segments
        ]
        return self._cut(prepared.waveform, prepared.channels, prepared.speech, role_spans(prepared), spans, variation)

    def _prosody(self, prepared: PreparedCall, variation: Variation | None) -> list[StreamInput | None]:
        """How every segment was said: functionals of the frames that this front end would give a tiny encoder."""
        frames = StreamMaker(self.front_end.model_copy(update={"input": FRAMES}), self.tokens)
        return prosody_inputs(frames._audio(prepared, variation), self.front_end.logmel.n_mels)

    def _cut(
        self,
        waveform: Waveform,
        channels: Mapping[int, Role],
        speech: Sequence[Sequence[Span]],
        roles: Mapping[Role, Sequence[Span]],
        spans: Sequence[Span | None],
        variation: Variation | None,
    ) -> list[StreamInput | None]:
        """The audio of some stretches of a waveform; of a long one, made when it is asked for."""
        rate_hz = self.front_end.encoder_rate_hz
        signals = [
            resample(signal, waveform.rate_hz, rate_hz)
            for signal in _signals(waveform, channels, self.front_end.channels)
        ]
        if variation is not None:
            varied, speed = variation.audio(signals, rate_hz)
            signals = list(varied)
            speech = [scaled(each, 1 / speed) for each in speech]
            roles = {role: scaled(each, 1 / speed) for role, each in roles.items()}
            spans = [None if span is None else scaled([span], 1 / speed)[0] for span in spans]
        heard = CallAudio(self.front_end, signals, speech, roles)
        found = [None if span is None else heard.cut(span) for span in spans]
        return [each.kept() if each is not None and heard.small else each for each in found]

    def _own_recordings(self, prepared: PreparedCall, variation: Variation | None) -> list[StreamInput | None]:
        """Segments that each have a file: laid end to end, they are the call."""
        parts = [_own_waveform(segment, prepared.call.rate_hz) for segment in prepared.segments]
        rate_hz = max(part.rate_hz for part in parts if part is not None)
        count = min(part.channels for part in parts if part is not None)
        spans: list[Span | None] = []
        laid = Spool(count, f"Call '{prepared.call.call_id}'")
        for part in parts:
            if part is None:
                spans.append(None)
                continue
            start = len(laid)
            sides = [resample(part.channel(c), part.rate_hz, rate_hz) for c in range(count)]
            for at in range(0, sides[0].size, _BLOCK):
                laid.append(np.stack([side[at : at + _BLOCK] for side in sides], axis=1))
            spans.append(Span(start / rate_hz, len(laid) / rate_hz))
        whole = Waveform(laid.samples(), rate_hz)
        channels = assign_roles(whole, prepared.call.channels)
        speech = tuple(detect_speech(whole.channel(c), rate_hz) for c in range(count))
        spoken: dict[Role, list[Span]] = {}
        for channel, heard_speech in enumerate(speech):
            spoken.setdefault(channels[channel], []).extend(heard_speech)
        roles = {role: joined(found) for role, found in spoken.items()}
        return self._cut(whole, channels, speech, roles, spans, variation)

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


def role_spans(prepared: PreparedCall) -> dict[Role, tuple[Span, ...]]:
    """When each role speaks: the speech of its channel; on a channel of unknown role, the speech in its timed turns."""
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
                start_s, end_s = turn.start_s or 0.0, turn.end_s or 0.0
                found.setdefault(turn.role, []).extend(within(spans, start_s, end_s) or [Span(start_s, end_s)])
    return {role: joined(spans) for role, spans in found.items()}


def speech_seconds(segment: Segment, roles: Mapping[Role, Sequence[Span]]) -> dict[str, float]:
    """Seconds of speech of each role inside a segment; `roles`: the call's `role_spans`."""
    if segment.start_s is None or segment.end_s is None:
        return {}
    start_s, end_s = segment.start_s, segment.end_s
    return {role: total_s(within(spans, start_s, end_s)) for role, spans in roles.items()}


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


def _own_waveform(segment: Segment, raw_rate_hz: int | None) -> Waveform | None:
    """A segment's own recording; with times, that stretch of it."""
    if segment.audio is None:
        return None
    whole = decode(segment.audio, raw_rate_hz).waveform
    if segment.start_s is None or segment.end_s is None:
        return whole
    first, end = (round(seconds * whole.rate_hz) for seconds in (segment.start_s, segment.end_s))
    if first >= whole.length:
        raise RecordingError(
            ErrorCode.TOO_SHORT,
            f"{segment.audio.name} ends at {whole.duration_s:.2f} s, before segment {segment.segment_id} begins "
            f"({segment.start_s:.2f} s). Correct the segment's times.",
        )
    return Waveform(whole.samples[:, first:end], whole.rate_hz)


def _signals(waveform: Waveform, channels: Mapping[int, Role], wanted: str) -> list[Signal]:
    """The signals (samples,) that the encoder hears, at the recording's rate."""
    mix: Signal = Mix(waveform.samples) if waveform.channels > 1 else waveform.channel(0)
    by_role = {role: channel for channel, role in channels.items()}
    heard: dict[str, list[int | None]] = {"mix": [None], "customer": [by_role.get("customer")]}
    sides = heard.get(wanted, [by_role.get("agent"), by_role.get("customer")])
    return [mix if channel is None else waveform.channel(channel) for channel in sides]
