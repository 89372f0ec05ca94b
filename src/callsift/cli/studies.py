"""`callsift ablate`, `learning-curve`, `segment-length` and `transfer`: many trainings, compared."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from callsift.cli.options import Asr, DiarizerName, names_in, numbers_in
from callsift.cli.parts import require_torch
from callsift.cli.studying import carry_out, design_of, set_names, study_calls
from callsift.cli.train import CONFIG_HELP

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

    design = design_of(folds, test_folds, seeds)
    study = ablation(
        study_calls(data, design), output, design, config=config, settings=settings or (), names=names_in(rows),
        free=row or (), cut=(manifest_file(data).parent / "front_end.json").is_file(), asr=asr, diarizer=diarizer,
    )  # fmt: skip
    carry_out(study, [data], jobs, metric, task, keep_weights)


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

    design = design_of(folds, test_folds, seeds)
    study = curve(
        study_calls(data, design), output, design, numbers_in(sizes, "--sizes"), config=config, settings=settings or (),
        asr=asr, diarizer=diarizer,
    )  # fmt: skip
    carry_out(study, [data], jobs, metric, task, keep_weights)


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

    design = design_of(folds, test_folds, seeds)
    study = lengths_of(
        study_calls(data, design), output, design, numbers_in(lengths, "--lengths"), unit.value, config=config,
        settings=settings or (), asr=asr, diarizer=diarizer,
    )  # fmt: skip
    carry_out(study, [data], jobs, metric, task, keep_weights)


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

    design = design_of(folds, test_folds, seeds)
    paths = dict(zip(set_names([train, *test]), [train, *test], strict=True))
    made = study_of(
        {name: study_calls(path, design) for name, path in paths.items()}, output, design,
        outcome=None if map_propensity is None else load_scheme(map_propensity), config=config,
        settings=settings or (), asr=asr, diarizer=diarizer,
    )  # fmt: skip
    carry_out(
        made.study, list(paths.values()), jobs, metric, task, keep_weights,
        lambda _, measure, failed: transfer_lines(made, measure, failed),
    )  # fmt: skip
