"""`callsift compare`: runs side by side, on the same calls, with paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from callsift.errors import UsageError

if TYPE_CHECKING:
    from callsift.evaluation.side_by_side import SideBySide


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(compare)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Runs, or a study or a row of it; seeds of one training are one row."),
    ],
    split: Annotated[
        Literal["test", "val"], typer.Option("--split", help="Which of the runs' predictions are compared.")
    ] = "test",
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", help="Which figures, as in accuracy,weighted_f1,uar. Default: a readable few."),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="The only task to look at. Default: all.")] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="The row that others are compared with. Default: the first; of a bench or study, its table's.",
        ),
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Where rows answered different calls, compare on those that all did.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it as .json, .csv, .md, or .html with charts.")
    ] = None,
) -> None:
    """Which run is better, and could that be chance? Intervals by group or call, paired permutation tests."""
    import sys
    from dataclasses import replace
    from datetime import UTC, datetime

    from callsift import __version__
    from callsift.cli.show import progress, say
    from callsift.evaluation.answered import read_rows
    from callsift.evaluation.side_by_side import side_by_side
    from callsift.evaluation.side_by_side_report import SUFFIXES, write_side_by_side

    if output is not None and output.suffix not in SUFFIXES:
        raise UsageError(f"-o {output}: a comparison is written as {', '.join(SUFFIXES)}")
    wanted = [name.strip() for name in (metrics or "").split(",") if name.strip()]
    left_out: list[str] = []

    def note(told: str) -> None:
        left_out.append(told)
        say(told)  # now: there may be too little left to compare

    rows = read_rows(runs, split, progress, note)
    found = side_by_side(rows, split, progress, metrics=wanted, task=task, reference=reference, shared=shared)
    _show(found)
    if output is not None:
        made = {
            "callsift": __version__,
            "date": datetime.now(UTC).date().isoformat(),
            "command": " ".join(["callsift", *sys.argv[1:]]),
        }
        write_side_by_side(output, replace(found, notes=(*left_out, *found.notes)), made)
        say(f"written: {output}")


def _show(found: SideBySide) -> None:
    """The figures and the settings that differ on stdout, the notes on stderr."""
    from callsift.cli.show import say
    from callsift.evaluation.side_by_side_report import cells_of, head_of
    from callsift.evaluation.side_by_side_words import about_of, settings_lines

    _print_whole(head_of(found), list(cells_of(found)))
    typer.echo(about_of(found))
    if found.settings:
        typer.echo("")
        head = ("setting that differs", *(row.name for row in found.rows))
        _print_whole(head, settings_lines(found))
    for note in found.notes:
        say(note)


def _print_whole(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """A table as wide as its cells: no figure is cut off for a long name."""
    from rich.cells import cell_len

    from callsift.cli.show import print_columns

    widths = [max(map(cell_len, column)) for column in zip(head, *lines, strict=True)]
    print_columns("", head, lines, width=sum(widths) + 3 * len(widths))
