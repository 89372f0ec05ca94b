"""`callsift tune`: search for settings on the validation part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callsift.cli.options import Asr, DiarizerName
from callsift.cli.parts import require_torch
from callsift.cli.train import CONFIG_HELP, Folder
from callsift.errors import DataError, UsageError

if TYPE_CHECKING:
    from callsift.training.search import Ended
    from callsift.training.search_report import Found

SHOWN_TRIALS = 10


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(tune)


def tune(
    data: Annotated[Path, typer.Argument(help="A manifest.jsonl with labels, or a prepared set.")],
    output: Folder,
    config: Annotated[str | None, typer.Option("--config", "-c", help=CONFIG_HELP)] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="One setting, as in fit.epochs=20.")] = None,
    space: Annotated[Path | None, typer.Option("--space", help="A YAML file of settings and their values.")] = None,
    grid: Annotated[str | None, typer.Option("--grid", help="A shipped space: paper (486 points).")] = None,
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=1, help="Trials in all. Default: 50; of a --grid all.", show_default=False),
    ] = None,
    timeout_h: Annotated[
        float | None, typer.Option("--timeout-h", help="Hours after which no trial begins.", show_default=False)
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each trial; their mean counts.")] = 1,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="What decides, on validation: loss, accuracy, macro_f1 … (fit.monitor)."),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune/--no-prune", help="Stop trials that fall behind the median.")] = True,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Trials at once, in processes of their own.")] = 1,
    keep: Annotated[int, typer.Option("--keep", min=0, help="Trials whose weights are kept: the best.")] = 3,
    asr: Asr = None,
    diarizer: DiarizerName = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a search that was stopped.")] = False,
) -> None:
    """Search for the best settings, on validation calls only. Needs: pip install "callsift[train]"."""
    if space is None and grid is None:
        raise UsageError("nothing to search: give --space FILE.yaml or --grid paper")
    if not resume and (output / "study.json").is_file():
        raise DataError("holds a study already; go on with it by --resume, or name another folder", output)
    require_torch()
    _require_optuna()
    if timeout_h is not None and not timeout_h > 0:
        raise UsageError(f"--timeout-h {timeout_h:g} must be above 0")
    from callsift.cli.show import progress, say
    from callsift.training.search_file import load_space
    from callsift.training.search_space import Base

    base = Base(config, (*(settings or ()), *([f"fit.monitor={metric}"] if metric else [])))
    chosen = load_space(space, grid, base)
    size = "endlessly many" if chosen.size is None else str(chosen.size)
    say(f"{chosen.where}: {size} points of {', '.join(entry.key for entry in chosen.entries)}")
    if trials is not None and chosen.size is not None and chosen.size < trials:
        say(f"--trials {trials}: the space has only {chosen.size} point{'' if chosen.size == 1 else 's'}")
    from callsift.training.search import search
    from callsift.training.search_study import Plan

    plan = Plan(
        chosen, base, trials=trials, every_point=grid is not None, seeds=seeds, jobs=jobs, pruning=prune, keep=keep,
        timeout_s=None if timeout_h is None else 3600 * timeout_h, asr=asr, diarizer=diarizer,
    )  # fmt: skip
    found = search(data, output, plan, resume=resume, progress=progress, on_trial=_say_trial)
    _print_found(found)
    say(found.warning)
    say(f"Next: callsift train {data} -o RUN --config {output / 'best.yaml'}")


def _say_trial(ended: Ended) -> None:
    from callsift.cli.show import say

    row, best = ended.row, ended.best
    result = row.reason if row.value is None else f"{row.value:.4f}"
    took = "" if row.seconds is None else f", {row.seconds:.1f} s"
    known = "" if best is None else f"; best {best.value:.4f} (trial {best.number})"
    left = "" if not ended.left_s else f"; about {_duration(ended.left_s)} left"
    say(f"{ended.done} of {ended.wanted}: trial {row.number} {row.state}, {result}{took}{known}{left}")


def _duration(seconds: float) -> str:
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def _print_found(found: Found) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from callsift.training.search_report import shown

    best = found.ranked[:SHOWN_TRIALS]
    table = Table(title=f"the best {len(best)} of {len(found.rows)} trials", title_justify="left", box=SIMPLE_HEAD)
    for name in ("trial", found.monitor, *best[0].settings, "s"):
        table.add_column(name, justify="right")
    for row in best:
        values = [f"{v:.4g}" if isinstance(v, float) else shown(v) for v in row.settings.values()]
        table.add_row(*map(Text, (str(row.number), f"{row.value:.4f}", *values, f"{row.seconds or 0:.1f}")))
    console = Console(width=140)
    console.print(table)
    if found.importance:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in found.importance.items())
        console.print(Text(f"what tells good trials from the others (PED-ANOVA): {shares}"))


def _require_optuna() -> None:
    from importlib.util import find_spec

    if find_spec("optuna") is None:
        raise UsageError('callsift tune needs Optuna: pip install "callsift[train]"')
