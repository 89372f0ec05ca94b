"""The prepared set on disk: `manifest.jsonl` with turns and segments filled in, and `front_end.json`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from callsift.config import FrontEnd
from callsift.data.manifest import write_manifest
from callsift.errors import DataError
from callsift.files import read_json, write_json
from callsift.speech.vad import VAD_NAME
from callsift.types import Call, PreparedCall

SCHEMA_VERSION = 1
_FILE = "front_end.json"


def write_prepared(folder: Path, prepared: Iterable[PreparedCall], front_end: FrontEnd) -> int:
    """Write the set when all calls are through and say how many there are.

    The manifest comes last: a folder with one is whole.
    """
    calls: list[Call] = []
    engines: set[str] = set()
    for found in prepared:
        engines |= {found.asr} if found.asr else set()
        calls.append(replace(found.call, language=found.language, transcript=None, turns=(), segments=found.segments))
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
    write_manifest(folder / "manifest.jsonl", calls)
    return len(calls)


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
