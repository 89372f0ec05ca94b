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
from callsift.training.batches import Example, PlainSet, TrainingSet, make_example, stacked
from callsift.training.material import Maker, Material, Taken, VariedSet
from callsift.types import Call, Target

SPLITS = ("train", "val", "test")
Progress = Callable[[Iterable[Call], int, str], Iterable[Call]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The examples of a training: split → examples; the engine that wrote text; what had to be left out.

    `train`: the training part as the loop reads it, varied where augmentation is on. `groups`: call id → its group,
    else the id.
    """

    parts: Mapping[str, Sequence[Example]]
    train: TrainingSet
    asr: str | None
    left_out: Mapping[str, str]
    groups: Mapping[str, str]


def count_labels(calls: Sequence[Call], target: Target, scheme: LabelScheme) -> dict[str, int]:
    """How often each label occurs; of numbers, how many there are."""
    found = [label for call in calls for label in labels_of(call, target) if label is not None]
    if scheme.range is not None:
        return {f"{scheme.range[0]:g} to {scheme.range[1]:g}": len(found)} if found else {}
    return dict(Counter(label_key(label) for label in found))


def split_calls(manifest: Manifest, config: TrainConfig) -> dict[str, list[Call]]:
    """Labelled calls by split. Without a `val` split, a share of the training calls is held out, by group.

    Raises:
        DataError: no labelled call to train on, an unknown split, a group on both sides, or no votes to learn from.
    """
    if config.fit.soft_labels:
        _check_votes(manifest)
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


def _check_votes(manifest: Manifest) -> None:
    """`fit.soft_labels` means something, and nobody's votes are passed over."""
    without = [call.call_id for call in manifest.calls if call.labels and call.label is None]
    if without:
        raise DataError(
            f"{len(without)} calls have votes and no label (the first: '{without[0]}'); callsift raters --majority "
            "writes a manifest in which the majority is the label",
            manifest.path,
        )
    if not any(len(call.labels) > 1 for call in manifest.calls):
        raise DataError("fit.soft_labels learns from several raters' 'labels', and no call has two", manifest.path)


def prepare_examples(
    maker: Maker,
    scheme: LabelScheme,
    parts: Mapping[str, Sequence[Call]],
    progress: Progress,
    *,
    target: Target = "call",
    votes: bool = False,
    material: Material | None = None,
) -> Prepared:
    """Calls → examples. A call that can't be prepared is left out and named, not fatal.

    Args:
        votes: learn from every rater's vote where there are several.
        material: what earlier trainings prepared, and where this one's calls are kept for later ones.

    Raises:
        DataError: a split from which nothing is left.
    """
    material = material or Material()
    found: dict[str, list[Example]] = {}
    engines: set[str] = set()
    left_out: dict[str, str] = {}
    learnt_from: list[Taken] = []
    for name, calls in parts.items():
        found[name] = []
        training = name == "train"
        for call in progress(calls, len(calls), f"preparing {name}"):
            try:
                taken = material.take(maker, call, varied=training)
            except RecordingError as error:
                left_out[call.call_id] = f"{error.code}: {error}"
                continue
            except DataError as error:
                left_out[call.call_id] = f"{ErrorCode.BAD_TRANSCRIPT}: {error}"
                continue
            engines |= {taken.prepared.asr} if taken.prepared.asr else set()
            found[name].append(make_example(taken.inputs, taken.prepared, scheme, target, votes=votes and training))
            learnt_from += [taken] if training else []
        if calls and not found[name]:
            raise DataError(f"no call of split '{name}' could be prepared; the first: {next(iter(left_out.items()))}")
    training_set = (
        VariedSet(maker, found["train"], learnt_from) if maker.augment.on else PlainSet(found.get("train", ()))
    )
    groups = {call.call_id: call.group or call.call_id for calls in parts.values() for call in calls}
    return Prepared(found, training_set, min(engines, default=None), left_out, groups)


def class_balance(scheme: LabelScheme, examples: Sequence[Example]) -> dict[str, float] | None:
    """Share of every grade; a label that leaves several open counts for each in equal parts. None for a number."""
    if scheme.kind == "number":
        return None
    allowed = stacked(examples)[scheme.finest_task].astype(np.float64)
    weights = np.concatenate([example.weights for example in examples])  # several votes on a call are one label
    told = allowed.any(axis=1)
    allowed, weights = allowed[told], weights[told]
    shares = np.average(allowed / allowed.sum(axis=1, keepdims=True), axis=0, weights=weights)
    by_class = scheme.membership(scheme.finest_task).astype(np.float64)
    return {grade: float(shares @ by_class[:, at]) for at, grade in enumerate(scheme.grades)}
