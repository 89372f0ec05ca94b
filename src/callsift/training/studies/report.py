"""A study's table, as Markdown, CSV, chart and JSON, from the answers that its folder holds."""

from __future__ import annotations

import csv
import io
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from callsift.charts import Bar, Point, bar_chart, line_chart
from callsift.errors import DataError, UsageError
from callsift.evaluation.metrics import Interval, has_width
from callsift.files import read_json, write_json, write_text
from callsift.training.studies.answers import read_answer
from callsift.training.studies.compared import (
    Agreement,
    Line,
    Measure,
    Seeds,
    about,
    adjusted,
    compare,
    figure_of,
    together,
)
from callsift.training.studies.few_groups import drawn_anew, too_few_groups
from callsift.training.studies.plan import Row, Study

TABLE = ("table.md", "table.csv", "chart.svg", "study.json")
_REPORTED = ("measure", "notes", "table")
"""What a report adds to `study.json`."""


def lines_of(study: Study, measure: Measure, failed: Mapping[str, str]) -> list[Line]:
    """The table: each row's figure, and how it compares with the reference row."""
    found: list[tuple[Line, Seeds]] = [line_of(study, measure, row, failed) for row in study.rows]
    reference = next((seeds for line, seeds in found if line.name == study.reference and line.figure), None)
    lines = [
        line if reference is None or line.name == study.reference or line.figure is None
        else compare(measure, line, seeds, reference)
        for line, seeds in found
    ]  # fmt: skip
    return adjusted(lines)


def line_of(
    study: Study,
    measure: Measure | Agreement,
    row: Row,
    failed: Mapping[str, str],
    *,
    asked: str | None = None,
    name: str | None = None,
) -> tuple[Line, Seeds]:
    """A row's figure of its test items, or of the set `asked`, and these answers; without figure if a training failed.

    `name`: of the line, where it is not the row's.
    """
    jobs = [job for job in study.jobs if job.row.name == row.name]
    wrong = tuple(f"{job.name}: {failed[job.name]}" for job in jobs if job.name in failed)
    answers = [(job.seed, each) for job in jobs if (each := read_answer(study.folder_of(job))) is not None]
    line = Line(name or row.name, trainings=len(jobs), failed=wrong, x=row.x)
    if wrong or len(answers) < len(jobs):
        return line, {}
    seeds = together([(seed, answer.asked[asked] if asked else answer.items) for seed, answer in answers])
    line = about(line, [answer for _, answer in answers])
    try:
        figure, items, groups = figure_of(measure, seeds)
    except DataError as error:  # such as an AUROC of calls that are all alike
        return replace(line, failed=(f"{line.name}: {error}",)), {}
    return replace(line, figure=figure, items=items, groups=groups), seeds


def head_of(study: Study, measure: Measure) -> list[str]:
    """The columns for people."""
    versus = f"− {study.versus}"
    tests = ["p by call", "p by group"]
    sizes = ["learned from", "groups"] if study.kind == "learning-curve" else []
    return ["row", measure.name, versus, *tests, *sizes, "items", "trainings", "s each"]


def cells_of(study: Study, line: Line) -> list[str]:
    """A line for people."""
    sizes = [_round(line.train_calls), _round(line.train_groups)] if study.kind == "learning-curve" else []
    return [
        line.name,
        shown(line.figure) if line.figure or not line.failed else "failed",
        shown(line.difference, signed=True),
        _tested(line.by_call.p if line.by_call else None, line.by_call_adjusted),
        _tested(line.by_group.p if line.by_group else None, line.by_group_adjusted),
        *sizes,
        str(line.items),
        str(line.trainings) + (f", {len(line.failed)} failed" if line.failed else ""),
        _round(line.seconds),
    ]


def shown(interval: Interval | None, *, signed: bool = False) -> str:
    """`0.612 [0.580, 0.645]`, with a sign for differences; no bounds without width, a dash for nothing."""
    if interval is None:
        return "–"
    sign = "+" if signed else ""
    value, low, high = (f"{each:{sign}.3f}".replace("-", "−") for each in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]" if has_width(interval.low, interval.high) else value


def _tested(p: float | None, corrected: float | None) -> str:
    return "–" if p is None or corrected is None else f"{_p(p)} ({_p(corrected)})"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _round(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def notes_of(study: Study, measure: Measure, lines: Sequence[Line]) -> list[str]:
    """What a reader must know, a sentence each."""
    design = study.design
    groups = max((line.groups for line in lines), default=0)
    items = max((line.items for line in lines), default=0)
    notes = [
        f"Mean over {_count(len(design.seeds), 'seed')} of {measure.name} on the pooled test items of "
        f"{_folds(study)}; brackets: 95 % intervals, "
        f"{drawn_anew(groups, items)} and seeds drawn anew (1000 draws).",
        f"p: paired permutation test against {study.versus}, two-sided, both rows' answers exchanged whole call by "
        "whole call, or group by group, for all seeds at once (10,000 draws, or all exchanges where there are fewer); "
        "in brackets with Holm's correction over the rows.",
    ]
    notes += too_few_groups(groups, items)
    if measure.metric == "mean_absolute_error":
        notes.append("Of this metric less is better.")
    if study.kind != "transfer" and len({line.items for line in lines if line.figure}) > 1:
        notes.append("Rows differ in how many items could be answered; pairs are compared on those that both answered.")
    notes += study.notes
    return notes + [f"Failed: {why}" for line in lines for why in line.failed]


def _folds(study: Study) -> str:
    design = study.design
    if not design.folds:
        return "the data's own test split"
    return f"{_count(len(design.asked), 'fold')} of {design.folds} ({', '.join(map(str, design.asked))})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def write_report(study: Study, measure: Measure, lines: Sequence[Line], record: Mapping[str, Any]) -> None:
    """Write `table.md`, `table.csv`, `chart.svg` and `study.json` into the study's folder, each atomically."""
    head, cells, notes = (
        head_of(study, measure),
        [cells_of(study, line) for line in lines],
        notes_of(study, measure, lines),
    )
    text = [f"# {study.kind}", "", _markdown(head), _markdown(["---"] * len(head)), *map(_markdown, cells), ""]
    write_text(study.folder / "table.md", "\n".join([*text, *(f"- {note}" for note in notes)]) + "\n")
    write_text(study.folder / "table.csv", _csv(lines))
    chart = chart_of(study, measure, lines)
    if chart:
        write_text(study.folder / "chart.svg", chart)
    write_json(study.folder / "study.json", {**record, "measure": measure.name, "notes": notes, "table": _plain(lines)})


def _markdown(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _plain(lines: Sequence[Line]) -> dict[str, dict[str, Any]]:
    """Row → its figures, without what it does not have."""
    return {
        line.name: {key: value for key, value in asdict(line).items() if key != "name" and value not in (None, ())}
        for line in lines
    }


def _csv(lines: Sequence[Line]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["row"]
    for part in ("", "difference_"):
        names += [f"{part}{each}" for each in ("value", "low", "high")]
    for kind in ("by_call", "by_group"):
        names += [f"p_{kind}", f"p_{kind}_adjusted", f"units_{kind}", f"exact_{kind}"]
    plain = ["items", "groups", "trainings", "seconds", "train_calls", "train_groups"]
    writer.writerow([*names, *plain, "failed"])
    for line in lines:
        cells: list[Any] = [line.name]
        for interval in (line.figure, line.difference):
            cells += ["", "", ""] if interval is None else [interval.value, interval.low, interval.high]
        for test, corrected in ((line.by_call, line.by_call_adjusted), (line.by_group, line.by_group_adjusted)):
            cells += ["", "", "", ""] if test is None else [test.p, corrected, test.units, test.exact]
        writer.writerow([*cells, *(getattr(line, name) for name in plain), len(line.failed)])
    return text.getvalue()


def chart_of(study: Study, measure: Measure, lines: Sequence[Line]) -> str | None:
    """Bars of the rows, or a line over sizes or lengths; None where no row has a figure."""
    drawn = [(line, line.figure) for line in lines if line.figure is not None]
    if not drawn:
        return None
    said = "; ".join(f"{line.name} {shown(figure)}" for line, figure in drawn)
    description = f"{measure.name} with 95 % intervals: {said}."
    if all(line.x is not None for line, _ in drawn):
        points = [Point(line.x or 0.0, figure.value, figure.low, figure.high) for line, figure in drawn]
        x_axis = "calls learned from" if study.kind == "learning-curve" else f"longest segment, {_unit(drawn[0][0])}"
        return line_chart(
            f"{study.kind}: {measure.name}", description, {measure.name: points}, x_axis=x_axis, y_axis=measure.name
        )
    bars = [Bar(line.name, figure.value, figure.low, figure.high, f"{figure.value:.3f}") for line, figure in drawn]
    reference = next((figure.value for line, figure in drawn if line.name == study.reference), None)
    return bar_chart(f"{study.kind}: {measure.name}", description, bars, axis=measure.name, reference=reference)


def _unit(line: Line) -> str:
    return line.name.rpartition("-")[2]


def begin(study: Study, about_data: Mapping[str, Any]) -> dict[str, Any]:
    """Write, and return, what `study.json` says of the study from its first moment: all that is needed to repeat it.

    A folder that holds a study is gone on with, and may be given more rows, folds or seeds.

    Raises:
        UsageError: it was begun with other data, folds, parts, or other settings of a row; names them.
    """
    settings = {
        "kind": study.kind,
        "folds": study.design.folds,
        "asr": study.asr,
        "diarizer": study.diarizer,
        **about_data,
    }
    rows = {row.name: row.config.model_dump(mode="json") for row in study.rows}
    before = check_begun(study.folder, settings, rows)
    rows = {**before.get("configs", {}), **rows}
    record = {
        **{key: before[key] for key in _REPORTED if key in before},  # until the next report takes their place
        "command": " ".join(["callsift", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in ("callsift", "torch", "numpy", "onnxruntime")},
        "settings": settings,
        "test_folds": list(study.design.asked),
        "seeds": list(study.design.seeds),
        "reference": study.reference,
        "rows": {row.name: list(row.settings) for row in study.rows},
        "configs": rows,
    }
    write_json(study.folder / "study.json", record)
    return record


def check_begun(
    folder: Path, settings: Mapping[str, Any], configs: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """What `study.json` says of the study that was begun in a folder, or nothing where none was. Nothing is written.

    Args:
        folder: of the study.
        settings, configs: those to go on with, and rows' configurations; what is not given is not asked about.

    Raises:
        UsageError: it was begun with others; names them.
    """
    path = folder / "study.json"
    if not path.is_file():
        return {}
    before = read_json(path)
    if not isinstance(before, dict) or not isinstance(before.get("configs"), dict) or "settings" not in before:
        raise UsageError(f"{path} is not of a study; name another folder")
    changed = [key for key, value in settings.items() if before["settings"].get(key) != value]
    changed += [f"row {name}" for name in configs if before["configs"].get(name, configs[name]) != configs[name]]
    if changed:
        raise UsageError(
            f"{folder} was begun with other settings ({', '.join(changed)}); go on with the same, or name another "
            "folder; so, too, if it was begun by an older callsift"
        )
    return before


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
