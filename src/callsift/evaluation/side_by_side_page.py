"""The page of a comparison: one HTML file that needs nothing else, in the look of the evaluation's page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from callsift.charts import Bar, dot_chart
from callsift.evaluation.report.words import Finding
from callsift.evaluation.side_by_side import Cell, Figure, SideBySide
from callsift.evaluation.side_by_side_words import (
    about_of,
    bracket,
    name_of,
    number,
    p_of,
    probability,
    settings_lines,
    shown,
    signed,
    title_of,
)
from callsift.pages import environment, printable

WARNING: Final = "Warning: "
SURE: Final = 0.05
"""The corrected p below which a difference is called one."""


def as_html(found: SideBySide, made: Mapping[str, str]) -> str:
    """The page as text: the answer in sentences, all figures at a glance, each with a chart, settings, runs."""
    page = (
        environment()
        .get_template("evaluation/side_by_side.html.j2")
        .render(
            title=title_of(found),
            about=about_of(found),
            found=found,
            made=made,
            warnings=[note.removeprefix(WARNING) for note in found.notes if note.startswith(WARNING)],
            notes=[note for note in found.notes if not note.startswith(WARNING)],
            findings=list(findings(found)),
            glance=list(_glance(found)),
            columns=[f"{name_of(figure)}, {figure.task}" for figure in found.figures],
            sure=SURE,
            parts=[
                {"task": task, "figures": [_part(found, each) for each in found.figures if each.task == task]}
                for task in dict.fromkeys(figure.task for figure in found.figures)
            ],
            settings=settings_lines(found),
        )
    )
    return printable(page)


def findings(found: SideBySide) -> Iterator[Finding]:
    """What the first figure says of every row, a sentence each."""
    figure = found.figures[0]
    about = f"{figure.name} of {figure.task}"
    for cell in figure.cells:
        lead, bounds = f"{cell.row}: {about} {number(cell.figure.value)}", bracket(cell.figure)
        if cell.difference is None:
            yield Finding(lead, f"{bounds}, which the others are compared with.".removeprefix(", "))
            continue
        kind = _verdict(figure, cell)
        verdict = {
            "better": f"Better than {found.reference}, and hardly by chance.",
            "worse": f"Worse than {found.reference}, and hardly by chance.",
            "open": f"Not shown to differ from {found.reference}." if cell.tested else "Not tested.",
        }[kind]
        tested = "" if cell.p_adjusted is None else f", p {_said(cell.p_adjusted)}"
        than = f"{signed(cell.difference)} against {found.reference}"
        yield Finding(lead, f"{bounds}; {than}{tested}.".removeprefix("; "), verdict, kind)


def _verdict(figure: Figure, cell: Cell) -> str:
    """better, worse, or open: by the corrected test."""
    if cell.difference is None or cell.p_adjusted is None or cell.p_adjusted >= SURE:
        return "open"
    return "better" if (cell.difference.value > 0) != figure.less_is_better else "worse"


def _said(p: float) -> str:
    return probability(p).replace("<", "below ")


def _glance(found: SideBySide) -> Iterator[dict[str, Any]]:
    """A line for every row, a cell for every figure."""
    for at, row in enumerate(found.rows):
        cells = [(figure, figure.cells[at]) for figure in found.figures]
        yield {
            "name": row.name,
            "cells": [(number(cell.figure.value), _verdict(figure, cell)) for figure, cell in cells],
        }


def _part(found: SideBySide, figure: Figure) -> dict[str, Any]:
    """A figure's chart, and its table's lines."""
    lines = [
        {
            "name": cell.row,
            "seeds": len(cell.seeds),
            "value": number(cell.figure.value),
            "interval": bracket(cell.figure),
            "sd": "–" if cell.sd is None else number(cell.sd),
            "difference": "–" if cell.difference is None else number(cell.difference.value, "+"),
            "bounds": "" if cell.difference is None else bracket(cell.difference, "+"),
            "p": p_of(cell),
        }
        for cell in figure.cells
    ]
    return {"figure": figure, "name": name_of(figure), "chart": _chart(found, figure), "lines": lines}


def _chart(found: SideBySide, figure: Figure) -> str:
    dots = [
        Bar(cell.row, cell.figure.value, cell.figure.low, cell.figure.high, number(cell.figure.value))
        for cell in figure.cells
    ]
    said = "; ".join(f"{cell.row} {shown(cell.figure)}" for cell in figure.cells)
    reference = next(cell.figure.value for cell in figure.cells if cell.row == found.reference)
    description = f"{figure.name} of {figure.task} with 95 % intervals: {said}. Dashed: {found.reference}."
    title = "with 95 % intervals" + (", less is better" if figure.less_is_better else "")
    return dot_chart(title, description, dots, reference=reference)
