"""A benchmark's data, read once: what a folder holds is kept beside the results, so that a run can go on unchanged."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from callsift.benchmarks.benchmark import Benchmark, Contents, Count
from callsift.canonical import sha256_of_json
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import DataError, UsageError
from callsift.files import read_json, write_json

DATA: Final = "data"
_CONTENTS, _CALLS = "contents.json", "calls.jsonl"


def read_data(benchmark: Benchmark, source: Path, out: Path) -> Contents:
    """What `source` holds of the data set. Arrays, and what was read, are kept in `out`/data.

    The arrays are not written anew while nothing in `source` changes: trainings that are done know them by their time
    of change.

    Raises:
        UsageError: no folder, or not in the layout in which the data set is published; shows the layout.
        DataError: a file of it is damaged.
    """
    if not source.is_dir():
        raise UsageError(f"--data {source} is no folder. {expected(benchmark)}")
    made_from = _state(benchmark, source)
    kept = out / DATA / _CONTENTS
    if kept.is_file() and read_json(kept)["made_from"] == made_from:
        return _kept(out)
    (out / DATA).mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    found = _read(benchmark, source, out / DATA)
    write_manifest(out / DATA / _CALLS, found.calls)
    plain: dict[str, Any] = {
        "made_from": made_from,
        "counts": [asdict(count) for count in found.counts],
        "streams": sorted(found.streams),
        "absent": list(found.absent),
        "tested_on": found.tested_on,
    }
    write_json(kept, plain)
    return _kept(out)  # as it will be read when the run goes on: times are rounded in a manifest


def check_apart(source: Path, out: Path) -> None:
    """Refuse results inside the data: what is written there would be data that changed, at the next look.

    Raises:
        UsageError: `out` lies in `source`, or is it.
    """
    if out.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"-o {out} lies in the data's folder {source}, which is only read; name one outside of it")


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


def _kept(out: Path) -> Contents:
    plain = read_json(out / DATA / _CONTENTS)
    return Contents(
        read_manifest(out / DATA / _CALLS).calls,
        tuple(Count(**count) for count in plain["counts"]),
        frozenset(plain["streams"]),
        tuple(plain["absent"]),
        plain["tested_on"],
    )


def _state(benchmark: Benchmark, source: Path) -> str:
    """What decides what is read: the version of the reading code, and every file's name, size and time of change."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    states = [[str(path.relative_to(source)), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in files]
    return sha256_of_json([str(source.resolve()), benchmark.reading, states])
