"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The machine is shared: a slow example is no error. Derandomised: a red test is red again.
settings.register_profile("callsift", deadline=None, derandomize=True)
settings.load_profile("callsift")

# Small matrices shared between threads take many times longer than on one.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Features that tests keep go to a folder of the tests."""
    os.environ["CALLSIFT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real data; without it the test is skipped."""
    folder = Path(os.environ.get("CALLSIFT_DATA") or ROOT / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(f"needs the real data: {folder} does not exist (CALLSIFT_DATA)")
    return folder


@pytest.fixture(scope="session")
def demo() -> Path:
    """The shipped sample calls."""
    return ROOT / "src/callsift/data/demo"


LONG = (
    "training", "cli/test_cli.py", "cli/test_studies_cli.py", "scoring/test_stopped_runs.py", "test_no_network.py",
    "benchmarks", "fuzzing",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first: one that a worker begins last is waited for."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(ROOT / "tests" / place) for place in LONG))
