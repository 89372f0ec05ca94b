"""The prepared set on disk: `manifest.jsonl` with turns and segments filled in, and `front_end.json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from callsift.config import FrontEnd
from callsift.data.manifest import write_manifest
from callsift.errors import CallsiftError, DataError, ErrorCode, RecordingError
from callsift.files import read_json, write_json
from callsift.pipeline.measures import MeasuredRow, measures_of
from callsift.speech.vad import VAD_NAME
from callsift.types import Call, Note, PreparedCall

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
    call = replace(
        prepared.call,
        language=prepared.language,
        transcript=None,
        turns=(),
        segments=prepared.segments,
        channels=prepared.channels if settled else prepared.call.channels,
    )
    return PreparedRow(call, prepared.asr, prepared.notes, measures_of(prepared) if measured else ())


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
        raise DataError(
            f"this set was prepared with other settings ({str(data.get('sha256'))[:12]}) than the model's front end "
            f"({front_end_sha256[:12]}). Prepare the original manifest again, or give that manifest itself.",
            path,
        )


def asr_of(folder: Path) -> str | None:
    """The engine that wrote text of a prepared set; None where none did, or the folder is no prepared set."""
    path = folder / _FILE
    return read_json(path).get("asr") if path.is_file() else None
