"""Call → PreparedCall: decode, hear who speaks when, transcribe, settle who is who, cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from callsift.asr.guards import guard
from callsift.asr.transcripts import find_transcript, read_transcript
from callsift.audio.decode import decode
from callsift.config import FrontEnd
from callsift.errors import ErrorCode, RecordingError, WarningCode
from callsift.pipeline.listening import Hearing, Side, listen
from callsift.pipeline.recognise import recognise
from callsift.pipeline.roles import settle_by_transcript, settle_roles, settle_speakers
from callsift.plugins import AsrEngine, Diarizer
from callsift.speech.cutting import cut_segments
from callsift.speech.rounds import pack_untimed
from callsift.speech.spans import joined, total_s, within
from callsift.speech.turns import spread_text, turns_from_speech
from callsift.text.normalise import guess_language
from callsift.text.redact import redact_turns
from callsift.types import Call, Note, PreparedCall, Recording, Role, Segment, Span, Turn

NO_ASR = "none"

GIVEN_SLACK_S = 0.5
"""The times of given transcripts are often this far off."""

Speech = tuple[tuple[Span, ...], ...]


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
        turns, about_speakers = settle_speakers(_given_turns(call))
        has_text = _has_text(call, turns)
        notes = list(about_speakers)
        recording = _recording(call, has_text=has_text, notes=notes)
        if recording is None:
            return self._by_text(call, turns, notes)
        hearing = listen(recording.waveform, call.channels, self.diarizer if _voices_unknown(call, turns) else None)
        turns = hearing.on_channels(turns)
        if not any(side.speech for side in hearing.sides):
            hearing = _as_transcribed(hearing, turns)
        if not any(side.speech for side in hearing.sides):
            if turns:
                message = "no speech found in the recording: scored by its transcript alone"
                return self._by_text(call, turns, [*recording.notes, *notes, Note(WarningCode.NO_AUDIO, message)])
            if not has_text and not any(segment.audio for segment in call.segments):
                raise _no_speech(recording)
        language = call.language or guess_language(_all_text(call, turns))
        asr = None
        if not has_text and not any(segment.turns for segment in call.segments):
            hearing, turns, asr, found = self._recognised(hearing, language)
            language = language or guess_language(" ".join(turn.text for turn in turns))
        else:
            hearing, turns, found = _given_text(hearing, turns)
        notes += found
        turns = _in_order(turns)
        segments = _given_segments(call, turns)
        if not segments:
            segments, cutting = cut_segments(
                turns or turns_from_speech(hearing.speech, hearing.channels),
                hearing.speech,
                segmenting=self.front_end.segmenting,
                max_segment_s=self.front_end.max_segment_s,
                duration_s=hearing.waveform.duration_s,
                bursts=hearing.bursts,
            )
            notes += cutting
        segments, muted = self._redacted(segments, notes)
        return PreparedCall(
            call=call,
            segments=segments,
            waveform=hearing.waveform,
            audio_sha256=recording.sha256,
            language=language,
            speech=hearing.speech,
            channels=hearing.channels,
            asr=asr,
            muted=muted,
            notes=(*recording.notes, *hearing.notes, *notes),
        )

    def _redacted(
        self, segments: tuple[Segment, ...], notes: list[Note]
    ) -> tuple[tuple[Segment, ...], tuple[tuple[Span, int | None], ...]]:
        """Segments without personal numbers and addresses, if that is wanted, and when those are said."""
        if not self.front_end.redact:
            return segments, ()
        said = [turn for segment in segments for turn in segment.turns]
        turns, muted = redact_turns(said)
        changed = sum(before.text != after.text for before, after in zip(said, turns, strict=True))
        if changed:
            message = f"personal numbers or addresses were taken out of {changed} turns"
            notes.append(Note(WarningCode.REDACTED, message))
        left = iter(turns)
        redacted = tuple(replace(segment, turns=tuple(islice(left, len(segment.turns)))) for segment in segments)
        return redacted, tuple((one.span, one.channel) for one in muted)

    def _recognised(
        self, hearing: Hearing, language: str | None
    ) -> tuple[Hearing, tuple[Turn, ...], str | None, list[Note]]:
        """A call without text: its turns with what the engine hears, and who is who by that."""
        sides = hearing.sides
        silent = turns_from_speech([side.speech for side in sides], {at: side.role for at, side in enumerate(sides)})
        found = recognise(self.asr, hearing, silent, language)
        heard, dropped = guard(found.turns, [side.speech for side in sides], found.confidences)
        hearing, about_roles = settle_roles(hearing, heard)
        return hearing, _by_sides(hearing, heard), found.engine, [*found.notes, *dropped, *about_roles]

    def _by_text(self, call: Call, turns: tuple[Turn, ...], notes: list[Note]) -> PreparedCall:
        """A call without a usable recording: its transcript alone, or segments with recordings of their own."""
        turns = _in_order(turns)
        segments = _given_segments(call, turns)
        if not _has_text(call, turns):
            notes.append(
                Note(WarningCode.NO_TRANSCRIPT, "the segments' recordings have no text: scored by audio alone")
            )
        if not segments and all(turn.timed for turn in turns):
            segments, cutting = cut_segments(
                turns,
                _speech_of(turns, {}, 1),
                segmenting=self.front_end.segmenting,
                max_segment_s=self.front_end.max_segment_s,
                duration_s=max(turn.end_s or 0.0 for turn in turns),
            )
            notes += cutting
        elif not segments:
            segments = pack_untimed(
                turns,
                segmenting=self.front_end.segmenting,
                max_segment_tokens=self.front_end.max_segment_tokens,
                count_tokens=self.count_tokens,
            )
        segments, _ = self._redacted(segments, notes)
        return PreparedCall(
            call=call,
            segments=segments,
            waveform=None,
            audio_sha256=None,
            language=call.language or guess_language(_all_text(call, turns)),
            notes=tuple(notes),
        )


def _no_speech(recording: Recording) -> RecordingError:
    message = (
        f"{recording.path.name}: no speech found in {recording.waveform.duration_s:.1f} s. "
        "Listen to it; if there is speech, give a transcript beside it."
    )
    return RecordingError(ErrorCode.NO_SPEECH, message)


def _voices_unknown(call: Call, turns: Sequence[Turn]) -> bool:
    """Whether nobody has said yet who speaks when."""
    given = [*turns, *(turn for segment in call.segments for turn in segment.turns)]
    return not call.segments and not any(turn.timed and (turn.role != "unknown" or turn.speaker) for turn in given)


def _as_transcribed(hearing: Hearing, turns: Sequence[Turn]) -> Hearing:
    """A hearing in which nothing was heard, with the times of a transcript for speech."""
    spans = _speech_of(turns, hearing.channels, hearing.waveform.channels)
    sides = tuple(Side(channel, role, spans[channel]) for channel, role in hearing.channels.items())
    return replace(hearing, sides=sides)


def _given_text(hearing: Hearing, turns: tuple[Turn, ...]) -> tuple[Hearing, tuple[Turn, ...], list[Note]]:
    """A transcript laid over what was heard: its times, or else approximate ones, and the roles on both."""
    if turns and not all(turn.timed for turn in turns):
        message = "the transcript has no times; its lines were laid over the speech in proportion"
        spread, looped = guard(spread_text(turns, hearing.speech, hearing.channels), ())
        return hearing, _with_roles(spread, hearing.channels), [Note(WarningCode.APPROXIMATE_TIMES, message), *looped]
    turns, notes = guard(turns, _widened(hearing.speech))
    if hearing.diarized is not None:
        hearing, about_roles = settle_roles(hearing, _on_sides(hearing, turns))
        return hearing, _by_sides(hearing, _on_sides(hearing, turns)), [*notes, *about_roles]
    hearing, about_roles = settle_by_transcript(hearing, turns)
    return hearing, _with_roles(turns, hearing.channels), [*notes, *about_roles]


def _widened(speech: Speech) -> Speech:
    """Speech with `GIVEN_SLACK_S` on both sides, to compare a transcript's times with."""
    return tuple(
        joined(Span(max(0.0, span.start_s - GIVEN_SLACK_S), span.end_s + GIVEN_SLACK_S) for span in spans)
        for spans in speech
    )


def _on_sides(hearing: Hearing, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Timed turns whose `channel` numbers the side that speaks most in them."""

    def side_of(turn: Turn) -> int:
        heard_s = [total_s(within(side.speech, turn.start_s or 0.0, turn.end_s or 0.0)) for side in hearing.sides]
        return heard_s.index(max(heard_s))

    return tuple(replace(turn, channel=side_of(turn)) for turn in turns)


def _by_sides(hearing: Hearing, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Turns whose `channel` numbers a side → with that side's role and channel."""
    sides = [hearing.sides[turn.channel or 0] for turn in turns]
    return tuple(replace(turn, role=side.role, channel=side.channel) for turn, side in zip(turns, sides, strict=True))


def _given_turns(call: Call) -> tuple[Turn, ...]:
    if call.turns:
        return call.turns
    path = call.transcript
    if path is None and call.audio is not None and not call.segments:
        path = find_transcript(call.audio)
    return () if path is None else read_transcript(path)


def _has_text(call: Call, turns: Sequence[Turn]) -> bool:
    return any(turn.text.strip() for turn in turns) or any(
        turn.text.strip() for segment in call.segments for turn in segment.turns
    )


def _all_text(call: Call, turns: Sequence[Turn]) -> str:
    inside = [turn.text for segment in call.segments for turn in segment.turns]
    return " ".join([*(turn.text for turn in turns), *inside])


def _recording(call: Call, *, has_text: bool, notes: list[Note]) -> Recording | None:
    """The decoded recording; a bad one is a warning where there is text to go by, an error otherwise."""
    if call.audio is None:
        if not has_text and not any(segment.audio or segment.streams for segment in call.segments):
            raise RecordingError(ErrorCode.MISSING_FILE, f"call '{call.call_id}' has neither audio nor text")
        return None
    try:
        return decode(call.audio, call.rate_hz)
    except RecordingError as error:
        if not has_text:
            raise
        notes.append(Note(WarningCode.NO_AUDIO, f"scored by its transcript alone ({error.code}): {error}"))
        return None


def _speech_of(turns: Sequence[Turn], channels: Mapping[int, Role], count: int) -> Speech:
    """The times of a transcript as speech, for a recording in which none was heard, or none at all."""
    spans: list[list[Span]] = [[] for _ in range(count)]
    for turn in turns:
        if turn.start_s is not None and turn.end_s is not None:
            channel = turn.channel
            if channel is None or channel >= count:
                channel = next((c for c, role in channels.items() if role == turn.role), 0)
            spans[channel].append(Span(turn.start_s, turn.end_s))
    return tuple(joined(channel) for channel in spans)


def _with_roles(turns: Sequence[Turn], channels: Mapping[int, Role]) -> tuple[Turn, ...]:
    """Turns of unknown role on a channel whose role is known take it."""
    return tuple(
        replace(turn, role=channels[turn.channel])
        if turn.role == "unknown" and turn.channel is not None and turn.channel in channels
        else turn
        for turn in turns
    )


def _in_order(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Timed turns by their start; without times the order given is all there is."""
    if not all(turn.timed for turn in turns):
        return turns
    return tuple(sorted(turns, key=lambda turn: turn.start_s or 0.0))


def _given_segments(call: Call, turns: Sequence[Turn]) -> tuple[Segment, ...]:
    """The segments of the manifest, never re-cut; those without turns get the call's turns by time."""
    if not call.segments or any(segment.turns for segment in call.segments):
        return call.segments
    timed = [s for s in call.segments if s.start_s is not None and s.end_s is not None]
    shares: dict[str, list[Turn]] = {segment.segment_id: [] for segment in call.segments}
    for turn in turns:
        if turn.timed and timed:
            best = max(timed, key=lambda segment: _overlap_s(turn, segment))
            shares[best.segment_id].append(turn)
    return tuple(replace(segment, turns=tuple(shares[segment.segment_id])) for segment in call.segments)


def _overlap_s(turn: Turn, segment: Segment) -> float:
    return min(turn.end_s or 0.0, segment.end_s or 0.0) - max(turn.start_s or 0.0, segment.start_s or 0.0)
