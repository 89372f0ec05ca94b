"""Which words, sounds and pauses of a segment count: by leaving out each of them.

The contribution of a part is quantity(all) − quantity(all, with this segment's vector made without the part). A part
costs one encoding and fusion of its segment, and one row through the `call` graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from callsift.pipeline import Pipeline
from callsift.plugins import Runtime
from callsift.scoring.evidence import Quantity, States, absent, encoded
from callsift.scoring.occlusion import Parts
from callsift.types import CallInputs, FloatArray, IntArray, Moment, PreparedCall, StreamInput

_MOST_FRAMES, _MOST_STATES = 64_000, 8192
"""Variants of a segment that are encoded at once: together at most so many frames (tokens, samples), and so many states
of all streams. Half a minute of a waveform goes alone."""


def moments_of(
    quantity: Quantity, pipeline: Pipeline, prepared: PreparedCall, inputs: CallInputs, numbers: Iterable[int]
) -> dict[int, tuple[Moment, ...]]:
    """The moments of some segments, given by their numbers; those of a segment by |contribution|.

    Of a model that answers for every segment, they are of the segment's own quantity.
    """
    parts = Parts(pipeline, prepared)
    found = {}
    for at in numbers:
        moments = _of_segment(quantity, parts, inputs.segments[at], at)
        found[at] = tuple(sorted(moments, key=lambda moment: -abs(moment.contribution)))
    return found


def weightiest(quantity: Quantity, count: int) -> list[int]:
    """Numbers of the `count` segments that count most, in the order of the call.

    A segment counts as much as the call's quantity differs without it. Of a model that answers for every segment, it
    is those whose own quantity is farthest from 0.
    """
    weights = np.abs(quantity.here if quantity.weights is None else quantity.weights)
    return sorted(int(at) for at in np.argsort(-weights, kind="stable")[:count])


def _of_segment(quantity: Quantity, parts: Parts, segment: Mapping[str, StreamInput | None], at: int) -> list[Moment]:
    states = encoded(quantity.runtime, segment)
    now = float(quantity.here[at if quantity.target == "segment" else 0])
    found: list[Moment] = []
    for stream in quantity.runtime.widths:
        given = segment.get(stream)
        mine = [] if given is None else parts.of(at, stream, given)
        vectors = _fused(quantity.runtime, states, stream, [part.without for part in mine])

        def row(number: int, vectors: FloatArray = vectors) -> FloatArray:
            changed = quantity.vectors.copy()
            changed[at] = vectors[number]
            return changed

        less = quantity.of(len(mine), row, at)
        found += [replace(part.moment, contribution=now - float(value)) for part, value in zip(mine, less, strict=True)]
    return found


def _fused(runtime: Runtime, states: States, stream: str, variants: Sequence[StreamInput | None]) -> FloatArray:
    """The vector (n, D) of a segment with each variant of one stream; the variants of one length go together."""
    others = sum(given[0].shape[1] for name, given in states.items() if name != stream)
    rows: list[FloatArray | None] = [None] * len(variants)
    held: list[tuple[int, FloatArray | IntArray]] = []

    def flush() -> None:
        if not held:
            return
        values = cast("FloatArray | IntArray", np.stack([each for _, each in held]))  # of one kind, as the stream is
        encoding, mask = runtime.encode(stream, values, np.ones(values.shape[:2], dtype=np.bool_))
        made = {**_repeated(states, len(held)), stream: (encoding, mask, np.ones(len(held), dtype=np.bool_))}
        for (number, _), vector in zip(held, runtime.fuse(made), strict=True):
            rows[number] = vector
        held.clear()

    lengths = [(0, number) if given is None else (len(given.values), number) for number, given in enumerate(variants)]
    for length, number in sorted(lengths):
        given = variants[number]
        if given is None or not length:
            rows[number] = runtime.fuse({**states, stream: absent(runtime, stream)})[0]
            continue
        at_once = max(1, min(_MOST_FRAMES // length, _MOST_STATES // (others + 1)))
        if held and (len(held[0][1]) != length or len(held) >= at_once):
            flush()
        held.append((number, given.values))
    flush()
    return np.array([row for row in rows if row is not None])


def _repeated(states: States, count: int) -> States:
    return {
        name: (np.repeat(found, count, axis=0), np.repeat(mask, count, axis=0), np.repeat(present, count, axis=0))
        for name, (found, mask, present) in states.items()
    }
