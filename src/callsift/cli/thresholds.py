"""`callsift thresholds`: from which score on to phone back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callsift.cli.options import ASR_HELP, DIARIZER_HELP
from callsift.errors import UsageError

if TYPE_CHECKING:
    from callsift.evaluation.metrics import Interval
    from callsift.evaluation.thresholds import Graded, Threshold


_SEGMENTS = "{model} answers for segments; a threshold to phone back needs a model of whole calls"


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(thresholds)


def thresholds(
    model: Annotated[Path, typer.Argument(metavar="RUN|BUNDLE", help="A run, or a bundle with DATA.")],
    data: Annotated[Path | None, typer.Argument(help="Graded calls to score; without it, a run's validation.")] = None,
    precision: Annotated[
        float | None, typer.Option("--precision", help="At least this share of the calls above shall be buyers.")
    ] = None,
    per_day: Annotated[
        float | None, typer.Option("--per-day", help="Calls that the team can phone back a day.")
    ] = None,
    calls_per_day: Annotated[float | None, typer.Option("--calls-per-day", help="Calls that come in a day.")] = None,
    by: Annotated[str, typer.Option("--by", help="What is compared: propensity or rank_score.")] = "propensity",
    split: Annotated[str | None, typer.Option("--split", help="Only calls of this split of DATA.")] = None,
    asr: Annotated[str | None, typer.Option("--asr", help=ASR_HELP)] = None,
    diarizer: Annotated[str | None, typer.Option("--diarizer", help=DIARIZER_HELP)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it as JSON, for score.")] = None,
) -> None:
    """The score from which on to phone back, for a wanted precision or for the calls a team can make a day."""
    from callsift.cli.show import say
    from callsift.evaluation.thresholds import for_capacity, for_precision
    from callsift.files import write_json

    if (precision is None) == (per_day is None):
        raise UsageError("give --precision 0.6, or --per-day 50 --calls-per-day 2000: one of the two")
    if (per_day is None) != (calls_per_day is None) and precision is None:
        raise UsageError("--per-day 50 also needs --calls-per-day: of how many")
    if by not in ("propensity", "rank_score"):
        raise UsageError(f"--by {by}: it is propensity or rank_score")
    graded, source = _graded(model, data, by, split, asr, diarizer)
    if precision is not None:
        found = for_precision(graded, precision)
    else:
        assert per_day is not None
        assert calls_per_day is not None
        found = for_capacity(graded, per_day, calls_per_day)
    typer.echo(_told(found, by, calls_per_day))
    if data is None:
        say(
            "These validation calls also chose the epoch and the calibration, which flatters a little; give graded "
            "calls that the run never saw as DATA to be surer."
        )
    if output is not None:
        asked = {"precision": precision, "per_day": per_day, "calls_per_day": calls_per_day}
        write_json(output, {"schema_version": 1, "by": by, **asdict(found), "asked": asked, "from": source})
        say(f"written: {output}; use it with: callsift score PATH… --threshold {output}")


def _graded(
    model: Path, data: Path | None, by: str, split: str | None, asr: str | None, diarizer: str | None
) -> tuple[Graded, dict[str, Any]]:
    """Scores of graded calls, and where they are from."""
    if data is not None:
        return _of_data(model, data, by, split, asr, diarizer)
    if split is not None:
        raise UsageError(f"--split {split} chooses among the calls of DATA, and none was given")
    if not (model / "config.yaml").is_file():
        raise UsageError(f"{model} is no run, and only a run has validation calls: name graded calls, too (DATA)")
    from callsift.decision import decide
    from callsift.evaluation.predictions import read_run

    run = read_run(model)
    if run.config.target != "call":
        raise UsageError(_SEGMENTS.format(model=model))
    found = run.predictions("val")
    said = decide(found.logits, run.scheme, run.calibration)
    answers = [(label, getattr(v, by), call) for label, v, call in zip(found.labels, said, found.call_ids, strict=True)]
    return _kept(run.scheme, answers, by), {"model": str(model), "data": "validation"}


def _of_data(
    model: Path, data: Path, by: str, split: str | None, asr: str | None, diarizer: str | None
) -> tuple[Graded, dict[str, Any]]:
    from callsift.cli.show import print_warnings, progress, say
    from callsift.cli.train import _scorer_of
    from callsift.data.manifest import read_manifest
    from callsift.pipeline import check_prepared
    from callsift.scoring.scorer import result_row

    scorer = _scorer_of(model, asr, diarizer)
    if scorer.target != "call":
        raise UsageError(_SEGMENTS.format(model=model))
    manifest = read_manifest(data / "manifest.jsonl" if data.is_dir() else data)
    manifest.check_labels(scorer.scheme)
    check_prepared(manifest.path.parent, scorer.pipeline.front_end.sha256)
    calls = [call for call in manifest.calls if call.label is not None and split in (None, call.split)]
    if not calls:
        raise UsageError(f"{data} has no labelled call" + (f" of split '{split}'" if split else ""))
    scores = [scorer.score(call) for call in progress(calls, len(calls), "scoring")]
    print_warnings(map(result_row, scores))
    answers = []
    for call, score in zip(calls, scores, strict=True):
        if score.error is not None:
            say(f"not scored: {call.call_id}: {score.error[0]}: {score.error[1]}")
        else:
            answers.append((call.label, getattr(score, by), call.group or call.call_id))
    return _kept(scorer.scheme, answers, by), {"model": scorer.info.sha256, "data": str(data), "split": split}


def _kept(scheme: Any, answers: list[tuple[Any, float | None, str]], by: str) -> Graded:
    """The calls whose label settles whether they were buyers."""
    import numpy as np

    from callsift.evaluation.reliability import buyer_of
    from callsift.evaluation.thresholds import Graded

    if not scheme.positive:
        raise UsageError(f"label scheme '{scheme.id}' says of no grade that it is a buyer ('positive' is empty)")
    settled = [(buyer_of(scheme, label), score, group) for label, score, group in answers if label is not None]
    rows = [(buyer, score, group) for buyer, score, group in settled if buyer is not None]
    if any(score is None for _, score, _ in rows):
        raise UsageError(f"this model gives no {by}")
    return Graded(
        np.array([score for _, score, _ in rows], dtype=np.float64),
        np.array([buyer for buyer, _, _ in rows], dtype=np.bool_),
        tuple(group for _, _, group in rows),
    )


def _told(found: Threshold, by: str, calls_per_day: float | None) -> str:
    lines = [
        f"{by} ≥ {found.threshold:.6g}: {found.above} of {found.calls} graded calls lie above",
        f"precision {_interval(found.precision)}, recall {_interval(found.recall)}, "
        f"share of calls above {_interval(found.share)}",
    ]
    if found.assured is not None:
        lines.append(f"with 95 % confidence, a precision of at least {found.assured:.3f} on calls like these")
    every = calls_per_day or 100.0
    share = found.share.value * every
    buyers = [share * end for end in (found.precision.value, found.precision.low, found.precision.high)]
    what = "a day" if calls_per_day else "of 100 calls"
    lines.append(
        f"expected {what}: {share:.1f} calls to phone back, {buyers[0]:.1f} [{buyers[1]:.1f}, {buyers[2]:.1f}] "
        "of them buyers, if the calls are as the graded ones are"
    )
    return "\n".join(lines)


def _interval(found: Interval) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
