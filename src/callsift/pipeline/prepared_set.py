"""The prepared set on disk: `manifest.jsonl` with turns and segments filled in, and `front_end.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from callsift.config import FrontEnd
from callsift.data.manifest import write_manifest
from callsift.errors import CallsiftError, DataError, ErrorCode, RecordingError
from callsift.files import read_json, write_json
from callsift.pipeline.measures import MeasuredRow, measures_of
from callsift.speech.vad import VAD_NAME
from callsift.types import Call, Note, PreparedCall, Segment

SCHEMA_VERSION = 1
_FILE = "front_end.json"


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """What a prepared set keeps of a call: the call with its segments, who wrote the text, and what was odd."""

    call: Call
    asr: str | None
    notes: tuple[Note, ...]
    measures: tuple[MeasuredRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that can't be prepared, and why."""

    call: Call
    code: ErrorCode
    message: str


def prepared_row(prepared: PreparedCall, *, measured: bool = False) -> PreparedRow:
    """A prepared call without its audio. `measured`: with its measures, which read the audio once more."""
    # Roles settled here are not to be settled again, without the turns, by whoever reads the set.
    settled = {"agent", "customer"} <= set(prepared.channels.values())
    channels = {_of_file(at, prepared.kept): role for at, role in prepared.channels.items()}
    call = replace(
        prepared.call,
        language=prepared.language,
        transcript=None,
        turns=(),
        segments=tuple(_numbered_as_file(segment, prepared.kept) for segment in prepared.segments),
        channels=channels if settled else prepared.call.channels,
    )
    return PreparedRow(call, prepared.asr, prepared.notes, measures_of(prepared) if measured else ())


def _of_file(channel: int, kept: Sequence[int]) -> int:
    """The file's number of a channel of the waveform. `kept`: as in `PreparedCall`; () where there is no waveform."""
    return kept[channel] if channel < len(kept) else channel


def _numbered_as_file(segment: Segment, kept: Sequence[int]) -> Segment:
    """A segment whose turns number the file's channels, as a manifest does, instead of the waveform's."""
    if segment.audio is not None:
        return segment
    turns = (
        turn if turn.channel is None else replace(turn, channel=_of_file(turn.channel, kept)) for turn in segment.turns
    )
    return replace(segment, turns=tuple(turns))


def row_or_refusal(
    prepare: Callable[[Call], PreparedCall], call: Call, *, measured: bool = False
) -> PreparedRow | Refused:
    """What a prepared set gets of a call; whatever is wrong with the call itself comes back, it is never raised."""
    try:
        return prepared_row(prepare(call), measured=measured)
    except RecordingError as error:
        return Refused(call, error.code, str(error))
    except MemoryError:
        return Refused(call, ErrorCode.OUT_OF_MEMORY, "not enough memory for this call")
    except CallsiftError as error:
        return Refused(call, ErrorCode.BAD_TRANSCRIPT, str(error))


def write_prepared(folder: Path, rows: Sequence[PreparedRow], front_end: FrontEnd) -> None:
    """Write the set. The manifest comes last: a folder with one is whole."""
    engines = {row.asr for row in rows if row.asr}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / _FILE,
        {
            "schema_version": SCHEMA_VERSION,
            "settings": front_end.model_dump(mode="json"),
            "sha256": front_end.sha256,
            "vad": VAD_NAME,
            "asr": min(engines, default=None),
        },
    )
    write_manifest(folder / "manifest.jsonl", (row.call for row in rows))


def check_prepared(folder: Path, front_end_sha256: str) -> None:
    """A folder without `front_end.json` is no prepared set and passes.

    Raises:
        DataError: the set was prepared with other settings than the model's, or by a newer callsift.
    """
    path = folder / _FILE
    if not path.is_file():
        return
    data = read_json(path)
    if data.get("schema_version") != SCHEMA_VERSION:
        raise DataError(f"format {data.get('schema_version')!r} is not known; update callsift", path)
    if data.get("sha256") != front_end_sha256:
        raise DataError(_difference(data, front_end_sha256), path)


def _difference(data: Mapping[str, Any], front_end_sha256: str) -> str:
    """What to do about a set that was prepared with other settings than the model's."""
    redacted = _redacted_if_all_else_equals(data.get("settings"), front_end_sha256)
    if redacted:
        return (
            "this set was prepared with other settings than the model's front end: with --redact (front_end.redact). "
            "Give --redact here, too."
        )
    if redacted is not None:
        return (
            "this set was prepared with other settings than the model's front end: without --redact. "
            "Prepare the original manifest again with --redact, or leave --redact out here if it was given."
        )
    return (
        f"this set was prepared with other settings ({str(data.get('sha256'))[:12]}) than the model's front end "
        f"({front_end_sha256[:12]}). Prepare the original manifest again, or give that manifest itself."
    )


def _redacted_if_all_else_equals(settings: Any, front_end_sha256: str) -> bool | None:
    """Whether a set was redacted, where that is its only difference from the model's front end; None where not."""
    try:
        front_end = FrontEnd.model_validate(settings)
    except ValidationError:
        return None
    flipped = front_end.model_copy(update={"redact": not front_end.redact})
    return front_end.redact if flipped.sha256 == front_end_sha256 else None


def asr_of(folder: Path) -> str | None:
    """The engine that wrote text of a prepared set; None where none did, or the folder is no prepared set."""
    path = folder / _FILE
    return read_json(path).get("asr") if path.is_file() else None
