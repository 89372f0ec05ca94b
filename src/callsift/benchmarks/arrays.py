"""Files of arrays that are made of a data set, left as they are where nothing in them changes."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from callsift.files import atomic_writer


@contextmanager
def kept_if_equal(path: Path) -> Iterator[IO[Any]]:
    """Write `path` whole or not at all; a file there of the very same bytes keeps its time of change."""
    new = path.with_name(f"{path.name}.new")
    with atomic_writer(new, "wb") as stream:
        yield stream
    if path.is_file() and filecmp.cmp(new, path, shallow=False):
        new.unlink()
    else:
        new.replace(path)
