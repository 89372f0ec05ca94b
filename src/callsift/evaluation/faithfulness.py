"""Whether evidence tells the truth: does the answer fall further without what speaks for it than without other parts?

The deletion test of attributions (Samek et al. 2017, «Evaluating the visualization of what a deep neural network has
learned»; "comprehensiveness" of DeYoung et al. 2020, ERASER), with random segments of the same call beside it: how far
the quantity falls, with its sign, without the segments that speak most for it, without those that speak most against
it, and without any. (By its size alone a right contribution may cancel another, and both look wrong.) Each segment's
contribution was found by leaving out that one alone. So with one segment removed both ends must win, by construction;
with several they win only if contributions hold together, which a recurrent network does not promise.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, combinations
from math import comb
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.errors import CallsiftError
from callsift.evaluation.compare import clustered, clustered_difference, exchange_test
from callsift.evaluation.desk import Desk, Progress, Task, desk_of, silently
from callsift.evaluation.drawn import mean_score
from callsift.evaluation.metrics import drawn_by
from callsift.isolation import Lost
from callsift.scoring.evidence import Quantity
from callsift.scoring.scorer import Scorer
from callsift.types import Call

Array = NDArray[Any]

MOST_CALLS: Final = 300
"""Calls looked at: each costs its preparation and encoding, and about a hundred passes through the `call` graph."""
LEAST_SEGMENTS: Final = 4
RANDOM_DRAWS: Final = 20
"""Random choices of segments in a call, of which the mean is taken; all choices, where there are no more."""
FIFTH: Final = "a fifth"
REMOVED: Final[tuple[int | str, ...]] = (1, 2, 3, FIFTH)
NOTE: Final = (
    "With 1 segment removed both ends do better than random ones by construction, as contributions are measured so; "
    "2 and more are the check. A fifth of the segments is never less than 2."
)


def faithfulness(
    scorer: Scorer | Desk,
    calls: Sequence[Call],
    *,
    most: int = MOST_CALLS,
    draws: int = RANDOM_DRAWS,
    seed: int = 0,
    progress: Progress = silently,
) -> dict[str, Any] | None:
    """How far the quantity that evidence explains falls without the segments of a call that speak most for it, without
    those that speak most against it, and without random ones.

    Args:
        scorer: of a model that answers for the call.
        calls: those with fewer than `LEAST_SEGMENTS` segments, or that can't be scored, are left out.
        most: how many to look at, drawn by `seed`.
        draws: random choices of segments in each; all, where there are no more.
        seed: of both draws. The order of the calls makes no difference.
        progress: shows how far it is.

    Returns: `calls`, `segments` (their mean number in a call), `draws`, `note`, and `rows`: for every `remove` (1, 2,
        3, "a fifth") the quantity with all segments less that without: the mean over the calls without the `top`
        segments, `random` ones and the `bottom` ones, and by how much top exceeds random (`difference`) and random
        bottom (`bottom_difference`). Each {value, low, high}, 95 % bootstrap intervals over groups of calls; `p` and
        `bottom_p`, two-sided, of the exchange test. None where no call can be looked at, or the model answers for
        segments.
    """
    desk = desk_of(scorer)
    if desk.subject.target != "call":
        return None
    # Given segments are never cut anew, so that of the others nothing has to be heard to know that they are too few.
    left = [call for call in _drawn(calls, seed) if not 0 < len(call.segments) < LEAST_SEGMENTS]
    looked: list[tuple[Call, Any]] = []
    while left and len(looked) < most:
        tasks = [Task(moved_of, call, (draws, seed), moments=1) for call in left[: most - len(looked)]]
        left = left[len(tasks) :]
        found = {task.call.call_id: answer for task, answer in desk.answers(tasks, progress, "testing evidence")}
        answers = ((task.call, found[task.call.call_id]) for task in tasks)
        looked += [pair for pair in answers if pair[1] is not None and not isinstance(pair[1], Lost)]
    if not looked:
        return None
    owners = drawn_by([call.group or call.call_id for call, _ in looked], [call.call_id for call, _ in looked])
    return {
        "calls": len(looked),
        "segments": float(np.mean([answer["segments"] for _, answer in looked])),
        "draws": draws,
        "note": NOTE,
        "rows": [_row(remove, [answer["moved"][str(remove)] for _, answer in looked], owners) for remove in REMOVED],
    }


def _drawn(calls: Sequence[Call], seed: int) -> list[Call]:
    """Calls in an order by the seed alone."""
    known = sorted(calls, key=lambda one: one.call_id)
    return [known[at] for at in np.random.default_rng(seed).permutation(len(known))]


def moved_of(scorer: Scorer, call: Call, draws: int, seed: int) -> dict[str, Any] | None:
    """Of a call: `segments`, how many, and `moved`; None where it has too few segments or can't be scored."""
    random = np.random.default_rng([seed, zlib.crc32(call.call_id.encode())])
    try:
        prepared = scorer.pipeline.prepare(call)
        if len(prepared.segments) < LEAST_SEGMENTS:
            return None
        vectors, _ = scorer.vectors(prepared)
        return {"segments": len(vectors), "moved": _moved(scorer.quantity(vectors), draws, random)}
    except CallsiftError:
        return None


def _moved(quantity: Quantity, draws: int, random: np.random.Generator) -> dict[str, tuple[float, float, float]]:
    """By how many segments are removed: by how much the quantity falls without the top ones, without the bottom ones,
    and in the mean without random ones."""
    count, now = len(quantity.vectors), float(quantity.here[0])
    assert quantity.weights is not None
    order = np.argsort(-quantity.weights, kind="stable")
    sizes = [max(2, -(-count // 5)) if isinstance(remove, str) else remove for remove in REMOVED]
    chosen = [(order[:size], order[-size:], *_choices(count, size, draws, random)) for size in sizes]
    gone = list(chain.from_iterable(chosen))
    falls = now - quantity.of(len(gone), lambda number: np.delete(quantity.vectors, gone[number], axis=0))
    rows = np.split(falls, np.cumsum([len(each) for each in chosen])[:-1])
    return {
        str(remove): (float(row[0]), float(row[1]), float(row[2:].mean()))
        for remove, row in zip(REMOVED, rows, strict=True)
    }


def _choices(count: int, size: int, draws: int, random: np.random.Generator) -> list[Array]:
    """All choices of `size` of `count` segments where there are at most `draws`, which leaves nothing to luck; else as
    many random ones."""
    if comb(count, size) <= draws:
        return [np.array(each) for each in combinations(range(count), size)]
    return [random.permutation(count)[:size] for _ in range(draws)]


def _row(remove: int | str, moved: Iterable[Sequence[float]], owners: Sequence[str]) -> Mapping[str, Any]:
    top, bottom, other = np.array(list(moved)).T
    nothing = np.zeros(len(top))
    return {
        "remove": remove,
        **{
            name: asdict(clustered(mean_score, nothing, [each], owners))
            for name, each in (("top", top), ("random", other), ("bottom", bottom))
        },
        "difference": asdict(clustered_difference(mean_score, nothing, [top], [other], owners)),
        "p": exchange_test(mean_score, nothing, [top], [other], owners).p,
        "bottom_difference": asdict(clustered_difference(mean_score, nothing, [other], [bottom], owners)),
        "bottom_p": exchange_test(mean_score, nothing, [other], [bottom], owners).p,
    }
