"""`callsift models`: which models there are, which are on this machine, and how to get and use one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callsift.errors import UsageError

if TYPE_CHECKING:
    from callsift.catalogue import ModelEntry

PIPED_WIDTH = 160

_models = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.add_typer(_models, name="models", help=_HELP)


_HELP = (
    "Speech recognition, diarization and encoder models: list, get, show.\n\n"
    "A model is got once, over the network (callsift models pull sense-voice); from then on everything runs from its "
    "folder, offline. Models lie in CALLSIFT_MODELS, else in ~/.cache/callsift/models. A machine without a network "
    "takes a copy of the folder."
)


@_models.command("list")
def list_models(
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", help="Only of one kind: sherpa-onnx, faster-whisper, segmentation, embedding, audio, text."
        ),
    ] = None,
    here: Annotated[bool, typer.Option("--here", help="Only those on this machine.")] = False,
) -> None:
    """The models that callsift knows by name, and which of them are on this machine."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from callsift.catalogue import KINDS, folder_of, known_models, models_folder
    from callsift.cli.show import say

    if kind is not None and kind not in KINDS:
        raise UsageError(f"--kind {kind}: use one of {', '.join(KINDS)}")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("here", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("what for", overflow="fold")
    table.add_column("languages", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("licence", overflow="fold")
    for entry in known_models():
        there = folder_of(entry) is not None
        if (kind is None or entry.kind == kind) and (there or not here):
            languages = " ".join(entry.languages)
            size = f"{entry.size_mb:.0f} MB"
            table.add_row(entry.name, "yes" if there else "-", entry.kind, entry.about, languages, size, entry.licence)
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)
    say(f"Models lie in {models_folder()}. Get one: callsift models pull NAME. Its use: callsift models show NAME.")


@_models.command()
def show(name: Annotated[str, typer.Argument(help="A name of callsift models list, or a hub id.")]) -> None:
    """What a model is, its licence, files and hashes, and the exact line that uses it."""
    from callsift.catalogue import folder_of, models_folder, read_record

    entry = _entry(name)
    folder = folder_of(entry)
    record = None if folder is None else read_record(folder)
    lines = {
        "name": entry.name,
        "what for": entry.about,
        "hub id": entry.hub_id,
        "languages": ", ".join(entry.languages),
        "licence": entry.licence,
        "size": f"{entry.size_mb:.0f} MB",
        "folder": str(folder) if folder else f"{models_folder() / entry.name} (not here: callsift models pull {name})",
    }
    if record is not None:
        lines["revision"] = str(record["revision"])
    for key, value in lines.items():
        typer.echo(f"{key + ':':<11}{value}")
    typer.echo("files:")
    for file in entry.files:
        known = (
            ""
            if record is None
            else f"  {record['files'][file]['size']} bytes  sha256 {record['files'][file]['sha256']}"
        )
        typer.echo(f"  {file}{known}")
    typer.echo(f"use:       {usage(entry, folder or models_folder() / entry.name)}")


@_models.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name of callsift models list, or a hub id in it.")],
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder to put the model's folder in, instead of the models folder.")
    ] = None,
) -> None:
    """Get a model: only the files it needs, resumed where a pull stopped, checked against the hub's hashes.

    A mirror of the hub is named by HF_ENDPOINT. Without any network, pull on another machine and copy the folder.
    """
    from callsift.catalogue.pull import pull_model
    from callsift.cli.show import say

    entry = _entry(name)
    say(f"{entry.name}: {entry.size_mb:.0f} MB, licence: {entry.licence}")
    folder = pull_model(entry, to)
    typer.echo(str(folder))
    say(f"use: {usage(entry, folder, elsewhere=to is not None)}")


def usage(entry: ModelEntry, folder: Path, *, elsewhere: bool = False) -> str:
    """The line that uses a model: by its name, or by its folder where that lies elsewhere or is asked for."""
    model = str(folder) if elsewhere else entry.name
    if entry.kind in ("sherpa-onnx", "faster-whisper"):
        return f"callsift score FOLDER --asr {entry.kind},model={model}"
    if entry.kind in ("segmentation", "embedding"):
        halves = {"segmentation": "FILE", "embedding": "FILE", entry.kind: str(folder / entry.files[0])}
        return "callsift score FOLDER --diarizer sherpa-onnx," + ",".join(f"{k}={v}" for k, v in halves.items())
    preset = "mandarin" if entry.languages == ("zh",) else "english" if entry.languages == ("en",) else "multilingual"
    encoder = f"network.encoders.{entry.kind}.model={folder}"
    return f"callsift train manifest.jsonl -o RUN --config {preset} --set {encoder}"


def _entry(name: str) -> ModelEntry:
    from callsift.catalogue import find_entry, known_models

    entry = find_entry(name)
    if entry is None:
        raise UsageError(f"no model '{name}'; known: {', '.join(entry.name for entry in known_models())}")
    return entry
