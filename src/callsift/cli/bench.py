"""`callsift bench`: public data sets, and what each of the paper's networks reaches on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from callsift.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(bench)


def bench(
    name: Annotated[str | None, typer.Argument(help="A benchmark; without, all are listed.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder with the data set as it is published.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the results.")] = None,
    rows: Annotated[
        str,
        typer.Option("--rows", help="Rows, as in text,msmt-fn; shown in the table's order. Default: those for a CPU."),
    ] = "",
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds, as in 1,2,3. Default: the benchmark's.")] = "",
    folds: Annotated[str, typer.Option("--folds", help="Only these folds, from 1, as in 1,4. Default: all.")] = "",
    few: Annotated[
        int | None, typer.Option("--few", min=6, help="Only about so many calls: a try, never a result.")
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option("--encoder", help="HUB_ID=FOLDER: where a published encoder lies on this machine."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="One setting for every row, as in fit.epochs=2: a try.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Trainings at once.")] = 1,
    keep_weights: Annotated[
        bool, typer.Option("--keep-weights", help="Keep every trained network, not its answers alone.")
    ] = False,
    manifest: Annotated[
        bool, typer.Option("--manifest", help="Write manifest.jsonl and labels.yaml only (of --few calls), no run.")
    ] = False,
) -> None:
    """Run a public benchmark: read the data set as published, train every row, and set the figures side by side.

    For example, with CMU-MOSI in the folder MOSI, a try of a minute, and the whole table:

        callsift bench mosi --data MOSI -o try --few 20 --rows text --seeds 1

        callsift bench mosi --data MOSI -o runs/mosi --jobs 2

    The data are read in place. What can't be run with what is there is said and left out. The same command again goes
    on with a run that was stopped. Exit code: 0 all trained, 1 some trainings failed, 2 wrong use.
    """
    if name is None:
        _list()
        return
    from callsift.benchmarks.names import load_benchmark
    from callsift.cli.parts import require_torch
    from callsift.cli.show import progress, say

    benchmark = load_benchmark(name)
    if data is None or output is None:
        raise UsageError(
            f"callsift bench {name} needs --data FOLDER and -o FOLDER. The data folder is as published:\n"
            f"{benchmark.layout.rstrip()}"
        )
    if manifest:
        _refuse_with_manifest({"--rows": rows, "--seeds": seeds, "--folds": folds, "--encoder": encoder,
                               "--set": settings, "--jobs": jobs > 1, "--keep-weights": keep_weights})  # fmt: skip
    require_torch()
    from callsift.benchmarks.plan import Wanted
    from callsift.benchmarks.run import run_benchmark, write_benchmark_manifest
    from callsift.cli.options import names_in, numbers_in

    if manifest:
        path = write_benchmark_manifest(benchmark, data, output, say, few=few)
        typer.echo(f"{path}; train on it with: callsift train {path} -o RUN --set labels={output / 'labels.yaml'}")
        return
    wanted = Wanted(
        tuple(names_in(rows)), numbers_in(seeds, "--seeds"), numbers_in(folds, "--folds"), few, tuple(encoder or ()),
        tuple(settings or ()),
    )  # fmt: skip
    results = run_benchmark(
        benchmark, data, output, wanted, jobs=jobs, keep_weights=keep_weights, say=say, progress=progress
    )
    _show(results, output)
    if any(row.get("failed") for row in results["rows"].values()):
        raise typer.Exit(1)


def _refuse_with_manifest(given: Mapping[str, Any]) -> None:
    """Option → what was given for it: all that say how to train."""
    if named := [option for option, value in given.items() if value]:
        raise UsageError(f"--manifest trains nothing, and {named[0]} says how to train; leave one of them out")


def _list() -> None:
    """All benchmarks: their licence, and what their rows need."""
    from callsift.benchmarks.names import BENCHMARKS, load_benchmark
    from callsift.cli.show import say

    for name in BENCHMARKS:
        benchmark = load_benchmark(name)
        needs = sorted({stream for row in benchmark.rows if row.default for stream in row.needs})
        typer.echo(f"{name:<20}{benchmark.title}")
        typer.echo(f"{'':<20}licence: {benchmark.licence}")
        typer.echo(f"{'':<20}rows: {', '.join(row.name for row in benchmark.rows)} (of {', '.join(needs)})")
        for line in benchmark.layout.rstrip().splitlines():
            typer.echo(f"{'':<22}{line}")
    say("A try: callsift bench NAME --data FOLDER -o OUT --few 20 --seeds 1.")


def _show(results: Mapping[str, Any], output: Path) -> None:
    from callsift.benchmarks.written import notes_of, table_of
    from callsift.cli.show import print_columns, say

    head, cells = table_of(results)
    print_columns(results["title"], head, cells, width=100 + 12 * len(results["metrics"]))
    if results["not_a_result"]:
        say(f"A try, not a result: {results['not_a_result']}.")
    for note in notes_of(results):
        say(note)
    names = ["results.json", "results.md", "results.csv", "chart.svg"]
    say(f"Written: {output}/{', '.join(name for name in names if (output / name).is_file())}")
