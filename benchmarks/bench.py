"""Record the results of a finished `callsift bench` among the results, with its chart.

    python -m benchmarks.bench OUT [--target acc2_non0=0.83]... [--name "…"]

Taken as they are from OUT/results.json. Refused are a try (`--few`, `--set`), failed trainings, and a row that learned
other calls first and does not say which.
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.data_folder import data_folder
from benchmarks.results import PAGE, record
from callsift.benchmarks.names import BENCHMARKS, load_benchmark
from callsift.files import read_json

_ABSOLUTE: Final = re.compile(r"""^(?P<head>(?:-\w)?(?:[^/=][^=]*=)?["']?)(?P<path>/.*?)(?P<tail>["']?)$""")
"""An argument that is an absolute path, or ends in one: `--data=/x`, `owner/model=/x`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the results")
    parser.add_argument("--name", help="what the results call it, behind 'bench NAME: '; default: the title")
    parser.add_argument(
        "--target", action="append", default=[], type=target_of, help="METRIC=NUMBER that was to be reached"
    )
    options = parser.parse_args()
    results = read_json(options.folder / "results.json")
    for metric, _ in options.target:
        if metric not in results["metrics"]:
            parser.error(f"--target {metric}: the metrics of {options.folder} are {', '.join(results['metrics'])}")
    figures = figures_of(results)
    title = f"bench {results['benchmark']}: {options.name or results['title']}"
    chart = PAGE.parent / "charts" / f"{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"
    chart.parent.mkdir(exist_ok=True)
    shutil.copyfile(options.folder / "chart.svg", chart)
    record(
        title,
        figures,
        command=portable(results.get("argv") or results["command"].split()),
        commit=", ".join(map(_short, results["commit"].split(", "))) or "unknown",
        date=results["date"],
        packages=results["packages"],
        data_sha256=results["data"]["sha256"],
        seeds=results["design"]["seeds"],
        metrics=results["metrics"],
        baselines={name: _plain(each["figures"]) for name, each in results["baselines"].items()},
        target=dict(options.target),
        tested_on=results["tested_on"],
        licence=results["licence"],
        before={name: row["before"] for name, row in results["rows"].items() if "before" in row},
        left_out=results["left_out"],
        absent=results["data"]["absent"],
        chart=f"charts/{chart.name}",
    )
    print(f"{len(figures)} rows of {options.folder} recorded")


def target_of(text: str) -> tuple[str, float]:
    """METRIC=NUMBER.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    metric, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not metric or not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form METRIC=NUMBER, as in accuracy=0.6")
    return metric, value


def figures_of(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Row → metric → its figure, and how the first metric compares with the first row's."""
    if results["not_a_result"]:
        raise SystemExit(f"a try is no result: {results['not_a_result']}")
    found: dict[str, dict[str, Any]] = {}
    pretrained = _pretrained(results["benchmark"])
    for name, row in results["rows"].items():
        if name in pretrained and not row.get("before"):
            raise SystemExit(f"row '{name}' does not say what it learned first: run it with this callsift")
        if row.get("failed") or not row["figures"]:
            raise SystemExit(f"row '{name}' has trainings that failed: nothing is recorded")
        found[name] = _plain(row["figures"])
        for kind in ("by_call", "by_group"):
            if f"{kind}_adjusted" in row:
                p = row[f"{kind}_adjusted"]
                found[name][f"p {kind.replace('_', ' ')}"] = "<0.001" if p < 0.001 else f"{p:.3f}"
        found[name]["seconds a training"] = round(row["seconds"])
    return found


def _pretrained(benchmark: str) -> set[str]:
    """The rows of a benchmark that learn other calls first."""
    rows = load_benchmark(benchmark).rows if benchmark in BENCHMARKS else ()
    return {row.name for row in rows if row.pretrain is not None}


def portable(argv: Sequence[str]) -> str:
    """The command without this machine's folders: data by CALLSIFT_DATA, the project's own from its root.

    `argv`: its arguments, each whole, whatever blanks are in it.
    """
    return " ".join(_quoted(_ABSOLUTE.sub(_named, argument)) for argument in argv)


def _named(found: re.Match[str]) -> str:
    data, root = data_folder().resolve(), PAGE.parents[1].resolve()
    path = Path(found["path"]).resolve()
    if path.is_relative_to(data):
        name = "/".join(["$CALLSIFT_DATA", *path.relative_to(data).parts])
    else:
        name = str(path.relative_to(root)) if path.is_relative_to(root / "build") else path.name
    return f"{found['head']}{name}{found['tail']}"


def _quoted(argument: str) -> str:
    """For a shell, which is to put the data folder's name in."""
    if re.fullmatch(r"[\w@%+=:,./$-]+", argument):
        return argument
    return '"' + re.sub(r'(["\\`])', r"\\\1", argument) + '"'


def _short(commit: str) -> str:
    """Seven characters, and the plus of a changed tree."""
    return commit[:7] + ("+" if commit.endswith("+") else "")


def _plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {k: v for k, v in each.items() if v is not None} for name, each in figures.items() if "value" in each}


if __name__ == "__main__":
    main()
