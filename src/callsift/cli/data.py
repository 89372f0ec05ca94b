"""`callsift validate` and `callsift prepare`: look at data before training on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from callsift.types import PreparedCall


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(validate)
    app.command()(prepare)


def validate(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl.")],
    labels: Annotated[str, typer.Option("--labels", help="Label scheme: marketcalls, donation, or a YAML file.")] = (
        "marketcalls"
    ),
) -> None:
    """Check a manifest and show what is in it: calls, grades, languages, splits."""
    from callsift.cli.show import say
    from callsift.data.manifest import read_manifest
    from callsift.labels import load_scheme
    from callsift.scoring.report import label_text

    found = read_manifest(manifest)
    found.check_labels(load_scheme(labels))
    for note in found.notes:
        say(f"warning: {note.message}")
    typer.echo(f"{len(found.calls)} calls in {manifest}")
    columns = {
        "grade": [label_text(call.label) or "(none)" for call in found.calls],
        "language": [call.language or "(not given)" for call in found.calls],
        "split": [call.split or "(none)" for call in found.calls],
        "audio": ["yes" if call.audio or any(s.audio for s in call.segments) else "no" for call in found.calls],
    }
    for name, values in columns.items():
        counts = ", ".join(f"{value} {count}" for value, count in sorted(Counter(values).items()))
        typer.echo(f"{name}: {counts}")


def prepare(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the prepared set.", show_default=False)],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Training configuration whose front_end is used.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, as in front_end.silence=remove.")
    ] = None,
    asr: Annotated[str | None, typer.Option("--asr", help="Speech recognition; 'none' for none.")] = None,
) -> None:
    """Decode, transcribe and cut calls once; train, score and evaluate take the folder as they take a manifest."""
    from callsift.cli.show import progress, say
    from callsift.config import load_train_config
    from callsift.data.manifest import read_manifest
    from callsift.errors import DataError, ErrorCode, RecordingError
    from callsift.files import exclusive_lock
    from callsift.pipeline import Pipeline, make_asr, write_prepared
    from callsift.text.tokens import word_tokenizer

    front_end = load_train_config(config, settings or ()).front_end
    found = read_manifest(manifest)
    pipeline = Pipeline(front_end, word_tokenizer(), make_asr(asr))
    failed: list[str] = []

    def prepared() -> Iterator[PreparedCall]:
        for call in progress(found.calls, len(found.calls), "preparing"):
            try:
                yield pipeline.prepare(call)
            except (RecordingError, DataError) as error:
                failed.append(call.call_id)
                code = error.code if isinstance(error, RecordingError) else ErrorCode.BAD_TRANSCRIPT
                say(f"left out: {call.call_id}: {code}: {error}")

    with exclusive_lock(output / ".lock"):
        written = write_prepared(output, prepared(), front_end)
    say(f"{written} calls prepared in {output}" + (f", {len(failed)} left out" if failed else ""))
    if failed:
        raise typer.Exit(1)
