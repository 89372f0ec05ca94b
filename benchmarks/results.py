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
    """Generate docs/results.md: the latest row of every experiment."""
    latest: dict[str, dict[str, Any]] = {}
    for line in RESULTS.read_text("utf-8").splitlines():
        row = json.loads(line)
        latest.pop(row["experiment"], None)
        latest[row["experiment"]] = row
    lines = [
        "# Results",
        "",
        "Generated from `results.jsonl` by `python -m benchmarks.results`; nothing here is typed by hand.",
        "Brackets are 95 % bootstrap intervals.",
    ]
    for name in sorted(latest):
        row = latest[name]
        lines += ["", f"## {name}", "", f"`{row['command']}` (commit {row['commit']}, {row['date']})", ""]
        lines += table(row["figures"])
        if "chart" in row:
            lines += ["", f"![{name}]({row['chart']})"]
    PAGE.write_text("\n".join(lines) + "\n", "utf-8")


def table(figures: Mapping[str, Any]) -> list[str]:
    """Figures as a Markdown table; where each is a row of figures itself, one column for each of these."""
    rows = list(figures.values())
    if not all(isinstance(row, Mapping) and not _is_interval(row) for row in rows):
        return [
            "| figure | value |",
            "| --- | --- |",
            *(f"| {key} | {shown(value)} |" for key, value in figures.items()),
        ]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"| | {' | '.join(columns)} |", "|" + " --- |" * (len(columns) + 1)]
    for name, row in figures.items():
        cells = (shown(row[column]) if column in row else "–" for column in columns)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _is_interval(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"value", "low", "high"}


def shown(value: Any) -> str:
    """A figure for people: `0.612 [0.580, 0.645]`, `0.612`, or as it is."""
    if _is_interval(value):
        return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return str(value)


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
