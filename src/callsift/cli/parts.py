"""What several commands do alike: the scorer of a run or a bundle, and which graded calls of a set are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from callsift.errors import DataError, UsageError

if TYPE_CHECKING:
    from callsift.evaluation.desk import Subject
    from callsift.evaluation.seen import Seen
    from callsift.scoring.scorer import Scorer
    from callsift.types import Call


def require_torch() -> None:
    """Raises UsageError unless the training extra is installed."""
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("safetensors") is None:
        raise UsageError('this needs the training extra: pip install "callsift[train]"')


def is_run(model: Path) -> bool:
    """Whether a folder is a run rather than a bundle."""
    return (model / "config.yaml").is_file()


def check_finished(run: Path) -> None:
    """Whether a folder is a finished run, before torch is loaded.

    Raises:
        DataError: it is not.
    """
    if not (run / "result.json").is_file():
        raise DataError("did not finish; go on with --resume" if is_run(run) else "is not a run", run)


def scorer_of(model: Path, asr: str | None, diarizer: str | None) -> Scorer:
    """The scorer of a run (in torch), or of a bundle by folder or name."""
    from callsift.bundle import find_bundle, load_bundle
    from callsift.scoring.scorer import Scorer

    if is_run(model):
        require_torch()
        from callsift.training.run import load_run

        return load_run(model).scorer(asr=asr, diarizer=diarizer)
    return Scorer.from_bundle(load_bundle(find_bundle(str(model))), asr=asr, diarizer=diarizer)


def graded_calls(scorer: Scorer | Subject, data: Path, split: str | None) -> tuple[list[Call], str | None]:
    """The calls of DATA with a label of what the model answers for, and of which split they are (None: all).

    Without `split`, a test part stands for the whole where there is one, which is said.

    Raises:
        UsageError: there is no such call; DataError: DATA can't be read, or was prepared for another model.
    """
    from callsift.cli.show import say
    from callsift.data.manifest import manifest_file, read_manifest
    from callsift.data.splits import labels_of
    from callsift.pipeline import check_prepared

    manifest = read_manifest(manifest_file(data))
    manifest.check_labels(scorer.scheme)
    check_prepared(manifest.path.parent, scorer.pipeline.front_end.sha256)
    calls = [c for c in manifest.calls if any(label is not None for label in labels_of(c, scorer.target))]
    test = [call for call in calls if call.split == "test"]
    if split is None and 0 < len(test) < len(calls):
        say(f"{data} has a test split: its {len(test)} graded calls are asked about, not all {len(calls)} (--split)")
        split = "test"
    asked = [call for call in calls if split in (None, call.split)]
    if not asked:
        raise UsageError(f"{data} has no labelled call" + (f" of split '{split}'" if split else ""))
    return asked, split


def trained_on(model: Path, data: Path, calls: Sequence[Call]) -> Seen:
    """What a run, by its record, or a bundle, by its provenance, knows already of calls of DATA."""
    from callsift.bundle import find_bundle, load_bundle
    from callsift.data.manifest import manifest_file
    from callsift.evaluation.seen import seen_by_bundle, seen_by_run

    if is_run(model):
        return seen_by_run(model, calls)
    return seen_by_bundle(load_bundle(find_bundle(str(model))), manifest_file(data), calls)
