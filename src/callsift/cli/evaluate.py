"""`callsift evaluate`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callsift import __version__
from callsift.cli.options import ASR_HELP, DIARIZER_HELP
from callsift.cli.parts import graded_calls, is_run, scorer_of, trained_on
from callsift.errors import UsageError

if TYPE_CHECKING:
    from callsift.types import Call


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(evaluate)


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="RUN|BUNDLE", help="A run, or a bundle (no torch needed).")],
    data: Annotated[Path, typer.Argument(help="A manifest.jsonl with labels, or a prepared set.")],
    split: Annotated[
        str | None, typer.Option("--split", help="Only calls of this split. Default: test, else all.")
    ] = None,
    asr: Annotated[str | None, typer.Option("--asr", help=ASR_HELP)] = None,
    diarizer: Annotated[str | None, typer.Option("--diarizer", help=DIARIZER_HELP)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the figures as JSON.")] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Folder for report.html and report.json. Default: of a run, in its report/."),
    ] = None,
    evidence: Annotated[
        int,
        typer.Option(
            "--evidence",
            min=0,
            help="In how many segments of a bad mistake words and sounds are told; 0: evidence is not looked into.",
        ),
    ] = 3,
    no_baseline: Annotated[
        bool, typer.Option("--no-baseline", help="Without the baseline by words, which reads the training calls.")
    ] = False,
) -> None:
    """How good a model is on graded calls: figures with intervals beside baselines, and a report to read."""
    from callsift.cli.show import print_figures, print_warnings, progress, say
    from callsift.evaluation.evaluate import Depth, evaluate_calls
    from callsift.files import write_json

    _check_targets(output, report)
    scorer = scorer_of(model, asr, diarizer)
    calls, split = graded_calls(scorer, data, split)
    seen = trained_on(model, data, calls)
    for warning in seen.warnings(len(calls)):
        say(warning)
    if report is None and is_run(model):
        report = model / "report" / _name_of(data, split)
    looked_into = report is not None or output is not None
    found = evaluate_calls(
        scorer,
        progress(calls, len(calls), "scoring"),
        depth=Depth(
            train=None if no_baseline else _training_calls(data, calls),
            moments=evidence if looked_into else 0,
            faithful=looked_into and evidence > 0,
        ),
        made={
            "callsift": __version__,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "data": str(data),
            "split": split,
            "command": shlex.join(["callsift", *sys.argv[1:]]),
        },
        seen=seen,
        progress=progress,
    )
    rows = found.pop("rows")
    for kind, title in (("combined", "combined tasks"), ("raw", "each task by itself")):
        if kind in found["results"]:
            print_figures(title, found["results"][kind])
    _say_baseline(found)
    print_warnings(rows)
    for call_id, why in found["data"]["failed"].items():
        say(f"not scored: {call_id}: {why}")
    if output is not None:
        write_json(output, found)
    if report is not None:
        _write_report(report, found)
    if found["data"]["failed"]:
        raise typer.Exit(1)


def _check_targets(output: Path | None, report: Path | None) -> None:
    """Refuse what can't be written before anything slow begins."""
    if output is not None and output.is_dir():
        raise UsageError(f"--output {output} is a folder; it names a JSON file")
    if report is not None and report.exists() and not report.is_dir():
        raise UsageError(f"--report {report} is a file; it names a folder")


def _name_of(data: Path, split: str | None) -> str:
    """`<data>[-<split>]`, the name of a prepared set's folder or of a manifest, or of the folder of a `manifest`."""
    whole = data.resolve()
    name = whole.name if whole.is_dir() else whole.parent.name if whole.stem == "manifest" else whole.stem
    return name if split is None else f"{name}-{split.replace('/', '-')}"


def _training_calls(data: Path, asked: Sequence[Call]) -> list[Call]:
    """Calls of the manifest's training part (those without a split are of it) that are not asked about."""
    from callsift.data.manifest import manifest_file, read_manifest

    taken = {call.call_id for call in asked}
    calls = read_manifest(manifest_file(data)).calls
    return [call for call in calls if call.split in (None, "train") and call.call_id not in taken]


def _say_baseline(found: Mapping[str, Any]) -> None:
    """What TF-IDF reaches, or why there is no such figure."""
    from callsift.cli.show import say

    about = found["baselines"].get("tfidf")
    if about is None:
        return
    if about["note"]:
        say(f"baseline by words: {about['note']}")
    metric = found["breakdown_metric"]
    for task, figures in found["results"]["combined"].items():
        if simple := figures.get("tfidf", {}).get(metric):
            value = f"{simple['value']:.3f} [{simple['low']:.3f}, {simple['high']:.3f}]"
            say(f"TF-IDF baseline ({about['calls']} training calls), {task}, {metric.replace('_', ' ')}: {value}")


def _write_report(folder: Path, found: Mapping[str, Any]) -> None:
    from callsift.cli.show import say
    from callsift.evaluation.report import write_report
    from callsift.files import write_json

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "report.json", found)
    write_report(folder / "report.html", found)
    say(f"report: {folder / 'report.html'}")
