"""Splits: what belongs together stays together, grades are spread evenly, the same seed gives the same split.

Calls belong together if they have one `group`, or a recording in common (the same file, or the same bytes under another
name); and so do all calls that are linked by a chain of such calls.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from callsift.data.same_audio import files_of, same_audio
from callsift.data.votes import majority
from callsift.errors import DataError
from callsift.labels import LabelScheme
from callsift.types import Call, Label, Target

LEAST_SHARE = 1e-3
"""Of `hold_out`, on either side; each gets a group all the same."""

NUMBER_BANDS = 5
"""Labels that are numbers are spread by fifths of their ranks."""


def label_key(label: Label | None) -> str:
    """A label as a text to count by."""
    return "/".join(label) if isinstance(label, tuple) else str(label)


def labels_of(call: Call, target: Target) -> tuple[Label | None, ...]:
    """The labels that `target` means: the call's own, or its segments'."""
    return (call.label,) if target == "call" else tuple(segment.label for segment in call.segments)


def target_of(calls: Sequence[Call]) -> Target:
    """What has labels: the calls, or, where no call has one and a segment does, the segments."""
    if any(call.label is not None for call in calls):
        return "call"
    return "segment" if any(segment.label is not None for call in calls for segment in call.segments) else "call"


def folds(calls: Sequence[Call], count: int, seed: int) -> list[list[int]]:
    """Indices of `count` folds: grouped by `group` and recording (else the call), stratified by label.

    Raises:
        DataError: fewer groups than folds.
    """
    return deal(calls, [1.0] * count, seed)


def hold_out(calls: Sequence[Call], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices of the kept and the held-out calls; about `share` of them held out, at least one group of each.

    Raises:
        DataError: a single group.
    """
    taken = min(max(share, LEAST_SHARE), 1 - LEAST_SHARE)
    kept, held_out = deal(calls, [1 - taken, taken], seed)
    return kept, held_out


def deal(calls: Sequence[Call], shares: Sequence[float], seed: int) -> list[list[int]]:
    """Indices of one part for each of `shares` (> 0, in proportion), grouped and stratified; none is empty.

    Groups are dealt out, largest first, each to the part that is furthest behind its share of the group's labels: the
    highest-averages rule of Webster and Sainte-Laguë, applied to every label. Of equal parts the sizes then break ties.
    Of unequal ones they count as another label would: else the smallest would lose by rounding in every label.

    Raises:
        DataError: fewer groups than parts.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for at, name in enumerate(groups_of(calls)):
        groups[name].append(at)
    if len(groups) < max(len(shares), 2):
        raise DataError(
            f"{len(calls)} calls in {len(groups)} groups can't be split into {max(len(shares), 2)} parts; "
            "more calls, or finer groups, are needed"
        )
    names = sorted(groups)
    np.random.default_rng(seed).shuffle(names)
    names.sort(key=lambda name: -len(groups[name]))
    strata = _strata(calls)
    parts = [_Part(share / sum(shares)) for share in shares]
    totals = Counter(key for keys in strata for key in keys)
    even = len(set(shares)) == 1
    for name in names:
        keys = Counter(key for at in groups[name] for key in strata[at])
        size = len(groups[name])
        costs = [(part.behind(keys) if even else part.behind(keys, totals) + part.filled(size, len(calls)), part.size)
                 for part in parts]  # fmt: skip
        best = parts[min(range(len(parts)), key=lambda at: (*costs[at], at))]
        best.groups.append(name)
        best.size += size
        best.seen += keys
    _leave_none_empty([part.groups for part in parts])
    return [sorted(at for name in part.groups for at in groups[name]) for part in parts]


@dataclass(slots=True)
class _Part:
    """What one part has been dealt so far."""

    share: float
    groups: list[str] = field(default_factory=list)
    size: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def behind(self, keys: Counter[str], totals: Counter[str] | None = None) -> float:
        """How full of these labels the part would be half-way through taking them; by shares of `totals`, if given."""
        return sum(
            count * (self.seen[key] + count / 2) / (self.share * (totals[key] if totals else 1))
            for key, count in keys.items()
        )

    def filled(self, size: int, total: int) -> float:
        """The same of calls, whatever their labels."""
        return size * (self.size + size / 2) / (self.share * total)


def _leave_none_empty(parts: list[list[str]]) -> None:
    """A part without any group gets the smallest one of the part with most."""
    for part in parts:
        if not part:
            part.append(max(parts, key=len).pop())


def groups_of(calls: Sequence[Call]) -> list[str]:
    """For every call the name of all that it must stay together with; the same name, the same side of a split."""
    names = [_group(call) for call in calls]
    first = same_audio(path for call in calls for path in files_of(call))
    home: dict[object, str] = {}
    above: dict[str, str] = {name: name for name in names}

    def top(name: str) -> str:
        while above[name] != name:
            above[name] = name = above[above[name]]
        return name

    for call, name in zip(calls, names, strict=True):
        for path in files_of(call):
            one, other = sorted((top(home.setdefault(first[path], name)), top(name)))
            above[other] = one
    return [top(name) for name in names]


def _group(call: Call) -> str:
    """What a call must stay together with: its group, else its recording, else itself."""
    return call.group or (str(call.audio) if call.audio else call.call_id)


def _strata(calls: Sequence[Call]) -> list[list[str]]:
    """What each call counts for: its label, else the majority of its graders, else its segments' labels."""
    labels = [_labels(call) for call in calls]
    numbers = np.array([label for some in labels for label in some if isinstance(label, float)])
    if len(set(numbers)) <= NUMBER_BANDS:
        return [[label_key(label) for label in some] for some in labels]
    edges = np.quantile(numbers, np.arange(1, NUMBER_BANDS) / NUMBER_BANDS)
    return [
        [f"{np.searchsorted(edges, label)}" if isinstance(label, float) else label_key(label) for label in some]
        for some in labels
    ]


def _labels(call: Call) -> Sequence[Label | None]:
    if call.label is not None:
        return [call.label]
    if call.labels:
        return [majority([rating.label for rating in call.labels])]
    return [segment.label for segment in call.segments if segment.label is not None] or [None]


def check_groups(parts: Mapping[str, Sequence[Call]]) -> None:
    """No group lies in two parts, and no recording, under whatever name.

    Raises:
        DataError: one does; names it, the parts and the calls.
    """
    for message in shared_between(parts):
        raise DataError(message)


def shared_between(parts: Mapping[str, Sequence[Call]], *, by_audio: bool = True) -> Iterator[str]:
    """One sentence for every call whose group, or (`by_audio`) recording, lies in another part already."""
    first = same_audio(path for calls in parts.values() for call in calls for path in files_of(call) if by_audio)
    groups: dict[str, str] = {}
    files: dict[object, tuple[str, str]] = {}
    for part, calls in parts.items():
        for call in calls:
            if call.group is not None and groups.setdefault(call.group, part) != part:
                yield (
                    f"group '{call.group}' lies in split '{groups[call.group]}' and in '{part}' "
                    f"(call '{call.call_id}'); a customer or campaign must not be on both sides. "
                    "Correct the 'split' fields."
                )
                continue
            for path in files_of(call) if by_audio else ():
                home, other = files.setdefault(first[path], (part, call.call_id))
                if home != part:
                    yield (
                        f"recording '{path.name}' of call '{call.call_id}' lies in split '{part}', and as "
                        f"'{first[path].name}' of call '{other}' in '{home}'; no recording may be on both sides. "
                        "Correct the 'split' fields, or let callsift split make new ones."
                    )
                    break


def check_classes(
    calls: Sequence[Call], scheme: LabelScheme, target: Target = "call", homes: Sequence[str] | None = None
) -> None:
    """Every grade that is given at all is given in two calls or more, so that it can be learned and checked.

    Numbers have no classes. A coarse label (several grades) counts for none of them.

    Args:
        homes: for every call its group (`groups_of`); a grade must lie in two of them then.

    Raises:
        DataError: a grade with a single call, or in a single group; names both.
    """
    for message in single_classes(calls, scheme, target, homes):
        raise DataError(message)


def single_classes(
    calls: Sequence[Call], scheme: LabelScheme, target: Target = "call", homes: Sequence[str] | None = None
) -> list[str]:
    """One sentence for every grade with a single call, or, with `homes`, in a single group."""
    holders: dict[str, dict[str, str]] = defaultdict(dict)
    for at, call in enumerate(calls if scheme.kind != "number" else ()):
        for grade in {label for label in labels_of(call, target) if isinstance(label, str)}:
            holders[grade][call.call_id] = homes[at] if homes is not None else call.call_id
    return [
        _single(grade, holders[grade])
        for grade in scheme.grades
        if grade in holders and len(set(holders[grade].values())) == 1
    ]


def _single(grade: str, holders: Mapping[str, str]) -> str:
    """What is wrong with a grade whose calls lie in one group."""
    call_id, home = next(iter(holders.items()))
    where = (
        f"has a single call ('{call_id}')" if len(holders) == 1
        else f"lies in a single group ('{home}', {len(holders)} calls)"
    )  # fmt: skip
    return (
        f"grade '{grade}' {where}: it can't be both learned and checked; "
        f"grade more{'' if len(holders) == 1 else ', of other groups'}, or merge grades in the label scheme"
    )
