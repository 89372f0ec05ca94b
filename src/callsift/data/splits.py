"""Splits: calls of one group stay together, grades are spread evenly, the same seed gives the same split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from callsift.errors import DataError
from callsift.types import Call, Label, Target


def label_key(label: Label | None) -> str:
    """A label as a text to count by."""
    return "/".join(label) if isinstance(label, tuple) else str(label)


def labels_of(call: Call, target: Target) -> tuple[Label | None, ...]:
    """The labels that `target` means: the call's own, or its segments'."""
    return (call.label,) if target == "call" else tuple(segment.label for segment in call.segments)


def folds(calls: Sequence[Call], count: int, seed: int) -> list[list[int]]:
    """Indices of `count` folds: grouped by `group` (else the audio, else the call), stratified by label.

    Groups are dealt out, largest first, each to the fold that has fewest of its labels.

    Raises:
        DataError: fewer groups than folds.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for at, call in enumerate(calls):
        groups[_group(call)].append(at)
    if len(groups) < max(count, 2):
        raise DataError(
            f"{len(calls)} calls in {len(groups)} groups can't be split into {max(count, 2)} parts; "
            "more calls, or finer groups, are needed"
        )
    names = sorted(groups)
    np.random.default_rng(seed).shuffle(names)
    names.sort(key=lambda name: -len(groups[name]))
    found: list[list[int]] = [[] for _ in range(count)]
    seen: list[dict[str, int]] = [defaultdict(int) for _ in range(count)]
    for name in names:
        keys = [label_key(calls[at].label) for at in groups[name]]
        best = min(range(count), key=lambda fold: (sum(seen[fold][key] for key in keys), len(found[fold]), fold))
        found[best] += groups[name]
        for key in keys:
            seen[best][key] += 1
    return [sorted(fold) for fold in found]


def hold_out(calls: Sequence[Call], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices of the kept and the held-out calls; about `share` of them held out, at least one of each."""
    count = min(len({_group(call) for call in calls}), 20)
    taken = min(max(1, round(share * count)), count - 1)
    parts = folds(calls, count, seed)
    return sorted(at for part in parts[taken:] for at in part), sorted(at for part in parts[:taken] for at in part)


def _group(call: Call) -> str:
    """What a call must stay together with: its group, else its recording, else itself."""
    return call.group or (str(call.audio) if call.audio else call.call_id)


def check_groups(parts: Mapping[str, Sequence[Call]]) -> None:
    """No group lies in two parts.

    Raises:
        DataError: one does; names it and the parts.
    """
    home: dict[str, str] = {}
    for part, calls in parts.items():
        for call in calls:
            if call.group is not None and home.setdefault(call.group, part) != part:
                raise DataError(
                    f"group '{call.group}' lies in split '{home[call.group]}' and in '{part}' (call '{call.call_id}'); "
                    "a customer or campaign must not be on both sides. Correct the 'split' fields."
                )
