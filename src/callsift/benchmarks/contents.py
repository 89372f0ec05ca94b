"""A benchmark's data, read once: what a folder holds is kept beside the results, so that a run can go on unchanged.

What is read lies in OUT/data.new until the run that it is for is found to be the one that was begun in OUT; only then
does it take the place of OUT/data (`take_over`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from callsift.benchmarks.benchmark import Benchmark, Contents, Count
from callsift.canonical import sha256_of_json
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import DataError, UsageError
from callsift.files import read_json, write_json
from callsift.pipeline.call_files import array_files, content_of
from callsift.types import Call

DATA: Final = "data"
_NEW, _OLD = "data.new", "data.old"
_OURS: Final = (DATA, _NEW, _OLD, "trials")
"""The folders in OUT."""
_CONTENTS, _CALLS = "contents.json", "calls.jsonl"
_FORM: Final = 2
"""One more whenever `contents.json` says something else."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was read. Files are named as they will lie once the arrays are in OUT/data.

    `arrays_sha256`: of the content of their files; None where there are none. `fresh`: they are in OUT/data.new.
    """

    contents: Contents
    arrays_sha256: str | None
    fresh: bool


def read_data(benchmark: Benchmark, source: Path, out: Path) -> Found:
    """What `source` holds of the data set: as it is kept in `out`/data, or read anew where anything in it changed.

    Raises:
        UsageError: no folder, or not in the layout in which the data set is published; shows the layout.
        DataError: a file of it is damaged.
    """
    if not source.is_dir():
        raise UsageError(f"--data {source} is no folder. {expected(benchmark)}")
    if not (out / DATA).exists() and (out / _OLD).is_dir():
        (out / _OLD).rename(out / DATA)  # a process was killed in `take_over`
    made_from = _state(benchmark, source)
    for name in (DATA, _NEW):
        kept = out / name / _CONTENTS
        if kept.is_file() and read_json(kept)["made_from"] == made_from:
            return _kept(out, name)
    shutil.rmtree(out / _NEW, ignore_errors=True)
    (out / _NEW).mkdir(parents=True)
    found = _read(benchmark, source, out / _NEW)
    write_manifest(out / _NEW / _CALLS, found.calls)
    plain: dict[str, Any] = {
        "made_from": made_from,
        "counts": [asdict(count) for count in found.counts],
        "streams": sorted(found.streams),
        "absent": list(found.absent),
        "tested_on": found.tested_on,
        "arrays_sha256": _arrays_sha256(found.calls),
    }
    write_json(out / _NEW / _CONTENTS, plain)  # at last: with it the folder is whole
    return _kept(out, _NEW)  # as it will be read when the run goes on: times are rounded in a manifest


def take_over(found: Found, out: Path) -> None:
    """Put what was read anew into its place."""
    if found.fresh:
        if (out / DATA).exists():
            shutil.rmtree(out / _OLD, ignore_errors=True)
            (out / DATA).rename(out / _OLD)
        (out / _NEW).rename(out / DATA)
    shutil.rmtree(out / _OLD, ignore_errors=True)


def drop(out: Path) -> None:
    """Remove what was read anew and did not take its place."""
    shutil.rmtree(out / _NEW, ignore_errors=True)


def check_apart(source: Path, out: Path) -> None:
    """Refuse results inside the data, and data inside the results' own folders: either would change the data.

    Raises:
        UsageError: `out` lies in `source`, or is it; or `source` lies where the results' data or trainings do.
    """
    here, there = out.resolve(), source.resolve()
    if here.is_relative_to(there):
        raise UsageError(f"-o {out} lies in the data's folder {source}, which is only read; name one outside of it")
    for name in _OURS:
        if there.is_relative_to(here / name):
            raise UsageError(f"--data {source} lies in {out / name}, where -o {out} is written; name another -o")


def expected(benchmark: Benchmark) -> str:
    """The layout, for people."""
    return f"callsift bench {benchmark.name} reads:\n{benchmark.layout.rstrip()}"


def counted(contents: Contents) -> list[str]:
    """A sentence for each count, and whether it is the published one."""
    return [
        f"{count.what}: {count.found:,}"
        + (
            "" if count.published is None
            else ", as published" if count.found == count.published
            else f"; WARNING: {count.published:,} are published, so this is not the whole published set"
        )
        for count in contents.counts
    ]  # fmt: skip


def _read(benchmark: Benchmark, source: Path, scratch: Path) -> Contents:
    try:
        found = benchmark.read(source, scratch)
    except FileNotFoundError as error:
        raise UsageError(f"--data {source} lacks {error.filename or error}. {expected(benchmark)}") from error
    except DataError as error:
        if error.path is not None and error.path.is_file():
            raise  # a file that is there has something wrong in it
        raise UsageError(f"{error}. {expected(benchmark)}") from error
    if not found.calls:
        raise UsageError(f"--data {source} holds nothing of {benchmark.title}. {expected(benchmark)}")
    return found


def _kept(out: Path, name: str) -> Found:
    folder = out / name
    plain = read_json(folder / _CONTENTS)
    contents = Contents(
        tuple(_as_lying(read_manifest(folder / _CALLS).calls, folder, out / DATA)),
        tuple(Count(**count) for count in plain["counts"]),
        frozenset(plain["streams"]),
        tuple(plain["absent"]),
        plain["tested_on"],
    )
    return Found(contents, plain["arrays_sha256"], fresh=name == _NEW)


def _as_lying(calls: Iterable[Call], now: Path, then: Path) -> Iterator[Call]:
    """The calls, read from a manifest that lies in `now`, with every file named as from `then`: arrays that lie in
    there themselves, and others, which may be named by way of it."""

    def moved(path: Path) -> Path:
        return then / path.relative_to(now) if path.is_relative_to(now) else path

    for call in calls:
        segments = tuple(
            replace(
                segment,
                audio=segment.audio and moved(segment.audio),
                streams={name: replace(ref, path=moved(ref.path)) for name, ref in segment.streams.items()},
            )
            for segment in call.segments
        )
        yield replace(
            call,
            audio=call.audio and moved(call.audio),
            transcript=call.transcript and moved(call.transcript),
            segments=segments,
        )


def _arrays_sha256(calls: Iterable[Call]) -> str | None:
    """The hash of the files of arrays in the calls' order: what stands in them is not in the calls."""
    files = dict.fromkeys(file for call in calls for file in array_files(call))
    return sha256_of_json([content_of(file) for file in files]) if files else None


def _state(benchmark: Benchmark, source: Path) -> str:
    """What decides what is read: the version of the reading code, and every file's name, size and time of change."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    states = [[str(path.relative_to(source)), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in files]
    return sha256_of_json([str(source.resolve()), _FORM, benchmark.reading, states])
