"""Does evidence tell the truth? Segments that speak most for and against taken out, and random ones; the shipped model.

    python -m benchmarks.faithfulness [--calls 300]

On the shipped sample calls, and on the real dialogues of persuasionforgood where there is data (text alone; the shipped
model learned from some of them, which is no matter here: nothing is said of how right it is).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks.data_folder import data_folder
from benchmarks.results import record
from callsift.benchmarks.persuasionforgood import read_dialogues
from callsift.bundle import find_bundle, load_bundle
from callsift.cli.show import progress
from callsift.data.manifest import read_manifest
from callsift.errors import UsageError
from callsift.evaluation.faithfulness import MOST_CALLS, faithfulness
from callsift.files import sha256_of_file
from callsift.scoring.scorer import Scorer
from callsift.types import Call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=MOST_CALLS, help="most calls of a data set")
    options = parser.parse_args()
    scorer = Scorer.from_bundle(load_bundle(find_bundle("starter")), asr="none", threads=1)
    demo = Path(str(files("callsift") / "data" / "demo" / "manifest.jsonl"))
    table = _rows(scorer, "sample calls", read_manifest(demo).calls, options.calls)
    data_sha256 = sha256_of_file(demo)
    try:
        folder = data_folder() / "persuasionforgood"
    except UsageError as missing:
        print(missing)
    else:
        dialogues = [call for call, _ in read_dialogues(folder)]
        table |= _rows(scorer, "persuasionforgood", dialogues, options.calls)
        data_sha256 = sha256_of_file(folder / "full_dialog.csv")
    print(json.dumps(table, indent=2))
    record("faithfulness of segment evidence, starter, fall of propensity", table, data_sha256=data_sha256)


def _rows(scorer: Scorer, name: str, calls: Sequence[Call], most: int) -> dict[str, dict[str, Any]]:
    found = faithfulness(scorer, calls, most=most, progress=progress)
    if found is None:
        return {}
    about = {"calls": found["calls"], "segments a call": found["segments"]}
    return {
        f"{name}, {row['remove']} removed": {
            **about,
            "most for": row["top"],
            "random": row["random"],
            "most against": row["bottom"],
            "for − random": row["difference"],
            "p of for": row["p"],
            "random − against": row["bottom_difference"],
            "p of against": row["bottom_p"],
        }
        for row in found["rows"]
    }


if __name__ == "__main__":
    main()
