"""The text of a call that has none: what a speech recognition engine hears in every turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from callsift.errors import ErrorCode, RecordingError, WarningCode
from callsift.pipeline.listening import Hearing
from callsift.plugins import AsrEngine, AsrText
from callsift.text.normalise import short_language
from callsift.types import Note, Span, Turn


@dataclass(frozen=True, slots=True)
class Recognised:
    """Turns with what was heard in them, the engine's confidence in each, its name, and what to know about it.

    Where no engine could be used, the turns are as they were and `engine` is None.
    """

    turns: tuple[Turn, ...]
    confidences: tuple[float | None, ...]
    engine: str | None
    notes: tuple[Note, ...]


def recognise(asr: AsrEngine | None, hearing: Hearing, turns: Sequence[Turn], language: str | None) -> Recognised:
    """Have an engine hear all turns, whose `channel` numbers the side that speaks.

    Raises:
        RecordingError: `asr_failed` or `timeout`.
    """
    if asr is None:
        why = "no transcript and no speech recognition: scored by audio alone, by which few models can tell the grade"
        return _unheard(turns, why)
    if language is not None and asr.languages and short_language(language) not in asr.languages:
        return _unheard(
            turns,
            f"{asr.name} does not know '{language}': scored by audio alone. Put a transcript beside the recording, "
            "or use an engine that does (callsift models list).",
        )
    texts: dict[int, AsrText] = {}
    for number, side in enumerate(hearing.sides):
        mine = [at for at, turn in enumerate(turns) if turn.channel == number]
        spans = [Span(turns[at].start_s or 0.0, turns[at].end_s or 0.0) for at in mine]
        if spans:
            texts |= dict(zip(mine, _texts(asr, hearing, side.channel, spans, language), strict=True))
    heard = tuple(
        replace(turn, text=_whole(texts[at].text), confidence=texts[at].confidence) if at in texts else turn
        for at, turn in enumerate(turns)
    )
    confidences = tuple(texts[at].confidence if at in texts else None for at in range(len(turns)))
    return Recognised(heard, confidences, engine_name(asr), _about(asr, language))


def _whole(text: str) -> str:
    """The text of an engine that breaks off in the middle of a character: nobody can mend what it says."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unheard(turns: Sequence[Turn], why: str) -> Recognised:
    return Recognised(tuple(turns), (None,) * len(turns), None, (Note(WarningCode.NO_TRANSCRIPT, why),))


def engine_name(asr: AsrEngine) -> str:
    """An engine and its model, as results and bundles record them."""
    return f"{asr.name}/{asr.model}" if asr.model else asr.name


def _texts(
    asr: AsrEngine, hearing: Hearing, channel: int, spans: Sequence[Span], language: str | None
) -> tuple[AsrText, ...]:
    waveform = hearing.waveform
    try:
        return asr.transcribe(waveform.channel(channel), waveform.rate_hz, spans, language)
    except (RecordingError, MemoryError):
        raise
    except Exception as error:
        raise RecordingError(
            ErrorCode.ASR_FAILED,
            f"{asr.name} failed: {type(error).__name__}: {error}. "
            "Give a transcript beside the recording, or score with --asr none.",
        ) from error


def _about(asr: AsrEngine, language: str | None) -> tuple[Note, ...]:
    if asr.name != "pocketsphinx":
        return ()
    assumed = "" if language else " Its language was taken to be English."
    message = (
        "text by pocketsphinx, the built-in fallback, which errs often on telephone speech. For real use take a better "
        f"engine (callsift models list) or put transcripts beside the recordings (.json, .srt, .vtt).{assumed}"
    )
    return (Note(WarningCode.FALLBACK_ASR, message),)
