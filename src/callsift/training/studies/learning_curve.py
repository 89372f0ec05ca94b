"""`callsift learning-curve`: how much better the model would be with more graded calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from callsift.config import load_train_config
from callsift.errors import UsageError
from callsift.training.studies.plan import DATA, Design, Row, Study, divided, labelled
from callsift.types import Call


def learning_curve(
    calls: Sequence[Call],
    folder: Path,
    design: Design,
    sizes: Sequence[int],
    *,
    config: Path | str | None = None,
    settings: Sequence[str] = (),
    asr: str | None = None,
    diarizer: str | None = None,
) -> Study:
    """The study whose rows learn from ever more of a fold's training calls; validation and test stay.

    The calls of a smaller row are among those of a larger one. Sizes beyond what the smallest fold has are left out.

    Raises:
        UsageError: no size, one below 2, or fewer than two left that the data have.
        ConfigError: settings that don't go together.
    """
    if not sizes or min(sizes) < 2:
        raise UsageError(f"--sizes must be numbers of calls, each at least 2, not {list(sizes)}")
    base = load_train_config(config, settings)
    graded = labelled(calls, base.target)
    most = min(
        sum(call.split == "train" for call in divided(graded, design, fold, seed, base.fit.validation))
        for fold in design.asked
        for seed in design.seeds
    )
    wanted = sorted(set(sizes))
    rows = tuple(Row(f"calls-{size}", base, train_calls=size, x=size) for size in wanted if size <= most)
    beyond = [str(size) for size in wanted if size > most]
    if beyond and len(rows) < 2:
        some = sorted({max(2, most * part // 10) for part in (3, 5, 10)})
        left = f"nothing is left to compare with {rows[0].name}" if rows else "fewer than any of --sizes"
        raise UsageError(
            f"the folds have {most} calls to train on: {left} of {','.join(map(str, wanted))}. Give sizes that fit, "
            f"as in --sizes {','.join(map(str, some))}"
        )
    notes = (f"Left out: {', '.join(beyond)}; a fold has only {most} calls to train on.",) if beyond else ()
    return Study("learning-curve", folder, design, rows, {DATA: tuple(calls)}, rows[-1].name, asr, diarizer, notes)
