"""The text of a call that has none: what a speech recognition engine hears in every turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from callsift.errors import ErrorCode, RecordingError, WarningCode
from callsift.pipeline.listening import Hearing
from callsift.plugins import AsrEngine
from callsift.text.normalise import short_language
from callsift.types import Note, Span, Turn


def recognise(
    asr: AsrEngine | None, hearing: Hearing, turns: Sequence[Turn], language: str | None
) -> tuple[tuple[Turn, ...], str | None, tuple[Note, ...]]:
    """Turns, whose `channel` numbers the side that speaks, with their text; the engine's name; what to know about it.

    Without an engine, or with one that does not know the language, the turns come back as they are, the name is None.

    Raises:
        RecordingError: `asr_failed` or `timeout`.
    """
    if asr is None:
        message = "no transcript and no speech recognition: scored by audio alone"
        return tuple(turns), None, (Note(WarningCode.NO_TRANSCRIPT, message),)
    if language is not None and asr.languages and short_language(language) not in asr.languages:
        message = (
            f"{asr.name} does not know '{language}': scored by audio alone. Put a transcript beside the recording, "
            "or use an engine that does (callsift models list)."
        )
        return tuple(turns), None, (Note(WarningCode.NO_TRANSCRIPT, message),)
    written: dict[int, str] = {}
    for number in range(len(hearing.sides)):
        mine = [at for at, turn in enumerate(turns) if turn.channel == number]
        spans = [Span(turns[at].start_s or 0.0, turns[at].end_s or 0.0) for at in mine]
        if spans:
            written |= dict(
                zip(mine, _texts(asr, hearing, hearing.sides[number].channel, spans, language), strict=True)
            )
    heard = tuple(replace(turn, text=written.get(at, "")) for at, turn in enumerate(turns))
    return heard, engine_name(asr), _about(asr, language)


def engine_name(asr: AsrEngine) -> str:
    """An engine and its model, as results and bundles record them."""
    return f"{asr.name}/{asr.model}" if asr.model else asr.name


def _texts(asr: AsrEngine, hearing: Hearing, channel: int, spans: Sequence[Span], language: str | None) -> list[str]:
    waveform = hearing.waveform
    try:
        found = asr.transcribe(waveform.channel(channel), waveform.rate_hz, spans, language)
    except (RecordingError, MemoryError):
        raise
    except Exception as error:
        raise RecordingError(
            ErrorCode.ASR_FAILED,
            f"{asr.name} failed: {type(error).__name__}: {error}. "
            "Give a transcript beside the recording, or score with --asr none.",
        ) from error
    return [text.text for text in found]


def _about(asr: AsrEngine, language: str | None) -> tuple[Note, ...]:
    if asr.name != "pocketsphinx":
        return ()
    assumed = "" if language else " Its language was taken to be English."
    message = (
        "text by pocketsphinx, the built-in fallback, which errs often on telephone speech. For real use take a better "
        f"engine (callsift models list) or put transcripts beside the recordings (.json, .srt, .vtt).{assumed}"
    )
    return (Note(WarningCode.FALLBACK_ASR, message),)
