"""A benchmark run with the smallest networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callsift.benchmarks.benchmark import Benchmark
from callsift.benchmarks.plan import Wanted
from callsift.benchmarks.run import run_benchmark
from tests.training.sizes import SIZES

TINY = (*SIZES, "fit.epochs=1", "fit.threads=1")
TINY_AUDIO = ("network.width=16", "network.heads=2", "network.feed_forward=16", "fit.epochs=1", "fit.threads=1")


def run_few(
    benchmark: Benchmark,
    source: Path,
    out: Path,
    rows: tuple[str, ...],
    settings: tuple[str, ...],
    *,
    encoders: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Rows with one seed on the first fold, or the published test part; what `results.json` holds."""
    folds = () if benchmark.division == "published" else (1,)
    wanted = Wanted(rows=rows, seeds=(1,), folds=folds, encoders=encoders, settings=(*settings, "fit.epochs=1"))
    found = run_benchmark(benchmark, source, out, wanted)
    assert not any(row.get("failed") for row in found["rows"].values()), found["rows"]
    assert (out / "results.md").is_file()
    return found
