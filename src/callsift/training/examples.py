"""Calls of a manifest → examples: split, prepared, with labels, and with the states of frozen encoders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from callsift.config import TrainConfig
from callsift.data.manifest import Manifest
from callsift.data.splits import check_groups, hold_out, label_key, labels_of
from callsift.errors import DataError, ErrorCode, RecordingError
from callsift.labels import LabelScheme
from callsift.pipeline import Pipeline
from callsift.scoring.evidence import require_stream
from callsift.training.batches import Example, make_example, stacked
from callsift.types import Call, CallInputs, Target

SPLITS = ("train", "val", "test")
Progress = Callable[[Iterable[Call], int, str], Iterable[Call]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The examples of a training: split → examples; the engine that wrote text; what had to be left out."""

    parts: Mapping[str, Sequence[Example]]
    asr: str | None
    left_out: Mapping[str, str]


def count_labels(calls: Sequence[Call], target: Target, scheme: LabelScheme) -> dict[str, int]:
    """How often each label occurs; of numbers, how many there are."""
    found = [label for call in calls for label in labels_of(call, target) if label is not None]
    if scheme.range is not None:
        return {f"{scheme.range[0]:g} to {scheme.range[1]:g}": len(found)} if found else {}
    return dict(Counter(label_key(label) for label in found))


def split_calls(manifest: Manifest, config: TrainConfig) -> dict[str, list[Call]]:
    """Labelled calls by split. Without a `val` split, a share of the training calls is held out, by group.

    Raises:
        DataError: no labelled call to train on, an unknown split, or a group on both sides.
    """
    parts: dict[str, list[Call]] = {name: [] for name in SPLITS}
    for call in manifest.calls:
        if all(label is None for label in labels_of(call, config.target)):
            continue
        name = call.split or "train"
        if name not in parts:
            raise DataError(
                f"split '{name}' is not one of {', '.join(SPLITS)}", manifest.path, manifest.lines[call.call_id]
            )
        parts[name].append(call)
    check_groups(parts)
    if len(parts["train"]) < 2:
        where = "on every call" if config.target == "call" else "on the segments (target: segment)"
        raise DataError(
            f"{len(parts['train'])} labelled calls to train on; a 'label' {where} to learn from is needed",
            manifest.path,
        )
    if not parts["val"]:
        calls = parts["train"]
        kept, held_out = hold_out(calls, config.fit.validation, config.fit.seed)
        parts["train"], parts["val"] = [calls[at] for at in kept], [calls[at] for at in held_out]
    return parts


def prepare_examples(
    pipeline: Pipeline,
    scheme: LabelScheme,
    streams: Sequence[str],
    parts: Mapping[str, Sequence[Call]],
    progress: Progress,
    *,
    target: Target = "call",
    keep: Callable[[CallInputs], CallInputs] = lambda inputs: inputs,
) -> Prepared:
    """Calls → examples. A call that can't be prepared is left out and named, not fatal.

    `keep`: what is kept of a call's inputs, such as the states of frozen encoders.

    Raises:
        DataError: a split from which nothing is left.
    """
    found: dict[str, list[Example]] = {}
    engines: set[str] = set()
    left_out: dict[str, str] = {}
    for name, calls in parts.items():
        found[name] = []
        for call in progress(calls, len(calls), f"preparing {name}"):
            try:
                prepared = pipeline.prepare(call)
                inputs, _ = pipeline.inputs(prepared, streams)
                require_stream(inputs, streams)
            except RecordingError as error:
                left_out[call.call_id] = f"{error.code}: {error}"
                continue
            except DataError as error:
                left_out[call.call_id] = f"{ErrorCode.BAD_TRANSCRIPT}: {error}"
                continue
            engines |= {prepared.asr} if prepared.asr else set()
            found[name].append(make_example(keep(inputs), prepared, scheme, target))
        if calls and not found[name]:
            raise DataError(f"no call of split '{name}' could be prepared; the first: {next(iter(left_out.items()))}")
    return Prepared(found, min(engines, default=None), left_out)


def class_balance(scheme: LabelScheme, examples: Sequence[Example]) -> dict[str, float] | None:
    """Share of every grade; a label that leaves several open counts for each in equal parts. None for a number."""
    if scheme.kind == "number":
        return None
    allowed = stacked(examples)[scheme.finest_task].astype(np.float64)
    allowed = allowed[allowed.any(axis=1)]
    shares = (allowed / allowed.sum(axis=1, keepdims=True)).mean(axis=0)
    by_class = scheme.membership(scheme.finest_task).astype(np.float64)
    return {grade: float(shares @ by_class[:, at]) for at, grade in enumerate(scheme.grades)}
