"""Items drawn anew with replacement, one by one or whole groups at a time: what every bootstrap here is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callsift.evaluation.tables import TableMetric, Tables

Owners = NDArray[np.intp]


def owners_of(groups: Sequence[str] | None, items: int) -> Owners | None:
    """(items,): the number of each item's group; None where every item is a group of its own."""
    if groups is None or len(set(groups)) == items:
        return None
    return np.unique(np.array(groups), return_inverse=True)[1]


def group_weights(owners: Owners, draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    """(draws, groups): how often each group is drawn."""
    count = int(owners.max()) + 1
    return random.multinomial(count, np.full(count, 1.0 / count), size=draws).astype(np.float64)


def tables(
    metric: TableMetric,
    truth: NDArray[Any],
    predicted: NDArray[Any],
    owners: Owners | None,
    draws: int,
    random: np.random.Generator,
) -> Tables:
    """(draws, K, K): the confusion of every resampling. Which of equal items is drawn makes no difference."""
    whole = metric.table(truth, predicted)
    size = len(whole)
    if owners is None:
        drawn = random.multinomial(len(truth), whole.ravel() / len(truth), size=draws).astype(np.float64)
    else:
        count = int(owners.max()) + 1
        real, given = metric.classes_of(truth, predicted)
        cells = np.bincount((owners * size + real) * size + given, minlength=count * size * size)
        drawn = group_weights(owners, draws, random) @ cells.reshape(count, size * size).astype(np.float64)
    return np.asarray(drawn.reshape(draws, size, size))


def picks(items: int, owners: Owners | None, draws: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """The items of every resampling; with `owners` (items,) whole groups of them."""
    if owners is None:
        yield from random.integers(0, items, (draws, items))
        return
    members = [np.flatnonzero(owners == at) for at in range(int(owners.max()) + 1)]
    for row in random.integers(0, len(members), (draws, len(members))):
        yield np.concatenate([members[at] for at in row])
