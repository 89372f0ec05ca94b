"""Which recordings are the same one: by name, by link, or byte for byte under two names.

Files are compared only where their sizes agree, first by three short stretches, so that nothing long is read in vain.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

from callsift.files import sha256_of_file
from callsift.types import Call

_STRETCH_BYTES = 4096


def files_of(call: Call) -> list[Path]:
    """The recordings of a call, its own first, then those of its segments, each once."""
    paths = (call.audio, *(segment.audio for segment in call.segments))
    return list(dict.fromkeys(path for path in paths if path is not None))


def same_audio(paths: Iterable[Path]) -> dict[Path, Path]:
    """Every path → the first path of the same content. Missing, unreadable and empty files are like no other."""
    named = list(dict.fromkeys(paths))
    first = {path: path for path in named}
    sized: dict[Hashable, list[Path]] = defaultdict(list)
    inodes: dict[tuple[int, int], Path] = {}
    for path in named:
        try:
            status = path.stat()
        except OSError:
            continue
        first[path] = inodes.setdefault((status.st_dev, status.st_ino), path)
        if status.st_size and first[path] == path:
            sized[status.st_size].append(path)
    alike = _told_apart(_told_apart(sized.values(), _stretches), sha256_of_file)
    copies = {copy: originals[0] for originals in alike for copy in originals}
    return {path: copies.get(found, found) for path, found in first.items()}


def _told_apart(sets: Iterable[Sequence[Path]], mark: Callable[[Path], Hashable]) -> list[list[Path]]:
    """Sets of files that may be the same → smaller ones with the same mark; sets of one are dropped."""
    found: list[list[Path]] = []
    for paths in sets:
        marked: dict[Hashable, list[Path]] = defaultdict(list)
        for path in paths if len(paths) > 1 else ():
            try:
                marked[mark(path)].append(path)
            except OSError:
                continue
        found += [same for same in marked.values() if len(same) > 1]
    return found


def _stretches(path: Path) -> bytes:
    """Hash of the start, the middle and the end."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as stream:
        for start in (0, size // 2, max(0, size - _STRETCH_BYTES)):
            stream.seek(start)
            digest.update(stream.read(_STRETCH_BYTES))
    return digest.digest()
