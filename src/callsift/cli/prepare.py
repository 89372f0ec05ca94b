"""`callsift prepare`: decode, transcribe and cut calls once, for everything that comes after."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callsift.cli.options import RATE_HELP, TIMEOUT_HELP, Asr, DiarizerName
from callsift.errors import CallsiftError, UsageError

if TYPE_CHECKING:
    from callsift.pipeline.prepared_journal import Journal
    from callsift.pipeline.prepared_set import PreparedRow
    from callsift.pipeline.preparing import PreparerSpec
    from callsift.types import Call


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(prepare)


def prepare(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Recordings, folders, globs, or a manifest.jsonl.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the prepared set.", show_default=False)],
    features: Annotated[
        Path | None,
        typer.Option("--features", help="Also write pauses, response times, talk ratio, loudness, pitch … as .csv."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Training configuration whose front_end is used.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, as in front_end.silence=remove.")
    ] = None,
    asr: Asr = None,
    diarizer: DiarizerName = None,
    channels: Annotated[
        str | None,
        typer.Option("--channels", help="Who is on channel 0, 1, …: 'agent,customer' or 'customer,agent'."),
    ] = None,
    rate: Annotated[int | None, typer.Option("--rate", min=2000, max=384000, help=RATE_HELP)] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Take phone, card and identity numbers and e-mails out of the text.")
    ] = False,
    export_audio: Annotated[
        bool, typer.Option("--export-audio", help="With --redact: copy the recordings, silent where those are said.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes at once.")] = 1,
    timeout: Annotated[float | None, typer.Option("--timeout", min=0, help=TIMEOUT_HELP)] = None,
) -> None:
    """Decode, transcribe and cut calls once; train, score and evaluate take the folder as they take a manifest.

    The features say, for every call and segment, how long each side takes to answer, where it pauses, who interrupts,
    how fast and how loud it speaks. The same command again goes on with a run that was stopped.
    Exit code: 0 all prepared, 1 some left out, 2 wrong use.
    """
    from callsift.cli.show import print_notes, say
    from callsift.config import load_train_config
    from callsift.files import exclusive_lock
    from callsift.pipeline.measures import write_features
    from callsift.pipeline.prepared_journal import Journal
    from callsift.pipeline.prepared_set import write_prepared
    from callsift.pipeline.preparing import PreparerSpec
    from callsift.scoring.sources import find_calls, parse_channels

    _check_outputs(output, features)
    if export_audio and not redact:
        raise UsageError("--export-audio writes recordings without what is redacted: give --redact too")
    front_end = load_train_config(config, [*(settings or ()), *(["front_end.redact=true"] if redact else [])]).front_end
    found = find_calls(paths, parse_channels(channels), rate)
    for note in found.notes:
        say(f"warning: {note.message}")
    muted_audio = output.resolve() / "audio" if export_audio else None
    spec = PreparerSpec(front_end, asr, diarizer, features is not None, muted_audio)
    with exclusive_lock(output / ".lock"):
        if muted_audio is not None:
            muted_audio.mkdir(parents=True, exist_ok=True)
        output.mkdir(parents=True, exist_ok=True)
        journal = Journal(output, {**asdict(spec), "front_end": front_end.sha256, "muted_audio": export_audio})
        rows = _prepared(spec, found.calls, journal, workers, timeout)
        if not rows:
            raise CallsiftError(f"none of the {len(found.calls)} calls could be prepared")
        place = {call.call_id: at for at, call in enumerate(found.calls)}
        rows.sort(key=lambda row: place[row.call.call_id])
        write_prepared(output, rows, front_end)
        if features is not None:
            write_features(features, (measured for row in rows for measured in row.measures))
        journal.remove()
    print_notes((row.call.call_id, row.notes) for row in rows)
    left_out, skipped = len(found.calls) - len(rows), len(found.skipped)
    say(
        f"{len(rows)} call{_s(len(rows))} prepared in {output}"
        + (f", {left_out} left out" if left_out else "")
        + (f", {skipped} other file{_s(skipped)} skipped" if skipped else "")
        + (f"; features in {features}" if features else "")
    )
    if left_out:
        raise typer.Exit(1)


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _check_outputs(output: Path, features: Path | None) -> None:
    """Nothing that is there is written over, and what can't be written is said before the work."""
    if (output / "manifest.jsonl").exists():
        raise UsageError(f"{output} holds a manifest.jsonl already; name another --output, or remove it")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; --output names a folder")
    if features is None:
        return
    if features.suffix != ".csv":
        raise UsageError(f"--features {features}: the name must end in .csv")
    if features.exists():
        raise UsageError(f"{features} exists; name another file for --features, or remove it")


def _prepared(
    spec: PreparerSpec, calls: tuple[Call, ...], journal: Journal, workers: int, timeout: float | None
) -> list[PreparedRow]:
    """Every call prepared, those of a run that was stopped taken up; what can't be prepared is said and left out."""
    from callsift.cli.show import progress, say
    from callsift.isolation import Lost, Workers
    from callsift.pipeline.prepared_set import Refused
    from callsift.scoring.batch import time_limit

    before = {call.call_id: kept for call in calls if (kept := journal.found(call)) is not None}
    if before:
        say(f"{len(before)} of {len(calls)} calls were prepared before this was stopped")
    rows = list(before.values())
    left = [call for call in calls if call.call_id not in before]
    if not left:
        return rows
    with Workers(spec.make_worker, workers) as pool:
        for call, row in progress(pool.run(left, time_limit(timeout)), len(left), "preparing"):
            if isinstance(row, Lost | Refused):
                say(f"left out: {call.call_id}: {row.code}: {row.message}")
            else:
                journal.add(call, row)
                rows.append(row)
    return rows
