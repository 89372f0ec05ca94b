"""The command line. One file per group of verbs; heavy imports stand inside the commands, so that --help is quick."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from callsift import __version__
from callsift.cli import (
    augment,
    bench,
    compare,
    data,
    doctor,
    evaluate,
    importing,
    models,
    prepare,
    raters,
    score,
    selftrain,
    studies,
    thresholds,
    train,
    tune,
)
from callsift.errors import CallsiftError

app = typer.Typer(
    name="callsift",
    help="Hears recorded sales calls and says which customers are likely to buy.\n\n"
    "Try it: callsift demo. Your own recordings: callsift score FOLDER. "
    "Your own grades: callsift train manifest.jsonl -o runs/mine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"callsift {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and what libraries log.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )


score.register(app)
importing.register(app)
data.register(app)
prepare.register(app)
train.register(app)
evaluate.register(app)
augment.register(app)
selftrain.register(app)
tune.register(app)
studies.register(app)
bench.register(app)
compare.register(app)
thresholds.register(app)
raters.register(app)
models.register(app)
doctor.register(app)


def _in_words(error: Exception) -> str:
    """An error of the operating system without its number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return str(error)


_INTERRUPTED = 130


def main() -> None:
    """Run the command line. Exit code 0: done, 1: some calls failed, 2: wrong use."""
    try:
        app()
    except BrokenPipeError:
        sys.exit(1)
    except (CallsiftError, OSError) as error:
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            raise
        typer.echo(f"callsift: {_in_words(error)}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as stopped:
        if isinstance(stopped, SystemExit) and stopped.code != _INTERRUPTED:  # typer has made the one into the other
            raise
        typer.echo("callsift: stopped. The same command goes on, with --resume where it has that option.", err=True)
        sys.exit(_INTERRUPTED)
