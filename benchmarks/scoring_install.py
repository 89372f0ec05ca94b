"""Times and sizes of the scoring install: demo, --help, and what pip puts on the disk. `make measure`

    python -m benchmarks.scoring_install [--runs 5] [--fresh]

`--fresh` also makes an environment of its own with the core alone, and measures its size.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import ROOT, record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="how often each command is timed")
    parser.add_argument("--fresh", action="store_true", help="also install the core into an environment of its own")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        python = Path(sys.executable)
        figures: dict[str, object] = {}
        if options.fresh:
            subprocess.run([python, "-m", "venv", f"{scratch}/core"], check=True)
            python = Path(scratch) / "core/bin/python"
            before = _megabytes(Path(scratch) / "core")
            subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
            figures["scoring install, MB"] = round(_megabytes(Path(scratch) / "core") - before, 1)
        demo: list[str | Path] = [python, "-m", "callsift.cli", "demo", "--out", f"{scratch}/demo"]
        figures["callsift demo, s (median)"] = _median_s(demo, options.runs)
        figures["callsift --help, s (median)"] = _median_s([python, "-m", "callsift.cli", "--help"], options.runs)
    for name, value in figures.items():
        print(f"{name}: {value}")
    record("scoring install: times and size", figures, runs=options.runs)


def _median_s(command: Sequence[str | Path], runs: int) -> float:
    """Median seconds of a command over `runs` runs, after one that warms the disk's cache."""
    seconds = []
    for _ in range(runs + 1):
        started = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds[1:])


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    main()
