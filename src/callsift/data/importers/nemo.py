"""NeMo manifests: JSON Lines with `audio_filepath`, and `offset`, `duration`, `text`, `label`, … where given.

Lines of one recording are its segments. A line without `offset` is the whole recording.
"""

from __future__ import annotations

from pathlib import Path

from callsift.data.importers.fields import columns_of
from callsift.data.importers.json_lines import flat, json_objects
from callsift.data.importers.parts import Imported, Request
from callsift.data.importers.pieces import Row
from callsift.data.importers.rows import import_rows

_FIELDS = {
    "audio": "audio_filepath", "start_s": "offset", "duration_s": "duration", "text": "text", "label": "label",
    "language": "lang",
}  # fmt: skip


def import_nemo(path: Path, request: Request) -> Imported:
    """The calls of a NeMo manifest.

    Raises:
        DataError: a line that is no JSON object, or can't be imported.
        UsageError: a mapping to a key that no line has.
    """
    rows = [Row(line, flat(value)) for line, value in json_objects(path)]
    header = tuple(dict.fromkeys(key for row in rows for key in row.cells))
    return import_rows(path, rows, columns_of(header, request.mapping, _FIELDS, request.raters), request)
