"""`callsift evaluate`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callsift import __version__
from callsift.cli.options import TIMEOUT_HELP, Asr, DiarizerName
from callsift.cli.parts import graded_calls, is_run, scorer_of, trained_on
from callsift.errors import NoRoomError, UsageError

if TYPE_CHECKING:
    from callsift.evaluation.desk import Desk
    from callsift.evaluation.evaluate import Depth
    from callsift.evaluation.seen import Seen
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
    asr: Asr = None,
    diarizer: DiarizerName = None,
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
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes at once.")] = 1,
    timeout: Annotated[float | None, typer.Option("--timeout", min=0, help=TIMEOUT_HELP)] = None,
) -> None:
    """How good a model is on graded calls: figures with intervals beside baselines, and a report to read.

    With a place to write to, the same command again goes on with an evaluation that was stopped.
    Exit code: 0 all scored, 1 some failed, 2 wrong use.
    """
    from callsift.cli.show import print_figures, print_warnings, say
    from callsift.evaluation.desk import InProcesses
    from callsift.evaluation.evaluate import Depth
    from callsift.evaluation.report.words import drawn_of

    _check_targets(output, report)
    with InProcesses(partial(scorer_of, model, asr, diarizer), jobs, timeout) as desk:
        calls, split = graded_calls(desk.subject, data, split)
        seen = trained_on(model, data, calls)
        for warning in seen.warnings(len(calls)):
            say(warning)
        if report is None and is_run(model):
            report = model / "report" / _name_of(data, split)
        looked_into = report is not None or output is not None
        depth = Depth(
            train=None if no_baseline else _training_calls(data, calls),
            moments=evidence if looked_into else 0,
            faithful=looked_into and evidence > 0,
        )
        with _held(output, report):
            if (kept_in := _kept_in(output, report)) is not None:
                desk.keep_in(kept_in, say)
            found = _evaluated(desk, calls, depth, seen, {"data": str(data), "split": split})
            rows = found.pop("rows")
            for kind, title in (("combined", "combined tasks"), ("raw", "each task by itself")):
                if kind in found["results"]:
                    print_figures(title, found["results"][kind])
            say(f"95 % intervals draw {drawn_of(found)}, each as a whole")
            _say_baseline(found)
            print_warnings(rows)
            for call_id, why in found["data"]["failed"].items():
                say(f"not scored: {call_id}: {why}")
            _write(output, report, found)
            desk.forget()
    if found["data"]["failed"]:
        raise typer.Exit(1)


def _evaluated(desk: Desk, calls: Sequence[Call], depth: Depth, seen: Seen, about: Mapping[str, Any]) -> dict[str, Any]:
    from callsift.cli.show import progress
    from callsift.evaluation.evaluate import evaluate_calls

    made = {
        "callsift": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
        "command": shlex.join(["callsift", *sys.argv[1:]]),
    }
    return evaluate_calls(desk, calls, depth=depth, made=made, seen=seen, progress=progress)


@contextmanager
def _held(output: Path | None, report: Path | None) -> Iterator[None]:
    """Keep others from writing where this command will.

    Raises:
        UsageError: another callsift is writing there, or nobody can.
    """
    from callsift.files import exclusive_lock

    locks = [] if output is None else [output.with_name(f".{output.name}.lock")]
    locks += [] if report is None else [report / ".lock"]
    with ExitStack() as held:
        for lock in locks:
            try:
                held.enter_context(exclusive_lock(lock))
            except OSError as error:
                raise UsageError(f"{lock.parent} can't be written to: {_why(error)}. Name another place.") from error
        yield


def _kept_in(output: Path | None, report: Path | None) -> Path | None:
    """How the names of hidden files begin in which answers are kept until all is written."""
    if report is not None:
        return report / ".evaluated"
    return None if output is None else output.with_name(f".{output.name}")


def _write(output: Path | None, report: Path | None, found: Mapping[str, Any]) -> None:
    """Write what is asked for.

    Raises:
        NoRoomError: it can't be written.
    """
    from callsift.files import write_json

    try:
        if output is not None:
            write_json(output, found)
        if report is not None:
            _write_report(report, found)
    except OSError as error:
        raise NoRoomError(
            f"the results can't be written: {_why(error)}. Mend that, then give the same command again: "
            "it goes on, and scores nothing anew."
        ) from error


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _check_targets(output: Path | None, report: Path | None) -> None:
    """Refuse what can't be written before anything slow begins."""
    if output is not None and output.is_dir():
        raise UsageError(f"--output {output} is a folder; it names a JSON file")
    if report is not None and report.exists() and not report.is_dir():
        raise UsageError(f"--report {report} is a file; it names a folder")
    if output is not None and report is not None and output.resolve() == report.resolve():
        raise UsageError(f"--output and --report are both {output}; the one is a file, the other a folder")


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
    from callsift.evaluation.tasks import shown

    about = found["baselines"].get("tfidf")
    if about is None:
        return
    if about["note"]:
        say(f"baseline by words: {about['note']}")
    metric = found["breakdown_metric"]
    for task, figures in found["results"]["combined"].items():
        if simple := figures.get("tfidf", {}).get(metric):
            what = f"{task}, {metric.replace('_', ' ')}: {shown(simple)}"
            say(f"TF-IDF baseline ({about['calls']} training calls), {what}")


def _write_report(folder: Path, found: Mapping[str, Any]) -> None:
    from callsift.cli.show import say
    from callsift.evaluation.report import write_report
    from callsift.files import write_json

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "report.json", found)
    write_report(folder / "report.html", found)
    say(f"report: {folder / 'report.html'}")
