"""Thousands of damaged recordings through the real command line: what they come to, and whether it keeps its promises.

python -m benchmarks.fuzz_audio --files 5000 [--first 0] [--workers 2] [--dry]

File `n` is a damaged copy of base `n mod bases`; the same number gives the same damage: `tests/fuzzing/mutations.py`.
Folders of 100 go through `callsift score` with 4 GB of address space and 10 s a file (see `tests/fuzzing/run.py`).
Files that end in `internal`, `crashed`, `timeout` or `out_of_memory` are listed by base and number.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.results import record
from tests.fuzzing.run import SUSPICIOUS, Outcome, damaged, score_folder, speech_bases, write_damaged

FOLDER_FILES = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="print, don't record")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bases = speech_bases(Path(name), commands=True)
    files = damaged(given.first, given.files, sorted(bases))
    print(f"{len(bases)} bases: {' '.join(sorted(bases))}")
    outcomes: list[Outcome] = []
    for start in range(0, len(files), FOLDER_FILES):
        part = files[start : start + FOLDER_FILES]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "calls"
            folder.mkdir()
            write_damaged(folder, part, bases)
            outcome = score_folder(folder, Path(name) / "scores.jsonl", workers=given.workers)
        outcomes.append(outcome)
        print(
            f"{start + len(part)} files, {outcome.wall_s:.1f} s, slowest {outcome.slowest_s:.1f} s",
            *_suspects(outcome),
            sep="\n  ",
            flush=True,
        )
        for promise in outcome.broken:
            print(f"BROKEN PROMISE from file {part[0].number} on: {promise[:3000]}", flush=True)
    figures = _figures(outcomes, len(bases))
    print(figures)
    if not given.dry:
        record("damaged recordings through the command line", figures)


def _suspects(outcome: Outcome) -> list[str]:
    return [
        f"{name}: {code}: {outcome.messages[name]}"
        for name, code in sorted(outcome.codes.items())
        if code in SUSPICIOUS
    ]


def _figures(outcomes: list[Outcome], bases: int) -> dict[str, Any]:
    codes = Counter(code or "scored" for outcome in outcomes for code in outcome.codes.values())
    per_file = [outcome.wall_s / len(outcome.codes) for outcome in outcomes if outcome.codes]
    return {
        "files": sum(codes.values()),
        "formats": bases,
        "folders with a broken promise": sum(bool(outcome.broken) for outcome in outcomes),
        **{str(code.value): codes.pop(code.value, 0) for code in SUSPICIOUS},
        **dict(codes.most_common()),
        "seconds a file, median folder": statistics.median(per_file) if per_file else None,
        "seconds for the slowest file": max((outcome.slowest_s for outcome in outcomes), default=None),
    }


if __name__ == "__main__":
    main()
