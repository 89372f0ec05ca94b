"""`callsift thresholds`: from which score on to phone back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callsift.cli.options import Asr, DiarizerName
from callsift.cli.parts import graded_calls, is_run, scorer_of, trained_on
from callsift.errors import UsageError

if TYPE_CHECKING:
    from callsift.decision import Calibration
    from callsift.evaluation.metrics import Interval
    from callsift.evaluation.thresholds import Graded, Threshold
    from callsift.labels import LabelScheme


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
    split: Annotated[
        str | None, typer.Option("--split", help="Only calls of this split of DATA. Default: test, else all.")
    ] = None,
    balance: Annotated[
        str | None, typer.Option("--balance", help="As for score: the threshold is then for scores corrected so.")
    ] = None,
    asr: Asr = None,
    diarizer: DiarizerName = None,
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
    if data is None:
        if split is not None:
            raise UsageError(f"--split {split} chooses among the calls of DATA, and none was given")
        graded, source = _of_run(model, by, balance)
    else:
        graded, source = _of_data(model, data, by, split, balance, asr, diarizer)
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
    if balance is not None:
        say(
            "Precision and shares are those of these graded calls, in the balance that they have; where the balance "
            "given holds they will differ, unless the graded calls are from there."
        )
    if output is not None:
        asked = {"precision": precision, "per_day": per_day, "calls_per_day": calls_per_day}
        write_json(output, {"schema_version": 1, "by": by, **asdict(found), "asked": asked, **source})
        say(f"written: {output}; use it with: callsift score PATH… --threshold {output}")


def _of_run(model: Path, by: str, balance: str | None) -> tuple[Graded, dict[str, Any]]:
    """Scores of a run's validation calls, and what they are by and from."""
    if not is_run(model):
        raise UsageError(f"{model} is no run, and only a run has validation calls: name graded calls, too (DATA)")
    from callsift.decision import decide
    from callsift.evaluation.predictions import read_run

    run = read_run(model)
    if run.config.target != "call":
        raise UsageError(_SEGMENTS.format(model=model))
    found, hashes = run.predictions("val"), (run.weights_sha256,)
    calibration, about = _corrected(run.scheme, run.calibration, balance, hashes)
    said = decide(found.logits, run.scheme, calibration)
    answers = [(label, getattr(v, by), group) for label, v, group in zip(found.labels, said, found.groups, strict=True)]
    return _kept(run.scheme, answers, by), {**about, "from": {"model": str(model), "data": "validation"}}


def _of_data(
    model: Path,
    data: Path,
    by: str,
    split: str | None,
    balance: str | None,
    asr: str | None,
    diarizer: str | None,
) -> tuple[Graded, dict[str, Any]]:
    """Scores of graded calls that the model did not learn from, and what they are by and from."""
    from callsift.bundle import find_bundle, load_bundle
    from callsift.cli.show import print_warnings, progress, say
    from callsift.scoring.callback import hashes_of
    from callsift.scoring.scorer import result_row

    scorer = scorer_of(model, asr, diarizer)
    if scorer.target != "call":
        raise UsageError(_SEGMENTS.format(model=model))
    calls, split = graded_calls(scorer, data, split)
    if learnt := trained_on(model, data, calls).learnt:
        raise UsageError(
            f"{len(learnt)} of these {len(calls)} calls are training calls of {model} ('{learnt[0]}' is the first), on "
            "which any model looks better than it is: name --split test, or graded calls that it never saw"
        )
    _check_grades(scorer.scheme, [call.label for call in calls])  # before minutes of scoring
    hashes = (scorer.info.sha256,) if is_run(model) else hashes_of(load_bundle(find_bundle(str(model))))
    scorer.calibration, about = _corrected(scorer.scheme, scorer.calibration, balance, hashes)
    scores = [scorer.score(call) for call in progress(calls, len(calls), "scoring")]
    print_warnings(map(result_row, scores))
    answers = []
    for call, score in zip(calls, scores, strict=True):
        if score.error is not None:
            say(f"not scored: {call.call_id}: {score.error[0]}: {score.error[1]}")
        else:
            answers.append((call.label, getattr(score, by), call.group or call.call_id))
    source = {"model": str(model), "data": str(data), "split": split}
    return _kept(scorer.scheme, answers, by), {**about, "from": source}


def _corrected(
    scheme: LabelScheme, calibration: Calibration, balance: str | None, hashes: tuple[str, ...]
) -> tuple[Calibration, dict[str, Any]]:
    """The calibration where the balance holds, and by which model and balance the scores are."""
    from callsift.cli.show import say
    from callsift.scoring.callback import read_balance

    about: dict[str, Any] = {"scheme": scheme.id, "model_sha256": hashes[0], "balance_sha256": None}
    if balance is None:
        return calibration, about
    here = read_balance(balance, scheme, hashes)
    for caution in here.cautions(balance):
        say(f"warning: {caution}")
    return here.applied(calibration), {**about, "balance_sha256": here.sha256}


def _check_grades(scheme: LabelScheme, labels: list[Any]) -> None:
    """Whether the labels alone allow a threshold: as many buyers, and others, as `Graded` asks for."""
    _kept(scheme, [(label, 0.0, str(at)) for at, label in enumerate(labels)], "score")


def _kept(scheme: LabelScheme, answers: list[tuple[Any, float | None, str]], by: str) -> Graded:
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
