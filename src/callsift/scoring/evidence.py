"""From the streams of a call to its verdict, and what each segment contributed to it.

The contribution of segment i is propensity(all) − propensity(all without i), every other segment's vector
unchanged: one more row through the `call` graph, not one more pass through the encoders.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from callsift.decision import Calibration, Verdict, decide
from callsift.errors import ErrorCode, RecordingError
from callsift.labels import NUMBER_TASK, LabelScheme
from callsift.pipeline import role_spans, segment_text, speech_seconds
from callsift.plugins import Runtime
from callsift.types import (
    BoolArray,
    CallInputs,
    FloatArray,
    Moment,
    PreparedCall,
    SegmentEvidence,
    StreamInput,
    Target,
)

Array = NDArray[np.float64]
States = Mapping[str, tuple[FloatArray, BoolArray, BoolArray]]
"""Per stream of the network states (N, L, D), mask (N, L), present (N,)."""

_MOST_ROWS, _MOST_VECTORS = 64, 16_384
"""Variants of a call that go through the `call` graph at once: together at most so many segment vectors."""


def segment_vectors(runtime: Runtime, inputs: CallInputs) -> FloatArray:
    """The fused vector (S, D) of every segment.

    Segments go through the encoders one by one: a call's segments differ in length, and padding them to the
    longest costs more than batching saves on a CPU.

    Raises:
        RecordingError: `missing_stream`, no segment has any stream that the network reads.
    """
    require_stream(inputs, tuple(runtime.widths))
    return np.concatenate([runtime.fuse(encoded(runtime, segment)) for segment in inputs.segments])


def require_stream(inputs: CallInputs, streams: Sequence[str]) -> None:
    """Raises RecordingError `missing_stream` unless some segment has one of the streams that the network reads."""
    if not any(segment.get(name) for segment in inputs.segments for name in streams):
        raise RecordingError(
            ErrorCode.MISSING_STREAM,
            f"this model reads {' and '.join(streams)}, and the call has none of it. "
            "Give a transcript, a recording with speech, or the streams in a manifest.",
        )


def encoded(
    runtime: Runtime, segment: Mapping[str, StreamInput | None]
) -> dict[str, tuple[FloatArray, BoolArray, BoolArray]]:
    """The states of every stream of one segment, N = 1; of one that it lacks, what `without` gives."""
    states: dict[str, tuple[FloatArray, BoolArray, BoolArray]] = {}
    for name in runtime.widths:
        given = segment.get(name)
        values = None if given is None else given.values
        if values is not None and len(values):
            values = values[None]
            found, mask = runtime.encode(name, values, np.ones(values.shape[:2], dtype=np.bool_))
            states[name] = (found, mask, np.array([True]))
        else:
            states[name] = absent(runtime, name)
    return states


def absent(runtime: Runtime, stream: str) -> tuple[FloatArray, BoolArray, BoolArray]:
    """What stands for a stream that a segment lacks, N = 1.

    It is never read: the network puts its learned embedding there.
    """
    return np.zeros((1, 1, runtime.widths[stream]), np.float32), np.zeros((1, 1), np.bool_), np.array([False])


class Quantity:
    """What evidence explains of a call, a number; and how it would be if the segment vectors were others.

    The propensity; for a number what the network says, not yet held within the range; for a scheme without positive
    grades the probability of the grade that is given. Of a model that answers for every segment: each one's own, and
    their mean for the call.
    """

    def __init__(
        self,
        runtime: Runtime,
        scheme: LabelScheme,
        calibration: Calibration,
        vectors: FloatArray,
        target: Target = "call",
    ) -> None:
        """`vectors`: (S, D), the call as it is."""
        self.runtime, self.scheme, self.calibration, self.target = runtime, scheme, calibration, target
        self.vectors = vectors
        logits = {task: np.atleast_2d(found[0]) for task, found in self._logits(vectors[None]).items()}
        self.verdicts = decide(logits, scheme, calibration)
        """Of the call; or of every segment."""
        self.here: Array = self._each(logits, self.verdicts, [verdict.grade for verdict in self.verdicts])
        """The quantity of every verdict as it is: (1,), or (S,)."""

    @property
    def explained(self) -> str:
        """Which number it is, in words: `propensity`, `value`, or `probability of` a grade."""
        verdict = self.verdicts[0]
        if verdict.propensity is not None:
            return "propensity"
        if verdict.grade is None:
            return "value"
        return f"probability of {self._finest(verdict.grade) if self.target == 'call' else 'the grade'}"

    @cached_property
    def weights(self) -> Array | None:
        """What each segment adds to the call (S,): the quantity less the quantity without it.

        None for a single segment, and where every segment has its own.
        """
        if len(self.vectors) == 1 or self.target == "segment":
            return None
        less = self.of(len(self.vectors), lambda number: np.delete(self.vectors, number, axis=0))
        return np.asarray(self.here[0] - less)

    def of(self, count: int, row: Callable[[int], FloatArray], at: int | None = None) -> Array:
        """The quantity (count,) of variants of the call.

        Args:
            count: how many.
            row: number of a variant → its segment vectors (S', D); neighbours of one S' go together.
            at: of this segment, where every segment has its own.
        """
        found: list[dict[str, FloatArray]] = []
        held: list[FloatArray] = []
        for number in range(count):
            one = row(number)
            full = held and len(held) >= max(1, min(_MOST_ROWS, _MOST_VECTORS // len(one)))
            if held and (full or len(held[0]) != len(one)):
                found.append(self._logits(np.stack(held)))
                held = []
            held.append(one)
        if not held:
            return np.zeros(0)
        found.append(self._logits(np.stack(held)))
        # Decided all at once: what combines the tasks takes as many steps for one variant as for all.
        return self._numbers({task: np.concatenate([each[task] for each in found]) for task in found[0]}, at)

    def _logits(self, rows: FloatArray) -> dict[str, FloatArray]:
        found = self.runtime.call(rows, np.ones(rows.shape[:2], dtype=np.bool_))
        if not all(np.isfinite(each).all() for each in found.values()):
            raise RecordingError(
                ErrorCode.INTERNAL,
                "the model's answer to this call is not a number (NaN). Look for NaN or endless numbers in the call's "
                "streams; if every call fails so, the model is damaged: export or install it anew.",
            )
        return found

    def _numbers(self, logits: Mapping[str, FloatArray], at: int | None) -> Array:
        """Logits (B, K), or (B, S, K), of every task → (B,)."""
        verdicts = self.verdicts
        if self.target == "segment" and at is not None:
            logits, verdicts = {task: found[:, at] for task, found in logits.items()}, [self.verdicts[at]]
        flat = {task: found.reshape(-1, found.shape[-1]) for task, found in logits.items()}
        decided = decide(flat, self.scheme, self.calibration)
        size = len(verdicts)
        each = self._each(flat, decided, [verdict.grade for verdict in verdicts] * (len(decided) // size))
        return np.asarray(each.reshape(-1, size).mean(axis=1))

    def _each(
        self, logits: Mapping[str, FloatArray], decided: Sequence[Verdict], grades: Sequence[str | None]
    ) -> Array:
        """Of logits (n, K) and what was decided by them, with regard to a grade each → (n,)."""
        if self.scheme.kind == "number":
            # The verdict is held within the range: at its end no part of a call would count for anything.
            return logits[NUMBER_TASK][:, 0].astype(np.float64)
        return np.array([self._number(verdict, grade) for verdict, grade in zip(decided, grades, strict=True)])

    def _number(self, verdict: Verdict, grade: str | None) -> float:
        if verdict.propensity is not None:
            return verdict.propensity
        assert grade is not None
        return verdict.probabilities[self.scheme.finest_task][self._finest(grade)]

    def _finest(self, grade: str) -> str:
        """The class of the finest task that a grade is of."""
        return next(name for name, members in self.scheme.tasks[self.scheme.finest_task].items() if grade in members)


def contributions(quantity: Quantity) -> list[float | None]:
    """The contribution of each segment of a call: None for a single segment and for a scheme without propensity."""
    if quantity.verdicts[0].propensity is None or quantity.weights is None:
        return [None] * len(quantity.vectors)
    return [float(each) for each in quantity.weights]


def judge(
    runtime: Runtime, vectors: FloatArray, scheme: LabelScheme, calibration: Calibration
) -> tuple[Verdict, list[float | None]]:
    """The verdict on a call from its segment vectors (S, D), and the contribution of each segment."""
    quantity = Quantity(runtime, scheme, calibration, vectors)
    return quantity.verdicts[0], contributions(quantity)


def segment_evidence(
    prepared: PreparedCall,
    said: Sequence[Verdict] | Sequence[float | None],
    moments: Mapping[int, tuple[Moment, ...]],
    weights: Array | None = None,
) -> tuple[SegmentEvidence, ...]:
    """Every segment with its contribution to the call's verdict, or with a verdict of its own; some with moments.

    `weights`: (S,), where they are asked for.
    """
    found = []
    roles = role_spans(prepared)
    for at, (segment, own) in enumerate(zip(prepared.segments, said, strict=True)):
        evidence = SegmentEvidence(
            segment_id=segment.segment_id,
            start_s=segment.start_s,
            end_s=segment.end_s,
            speech_s=speech_seconds(segment, roles),
            text=segment_text(segment),
            contribution=None if isinstance(own, Verdict) else own,
            moments=moments.get(at, ()),
            weight=None if weights is None else float(weights[at]),
        )
        if isinstance(own, Verdict):
            evidence = replace(
                evidence, grade=own.grade, value=own.value, probabilities=own.probabilities, raw_probabilities=own.raw
            )
        found.append(evidence)
    return tuple(found)


def without(states: States, runtime: Runtime, streams: Collection[str]) -> States:
    """The states of one segment with some streams absent."""
    return {name: absent(runtime, name) if name in streams else given for name, given in states.items()}
