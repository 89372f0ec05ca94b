"""`callsift self-train` and `callsift shift`: learn from calls that nobody graded, and estimate their class balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callsift.cli.options import Asr, DiarizerName
from callsift.cli.parts import is_run, require_torch, scorer_of
from callsift.cli.train import CONFIG_HELP
from callsift.errors import UsageError

if TYPE_CHECKING:
    from callsift.evaluation.scored import Said
    from callsift.evaluation.shift import Estimate
    from callsift.evaluation.shift_report import Shift
    from callsift.scoring.scorer import Scorer
    from callsift.training.selftrain_rounds import Round

_BOUND = {"min": 0.0, "max": 1.0}
FEWEST_VALIDATED = 20
"""Validation calls below which an interval of redrawn calls looks narrow because they are few."""


class Method(StrEnum):
    """How a class balance is estimated."""

    EM = "em"
    BBSE = "bbse"


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command("self-train")(self_train)
    app.command()(shift)


def self_train(
    data: Annotated[Path, typer.Argument(help="A manifest.jsonl with labels, or a prepared set.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)],
    pool: Annotated[
        Path | None,
        typer.Option(
            "--pool", help="Calls without labels: a manifest, a prepared set or a folder. Default: DATA's own."
        ),
    ] = None,
    config: Annotated[str | None, typer.Option("--config", "-c", help=CONFIG_HELP)] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="One setting, as in fit.epochs=20.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Most rounds with pseudo-labels.")] = 5,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Confidence that the grade with the largest share needs.", **_BOUND)
    ] = 0.9,
    cap: Annotated[
        float, typer.Option("--cap", help="Most labels of one grade, as a share of the pool.", **_BOUND)
    ] = 0.2,
    momentum: Annotated[
        float, typer.Option("--momentum", help="How much of the running class shares is of earlier rounds.", **_BOUND)
    ] = 0.5,
    floor: Annotated[float, typer.Option("--floor", help="Least confidence for any grade.", **_BOUND)] = 0.0,
    asr: Asr = None,
    diarizer: DiarizerName = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a self-training that was stopped.")] = False,
) -> None:
    """Train, grade the pool, learn from the surest of these grades too, while validation improves.

    The best round by validation is the result; labels alone (round 0) may be. Every accepted label is in ledger.jsonl.
    Needs: pip install "callsift[train]".
    """
    require_torch()
    from callsift.cli.show import progress, say
    from callsift.config import load_train_config
    from callsift.training.pseudo_labels import AcceptRules
    from callsift.training.selftrain import SelfTraining

    work = SelfTraining(
        data, pool, output, load_train_config(config, settings or ()), rounds=rounds,
        rules=AcceptRules(threshold, cap, momentum, floor), asr=asr, diarizer=diarizer,
    )  # fmt: skip
    for note in work.given.pool.notes:
        say(f"note: {note}")
    say(f"{len(work.given.parts['train'])} labelled calls to train on, {len(work.given.parts['val'])} to validate on, "
        f"{len(work.given.pool.calls)} in the pool")  # fmt: skip
    result = work.run(resume=resume, progress=progress, on_round=_say_round)
    _print_rounds(result)
    _print_end(result, output)


def _say_round(done: Round) -> None:
    from callsift.cli.show import say

    figures = done.figures
    said = "" if "accuracy" not in figures else f", accuracy {figures['accuracy']['value']:.3f}"
    say(f"round {done.number}: {sum(done.accepted.values())} pseudo-labels; validation {done.monitor:.4f}{said}")


def _print_rounds(result: Mapping[str, Any]) -> None:
    from callsift.cli.show import print_columns
    from callsift.evaluation.tasks import shown

    rounds = result["rounds"]
    head = ["round", *rounds[0]["accepted"], "right", "val accuracy", "val macro F1", "monitor"]
    rows = []
    for each in rounds:
        best = " (best)" if each["number"] == result["best_round"] else ""
        right = f"{each['right']} of {each['known']}" if each["known"] else "–"
        cells = [shown(each["figures"].get(name)) for name in ("accuracy", "macro_f1")]
        counts = (str(count) for count in each["accepted"].values())
        rows.append([f"{each['number']}{best}", *counts, right, *cells, f"{each['monitor']:.4f}"])
    print_columns("pseudo-labels by grade, and validation", head, rows)


def _print_end(result: Mapping[str, Any], folder: Path) -> None:
    from callsift.cli.show import print_columns, say
    from callsift.evaluation.tasks import table_of

    run = folder / result["run"]
    say(f"stopped: {result['stopped']}")
    if lost := result["pool_not_scored"]:
        first, why = next(iter(lost.items()))
        say(f"{len(lost)} calls of the pool could not be scored; the first, {first}: {why}")
    if result["best_round"] == 0:
        say("the labels alone were best on validation: pseudo-labels did not help")
    else:
        say(_against_labels_alone(result))
    if result["test"] is not None:
        print_columns(f"test, round {result['best_round']}", *table_of(result["test"]["combined"]))
    say(f"Best run: {run}. Next: callsift export {run} -o BUNDLE")


def _against_labels_alone(result: Mapping[str, Any]) -> str:
    """What the best round gained, in words; a better loss with a worse accuracy is no plain success."""
    alone, best = result["rounds"][0], result["rounds"][result["best_round"]]
    said = f"against the labels alone: validation {alone['monitor']:.4f} → {best['monitor']:.4f}"
    before, after = (each["figures"].get("accuracy", {}).get("value") for each in (alone, best))
    if before is None or after is None:
        return said
    worse = "; it grades fewer validation calls rightly than the labels alone" if after < before else ""
    return f"{said}, accuracy {before:.3f} → {after:.3f}{worse}"


def shift(
    model: Annotated[Path, typer.Argument(metavar="RUN|BUNDLE", help="A run, or a bundle (no torch needed).")],
    pool: Annotated[Path, typer.Argument(help="Calls without grades: a manifest, a prepared set or a folder.")],
    validation: Annotated[
        Path | None,
        typer.Option("--validation", help="Graded calls the model did not learn from. Default: a RUN's own."),
    ] = None,
    method: Annotated[Method, typer.Option("--method", help="Which estimate is written.")] = Method.EM,
    draws: Annotated[int, typer.Option("--draws", min=20, help="Redrawings for the intervals.")] = 200,
    asr: Asr = None,
    diarizer: DiarizerName = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the balance as JSON.")] = None,
) -> None:
    """Estimate the class balance of calls that nobody graded, with intervals, and say what speaks against it.

    Exit code: 0 estimated from all calls, 1 some could not be scored.
    """
    from dataclasses import replace

    import numpy as np

    from callsift.cli.show import say
    from callsift.evaluation.scored import scored_of
    from callsift.evaluation.shift_report import estimate_shift
    from callsift.files import write_json

    scorer, graded = _model(model, validation, asr, diarizer)
    balance = scorer.calibration.train_balance
    if scorer.scheme.kind == "number" or balance is None:
        raise UsageError(f"{model} has no class balance to start from: it gives a number, or does not say its own")
    said, failed = _score(scorer, pool, "scoring the pool")
    found = estimate_shift(
        scorer.scheme.grades, scored_of(scorer.scheme, graded, graded=True), scored_of(scorer.scheme, said),
        np.array([balance[grade] for grade in scorer.scheme.grades]), method=method.value, draws=draws,
    )  # fmt: skip
    if found.calls["validation"] < FEWEST_VALIDATED:
        few = f"only {found.calls['validation']} validation calls: too few for an interval, or to rely on the estimate."
        found = replace(found, against=(*found.against, few))
    _print_shift(found)
    if output is not None:
        write_json(output, {**found.as_json(), "scheme": scorer.scheme.id, "model_sha256": scorer.info.sha256})
        say(f"Written: {output}" + ("" if found.advised else "; not advised: score --balance warns of it"))
    for call_id, why in failed.items():
        say(f"not scored: {call_id}: {why}")
    if failed:
        raise typer.Exit(1)


def _model(
    model: Path, validation: Path | None, asr: str | None, diarizer: str | None
) -> tuple[Scorer, Sequence[Said]]:
    """The scorer, and what it says of the validation calls: a run's own predictions, or the graded calls given."""
    from callsift.evaluation.predictions import read_run
    from callsift.evaluation.scored import said_of_run

    if validation is None and not is_run(model):
        raise UsageError(f"{model} is a bundle, which keeps no calls: name graded ones by --validation DATA")
    scorer = scorer_of(model, asr, diarizer)
    if scorer.scheme.kind == "number":
        raise UsageError(f"{model} gives a number, which has no class balance")
    if validation is None:
        return scorer, said_of_run(read_run(model), "val")
    return scorer, _score(scorer, validation, "scoring validation", graded=True)[0]


def _score(scorer: Scorer, source: Path, what: str, *, graded: bool = False) -> tuple[list[Said], dict[str, str]]:
    from callsift.cli.show import progress
    from callsift.evaluation.scored import score_calls
    from callsift.pipeline import check_prepared
    from callsift.scoring.sources import find_calls

    sources = find_calls([str(source)])
    for manifest in sources.manifests:
        check_prepared(manifest.parent, scorer.pipeline.front_end.sha256)
    calls = list(sources.calls)
    if graded:
        named = [call for call in calls if call.split == "val"]
        calls = [c for c in (named or calls) if c.split in (None, "val") and _has_label(c)]
        if not calls:
            raise UsageError(f"{source} has no labelled call of split 'val', nor one without a split, to validate on")
    return score_calls(scorer, progress(calls, len(calls), what))


def _has_label(call: Any) -> bool:
    return call.label is not None or any(segment.label is not None for segment in call.segments)


def _print_shift(found: Shift) -> None:
    from callsift.cli.show import print_columns, say

    enough = found.calls["validation"] >= FEWEST_VALIDATED

    def interval(each: Estimate, at: int) -> str:
        return f"[{each.low[at]:.3f}, {each.high[at]:.3f}]" if enough else "–"

    rows = [
        [
            grade,
            f"{found.train[at]:.3f}",
            f"{found.implied[at]:.3f}",
            *(f"{each.balance[at]:.3f} {interval(each, at)}" for each in (found.em, found.bbse)),
        ]
        for at, grade in enumerate(found.grades)
    ]
    title = f"class balance of {found.calls['pool']} calls, by {found.calls['validation']} validation calls"
    print_columns(title, ["grade", "training", "implied", "EM", "BBSE"], rows)
    for warning in found.warnings:
        say(f"warning: {warning}")
    advice = "is advisable" if found.advised else "is not advisable"
    say(f"correcting scores for this balance {advice}")
