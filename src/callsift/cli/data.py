"""`callsift validate`: look at a manifest before training on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from callsift.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(validate)


def validate(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl, or a prepared set.")],
    labels: Annotated[str, typer.Option("--labels", help="Label scheme: marketcalls, donation, or a YAML file.")] = (
        "marketcalls"
    ),
) -> None:
    """Check a manifest, or that of a prepared set, and show what is in it: calls, grades, languages, splits."""
    from callsift.cli.show import say
    from callsift.data.manifest import read_manifest
    from callsift.labels import load_scheme
    from callsift.scoring.report import label_text

    if manifest.is_dir() and (manifest / "manifest.jsonl").is_file():
        manifest = manifest / "manifest.jsonl"  # a prepared set
    if manifest.is_dir():
        raise UsageError(f"'{manifest}' is a folder; validate takes a manifest.jsonl, one call a line")
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
