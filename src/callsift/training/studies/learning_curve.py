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
        UsageError: no size, one below 2, or none that the data have.
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
    if not rows:
        raise UsageError(f"the folds have {most} calls to train on, fewer than any of --sizes {list(wanted)}")
    beyond = [str(size) for size in wanted if size > most]
    notes = (f"Left out: {', '.join(beyond)}; a fold has only {most} calls to train on.",) if beyond else ()
    return Study("learning-curve", folder, design, rows, {DATA: tuple(calls)}, rows[-1].name, asr, diarizer, notes)
