"""Preparing many calls, each by a worker process: see `callsift.isolation`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from callsift.audio.mute import write_muted
from callsift.config import FrontEnd
from callsift.errors import ErrorCode, RecordingError, WarningCode
from callsift.pipeline import Pipeline, make_asr, make_diarizer
from callsift.pipeline.prepared_set import PreparedRow, Refused, row_or_refusal
from callsift.text.tokens import word_tokenizer
from callsift.types import Call, PreparedCall

_LONGEST_NAME = 200


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
            return prepared if self.muted_audio is None else _with_muted_audio(prepared, self.muted_audio)

        return pipeline.asr_name, lambda call: row_or_refusal(prepare, call, measured=self.measured)


def _with_muted_audio(prepared: PreparedCall, folder: Path) -> PreparedCall:
    """The call with a recording of its own in `folder`, silent where something redacted is said.

    Raises:
        RecordingError: `bad_transcript`, something was redacted and nobody knows when it is said.
    """
    if prepared.waveform is None:
        return replace(prepared, call=replace(prepared.call, audio=None))
    codes = {note.code for note in prepared.notes}
    if WarningCode.REDACTED in codes and (WarningCode.APPROXIMATE_TIMES in codes or not prepared.muted):
        message = "what is redacted can't be muted, as its transcript has no times. Give one with times."
        raise RecordingError(ErrorCode.BAD_TRANSCRIPT, message)
    path = folder / f"{_file_name(prepared.call.call_id)}.wav"
    write_muted(prepared.waveform, prepared.muted, path)
    channels = {channel: role for channel, role in prepared.channels.items() if role != "unknown"}
    return replace(prepared, call=replace(prepared.call, audio=path, rate_hz=None, channels=channels or None))


def _file_name(call_id: str) -> str:
    """A call's id as a name for a file: different for different ids, and not too long."""
    name = quote(call_id, safe=" ")
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}-{sha256(call_id.encode()).hexdigest()[:8]}"
