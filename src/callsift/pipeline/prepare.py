"""Call → PreparedCall: decode, find who speaks when, transcribe, cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from callsift.asr.transcripts import find_transcript, read_transcript
from callsift.audio.channels import assign_roles
from callsift.audio.decode import decode
from callsift.config import FrontEnd
from callsift.errors import ErrorCode, RecordingError, WarningCode
from callsift.plugins import AsrEngine
from callsift.speech.cutting import cut_segments
from callsift.speech.rounds import pack_untimed
from callsift.speech.spans import joined
from callsift.speech.turns import spread_text, turns_from_speech
from callsift.speech.vad import detect_speech
from callsift.text.normalise import guess_language, short_language
from callsift.types import Call, Note, PreparedCall, Recording, Role, Segment, Span, Turn

NO_ASR = "none"

Speech = tuple[tuple[Span, ...], ...]


class Preparer:
    """The first half of the front end."""

    def __init__(self, front_end: FrontEnd, asr: AsrEngine | None, count_tokens: Callable[[str], int]) -> None:
        self.front_end = front_end
        self.asr = asr
        self.count_tokens = count_tokens

    def prepare(self, call: Call) -> PreparedCall:
        """See `callsift.pipeline.Pipeline.prepare`."""
        turns = _given_turns(call)
        notes: list[Note] = []
        recording = _recording(call, has_text=_has_text(call, turns), notes=notes)
        if recording is None:
            return self._by_text(call, turns, notes)
        waveform = recording.waveform
        channels = assign_roles(waveform, call.channels)
        speech: Speech = tuple(detect_speech(channel, waveform.rate_hz) for channel in waveform.samples)
        if not any(speech):
            speech = _speech_of(turns, channels, waveform.channels)
        own_audio = any(segment.audio for segment in call.segments)
        if not any(speech) and not own_audio and not _has_text(call, turns):
            raise RecordingError(
                ErrorCode.NO_SPEECH,
                f"{recording.path.name}: no speech found in {waveform.duration_s:.1f} s. "
                "Listen to it; if there is speech, give a transcript beside it.",
            )
        if turns and not any(speech):
            notes.append(Note(WarningCode.NO_AUDIO, "no speech found in the recording: scored by its transcript alone"))
            return self._by_text(call, turns, [*recording.notes, *notes])
        language = call.language or guess_language(_all_text(call, turns))
        asr = None
        if not _has_text(call, turns) and not any(segment.turns for segment in call.segments):
            turns, asr = self._listen(recording, speech, channels, language, notes)
            language = language or guess_language(" ".join(turn.text for turn in turns))
        elif turns and not all(turn.timed for turn in turns):
            turns = spread_text(turns, speech, channels)
            notes.append(
                Note(
                    WarningCode.APPROXIMATE_TIMES,
                    "the transcript has no times; its lines were laid over the speech in proportion",
                )
            )
        turns = _in_order(_with_roles(turns, channels))
        segments = _given_segments(call, turns)
        if not segments:
            segments, cutting = cut_segments(
                turns or turns_from_speech(speech, channels),
                speech,
                segmenting=self.front_end.segmenting,
                max_segment_s=self.front_end.max_segment_s,
                duration_s=waveform.duration_s,
            )
            notes += cutting
        return PreparedCall(
            call=call,
            segments=segments,
            waveform=waveform,
            audio_sha256=recording.sha256,
            language=language,
            speech=speech,
            channels=channels,
            asr=asr,
            notes=(*recording.notes, *notes),
        )

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
        return PreparedCall(
            call=call,
            segments=segments,
            waveform=None,
            audio_sha256=None,
            language=call.language or guess_language(_all_text(call, turns)),
            notes=tuple(notes),
        )

    def _listen(
        self,
        recording: Recording,
        speech: Speech,
        channels: Mapping[int, Role],
        language: str | None,
        notes: list[Note],
    ) -> tuple[tuple[Turn, ...], str | None]:
        """Turns with the text that the engine hears, and the engine's name; without text if there is none."""
        turns = turns_from_speech(speech, channels)
        if self.asr is None:
            notes.append(
                Note(WarningCode.NO_TRANSCRIPT, "no transcript and no speech recognition: scored by audio alone")
            )
            return turns, None
        short = None if language is None else short_language(language)
        if short is not None and short not in self.asr.languages:
            notes.append(
                Note(
                    WarningCode.NO_TRANSCRIPT,
                    f"{self.asr.name} does not know '{language}': scored by audio alone. "
                    "Put a transcript beside the recording (.json, .srt, .vtt).",
                )
            )
            return turns, None
        heard = self._transcribe(recording, turns, language)
        notes += _about_engine(self.asr, language)
        return heard, self.asr.name

    def _transcribe(self, recording: Recording, turns: tuple[Turn, ...], language: str | None) -> tuple[Turn, ...]:
        assert self.asr is not None
        waveform = recording.waveform
        written: dict[int, str] = {}
        for channel in range(waveform.channels):
            mine = [at for at, turn in enumerate(turns) if turn.channel == channel]
            spans = [Span(turns[at].start_s or 0.0, turns[at].end_s or 0.0) for at in mine]
            try:
                found = self.asr.transcribe(waveform.samples[channel], waveform.rate_hz, spans, language)
            except RecordingError:
                raise
            except Exception as error:
                raise RecordingError(
                    ErrorCode.ASR_FAILED,
                    f"{recording.path.name}: {self.asr.name} failed: {error}. "
                    "Give a transcript beside the recording, or score with --asr none.",
                ) from error
            written |= {at: text.text for at, text in zip(mine, found, strict=True)}
        return tuple(replace(turn, text=written.get(at, "")) for at, turn in enumerate(turns))


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
        return decode(call.audio)
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


def _about_engine(asr: AsrEngine, language: str | None) -> list[Note]:
    if asr.name != "pocketsphinx":
        return []
    assumed = "" if language else " Its language was taken to be English."
    return [
        Note(
            WarningCode.FALLBACK_ASR,
            "text by pocketsphinx, the built-in fallback, which errs often on telephone speech. For real use, "
            "transcribe with a better engine such as sherpa-onnx or faster-whisper and put its transcript "
            f"beside the recording (.json, .srt, .vtt).{assumed}",
        )
    ]
