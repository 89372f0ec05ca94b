"""What the tests of the feature cache share: arrays by number, and processes that use a cache."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np

from callsift.data.cache import ArrayCache

# The array of a key, in this process and in others: any number that comes back wrong shows.
MAKE = """
import sys, random, numpy as np
from pathlib import Path
from callsift.data.cache import ArrayCache
from callsift.errors import DataError
def made(key):
    draw = np.random.default_rng(int(key))
    shape = (int(draw.integers(1, 300)), int(draw.integers(1, 40)))
    return draw.standard_normal(shape).astype(["float16", "float32"][int(key) % 2])
"""
_scope: dict = {}
exec(MAKE, _scope)
made = _scope["made"]


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command, pipe = [sys.executable, "-c", MAKE + code, *map(str, arguments)], subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def keys(folder: Path) -> list[str]:
    index = sqlite3.connect(folder / "v1/index.sqlite")
    try:
        return [key for (key,) in index.execute("select key from entries")]
    finally:
        index.close()


def packs(folder: Path) -> list[Path]:
    return sorted((folder / "v1").glob("pack-*.bin"))


def check_all(folder: Path) -> int:
    """Every key of the index has its whole array; how many there are."""
    named = keys(folder)
    with ArrayCache(folder) as cache:
        for key in named:
            found = cache.get(key)
            assert found is not None, key
            assert found.dtype == made(key).dtype
            assert np.array_equal(found, made(key))
    return len(named)


def filled(folder: Path, count: int = 60) -> dict[str, np.ndarray]:
    """Put the first arrays; what they are by key."""
    with ArrayCache(folder) as cache:
        for key in map(str, range(count)):
            cache.put(key, made(key))
    return {key: made(key) for key in map(str, range(count))}
