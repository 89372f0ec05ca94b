"""`callsift train` and `callsift export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callsift.cli.options import Asr, DiarizerName
from callsift.cli.parts import check_finished, require_torch
from callsift.errors import DataError, UsageError

if TYPE_CHECKING:
    from callsift.config import TrainConfig

CONFIG_HELP = "A YAML file of settings, or a preset: tiny, english, mandarin, multilingual, paper-marketcalls."
FEW_CALLS = 50
_BEGUN = {"data.json", "environment.json"}
"""What a run that was killed at its very beginning may have left, beside hidden files."""
Folder = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(train)
    app.command()(export)


def train(
    data: Annotated[Path, typer.Argument(help="A manifest.jsonl with labels, or a prepared set.")],
    output: Folder,
    config: Annotated[str | None, typer.Option("--config", "-c", help=CONFIG_HELP)] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="One setting, as in fit.epochs=20.")] = None,
    asr: Asr = None,
    diarizer: DiarizerName = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
) -> None:
    """Train a model on your own graded calls. Needs: pip install "callsift[train]"."""
    from callsift.config import load_train_config

    chosen = load_train_config(config, settings or ())
    _check_folder(output, resume)
    require_torch()
    from callsift.cli.show import print_figures, progress, say, step_bar
    from callsift.training.run import train as run_training

    def on_epoch(row: Mapping[str, float]) -> None:
        say(
            f"epoch {row['epoch']:.0f}: train {row['train_loss']:.4f}, validation {row['val_loss']:.4f} "
            f"({row['seconds']:.1f} s)"
        )

    with step_bar("training (at most)") as on_step:
        result = run_training(
            data, output, chosen, asr=asr, diarizer=diarizer, resume=resume, progress=progress, on_epoch=on_epoch,
            on_step=on_step,
        )  # fmt: skip
    for call_id, why in result["left_out"].items():
        say(f"left out: {call_id}: {why}")
    for split, figures in result["figures"].items():
        print_figures(f"{split} ({result['kept']} epoch: {result['best_epoch']})", figures["combined"])
    _say_calibration(result["calibration"])
    for doubt in doubts_of(chosen, result["figures"].get("val", {}).get("combined", {})):
        say(doubt)
    say(f"Next: callsift export {output} -o BUNDLE")


def export(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    output: Folder,
    int8: Annotated[
        Path | None,
        typer.Option("--int8", help="Eight-bit weights for the encoders, if the scores of this manifest's calls stay."),
    ] = None,
    bound: Annotated[float, typer.Option("--bound", help="With --int8: the most that a probability may move.")] = 0.02,
    asr: Annotated[str | None, typer.Option("--asr", help="With --int8: speech recognition for its calls.")] = None,
) -> None:
    """Write a run as a bundle, the folder that `callsift score --model` takes."""
    from callsift.bundle import check_free

    check_finished(run)
    check_free(output)
    require_torch()
    from callsift.cli.show import say
    from callsift.data.manifest import manifest_file, read_manifest
    from callsift.training.export import export as export_run
    from callsift.training.int8 import Int8Check
    from callsift.training.run import load_run

    check = None
    if int8 is not None:
        calls = read_manifest(manifest_file(int8)).calls
        check = Int8Check(calls, bound, asr)
    replaced = "replaced: " if (output / "bundle.json").is_file() else ""
    bundle = export_run(load_run(run), output, int8=check, on_step=say)
    say(
        f"{bundle.path}: {replaced}{bundle.name} {bundle.version}, {len(bundle.files)} files, hash {bundle.sha256[:12]}"
    )


def _check_folder(folder: Path, resume: bool) -> None:
    """Whether a run may be written there, before anything slow begins; `train` itself looks again under its lock."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; --output names a folder")
    if (folder / "config.yaml").is_file():
        if not resume:
            raise DataError("holds a run already; go on with it by --resume, or name another folder", folder)
    elif any(not path.name.startswith(".") and path.name not in _BEGUN for path in folder.iterdir()):
        raise UsageError(f"{folder} holds other files; name a new folder")


def doubts_of(config: TrainConfig, figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What a user should hear of validation figures before relying on the model."""
    from callsift.labels import load_scheme

    found = figures.get(load_scheme(config.labels).finest_task, {})
    calls, said = found.get("calls", 0), []
    if "accuracy" in found and found["accuracy"]["low"] <= found["majority"]["accuracy"]["value"]:
        said.append(
            f"on validation no better than always saying the commonest grade; more or other {config.target}s are "
            "needed before it is of use"
        )
    if calls < FEW_CALLS:
        said.append(f"only {calls} validation {config.target}{'' if calls == 1 else 's'}: these figures say little")
    return said


def _say_calibration(found: Mapping[str, Any]) -> None:
    """How far the propensity, or the first task's probabilities, can be believed; on validation by the other half."""
    from callsift.cli.show import say
    from callsift.evaluation.reliability import PROPENSITY, reliability_line

    lines = []
    for split, figures in found["figures"].items():
        crossed = "after_cross_fitted" in figures
        shown = {"before": figures["before"], "after": figures["after_cross_fitted" if crossed else "after"]}
        if task := PROPENSITY if PROPENSITY in shown["after"] else next(iter(shown["after"]), None):
            how = "cross-fitted" if crossed else "in sample" if split == "val" else "unseen calls"
            lines.append(f"calibration ({found['kind']}) on {split}, {how}: {reliability_line(shown, task)}")
    if lines:
        say("how far the stated probabilities can be believed, before → after calibration (less is better):")
    for line in lines:
        say(line)
