"""What a piece of work costs this process: CPU seconds and memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np


def timed(work: Callable[[], object], repeats: int, *, warm: bool = True) -> float:
    """Median CPU seconds of all threads, after one run to warm up."""
    if warm:
        work()
    found = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return float(np.median(found))


def peak_gib() -> float:
    """The most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
