"""How a study of `callsift ablate` and the others is carried out: its calls, its folds, its trainings, its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from callsift.cli.options import numbers_in

if TYPE_CHECKING:
    from callsift.training.studies.compared import Line, Measure
    from callsift.training.studies.plan import Design, Study
    from callsift.types import Call


def design_of(folds: int, test_folds: str, seeds: str) -> Design:
    """The folds and seeds of a study, as its options say them."""
    from callsift.training.studies.plan import Design

    return Design(folds, numbers_in(test_folds, "--test-folds"), numbers_in(seeds, "--seeds"))


def study_calls(data: Path, design: Design) -> tuple[Call, ...]:
    """The calls to study. Those of split `test` are a model's last exam: no study by folds learns from them."""
    from callsift.cli.show import say
    from callsift.data.manifest import manifest_file, read_manifest
    from callsift.training.studies.plan import OWN_SPLITS

    calls = read_manifest(manifest_file(data)).calls
    kept = calls if design.folds == OWN_SPLITS else tuple(call for call in calls if call.split != "test")
    if len(kept) < len(calls):
        say(f"Calls of split 'test' stay out of the folds: {len(calls) - len(kept)}. --folds 0 tests on them.")
    return kept


def set_names(paths: Sequence[Path]) -> list[str]:
    """A short name for every set: its folder's, or the file's; numbered where that is not enough."""
    from callsift.data.manifest import manifest_file

    found: list[str] = []
    for path in paths:
        file = manifest_file(path).resolve()
        name = file.parent.name if file.name == "manifest.jsonl" else file.stem
        found.append(name if name not in found else f"{name}-{len(found) + 1}")
    return found


def carry_out(
    study: Study,
    data: Sequence[Path],
    jobs: int,
    metric: str | None,
    task: str | None,
    keep_weights: bool,
    lines_of: Callable[[Study, Measure, Mapping[str, str]], list[Line]] | None = None,
) -> None:
    """Train, and write and show the table."""
    from callsift.cli.show import progress, say
    from callsift.data.manifest import manifest_file, read_manifest
    from callsift.files import exclusive_lock, sha256_of_file
    from callsift.labels import load_scheme
    from callsift.pipeline import check_prepared
    from callsift.training.studies import report
    from callsift.training.studies.compared import measure_of
    from callsift.training.studies.plan import check_divisible
    from callsift.training.studies.study import run_study

    reference = next(row for row in study.rows if row.name == study.reference)
    measure = measure_of(load_scheme(reference.config.labels), metric, task)
    for name, path in zip(study.sets, data, strict=True):
        for row in study.rows:
            check_prepared(manifest_file(path).parent, row.config.front_end.sha256)
            if row.data == name:
                read_manifest(manifest_file(path)).check_labels(load_scheme(row.config.labels))
    check_divisible(study)
    for note in study.notes:
        say(note)
    with exclusive_lock(study.folder / ".lock"):
        record = report.begin(study, {"data_sha256": [sha256_of_file(manifest_file(path)) for path in data]})
        failed = run_study(study, jobs=jobs, keep_weights=keep_weights, progress=progress)
        lines = (lines_of or report.lines_of)(study, measure, failed)
        report.write_report(study, measure, lines, record)
    _show(study, measure, lines)
    if failed:
        raise typer.Exit(1)


def _show(study: Study, measure: Measure, lines: list[Line]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from callsift.cli.show import say
    from callsift.training.studies.report import cells_of, head_of, notes_of

    table = Table(title=study.kind, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in head_of(study, measure):
        table.add_column(name)
    for line in lines:
        table.add_row(*map(Text, cells_of(study, line)))
    Console(width=160).print(table)
    for note in notes_of(study, measure, lines):
        if note not in study.notes:  # these were said before
            say(note)
    say(f"Written: {study.folder}/table.md, table.csv, chart.svg, study.json")
