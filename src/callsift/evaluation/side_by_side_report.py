"""A comparison of runs as a table for people, JSON, CSV and Markdown; its page is in `side_by_side_page`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from callsift.evaluation.metrics import Interval
from callsift.evaluation.side_by_side import Cell, Figure, SideBySide
from callsift.evaluation.side_by_side_page import as_html
from callsift.evaluation.side_by_side_words import about_of, name_of, p_of, settings_lines, shown, signed, title_of
from callsift.files import write_json, write_text

SCHEMA_VERSION: Final = 1
SUFFIXES: Final = (".json", ".csv", ".html", ".md")


def write_side_by_side(path: Path, found: SideBySide, made: Mapping[str, str]) -> None:
    """Write a comparison as its suffix says, atomically. `made`: callsift's version, the date and the command."""
    if path.suffix == ".json":
        write_json(path, {"schema_version": SCHEMA_VERSION, "made": dict(made), **as_json(found)})
    elif path.suffix == ".csv":
        write_text(path, as_csv(found))
    else:
        write_text(path, as_html(found, made) if path.suffix == ".html" else as_markdown(found, made))


def head_of(found: SideBySide) -> list[str]:
    """The columns of the table for people."""
    return ["task", "figure", "row", "seeds", "value", "± sd", f"vs {found.reference}", "p (Holm)"]


def cells_of(found: SideBySide) -> Iterator[list[str]]:
    """The table's lines for people; task and figure stand on the first line of each figure alone."""
    for figure in found.figures:
        for at, cell in enumerate(figure.cells):
            names = ("", "") if at else (figure.task, name_of(figure))
            sd = "–" if cell.sd is None else f"{cell.sd:.3f}"
            yield [*names, cell.row, str(len(cell.seeds)), shown(cell.figure), sd, signed(cell.difference), p_of(cell)]


def as_json(found: SideBySide) -> dict[str, Any]:
    """The comparison as plain values; what is no number (NaN) is null."""
    scheme = found.scheme
    return {
        "split": found.split,
        "reference": found.reference,
        "items": found.items,
        "calls": found.calls,
        "groups": found.groups,
        "drawn": found.drawn,
        "scheme": {"id": scheme.id, "kind": scheme.kind, "grades": list(scheme.grades), "tasks": list(scheme.tasks)},
        "rows": [
            {"name": row.name, "runs": [str(folder) for folder in row.folders], "seeds": list(row.seeds)}
            for row in found.rows
        ],
        "settings": {key: dict(values) for key, values in found.settings.items()},
        "figures": [_figure(figure) for figure in found.figures],
        "notes": list(found.notes),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "task": figure.task,
        "metric": figure.metric,
        "name": figure.name,
        "items": figure.items,
        "less_is_better": figure.less_is_better,
        "rows": {cell.row: _cell(cell) for cell in figure.cells},
    }


def _cell(cell: Cell) -> dict[str, Any]:
    tested = None if cell.tested is None else {**asdict(cell.tested), "p_adjusted": cell.p_adjusted}
    return {
        **_interval(cell.figure),
        "sd": cell.sd,
        "seeds": {str(seed): value for seed, value in cell.seeds.items()},
        "difference": None if cell.difference is None else {**_interval(cell.difference), "seeds": cell.pairs},
        "test": tested,
    }


def _interval(found: Interval) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in asdict(found).items()}


def as_csv(found: SideBySide) -> str:
    """One line per figure and row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["value", "low", "high"]
    writer.writerow(["task", "metric", "row", "seeds", "items", *names, "sd", *(f"difference_{each}" for each in names),
                     "p", "p_adjusted", "units", "exact"])  # fmt: skip
    for figure in found.figures:
        for cell in figure.cells:
            less = ["", "", ""] if cell.difference is None else list(asdict(cell.difference).values())
            test = cell.tested
            tested = ["", "", "", ""] if test is None else [test.p, cell.p_adjusted, test.units, test.exact]
            about = [figure.task, figure.metric, cell.row, len(cell.seeds), figure.items]
            writer.writerow([*about, *asdict(cell.figure).values(), cell.sd, *less, *tested])
    return text.getvalue()


def as_markdown(found: SideBySide, made: Mapping[str, str]) -> str:
    """The table, what differs in settings, and the notes."""
    lines = [f"# {title_of(found)}", "", f"`{made['command']}` (callsift {made['callsift']}, {made['date']})", ""]
    lines += [about_of(found), "", *_markdown(head_of(found), list(cells_of(found)))]
    if found.settings:
        lines += ["", "## Settings that differ", ""]
        lines += _markdown(["setting", *(row.name for row in found.rows)], settings_lines(found))
    return "\n".join([*lines, *([""] if found.notes else []), *(f"- {note}" for note in found.notes)]) + "\n"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    every = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" for cells in every]
