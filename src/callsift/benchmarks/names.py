"""The benchmarks by name; each is imported only when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from callsift.benchmarks.benchmark import Benchmark
from callsift.errors import UsageError

BENCHMARKS: Final[dict[str, str]] = {
    "marketcalls": "callsift.benchmarks.marketcalls",
    "mosi": "callsift.benchmarks.mosi",
    "mosei": "callsift.benchmarks.mosei",
    "meld": "callsift.benchmarks.meld",
    "mer2024": "callsift.benchmarks.mer2024",
    "persuasionforgood": "callsift.benchmarks.persuasionforgood",
    "mood-calls": "callsift.benchmarks.mood_calls",
    "nemo": "callsift.benchmarks.nemo",
    "ravdess": "callsift.benchmarks.ravdess",
    "cped": "callsift.benchmarks.cped",
    "maec": "callsift.benchmarks.maec",
}


def load_benchmark(name: str) -> Benchmark:
    """The benchmark of a name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in BENCHMARKS:
        raise UsageError(f"no benchmark is called '{name}'; there are {', '.join(BENCHMARKS)}")
    found = import_module(BENCHMARKS[name]).BENCHMARK
    assert isinstance(found, Benchmark)
    return found
