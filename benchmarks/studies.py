"""Record the table of a finished study (`callsift ablate`, `learning-curve`, …) among the results.

    python -m benchmarks.studies FOLDER --name "nEMO mood calls, ablations"

Taken as it is from the study's `study.json`, with its chart; one with failed trainings is refused.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.results import PAGE, record
from callsift.files import read_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the study")
    parser.add_argument("--name", required=True, help="what the results call it")
    parser.add_argument("--commit", help="commit of the code that ran the study, if it was not this one")
    options = parser.parse_args()
    study = read_json(options.folder / "study.json")
    figures = figures_of(study)
    chart = PAGE.parent / "charts" / f"{re.sub('[^a-z0-9]+', '-', options.name.lower()).strip('-')}.svg"
    chart.parent.mkdir(exist_ok=True)
    shutil.copyfile(options.folder / "chart.svg", chart)
    settings = study["settings"]
    record(
        f"{options.name}, {study['measure']}",
        figures,
        data_sha256=", ".join(settings["data_sha256"]),
        **({"commit": options.commit} if options.commit else {}),
        chart=f"charts/{chart.name}",
        study={
            "command": study["command"],
            "folds": settings["folds"],
            "test_folds": study["test_folds"],
            "seeds": study["seeds"],
            "notes": study["notes"],
        },
    )
    print(f"{len(figures)} rows of {options.folder} recorded")


def figures_of(study: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Row → its figure, the difference to the reference and the p-values, for the results' page."""
    if "table" not in study:
        raise SystemExit("the study is not finished: give its command again")
    found: dict[str, dict[str, Any]] = {}
    for name, line in study["table"].items():
        if line.get("failed") or "figure" not in line:
            raise SystemExit(f"row '{name}' has trainings that failed: nothing is recorded")
        row: dict[str, Any] = {study["measure"]: line["figure"]}
        if "difference" in line:
            row["difference"] = line["difference"]
        for kind in ("by_call", "by_group"):
            if kind in line:
                row[f"p {kind.replace('_', ' ')}"] = _p(line[kind]["p"])
                row[f"p {kind.replace('_', ' ')}, Holm"] = _p(line[f"{kind}_adjusted"])
        if study["settings"]["kind"] == "learning-curve":
            row["groups learned from"] = round(line["train_groups"], 1)
        found[name] = {**row, "items": line["items"], "groups": line["groups"], "seconds a training": line["seconds"]}
    return found


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


if __name__ == "__main__":
    main()
