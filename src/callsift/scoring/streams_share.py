"""How much of a call's answer each stream makes: text against audio, exactly.

The Shapley value of stream i over the streams N of a call (Shapley 1953, «A value for n-person games», eq. 12):

    φ_i = Σ_{T ⊆ N∖{i}}  |T|! (|N| − |T| − 1)! / |N|!  ·  (q(T ∪ {i}) − q(T))

q(T): the quantity of the whole call when only the streams T are there. The others are absent as they are in a call that
lacks them: the network's learned embedding stands in their place. The values sum to q(N) − q(∅). Every stream of a
segment is encoded once; a segment and subset cost one fusion.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import factorial

import numpy as np

from callsift.plugins import Runtime
from callsift.scoring.evidence import Quantity, encoded, require_stream, without
from callsift.types import CallInputs, FloatArray

MOST_STREAMS = 4
"""The subsets double with every stream: of a call with more of them no shares are given."""

Subset = frozenset[str]


def streams_of(runtime: Runtime, inputs: CallInputs) -> Subset:
    """The streams of the network that any segment of the call has."""
    return frozenset(name for name in runtime.widths if any(segment.get(name) for segment in inputs.segments))


def subset_vectors(runtime: Runtime, inputs: CallInputs) -> dict[Subset, FloatArray]:
    """The segment vectors (S, D) with every subset of the call's streams; with more than `MOST_STREAMS`, with all.

    Raises:
        RecordingError: `missing_stream`, no segment has any stream that the network reads.
    """
    require_stream(inputs, tuple(runtime.widths))
    there = streams_of(runtime, inputs)
    sizes = range(len(there) + 1) if len(there) <= MOST_STREAMS else (len(there),)
    subsets = [frozenset(each) for size in sizes for each in combinations(sorted(there), size)]
    rows: dict[Subset, list[FloatArray]] = {subset: [] for subset in subsets}
    for segment in inputs.segments:
        states = encoded(runtime, segment)
        for subset in subsets:
            rows[subset].append(runtime.fuse(without(states, runtime, there - subset)))
    return {subset: np.concatenate(found) for subset, found in rows.items()}


def stream_shares(quantity: Quantity, vectors: Mapping[Subset, FloatArray]) -> dict[str, float]:
    """The share of each stream of the network in a call's quantity, 0 for one that the call lacks.

    `vectors`: of `subset_vectors`. Empty for a call with more than `MOST_STREAMS` streams.
    """
    subsets = list(vectors)
    if len(subsets) == 1:
        return {}
    found = quantity.of(len(subsets), lambda number: vectors[subsets[number]])
    shares = shapley(dict(zip(subsets, map(float, found), strict=True)))
    return {name: shares.get(name, 0.0) for name in quantity.runtime.widths}


def shapley(values: Mapping[Subset, float]) -> dict[str, float]:
    """Every player's value in a game given by what each coalition is worth; all 2^n of them, the empty one too.

    >>> shapley({frozenset(): 0.0, frozenset("a"): 1.0, frozenset("b"): 0.0, frozenset("ab"): 2.0})
    {'a': 1.5, 'b': 0.5}
    """
    players = frozenset().union(*values)
    count = len(players)
    found = {}
    for player in sorted(players):
        found[player] = sum(
            factorial(len(rest))
            * factorial(count - len(rest) - 1)
            / factorial(count)
            * (values[rest | {player}] - worth)
            for rest, worth in values.items()
            if player not in rest
        )
    return found
