"""Preparing many calls, each by a worker process: see `callsift.isolation`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import get_args
from urllib.parse import quote

from callsift.audio.mute import write_muted
from callsift.config import FrontEnd
from callsift.errors import ErrorCode, RecordingError, WarningCode
from callsift.pipeline import Pipeline, make_asr, make_diarizer
from callsift.pipeline.prepared_set import PreparedRow, Refused, row_or_refusal
from callsift.text.dictation import Kind
from callsift.text.tokens import word_tokenizer
from callsift.types import Call, PreparedCall

_LONGEST_NAME = 200
_MARK = re.compile("|".join(re.escape(f"[{kind}]") for kind in get_args(Kind)))


@dataclass(frozen=True, slots=True)
class PreparerSpec:
    """What a worker process needs to prepare calls for a prepared set.

    `measured`: with measures. `muted_audio`: a folder for the recordings without what was redacted.
    """

    front_end: FrontEnd
    asr: str | None = None
    diarizer: str | None = None
    measured: bool = False
    muted_audio: Path | None = None

    def make_worker(self) -> tuple[str, Callable[[Call], PreparedRow | Refused]]:
        """For `callsift.isolation`: the engine's name, and the function that prepares a call."""
        pipeline = Pipeline(self.front_end, word_tokenizer(), make_asr(self.asr), make_diarizer(self.diarizer))

        def prepare(call: Call) -> PreparedCall:
            prepared = pipeline.prepare(call)
            return prepared if self.muted_audio is None else with_muted_audio(prepared, self.muted_audio)

        return pipeline.asr_name, lambda call: row_or_refusal(prepare, call, measured=self.measured)


def with_muted_audio(prepared: PreparedCall, folder: Path) -> PreparedCall:
    """The call with a recording of its own in `folder`, silent where something redacted is said.

    Raises:
        RecordingError: `bad_transcript`, nobody knows whether or when something is said that is to be muted.
    """
    reason = _not_to_be_muted(prepared)
    if reason is not None:
        raise RecordingError(ErrorCode.BAD_TRANSCRIPT, reason)
    if prepared.waveform is None:
        return replace(prepared, call=replace(prepared.call, audio=None))
    path = folder / f"{file_name(prepared.call.call_id)}.wav"
    write_muted(prepared.waveform, prepared.muted, path)
    channels = {channel: role for channel, role in prepared.channels.items() if role != "unknown"}
    call = replace(prepared.call, audio=path, rate_hz=None, channels=channels or None)
    # The new recording has the channels of the waveform, all of them.
    return replace(prepared, call=call, kept=tuple(range(prepared.waveform.channels)))


def _not_to_be_muted(prepared: PreparedCall) -> str | None:
    """Why a call can't be given a recording without what is redacted."""
    if any(segment.audio is not None for segment in prepared.segments):
        return (
            "its segments have recordings of their own, in which nothing can be muted. Give the call's recording and "
            "the segments' times instead, or leave --export-audio out."
        )
    if prepared.waveform is None:
        return None
    turns = [turn for segment in prepared.segments for turn in segment.turns]
    codes = {note.code for note in prepared.notes}
    if WarningCode.REDACTED not in codes and not any(turn.text.strip() for turn in turns):
        return (
            "nothing is known of what is said in it, so nothing can be muted. Give a transcript with times, or a "
            "speech recognition engine that knows its language (--asr)."
        )
    untimed = sum(not turn.timed and _MARK.search(turn.text) is not None for turn in turns)
    if untimed or (WarningCode.REDACTED in codes and (WarningCode.APPROXIMATE_TIMES in codes or not prepared.muted)):
        return "what is redacted can't be muted, as its transcript has no times for it. Give one with times."
    return None


def file_name(call_id: str) -> str:
    """A call's id as a name for a file: different for different ids, and not too long."""
    name = quote(call_id, safe=" ")
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}-{sha256(call_id.encode()).hexdigest()[:8]}"
