"""`callsift raters` and `callsift suspects`: how far the labels themselves can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callsift.cli.data import Force, free, free_manifest, not_the_source
from callsift.cli.options import Asr, DiarizerName
from callsift.errors import UsageError

if TYPE_CHECKING:
    from callsift.data.manifest import Manifest
    from callsift.evaluation.agreement import Agreement
    from callsift.evaluation.suspects import LabelNoise
    from callsift.labels import LabelScheme


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(raters)
    app.command()(suspects)


def raters(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl whose calls have 'labels' of several raters.")],
    labels: Annotated[
        str, typer.Option("--labels", help="Label scheme: marketcalls, donation, or a YAML file.")
    ] = "marketcalls",
    majority: Annotated[
        bool, typer.Option("--majority", help="Write a manifest (-o) whose labels are the majority's.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The figures as .json; with --majority, the manifest.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=0, help="How many of the most disputed calls to show.")] = 10,
    force: Force = False,
) -> None:
    """Do several people's grades agree? Krippendorff's alpha, every pair of raters, the most disputed calls.

    "apart" says how far: of a pair of raters, where labels are numbers, their mean difference; of a call, how far its
    ratings lie apart on average, from 0 (all alike) to 1 (as far as any in these calls).
    """
    from callsift.cli.show import say
    from callsift.data.manifest import manifest_file, read_manifest
    from callsift.evaluation.agreement import agreement_of
    from callsift.files import write_json
    from callsift.labels import load_scheme

    if majority and output is None:
        raise UsageError("--majority needs -o NEW, the manifest to write")
    if output is not None and not majority and output.suffix != ".json":
        raise UsageError(f"-o {output}: the figures are written as .json; --majority writes a manifest")
    path = manifest_file(manifest)
    if output is not None and majority:
        free_manifest(output, path, force)
    elif output is not None:
        not_the_source(output, path)
        free(output, force)
    scheme = load_scheme(labels)
    found = read_manifest(path)
    found.check_labels(scheme)
    agreement = agreement_of(found.calls, scheme)
    _show_agreement(agreement, top)
    if output is None:
        return
    if majority:
        _write_majority(found, scheme, output)
    else:
        write_json(output, {"schema_version": 1, **asdict(agreement)})
        say(f"written: {output}")


def _write_majority(found: Manifest, scheme: LabelScheme, output: Path) -> None:
    from callsift.cli.show import say
    from callsift.data.carry import rewrite_manifest
    from callsift.evaluation.agreement import majority_label

    calls = [replace(call, label=majority_label(call, scheme)) for call in found.calls]
    rewrite_manifest(output, calls, found.path)
    voted = [call for call in calls if call.labels]
    tied = sum(isinstance(call.label, tuple) for call in voted)
    say(f"written: {output}; {len(voted)} of {len(calls)} calls by vote, {tied} of them undecided: several grades")


def _show_agreement(found: Agreement, top: int) -> None:
    from callsift.data.splits import label_key

    typer.echo(f"{found.calls} calls graded by two people or more, {found.ratings} ratings")
    for level, alpha in found.alpha.items():
        said = (
            "undefined: all ratings are alike" if alpha is None
            else f"{alpha.value:.3f} [{alpha.low:.3f}, {alpha.high:.3f}]"
        )  # fmt: skip
        typer.echo(f"Krippendorff's alpha, {level}: {said}")
    numbers = any(pair.apart is not None for pair in found.pairs)
    _table(
        ("raters", "calls", "agree", "kappa", *(["apart"] if numbers else [])),
        [
            (
                " – ".join(pair.raters), str(pair.calls), f"{pair.agreement:.3f}",
                "–" if pair.kappa is None else f"{pair.kappa:.3f}",
                *(["–" if pair.apart is None else f"{pair.apart:.3g}"] if numbers else []),
            )
            for pair in found.pairs
        ],
    )  # fmt: skip
    grades = sorted({grade for use in found.use.values() for grade in use})
    if len(grades) <= 20:  # of numbers a table of counts tells nothing
        _table(
            ("rater", *grades),
            [(rater, *(str(use.get(grade, 0)) for grade in grades)) for rater, use in found.use.items()],
        )
    if found.disputed and top:
        rows = [
            (d.call_id, f"{d.disagreement:.2f}", ", ".join(f"{r.rater} {label_key(r.label)}" for r in d.ratings))
            for d in found.disputed[:top]
        ]
        _table((f"most disputed ({len(rows)} of {len(found.disputed)})", "apart", "ratings"), rows)


def suspects(
    data: Annotated[Path, typer.Argument(help="A manifest.jsonl with labels, or a prepared set.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for folds, table and CSV.", show_default=False)
    ],
    config: Annotated[str | None, typer.Option("--config", "-c", help="A YAML file of settings, or a preset.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="One setting, as in fit.epochs=20.")] = None,
    folds: Annotated[
        int, typer.Option("--folds", min=2, help="Models to train, each without a part of the calls.")
    ] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the folds.")] = 1,
    top: Annotated[int, typer.Option("--top", min=1, help="How many to show; the CSV has all.")] = 20,
    asr: Asr = None,
    diarizer: DiarizerName = None,
) -> None:
    """The likeliest mislabelled calls, by models that never saw them. Stopped, it goes on when run again."""
    from callsift.cli.parts import require_torch
    from callsift.cli.show import progress, say

    require_torch()
    from callsift.config import load_train_config
    from callsift.evaluation.reliability import PROPENSITY, reliability_line
    from callsift.evaluation.suspects import find_suspects
    from callsift.labels import load_scheme
    from callsift.training.cross_validate import cross_validate

    def on_epoch(row: Mapping[str, float]) -> None:
        say(f"  epoch {row['epoch']:.0f}: validation {row['val_loss']:.4f} ({row['seconds']:.1f} s)")

    chosen = load_train_config(config, settings or ())
    scheme = load_scheme(chosen.labels)
    if scheme.kind == "number":
        raise UsageError(f"label scheme '{scheme.id}' is a number; suspects are found among grades")
    found = cross_validate(
        data, output, chosen, folds=folds, seed=seed, asr=asr, diarizer=diarizer, progress=progress,
        on_epoch=on_epoch, on_fold=lambda at, of: say(f"fold {at} of {of}"),
    )  # fmt: skip
    for call_id, why in found.left_out.items():
        say(f"left out: {call_id}: {why}")
    believed = found.reliability()
    for task in (scheme.finest_task, PROPENSITY):
        if task in believed["after"]:
            say(f"calibration, {reliability_line(believed, task)}")
    noise = find_suspects(scheme, found.labels, found.probabilities())
    _write_suspects(output, noise, found.call_ids, found.segment_ids, top, scheme)


def _write_suspects(
    output: Path,
    noise: LabelNoise,
    call_ids: tuple[str, ...],
    segment_ids: tuple[str, ...],
    top: int,
    scheme: LabelScheme,
) -> None:
    import csv
    import io

    from callsift.cli.show import say
    from callsift.evaluation.suspects import HEAD, suspect_rows
    from callsift.files import write_json, write_text

    rows = suspect_rows(noise, call_ids, segment_ids)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([HEAD, *rows])
    write_text(output / "suspects.csv", text.getvalue())
    about: dict[str, Any] = {"grades": list(scheme.grades), "joint": noise.joint.tolist(), "wrong": noise.wrong}
    write_json(output / "suspects.json", {"schema_version": 1, "flagged": noise.flagged, "calls": len(rows), **about})
    _table(
        ("call", "label", "suggested", "probability", "margin"),
        [(*_name(row), *row[2:5], row[6]) for row in rows[:top]],
    )
    typer.echo(
        f"{noise.flagged} of {len(rows)} labels are in doubt; about {noise.wrong:.0f} are estimated to be wrong "
        f"({noise.wrong / max(len(rows), 1):.1%}). All, most doubtful first: {output / 'suspects.csv'}"
    )
    say("A model doubts what is rare or hard, too: listen before you change a label.")


def _name(row: tuple[str, ...]) -> tuple[str]:
    return (f"{row[0]} {row[1]}".strip(),)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(width=120).print(table)
