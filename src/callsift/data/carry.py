"""A manifest written anew keeps what callsift does not know of its lines: other tools add keys of their own.

Paths among such values are kept as they stand; only callsift's own are made relative to the new file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from callsift.data.manifest import call_row
from callsift.data.manifest_row import unknown_keys
from callsift.files import read_jsonl, write_jsonl
from callsift.types import Call

_TURN_KEYS = {"role", "text", "start_s", "end_s", "channel", "speaker"}
_SEGMENT_KEYS = {"segment_id", "text", "turns", "start_s", "end_s", "audio", "label", "streams"}


def rewrite_manifest(path: Path, calls: Iterable[Call], source: Path) -> None:
    """Write calls of the manifest `source` to `path`, with all unknown keys of their lines, segments and turns.

    The calls may have other labels and splits than in `source`, but the same segments and turns.
    """
    before = {str(row["call_id"]): row for _, row in read_jsonl(source)}
    rows = [_carried(before.get(call.call_id, {}), call_row(call, path.parent)) for call in calls]
    write_jsonl(path, rows)


def _carried(old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    old = json.loads(json.dumps(old), parse_constant=lambda _: None)  # NaN, which JSON doesn't have
    row = new | {key: old[key] for key in unknown_keys(old)}
    segments = list(zip(old.get("segments") or (), new.get("segments") or (), strict=False))
    for before, after in ((old, new), *segments):
        for one, other in zip(before.get("turns") or (), after.get("turns") or (), strict=False):
            other |= {key: value for key, value in one.items() if key not in _TURN_KEYS}
    for before, after in segments:
        after |= {key: value for key, value in before.items() if key not in _SEGMENT_KEYS}
    return row
