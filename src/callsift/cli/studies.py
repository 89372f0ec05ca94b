"""`callsift ablate`, `learning-curve`, `segment-length` and `transfer`: many trainings, compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callsift.cli.options import ASR_HELP, DIARIZER_HELP
from callsift.cli.parts import require_torch
from callsift.cli.train import CONFIG_HELP
from callsift.errors import UsageError

if TYPE_CHECKING:
    from callsift.training.studies.compared import Line, Measure
    from callsift.training.studies.plan import Design, Study
    from callsift.types import Call

Data = Annotated[Path, typer.Argument(help="A manifest.jsonl with labels, or a prepared set.", show_default=False)]
Folder = Annotated[Path, typer.Option("--output", "-o", help="Folder of the study.", show_default=False)]
Config = Annotated[str | None, typer.Option("--config", "-c", help=CONFIG_HELP)]
Settings = Annotated[list[str] | None, typer.Option("--set", help="One setting, as in fit.epochs=20.")]
Folds = Annotated[int, typer.Option("--folds", help="Test parts that the groups are dealt to; 0: the data's splits.")]
TestFolds = Annotated[str, typer.Option("--test-folds", help="The folds to ask about, as in 1,3,5; empty: all.")]
Seeds = Annotated[str, typer.Option("--seeds", help="Seeds of the trainings; every row has each.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes at once.")]
Metric = Annotated[str | None, typer.Option("--metric", help="accuracy, macro_f1, …; for numbers correlation, ….")]
Task = Annotated[str | None, typer.Option("--task", help="Task that the metric is of. Default: the finest.")]
Keep = Annotated[bool, typer.Option("--keep-weights", help="Keep every trained network, not its answers alone.")]
Asr = Annotated[str | None, typer.Option("--asr", help=ASR_HELP)]
DiarizerName = Annotated[str | None, typer.Option("--diarizer", help=DIARIZER_HELP)]

ROWS_HELP = (
    "Rows, as in full,no-bottleneck,audio-off: augmentation, no-augmentation, silence-removed, no-bottleneck, "
    "no-multi-task, no-bottleneck-no-multi-task, no-context, audio-off, text-off. Default: all that make sense."
)


class Unit(StrEnum):
    """What segments are measured in."""

    AUTO = "auto"
    SECONDS = "seconds"
    TOKENS = "tokens"


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(ablate)
    app.command("learning-curve")(learning_curve)
    app.command("segment-length")(segment_length)
    app.command()(transfer)


def ablate(
    data: Data,
    output: Folder,
    config: Config = None,
    settings: Settings = None,
    rows: Annotated[str, typer.Option("--rows", help=ROWS_HELP)] = "",
    row: Annotated[list[str] | None, typer.Option("--row", help="A row of your own: NAME:key=value,key=value.")] = None,
    folds: Folds = 5,
    test_folds: TestFolds = "",
    seeds: Seeds = "1,2,3",
    jobs: Jobs = 1,
    metric: Metric = None,
    task: Task = None,
    keep_weights: Keep = False,
    asr: Asr = None,
    diarizer: DiarizerName = None,
) -> None:
    """What each part is worth: train without it, and compare with the full configuration, call by call.

    The same command again goes on with a study that was stopped. Exit code: 0 all trained, 1 some failed, 2 wrong use.
    """
    require_torch()
    from callsift.data.manifest import manifest_file
    from callsift.training.studies.ablate import ablation

    design = _design(folds, test_folds, seeds)
    study = ablation(
        _calls(data, design), output, design, config=config, settings=settings or (), names=_names(rows),
        free=row or (), cut=(manifest_file(data).parent / "front_end.json").is_file(), asr=asr, diarizer=diarizer,
    )  # fmt: skip
    _carry_out(study, [data], jobs, metric, task, keep_weights)


def learning_curve(
    data: Data,
    output: Folder,
    sizes: Annotated[str, typer.Option("--sizes", help="Calls to learn from.")] = "50,100,200,350,500",
    config: Config = None,
    settings: Settings = None,
    folds: Folds = 5,
    test_folds: TestFolds = "",
    seeds: Seeds = "1,2,3",
    jobs: Jobs = 1,
    metric: Metric = None,
    task: Task = None,
    keep_weights: Keep = False,
    asr: Asr = None,
    diarizer: DiarizerName = None,
) -> None:
    """What more graded calls would bring: learn from ever more of them, with the same calls to validate and test.

    The same command again goes on with a study that was stopped. Exit code: 0 all trained, 1 some failed, 2 wrong use.
    """
    require_torch()
    from callsift.training.studies.learning_curve import learning_curve as curve

    design = _design(folds, test_folds, seeds)
    study = curve(
        _calls(data, design), output, design, _numbers(sizes, "--sizes"), config=config, settings=settings or (),
        asr=asr, diarizer=diarizer,
    )  # fmt: skip
    _carry_out(study, [data], jobs, metric, task, keep_weights)


def segment_length(
    data: Data,
    output: Folder,
    lengths: Annotated[str, typer.Option("--lengths", help="Longest segments. Default: 10,20,40,80 s.")] = "",
    unit: Annotated[
        Unit, typer.Option("--unit", help="seconds, or tokens where there are no times; auto: what the calls have.")
    ] = Unit.AUTO,
    config: Config = None,
    settings: Settings = None,
    folds: Folds = 5,
    test_folds: TestFolds = "",
    seeds: Seeds = "1,2,3",
    jobs: Jobs = 1,
    metric: Metric = None,
    task: Task = None,
    keep_weights: Keep = False,
    asr: Asr = None,
    diarizer: DiarizerName = None,
) -> None:
    """How long the segments should be: cut calls anew for each length, and train.

    The same command again goes on with a study that was stopped. Exit code: 0 all trained, 1 some failed, 2 wrong use.
    """
    require_torch()
    from callsift.training.studies.segment_length import segment_length as lengths_of

    design = _design(folds, test_folds, seeds)
    study = lengths_of(
        _calls(data, design), output, design, _numbers(lengths, "--lengths"), unit.value, config=config,
        settings=settings or (), asr=asr, diarizer=diarizer,
    )  # fmt: skip
    _carry_out(study, [data], jobs, metric, task, keep_weights)


def transfer(
    train: Annotated[Path, typer.Argument(help="The manifest or prepared set to learn from.", show_default=False)],
    test: Annotated[list[Path], typer.Argument(help="Those to ask about.", show_default=False)],
    output: Folder,
    map_propensity: Annotated[
        str | None,
        typer.Option("--map-propensity", help="Label scheme of sets labelled otherwise: does the order agree?"),
    ] = None,
    config: Config = None,
    settings: Settings = None,
    folds: Folds = 5,
    test_folds: TestFolds = "",
    seeds: Seeds = "1,2,3",
    jobs: Jobs = 1,
    metric: Metric = None,
    task: Task = None,
    keep_weights: Keep = False,
    asr: Asr = None,
    diarizer: DiarizerName = None,
) -> None:
    """What a model is worth elsewhere: learn from one set, ask about others, and compare with models of their own.

    The same command again goes on with a study that was stopped. Exit code: 0 all trained, 1 some failed, 2 wrong use.
    """
    require_torch()
    from callsift.labels import load_scheme
    from callsift.training.studies.transfer import transfer as study_of
    from callsift.training.studies.transfer import transfer_lines

    design = _design(folds, test_folds, seeds)
    paths = dict(zip(_names_of([train, *test]), [train, *test], strict=True))
    made = study_of(
        {name: _calls(path, design) for name, path in paths.items()}, output, design,
        outcome=None if map_propensity is None else load_scheme(map_propensity), config=config,
        settings=settings or (), asr=asr, diarizer=diarizer,
    )  # fmt: skip
    _carry_out(
        made.study, list(paths.values()), jobs, metric, task, keep_weights,
        lambda _, measure, failed: transfer_lines(made, measure, failed),
    )  # fmt: skip


def _names_of(paths: Sequence[Path]) -> list[str]:
    """A short name for every set: its folder's, or the file's; numbered where that is not enough."""
    from callsift.data.manifest import manifest_file

    found: list[str] = []
    for path in paths:
        file = manifest_file(path).resolve()
        name = file.parent.name if file.name == "manifest.jsonl" else file.stem
        found.append(name if name not in found else f"{name}-{len(found) + 1}")
    return found


def _carry_out(
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


def _calls(data: Path, design: Design) -> tuple[Call, ...]:
    """The calls to study. Those of split `test` are a model's last exam: no study by folds learns from them."""
    from callsift.cli.show import say
    from callsift.data.manifest import manifest_file, read_manifest
    from callsift.training.studies.plan import OWN_SPLITS

    calls = read_manifest(manifest_file(data)).calls
    kept = calls if design.folds == OWN_SPLITS else tuple(call for call in calls if call.split != "test")
    if len(kept) < len(calls):
        say(f"Calls of split 'test' stay out of the folds: {len(calls) - len(kept)}. --folds 0 tests on them.")
    return kept


def _design(folds: int, test_folds: str, seeds: str) -> Design:
    from callsift.training.studies.plan import Design

    return Design(folds, _numbers(test_folds, "--test-folds"), _numbers(seeds, "--seeds"))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(each) for each in _names(text))
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a list of whole numbers, as in 1,2,3") from None
