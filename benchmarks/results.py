"""The one results file that experiments append to; `docs/results.md` is generated from it.

python -m benchmarks.results        writes docs/results.md anew
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.results_page import page_of
from callsift.files import read_jsonl, write_text

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs/results.jsonl"
PAGE = ROOT / "docs/results.md"


def record(experiment: str, figures: Mapping[str, Any], *, data_sha256: str | None = None, **about: Any) -> None:
    """Append one result with all that is needed to repeat it, and write the page anew."""
    row = {
        "experiment": experiment,
        "command": " ".join(["python", "-m", _module(), *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "python": platform.python_version(),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count()},
        "packages": {
            name: _version(name) for name in ("numpy", "torch", "transformers", "onnxruntime", "scikit-learn")
        },
        "data_sha256": data_sha256,
        **about,
        "figures": figures,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    write_page()


def commit() -> str:
    """The short commit, with a plus if the tree has changes."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def write_page() -> None:
    """Generate docs/results.md."""
    write_text(PAGE, page_of(rows_of(RESULTS)))


def rows_of(path: Path) -> list[dict[str, Any]]:
    """All rows of a results file, in the order in which they were recorded."""
    return [row for _, row in read_jsonl(path)]


def _module() -> str:
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec is not None else Path(sys.argv[0]).name


def _cpu() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    write_page()
