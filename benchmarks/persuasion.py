"""The real dialogues of `persuasionforgood` as calls: one side asks, the other gives or does not.

Role 0 (persuader) is the agent, role 1 (persuadee) the customer; what the customer really gave, in USD, is
the outcome. Text alone. Run as a script to write a manifest with the outcome as label:

    python -m benchmarks.persuasion --out manifest.jsonl
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

from callsift.data.manifest import write_manifest
from callsift.errors import UsageError
from callsift.types import Call, Turn


def data_folder() -> Path:
    """`CALLSIFT_DATA`, or `../shared/data` from the project's root.

    Raises:
        UsageError: it holds no persuasionforgood.
    """
    default = Path(__file__).resolve().parents[1] / "../shared/data"
    folder = Path(os.environ.get("CALLSIFT_DATA") or default)
    if not (folder / "persuasionforgood/full_dialog.csv").is_file():
        raise UsageError(f"no persuasionforgood in {folder.resolve()}; name the data folder by CALLSIFT_DATA")
    return folder


def read_dialogues(folder: Path) -> list[tuple[Call, float]]:
    """Every dialogue with a known donation of the customer, in USD, ordered by id; calls without label."""
    given: dict[str, float] = {}
    with (folder / "persuasionforgood/donations.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["persuadee_donation_usd"]:
                given[row["dialogue_id"]] = float(row["persuadee_donation_usd"])
    turns: dict[str, list[Turn]] = {}
    with (folder / "persuasionforgood/full_dialog.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            turns.setdefault(row["B2"], []).append(Turn("customer" if row["B4"] == "1" else "agent", row["Unit"]))
    return [
        (Call(call_id=name, language="en", turns=tuple(turns[name])), given[name])
        for name in sorted(turns)
        if name in given
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write persuasionforgood as a manifest (labels yes/no: donated).")
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    calls = [labelled(call, usd) for call, usd in read_dialogues(data_folder())]
    write_manifest(out, calls)
    print(f"{len(calls)} dialogues in {out}; train with --set labels=donation")


def labelled(call: Call, usd: float) -> Call:
    """The call with what its customer did as label of the `donation` scheme."""
    from dataclasses import replace

    return replace(call, label="yes" if usd > 0 else "no")


if __name__ == "__main__":
    main()
