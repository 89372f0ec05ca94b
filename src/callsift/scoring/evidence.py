"""From the streams of a call to its verdict, and what each segment contributed to it.

The contribution of segment i is propensity(all) − propensity(all without i), every other segment's vector
unchanged: one more row through the `call` graph, not one more pass through the encoders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from callsift.decision import Calibration, Verdict, decide
from callsift.errors import ErrorCode, RecordingError
from callsift.labels import LabelScheme
from callsift.plugins import Runtime
from callsift.types import BoolArray, CallInputs, FloatArray, StreamInput

_MOST_ROWS, _MOST_VECTORS = 64, 16_384
"""Calls less one segment that go through the `call` graph at once: together at most so many segment vectors."""


def segment_vectors(runtime: Runtime, inputs: CallInputs) -> FloatArray:
    """The fused vector (S, D) of every segment.

    Segments go through the encoders one by one: a call's segments differ in length, and padding them to the
    longest costs more than batching saves on a CPU.

    Raises:
        RecordingError: `missing_stream`, no segment has any stream that the network reads.
    """
    require_stream(inputs, tuple(runtime.widths))
    rows = [_one_segment(runtime, dict(segment)) for segment in inputs.segments]
    return np.concatenate(rows)


def require_stream(inputs: CallInputs, streams: Sequence[str]) -> None:
    """Raises RecordingError `missing_stream` unless some segment has one of the streams that the network reads."""
    if not any(segment.get(name) for segment in inputs.segments for name in streams):
        raise RecordingError(
            ErrorCode.MISSING_STREAM,
            f"this model reads {' and '.join(streams)}, and the call has none of it. "
            "Give a transcript, a recording with speech, or the streams in a manifest.",
        )


def _one_segment(runtime: Runtime, segment: dict[str, StreamInput | None]) -> FloatArray:
    states: dict[str, tuple[FloatArray, BoolArray, BoolArray]] = {}
    for name in runtime.widths:
        given = segment.get(name)
        values = None if given is None else given.values
        if values is not None and len(values):
            values = values[None]
            encoded, mask = runtime.encode(name, values, np.ones(values.shape[:2], dtype=np.bool_))
            states[name] = (encoded, mask, np.array([True]))
        else:
            # What stands in an absent stream is never read: the network puts its learned embedding there.
            nothing = np.zeros((1, 1, runtime.widths[name]), np.float32)
            states[name] = (nothing, np.zeros((1, 1), np.bool_), np.array([False]))
    return runtime.fuse(states)


def judge_segments(
    runtime: Runtime, vectors: FloatArray, scheme: LabelScheme, calibration: Calibration
) -> list[Verdict]:
    """The verdict on every segment from the segment vectors (S, D) of a call, for a model of target `segment`."""
    found = runtime.call(vectors[None], np.ones((1, len(vectors)), dtype=np.bool_))
    return decide({task: logits[0] for task, logits in found.items()}, scheme, calibration)


def judge(
    runtime: Runtime, vectors: FloatArray, scheme: LabelScheme, calibration: Calibration
) -> tuple[Verdict, list[float | None]]:
    """The verdict on a call from its segment vectors (S, D), and the contribution of each segment.

    Contributions are None for a single segment and for a scheme without propensity.
    """
    count = len(vectors)
    whole = np.ones((1, count), dtype=np.bool_)
    verdict = decide(runtime.call(vectors[None], whole), scheme, calibration)[0]
    if count == 1 or verdict.propensity is None:
        return verdict, [None] * count
    without: list[float] = []
    at_once = max(1, min(_MOST_ROWS, _MOST_VECTORS // count))
    for first in range(0, count, at_once):
        left_out = range(first, min(first + at_once, count))
        rows = np.stack([np.delete(vectors, i, axis=0) for i in left_out])
        logits = runtime.call(rows, np.ones(rows.shape[:2], dtype=np.bool_))
        without += [found.propensity or 0.0 for found in decide(logits, scheme, calibration)]
    return verdict, [verdict.propensity - other for other in without]
