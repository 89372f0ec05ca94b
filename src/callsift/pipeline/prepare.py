"""Call → PreparedCall: decode, hear who speaks when, transcribe, settle who is who, cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from callsift.asr.guards import guard
from callsift.asr.transcripts import read_transcript
from callsift.audio.channels import assign_roles
from callsift.audio.decode import decode
from callsift.config import FrontEnd
from callsift.errors import ErrorCode, RecordingError, WarningCode
from callsift.pipeline.call_files import transcript_of
from callsift.pipeline.listening import Hearing, listen
from callsift.pipeline.placing import (
    as_transcribed,
    by_sides,
    in_given_segments,
    in_order,
    lay_over,
    speech_of,
    with_roles,
)
from callsift.pipeline.recognise import recognise
from callsift.pipeline.redacting import Redactor
from callsift.pipeline.roles import settle_roles, settle_speakers
from callsift.plugins import AsrEngine, Diarizer
from callsift.speech.cutting import cut_segments
from callsift.speech.rounds import pack_untimed
from callsift.speech.turns import turns_from_speech
from callsift.text.normalise import guess_language, is_whole
from callsift.types import Call, Note, PreparedCall, Recording, Role, Segment, Turn

NO_ASR = "none"


@dataclass(slots=True)
class _Work:
    """A call on its way. `turns`: of its transcript, or as heard. `named`: the transcript itself says who is who."""

    call: Call
    turns: tuple[Turn, ...]
    redactor: Redactor
    named: bool
    notes: list[Note] = field(default_factory=list)
    language: str | None = None
    asr: str | None = None

    @property
    def has_text(self) -> bool:
        return bool(self.text.strip())

    @property
    def text(self) -> str:
        inside = [turn.text for segment in self.call.segments for turn in segment.turns]
        return " ".join([*(turn.text for turn in self.turns), *inside])


class Preparer:
    """The first half of the front end."""

    def __init__(
        self,
        front_end: FrontEnd,
        asr: AsrEngine | None,
        diarizer: Diarizer | None,
        count_tokens: Callable[[str], int],
    ) -> None:
        self.front_end = front_end
        self.asr = asr
        self.diarizer = diarizer
        self.count_tokens = count_tokens

    def prepare(self, call: Call) -> PreparedCall:
        """See `callsift.pipeline.Pipeline.prepare`."""
        turns = _given_turns(call)
        _check_whole(call, turns)
        named = any(turn.role != "unknown" for turn in turns)
        work = _Work(call, turns, Redactor(wanted=self.front_end.redact), named)
        recording = _recording(work)
        # By the file's channels: of two that carry the same, only one will be left.
        work.turns = with_roles(turns, _given_roles(call, recording))
        if recording is None:
            return self._by_text(work)
        hearing = listen(recording.waveform, call.channels, self.diarizer if _voices_unknown(work) else None)
        work.turns = hearing.on_channels(work.turns)
        if not _speech_in(hearing):
            hearing = as_transcribed(hearing, work.turns)
        if not _speech_in(hearing):
            if work.turns:
                message = "no speech found in the recording: scored by its transcript alone"
                work.notes = [*recording.notes, *work.notes, Note(WarningCode.NO_AUDIO, message)]
                return self._by_text(work)
            if not work.has_text and not any(segment.audio for segment in call.segments):
                raise _no_speech(recording)
        hearing = self._with_text(work, hearing)
        segments = self._segments(work, hearing)
        return PreparedCall(
            call=call,
            segments=work.redactor.segments(segments),
            waveform=hearing.waveform,
            audio_sha256=recording.sha256,
            language=work.language,
            speech=hearing.speech,
            channels=hearing.channels,
            asr=work.asr,
            muted=tuple(work.redactor.muted),
            notes=(*recording.notes, *hearing.notes, *work.redactor.notes(work.notes)),
            kept=hearing.kept,
        )

    def _with_text(self, work: _Work, hearing: Hearing) -> Hearing:
        """The hearing with roles, and the call's turns with text: its transcript's, or what the engine hears."""
        work.language = work.call.language or guess_language(work.text)
        if not work.has_text and not any(segment.turns for segment in work.call.segments):
            hearing = self._recognised(work, hearing)
            work.language = work.language or guess_language(work.text)
        else:
            raw = work.redactor.turns(work.turns)
            hearing, work.turns, found = lay_over(hearing, raw, named=work.named)
            work.notes += found
        work.turns = in_order(work.turns)
        return hearing

    def _recognised(self, work: _Work, hearing: Hearing) -> Hearing:
        """A call without text: its turns with what the engine hears, and who is who by that."""
        sides = hearing.sides
        silent = turns_from_speech([side.speech for side in sides], {at: side.role for at, side in enumerate(sides)})
        found = recognise(self.asr, hearing, silent, work.language)
        raw = work.redactor.turns(found.turns, [side.channel for side in sides])
        heard, dropped = guard(raw, [side.speech for side in sides], found.confidences)
        hearing, about_roles = settle_roles(hearing, heard)
        work.turns, work.asr = by_sides(hearing, heard), found.engine
        work.notes += [*found.notes, *dropped, *about_roles]
        return hearing

    def _segments(self, work: _Work, hearing: Hearing) -> tuple[Segment, ...]:
        """Those of the manifest, else the call cut."""
        given = [
            segment
            if segment.audio
            else replace(segment, turns=with_roles(hearing.on_channels(segment.turns), hearing.channels))
            for segment in work.call.segments
        ]
        segments, notes = in_given_segments(given, work.turns, hearing.waveform.duration_s)
        if not segments:
            segments, notes = cut_segments(
                work.turns or turns_from_speech(hearing.speech, hearing.channels),
                hearing.speech,
                segmenting=self.front_end.segmenting,
                max_segment_s=self.front_end.max_segment_s,
                duration_s=hearing.waveform.duration_s,
                bursts=hearing.bursts,
            )
        work.notes += notes
        return segments

    def _by_text(self, work: _Work) -> PreparedCall:
        """A call without a usable recording: its transcript alone, or segments with recordings of their own."""
        turns, about_speakers = settle_speakers(work.redactor.turns(work.turns))
        turns = in_order(turns)
        segments, about_segments = in_given_segments(work.call.segments, turns, None)
        work.notes += [*about_speakers, *about_segments]
        if not work.has_text:
            message = "the segments' recordings have no text: scored by audio alone"
            work.notes.append(Note(WarningCode.NO_TRANSCRIPT, message))
        if not segments and all(turn.timed for turn in turns):
            segments, cutting = cut_segments(
                turns,
                speech_of(turns, {}, 1),
                segmenting=self.front_end.segmenting,
                max_segment_s=self.front_end.max_segment_s,
                duration_s=max(turn.end_s or 0.0 for turn in turns),
            )
            work.notes += cutting
        elif not segments:
            segments = pack_untimed(
                turns,
                segmenting=self.front_end.segmenting,
                max_segment_tokens=self.front_end.max_segment_tokens,
                count_tokens=self.count_tokens,
            )
        return PreparedCall(
            call=work.call,
            segments=work.redactor.segments(segments),
            waveform=None,
            audio_sha256=None,
            language=work.call.language or guess_language(work.text),
            notes=work.redactor.notes(work.notes),
        )


def _no_speech(recording: Recording) -> RecordingError:
    message = (
        f"{recording.path.name}: no speech found in {recording.waveform.duration_s:.1f} s. "
        "Listen to it; if there is speech, give a transcript beside it."
    )
    return RecordingError(ErrorCode.NO_SPEECH, message)


def _speech_in(hearing: Hearing) -> bool:
    return any(side.speech for side in hearing.sides)


def _given_roles(call: Call, recording: Recording | None) -> Mapping[int, Role]:
    """Roles by channel of the file, as far as somebody gave them."""
    if recording is None or not call.channels:
        return call.channels or {}
    return assign_roles(recording.waveform, call.channels)


def _voices_unknown(work: _Work) -> bool:
    """Whether voices have to be told apart: nobody has said who speaks when, and there are times to lay them over."""
    if any(segment.turns for segment in work.call.segments):
        return False
    return all(turn.timed and turn.role == "unknown" and not turn.speaker for turn in work.turns)


def _given_turns(call: Call) -> tuple[Turn, ...]:
    if call.turns:
        return call.turns
    path = transcript_of(call)
    return () if path is None else read_transcript(path)


def _check_whole(call: Call, turns: Sequence[Turn]) -> None:
    """Of a call that was made in code: a manifest or transcript with such a text is refused where it is read."""
    for turn in (*turns, *(turn for segment in call.segments for turn in segment.turns)):
        if not is_whole(turn.text):
            message = f"call '{call.call_id}': {turn.text[:60]!r} holds half of a character; mend or leave out the text"
            raise RecordingError(ErrorCode.BAD_TRANSCRIPT, message)


def _recording(work: _Work) -> Recording | None:
    """The decoded recording; a bad one is a warning where there is text to go by, an error otherwise."""
    call = work.call
    if call.audio is None:
        if not work.has_text and not any(segment.audio or segment.streams for segment in call.segments):
            raise RecordingError(ErrorCode.MISSING_FILE, f"call '{call.call_id}' has neither audio nor text")
        return None
    try:
        return decode(call.audio, call.rate_hz)
    except RecordingError as error:
        if not work.has_text:
            raise
        work.notes.append(Note(WarningCode.NO_AUDIO, f"scored by its transcript alone ({error.code}): {error}"))
        return None
