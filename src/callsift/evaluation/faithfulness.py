"""Whether evidence tells the truth: does taking out the segments that count most move the answer more than others do?

The deletion test of attributions (Samek et al. 2017, «Evaluating the visualization of what a deep neural network has
learned»; "comprehensiveness" of DeYoung et al. 2020, ERASER), with random segments of the same call beside it. Each
segment's contribution was found by leaving out that one alone. So with one segment removed the top must win, by
construction; with several it wins only if contributions hold together, which a recurrent network does not promise.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.errors import CallsiftError
from callsift.evaluation.compare import clustered, clustered_difference, exchange_test
from callsift.evaluation.desk import Desk, Progress, Task, desk_of, silently
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
"""Random choices of segments in a call, of which the mean is taken."""
FIFTH: Final = "a fifth"
REMOVED: Final[tuple[int | str, ...]] = (1, 2, 3, FIFTH)
NOTE: Final = (
    "With 1 segment removed the top moves most by construction, as its contribution is measured so; "
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
    """How far the quantity that evidence explains moves without the top segments of a call, and without random ones.

    Args:
        scorer: of a model that answers for the call.
        calls: those with fewer than `LEAST_SEGMENTS` segments, or that can't be scored, are left out.
        most: how many to look at, drawn by `seed`.
        draws: random choices of segments in each.
        seed: of both draws. The order of the calls makes no difference.
        progress: shows how far it is.

    Returns: `calls`, `segments` (their mean number in a call), `draws`, `note`, and `rows`: for every `remove` (1, 2,
        3, "a fifth") |quantity moved|, the mean over the calls: `top`, `random` and their `difference`, each
        {value, low, high}, 95 % bootstrap intervals over groups of calls, and `p`, two-sided, of the exchange test.
        None where no call can be looked at, or the model answers for segments.
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
    quantity = _quantity(scorer, call)
    if quantity is None:
        return None
    random = np.random.default_rng([seed, zlib.crc32(call.call_id.encode())])
    return {"segments": len(quantity.vectors), "moved": _moved(quantity, draws, random)}


def _quantity(scorer: Scorer, call: Call) -> Quantity | None:
    """What is explained of a call, if it can be looked at."""
    try:
        prepared = scorer.pipeline.prepare(call)
        if len(prepared.segments) < LEAST_SEGMENTS:
            return None
        vectors, _ = scorer.vectors(prepared)
    except CallsiftError:
        return None
    return scorer.quantity(vectors)


def _moved(quantity: Quantity, draws: int, random: np.random.Generator) -> dict[str, tuple[float, float]]:
    """By how many segments are removed: |change| without the top ones, and its mean without random ones."""
    count, now = len(quantity.vectors), float(quantity.here[0])
    assert quantity.weights is not None
    order = np.argsort(-np.abs(quantity.weights), kind="stable")
    sizes = [max(2, -(-count // 5)) if isinstance(remove, str) else remove for remove in REMOVED]
    gone = [
        part for size in sizes for part in (order[:size], *(random.permutation(count)[:size] for _ in range(draws)))
    ]
    less = quantity.of(len(gone), lambda number: np.delete(quantity.vectors, gone[number], axis=0))
    change = np.abs(now - less).reshape(len(REMOVED), 1 + draws)
    return {str(remove): (float(row[0]), float(row[1:].mean())) for remove, row in zip(REMOVED, change, strict=True)}


def _row(remove: int | str, moved: Iterable[tuple[float, float]], owners: Sequence[str]) -> Mapping[str, Any]:
    pairs = np.array(list(moved))
    top, other, nothing = pairs[:, 0], pairs[:, 1], np.zeros(len(pairs))
    return {
        "remove": remove,
        "top": asdict(clustered(mean_moved, nothing, [top], owners)),
        "random": asdict(clustered(mean_moved, nothing, [other], owners)),
        "difference": asdict(clustered_difference(mean_moved, nothing, [top], [other], owners)),
        "p": exchange_test(mean_moved, nothing, [top], [other], owners).p,
    }


def mean_moved(_: Array, moved: Array) -> float:
    """The mean of (items,), as a metric: there is no truth to it."""
    return float(moved.mean())
