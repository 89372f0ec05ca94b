"""`callsift score` and `callsift demo`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callsift.bundle import STARTER
from callsift.cli.options import RATE_HELP, TIMEOUT_HELP, Asr, DiarizerName
from callsift.errors import UsageError

if TYPE_CHECKING:
    from callsift.scoring.batch import BatchScorer
    from callsift.scoring.callback import CallBack
    from callsift.scoring.output import ResultFile
    from callsift.scoring.sources import Sources


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(demo)
    app.command()(score)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for scores.jsonl and report.html.")] = Path("demo"),
) -> None:
    """Score the shipped sample calls with the shipped model: a table, scores.jsonl and report.html."""
    from importlib.resources import files

    from callsift.bundle import find_bundle, load_bundle
    from callsift.cli.show import print_table, print_warnings, progress, say
    from callsift.files import write_jsonl
    from callsift.scoring.batch import ScorerSpec
    from callsift.scoring.report import write_report
    from callsift.scoring.scorer import result_row
    from callsift.scoring.sources import find_calls

    started = time.monotonic()
    bundle = load_bundle(find_bundle(STARTER))
    scorer = ScorerSpec(bundle.path).make()
    calls = find_calls([str(files("callsift") / "data" / "demo" / "manifest.jsonl")]).calls
    rows = [result_row(scorer.score(call)) for call in progress(calls, len(calls), "scoring")]
    truth = {call.call_id: call.label for call in calls}
    write_jsonl(out / "scores.jsonl", rows)
    write_report(
        out / "report.html", rows, bundle.scheme, title="callsift: the sample calls, graded", true_labels=truth
    )
    print_table(rows, truth)
    print_warnings(rows)
    right = sum(row["grade"] == truth[row["call_id"]] for row in rows)
    say(
        f"{right} of {len(rows)} grades as given by hand; the model never trained on these calls. "
        f"Voices are synthetic: train on your own calls for real use.\n"
        f"Written: {out / 'scores.jsonl'}, {out / 'report.html'} ({time.monotonic() - started:.1f} s)"
    )
    if any(row["error"] for row in rows):
        raise typer.Exit(1)


def score(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Recordings, folders, globs, or a manifest.jsonl.", show_default=False),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="A bundle's folder, or 'starter'.")] = STARTER,
    asr: Asr = None,
    channels: Annotated[
        str | None,
        typer.Option("--channels", help="Who is on channel 0, 1, …: 'agent,customer' or 'customer,agent'."),
    ] = None,
    diarizer: DiarizerName = None,
    rate: Annotated[int | None, typer.Option("--rate", min=2000, max=384000, help=RATE_HELP)] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Take phone, card and identity numbers and e-mails out of the text.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Results as .jsonl (with evidence), .csv or .parquet."),
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Also write an HTML report here.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an --output that was stopped.")] = False,
    threshold: Annotated[
        str | None,
        typer.Option("--threshold", help="Mark calls to phone back: from this propensity on, or a thresholds file."),
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="Mark so many of the best calls.")] = None,
    balance: Annotated[
        str | None,
        typer.Option("--balance", help="The share of each grade here: A=0.1,B=0.2,…, or what shift wrote (.json)."),
    ] = None,
    evidence: Annotated[
        int,
        typer.Option(
            "--evidence",
            metavar="N",
            min=0,
            help="Also tell which words, sounds and pauses count in the N segments of a call that count most, and how "
            "much text and audio do. Each of the N goes through the encoders up to 50 times more.",
        ),
    ] = 0,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes at once.")] = 1,
    timeout: Annotated[float | None, typer.Option("--timeout", min=0, help=TIMEOUT_HELP)] = None,
) -> None:
    """Grade recordings: a table ranked by how good a lead each call is, or one JSON line per call.

    Without --output: a table on a terminal, JSON lines otherwise. A transcript beside a recording (call.json, .srt,
    .vtt, .ctm, .TextGrid, .txt) is used; without one, built-in English recognition is.
    Exit code: 0 all scored, 1 some failed, 2 wrong use.
    """
    from callsift.bundle import find_bundle, load_bundle
    from callsift.cli.show import say
    from callsift.scoring.batch import BatchScorer, ScorerSpec
    from callsift.scoring.callback import BalancedSpec, call_back_by, hashes_of, read_balance
    from callsift.scoring.output import FORMATS, require_parquet
    from callsift.scoring.sources import find_calls, parse_channels

    if output is not None and output.suffix not in FORMATS:
        raise UsageError(f"--output {output}: the name must end in {', '.join(FORMATS)}")
    if output is not None and output.suffix == ".parquet":
        require_parquet()
    if resume and output is None:
        raise UsageError("--resume needs the --output FILE to go on with")
    if output is not None and output.suffix != ".jsonl" and output.exists():
        raise UsageError(f"{output} exists; name another --output, or remove it")
    if evidence and report is None and (sys.stdout.isatty() if output is None else output.suffix != ".jsonl"):
        kept = (
            "the table shows none of --evidence" if output is None else f"{output} will have the streams' shares alone"
        )
        say(f"warning: {kept}: what counts in segments, words and moments, stands in .jsonl and --report only")
    sources = find_calls(paths, parse_channels(channels), rate)
    folder = find_bundle(model)
    said = {"channels": channels, "rate_hz": rate}
    spec = ScorerSpec(folder, asr, diarizer=diarizer, redact=redact, said=said)
    call_back = None
    if balance is not None or threshold is not None or top is not None:
        asked = load_bundle(folder)
        here = None if balance is None else read_balance(balance, asked.scheme, hashes_of(asked))
        call_back = call_back_by(threshold, top, asked.scheme, hashes_of(asked), here)
        if here is not None:
            for caution in here.cautions(str(balance)):
                say(f"warning: {caution}")
            spec = BalancedSpec(folder, asr, diarizer=diarizer, redact=redact, said=said, balance=here)
    with BatchScorer(spec, workers, timeout, evidence) as scorer:
        bundle = load_bundle(folder)  # while the first worker starts
        front_end = bundle.front_end.model_copy(update={"redact": True}) if redact else bundle.front_end
        _refuse_foreign_sets(sources, front_end.sha256)
        for note in sources.notes:
            say(f"warning: {note.message}")
        rows, failed = _run(scorer, sources, output, resume, call_back, evidence)
    if report is not None:
        from callsift.scoring.report import write_report

        write_report(report, rows, bundle.scheme, title="callsift: calls, graded", true_labels=_truth(sources))
    _present(rows, sources, output)
    if failed:
        raise typer.Exit(1)


def _refuse_foreign_sets(sources: Sources, front_end_sha256: str) -> None:
    from callsift.pipeline import check_prepared

    for manifest in sources.manifests:
        check_prepared(manifest.parent, front_end_sha256)


def _run(
    scorer: BatchScorer,
    sources: Sources,
    output: Path | None,
    resume: bool,
    call_back: CallBack | None,
    evidence: int,
) -> tuple[list[dict[str, Any]], int]:
    """Score what isn't scored yet. With an output, every result is in a file before the next call is begun."""
    from callsift.cli.show import progress, say
    from callsift.scoring.output import journal_of, write_table
    from callsift.scoring.scorer import result_row

    file = None if output is None else _opened(output, scorer, sources, resume, evidence)
    done = {} if file is None else dict(file.done)
    todo = [call for call in sources.calls if call.call_id not in done]
    if done:
        say(f"{len(done)} calls are scored already")
    try:
        for found in progress(scorer.score_all(todo), len(todo), "scoring"):
            row = result_row(found)
            done[found.call_id] = row
            if file is not None:
                file.add(row)
        rows = [done[call.call_id] for call in sources.calls]
        if call_back is not None:
            rows = call_back.mark(rows)
            if file is not None:
                _rewrite(file.path, {row["call_id"]: row for row in rows})  # while it is locked
    finally:
        if file is not None:
            file.close()
    if output is not None and journal_of(output) != output:
        write_table(output, rows)
        journal_of(output).unlink()
    return rows, sum(row["error"] is not None for row in rows)


def _opened(output: Path, scorer: BatchScorer, sources: Sources, resume: bool, evidence: int) -> ResultFile:
    from callsift.scoring.output import ResultFile, journal_of

    return ResultFile(
        journal_of(output),
        model=scorer.identity.info,
        settings_sha256=scorer.identity.settings_sha256,
        calls=sources.calls,
        resume=resume,
        evidence=evidence,
    )


def _rewrite(path: Path, rows: Mapping[str, Any]) -> None:
    """Put rows in the place of those of the same calls, and leave the others as they are."""
    from callsift.files import read_jsonl, write_jsonl

    write_jsonl(path, [rows.get(row["call_id"], row) for _, row in read_jsonl(path)])


def _truth(sources: Sources) -> dict[str, Any] | None:
    truth = {call.call_id: call.label for call in sources.calls}
    return truth if any(label is not None for label in truth.values()) else None


def _present(rows: list[dict[str, Any]], sources: Sources, output: Path | None) -> None:
    from callsift.cli.show import print_table, print_warnings, say

    if output is None and not sys.stdout.isatty():
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
    else:
        print_table(rows, _truth(sources))
    print_warnings(rows)
    failed = [row for row in rows if row["error"]]
    for row in failed:
        say(f"not scored: {row['call_id']}: {row['error']['code']}: {row['error']['message']}")
    say(
        f"{len(rows) - len(failed)} of {len(rows)} calls scored"
        + (f", {len(failed)} failed" if failed else "")
        + (
            f", {len(sources.skipped)} other file{'s' if len(sources.skipped) != 1 else ''} skipped"
            if sources.skipped
            else ""
        )
        + (
            f"; {sum(row['call_back'] is True for row in rows)} to phone back"
            if any("call_back" in row for row in rows)
            else ""
        )
        + (f"; results in {output}" if output else "")
    )
