"""`callsift import`: graded calls of any kind → a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callsift.cli.data import LABELS_HELP, Force, free
from callsift.errors import UsageError

if TYPE_CHECKING:
    from callsift.data.importers import Imported


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command("import")(import_)


def import_(
    source: Annotated[Path, typer.Argument(help="CSV, XLSX, JSON or JSON Lines, or a folder.", metavar="SRC")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Manifest to write.", show_default=False)],
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", help="Field and column, as in label=Grade or audio={phone}/{number}.wav.", metavar="F=C"),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--format", help="csv, xlsx, folders, kaldi, nemo, lhotse or label-studio; else recognised."),
    ] = None,
    audio_root: Annotated[Path | None, typer.Option("--audio-root", help="Folder in which audio paths start.")] = None,
    labels: Annotated[str | None, typer.Option("--labels", help=f"{LABELS_HELP} Labels outside are errors.")] = None,
    raters: Annotated[
        str | None, typer.Option("--raters", help="Columns of grades, one for each grader: ann,bob,eve.", metavar="C,…")
    ] = None,
    votes: Annotated[str, typer.Option("--votes", help="Label by several graders: majority, or none.")] = "majority",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out what can't be imported; name it.")] = False,
    force: Force = False,
) -> None:
    """Make a manifest of graded calls that are kept in another form; say what became what, and what is not used."""
    from callsift.data.importers import Request, import_calls
    from callsift.data.manifest import write_manifest
    from callsift.labels import load_scheme

    free(output, force)
    if votes not in ("majority", "none"):
        raise UsageError(f"--votes {votes} is neither majority nor none")
    if audio_root is not None and not audio_root.is_dir():
        raise UsageError(f"--audio-root {audio_root} is no folder")
    request = Request(
        _mapping(mapped or ()), audio_root, None if labels is None else load_scheme(labels),
        "majority" if votes == "majority" else "none", skip_bad, _columns(raters),
    )  # fmt: skip
    name, found = import_calls(source, request, kind)
    write_manifest(output, found.calls)
    typer.echo(f"{len(found.calls)} calls of {source} ({name}) in {output}")
    for field, column in found.used.items():
        typer.echo(f"  {field}: {column}")
    if request.raters:
        typer.echo(f"  labels: by {', '.join(request.raters)}")
    if found.unused:
        typer.echo(f"  not used: {', '.join(found.unused)}")
    _tell(found)


def _tell(found: Imported) -> None:
    """What to know of an import, and what is left out."""
    from callsift.cli.show import say

    for note in found.notes:
        say(note)
    if found.left_out:
        say(f"left out: {len(found.left_out)}")
        for sentence in found.left_out:
            say(f"  {sentence}")


def _mapping(given: Sequence[str]) -> dict[str, str]:
    """`field=column` → field: column."""
    found: dict[str, str] = {}
    for text in given:
        field, sign, column = text.partition("=")
        if not sign or not field.strip() or not column.strip():
            raise UsageError(f"--map '{text}' is not like label=Grade (field of the manifest = column)")
        if field.strip() in found:
            raise UsageError(f"--map names '{field.strip()}' twice")
        found[field.strip()] = column.strip()
    return found


def _columns(given: str | None) -> tuple[str, ...]:
    """`ann,bob,eve` → the names."""
    names = () if given is None else tuple(name.strip() for name in given.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(f"--raters '{given}' is not like ann,bob,eve (a column for each grader, each once)")
    return names
