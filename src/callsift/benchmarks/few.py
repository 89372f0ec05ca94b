"""A few calls of a data set, for a try: of every split and label, and of no more groups than can be told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from callsift.benchmarks.benchmark import Division
from callsift.data.splits import groups_of, label_key, labels_of
from callsift.types import Call, Target

GROUPS: Final = (3, 5)
"""Fewest groups of a try by groups; and for so many calls one group more."""


def few_of(calls: Sequence[Call], count: int, division: Division, target: Target) -> tuple[Call, ...]:
    """About `count` of the calls, in their order; always the same ones.

    Each call taken is of the split that is furthest behind its share, and there of the labels, then of the group, of
    which least was taken. Where every group is asked about by itself, only the largest few groups are taken from.
    """
    if count >= len(calls):
        return tuple(calls)
    homes = groups_of(calls)
    left = list(range(len(calls)))
    if division == "leave-one-group-out":
        largest = Counter(homes).most_common(max(GROUPS[0], count // GROUPS[1]))
        left = [at for at in left if homes[at] in dict(largest)]
    keys = [_commonest(call, target) for call in calls]
    splits = [call.split or "train" if division == "published" else "all" for call in calls]
    totals = Counter(splits[at] for at in left)
    taken: list[int] = []
    seen: Counter[tuple[str, ...]] = Counter()
    while left and len(taken) < count:
        split = min(totals, key=lambda name: ((seen[name,] + 0.5) / totals[name], name))
        of_split = [at for at in left if splits[at] == split]
        if not of_split:
            del totals[split]
            continue
        best = min(of_split, key=lambda at: (seen["label", split, keys[at]], seen["group", homes[at]], at))
        seen.update([(split,), ("label", split, keys[best]), ("group", homes[best])])
        taken.append(best)
        left.remove(best)
    return tuple(calls[at] for at in sorted(taken))


def _commonest(call: Call, target: Target) -> str:
    """The label that most of a call has; the sign alone of numbers."""
    found = [label for label in labels_of(call, target) if label is not None]
    keys = [f"{(label > 0) - (label < 0)}" if isinstance(label, float) else label_key(label) for label in found]
    return Counter(keys).most_common(1)[0][0] if keys else ""
