"""Which graded calls a run has learned from: figures and thresholds on them would flatter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from callsift.data.manifest import read_manifest
from callsift.data.same_audio import files_of, same_audio
from callsift.errors import CallsiftError
from callsift.files import read_json, sha256_of_file
from callsift.types import Call


def seen_in_training(run: Path, calls: Sequence[Call]) -> list[str]:
    """Ids of the calls that were training calls of a run: by their id, or by a recording of the same content.

    Those of the run that it started from count too. Recordings are compared where the run's manifest is still there,
    as it was.
    """
    data = read_json(run / "data.json")
    earlier = Path(data["started_from"]["run"]) if "started_from" in data else None
    before = set(seen_in_training(earlier, calls)) if earlier and (earlier / "data.json").is_file() else set()
    learnt = frozenset(data["splits"]["train"])
    paths = [path for call in _calls_of(Path(data["manifest"]), data["sha256"], learnt) for path in files_of(call)]
    first = same_audio([*paths, *(path for call in calls for path in files_of(call))])
    heard = {first[path] for path in paths}
    return [
        call.call_id
        for call in calls
        if call.call_id in learnt | before or any(first[path] in heard for path in files_of(call))
    ]


def _calls_of(manifest: Path, sha256: str, names: frozenset[str]) -> list[Call]:
    try:
        if sha256_of_file(manifest) != sha256:
            return []
        return [call for call in read_manifest(manifest).calls if call.call_id in names]
    except (OSError, CallsiftError):
        return []
