"""`callsift import`: graded calls of any kind → a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callsift.cli.data import LABELS_HELP, Force, free_manifest
from callsift.errors import UsageError

MAP_HELP = (
    "Field and column, as in label=Outcome or audio={phone}/{number}.wav. Fields: call_id, audio, text, label, "
    "segment_label, group, split, language, transcript, rater, start_s, end_s, duration_s, role, channel, segment_id."
)

if TYPE_CHECKING:
    from callsift.data.importers import Imported
    from callsift.types import Call


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command("import")(import_)


def import_(
    source: Annotated[Path, typer.Argument(help="CSV, XLSX, JSON or JSON Lines, or a folder.", metavar="SRC")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Manifest to write.", show_default=False)],
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", help=MAP_HELP, metavar="F=C"),
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
    from callsift.cli.show import say
    from callsift.data.importers import Request, import_calls
    from callsift.data.manifest import write_manifest
    from callsift.labels import load_scheme

    for read in _read_of(source):
        free_manifest(output, read, force)
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
    typer.echo(f"  {_labelled(found)}")
    _tell(found)
    if not any(call.label is not None or call.labels or any(_graded(call)) for call in found.calls):
        say(f"warning: no call has a grade: {_remedy(name, source, found)}")


def _read_of(source: Path) -> list[Path]:
    """The source, and of a folder the files of which a manifest could have the name."""
    from callsift.data.importers.lhotse import files_in

    inside = files_in(source).values() if source.is_dir() else ()
    return [source, *(path for paths in inside for path in paths)]


def _graded(call: Call) -> list[bool]:
    """Which segments have a grade."""
    return [segment.label is not None for segment in call.segments]


def _labelled(found: Imported) -> str:
    """How many calls have a label; segments, where only they have one."""
    own = sum(call.label is not None for call in found.calls)
    segments = [graded for call in found.calls for graded in _graded(call)]
    if not own and any(segments):
        return f"segments labelled: {sum(segments)} of {len(segments)}"
    votes = sum(call.label is None and bool(call.labels) for call in found.calls)
    return f"labelled: {own} of {len(found.calls)}" + (f", and by graders only: {votes}" if votes else "")


def _remedy(name: str, source: Path, found: Imported) -> str:
    """Where grades could come from."""
    if name == "folders":
        return f"there is no folder per grade in {source} (A/x.wav, B/y.wav, …)"
    if "label" in found.used:
        return f"'{found.used['label']}' says none; map another one with --map label=COLUMN (or --raters A,B,…)"
    return "map one with --map label=COLUMN (or --raters A,B,…)"


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
