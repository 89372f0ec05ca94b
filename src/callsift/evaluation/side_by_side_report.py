"""A comparison of runs as a table for people, JSON, CSV, Markdown, and a page with charts."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from callsift.charts import Bar, bar_chart
from callsift.evaluation.metrics import Interval
from callsift.evaluation.side_by_side import Cell, Figure, SideBySide
from callsift.files import write_json, write_text
from callsift.pages import environment, printable

SCHEMA_VERSION: Final = 1
SUFFIXES: Final = (".json", ".csv", ".html", ".md")
LONGEST_VALUE: Final = 60


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
            names = ("", "") if at else (figure.task, figure.name + (" ↓" if figure.less_is_better else ""))
            tested = "–"
            if cell.tested is not None and cell.p_adjusted is not None:
                tested = f"{_p(cell.tested.p)} ({_p(cell.p_adjusted)})"
            sd = "–" if cell.sd is None else f"{cell.sd:.3f}"
            yield [*names, cell.row, str(len(cell.seeds)), _shown(cell.figure), sd, _signed(cell.difference), tested]


def about_of(found: SideBySide) -> str:
    """What was compared on what, and what the numbers mean, for people."""
    groups = f", {found.groups} groups" if found.groups < found.calls else ""
    items = f"{found.items} items of " if found.items != found.calls else ""
    one_each = all(len(cell.seeds) == 1 for figure in found.figures for cell in figure.cells)
    drawn = f"{found.drawn}s" if one_each else f"{found.drawn}s and seeds"
    said = [
        f"{items}{found.calls} calls{groups}, split {found.split}.",
        f"Brackets: 95 % intervals, {drawn} drawn anew.",
        f"p: paired permutation test against {found.reference}, two-sided, {found.drawn} by {found.drawn};",
        "in brackets with Holm's correction over the rows.",
    ]
    return " ".join([*said, *(["↓: less is better."] if any(f.less_is_better for f in found.figures) else [])])


def settings_lines(found: SideBySide) -> list[tuple[str, ...]]:
    """The settings that differ: key, then each row's value, shortened."""
    return [(key, *(_short(values[row.name]) for row in found.rows)) for key, values in found.settings.items()]


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
    lines = [f"# {_title(found)}", "", f"`{made['command']}` (callsift {made['callsift']}, {made['date']})", ""]
    lines += [about_of(found), "", *_markdown(head_of(found), list(cells_of(found)))]
    if found.settings:
        lines += ["", "## Settings that differ", ""]
        lines += _markdown(["setting", *(row.name for row in found.rows)], settings_lines(found))
    return "\n".join([*lines, *([""] if found.notes else []), *(f"- {note}" for note in found.notes)]) + "\n"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    every = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" for cells in every]


def as_html(found: SideBySide, made: Mapping[str, str]) -> str:
    """A page of its own: a chart and a table of every figure, what differs in settings, the notes."""
    lines = cells_of(found)
    parts = [
        {"figure": figure, "chart": _chart(found, figure), "lines": [next(lines)[2:] for _ in figure.cells]}
        for figure in found.figures
    ]
    page = (
        environment()
        .get_template("evaluation/side_by_side.html.j2")
        .render(
            title=_title(found),
            found=found,
            made=made,
            about=about_of(found),
            head=head_of(found)[2:],
            parts=parts,
            settings=settings_lines(found),
        )
    )
    return printable(page)


def _chart(found: SideBySide, figure: Figure) -> str:
    bars = [
        Bar(cell.row, cell.figure.value, cell.figure.low, cell.figure.high, f"{cell.figure.value:.3f}")
        for cell in figure.cells
    ]
    said = "; ".join(f"{cell.row} {_shown(cell.figure)}" for cell in figure.cells)
    reference = next(cell.figure.value for cell in figure.cells if cell.row == found.reference)
    better = ", less is better" if figure.less_is_better else ""
    return bar_chart(
        f"{figure.name}, {figure.task}{better}",
        f"{figure.name} of {figure.task} with 95 % intervals: {said}.",
        bars,
        reference=reference,
    )


def _title(found: SideBySide) -> str:
    return f"{', '.join(row.name for row in found.rows)}: side by side"


def _short(value: Any) -> str:
    text = "–" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _shown(found: Interval) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]".replace("-", "−")


def _signed(found: Interval | None) -> str:
    if found is None:
        return "–"
    value, low, high = (f"{each:+.3f}".replace("-", "−") for each in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
