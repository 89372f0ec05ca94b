"""Scorer: a call in, a CallScore out. The path of `callsift score` for one call, in one place.

Call ──pipeline.prepare──▶ PreparedCall ──pipeline.inputs──▶ streams ──evidence──▶ verdict ──▶ CallScore
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from callsift.bundle import Bundle
from callsift.canonical import sha256_of_json
from callsift.decision import Calibration
from callsift.errors import CallsiftError, DataError, ErrorCode, RecordingError, WarningCode
from callsift.labels import LabelScheme
from callsift.pipeline import Pipeline
from callsift.pipeline.call_files import call_sha256
from callsift.pipeline.streams import MADE_STREAMS
from callsift.plugins import Runtime
from callsift.scoring.evidence import Quantity, contributions, segment_evidence, segment_vectors
from callsift.scoring.moments import moments_of, weightiest
from callsift.scoring.rows import round_or_none, rounded, segment_row
from callsift.scoring.streams_share import stream_shares, streams_of, subset_vectors
from callsift.types import (
    Call,
    CallInputs,
    CallScore,
    FloatArray,
    ModelInfo,
    Moment,
    Note,
    PreparedCall,
    Target,
)

logger = logging.getLogger(__name__)

RESULT_VERSION = 1


class Scorer:
    """Scores one call after another with one model."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        pipeline: Pipeline,
        scheme: LabelScheme,
        calibration: Calibration,
        info: ModelInfo,
        target: Target = "call",
        trained_on_asr: str | None = None,
        said: Mapping[str, str | int | None] | None = None,
    ) -> None:
        """`trained_on_asr`: the engine that wrote the training transcripts; another one now is a warning.

        `said`: what was said of the recordings (channels, rate), on which results depend.
        """
        self.runtime = runtime
        self.pipeline = pipeline
        self.scheme = scheme
        self.calibration = calibration
        self.info = info
        self.target: Target = target
        self.trained_on_asr = trained_on_asr
        self.settings_sha256 = settings_hash(pipeline, said or {})

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        *,
        asr: str | None = None,
        threads: int | None = None,
        diarizer: str | None = None,
        redact: bool = False,
        said: Mapping[str, str | int | None] | None = None,
    ) -> Scorer:
        """A scorer of a bundle.

        `asr`: engine for calls without transcript; None is the built-in one. `diarizer`: None is the bundle's.
        Either: 'none' is none.
        `redact`: take personal numbers and addresses out of the text even if the model was trained with them.
        """
        from callsift.scoring.runtime import OnnxRuntime

        front_end = bundle.front_end.model_copy(update={"redact": True}) if redact else bundle.front_end
        return cls(
            runtime=OnnxRuntime(bundle, threads),
            pipeline=Pipeline.from_files(front_end, bundle.tokenizer, asr=asr, diarizer=diarizer),
            scheme=bundle.scheme,
            calibration=bundle.calibration,
            info=bundle.info,
            target=bundle.target,
            trained_on_asr=bundle.provenance.get("asr"),
            said=said,
        )

    def score(self, call: Call, moments: int = 0, of: Collection[int] = ()) -> CallScore:
        """Score a call. Whatever is wrong with the call itself comes back as its `error`, never raised.

        `moments`: for how many segments, those that count most, it is told which words, sounds and pauses count; where
        it is above 0, also what each segment and each stream adds to what is explained. `of`: numbers of the segments
        that are looked into in place of those that count most.
        """
        given = call_sha256(call)  # before a file can change under the work
        try:
            prepared = self.pipeline.prepare(call)
        except Exception as error:
            return self._failed(call, error)
        return replace(self.score_prepared(prepared, moments, of), call_sha256=given)

    def score_prepared(self, prepared: PreparedCall, moments: int = 0, of: Collection[int] = ()) -> CallScore:
        """Score a call that is decoded, transcribed and cut already."""
        try:
            return self._graded(prepared, moments, of)
        except Exception as error:
            return self._failed(prepared.call, error, prepared)

    def vectors(self, prepared: PreparedCall) -> tuple[FloatArray, CallInputs]:
        """The segment vectors (S, D) of a call, and what they were made of.

        Raises:
            RecordingError: `missing_stream`, the call has nothing that the network reads.
            DataError: a stream of the manifest is wrong.
        """
        inputs, _ = self.pipeline.inputs(prepared, tuple(self.runtime.widths))
        return segment_vectors(self.runtime, inputs), inputs

    def quantity(self, vectors: FloatArray) -> Quantity:
        """What evidence explains of a call with these segment vectors (S, D)."""
        return Quantity(self.runtime, self.scheme, self.calibration, vectors, self.target)

    def _graded(self, prepared: PreparedCall, count: int, of: Collection[int]) -> CallScore:
        inputs, notes = self.pipeline.inputs(prepared, tuple(self.runtime.widths))
        about = self._about(prepared.call, prepared)
        moments: Mapping[int, tuple[Moment, ...]] = {}
        if count > 0:
            subsets = subset_vectors(self.runtime, inputs)
            quantity = self.quantity(subsets[streams_of(self.runtime, inputs)])
            about |= {"streams": stream_shares(quantity, subsets), "explained": quantity.explained, "evidence": count}
            moments = moments_of(quantity, self.pipeline, prepared, inputs, of or weightiest(quantity, count))
        else:
            quantity = self.quantity(segment_vectors(self.runtime, inputs))
        warnings = (*prepared.notes, *notes, *self._missing(prepared), *self._other_asr(prepared))
        if self.target == "segment":
            return CallScore(
                **about, segments=segment_evidence(prepared, quantity.verdicts, moments), warnings=warnings
            )
        verdict = quantity.verdicts[0]
        return CallScore(
            **about,
            grade=verdict.grade,
            propensity=verdict.propensity,
            rank_score=verdict.rank_score,
            probabilities=verdict.probabilities,
            raw_probabilities=verdict.raw,
            value=verdict.value,
            segments=segment_evidence(
                prepared, contributions(quantity), moments, quantity.weights if count > 0 else None
            ),
            warnings=warnings,
        )

    def _missing(self, prepared: PreparedCall) -> tuple[Note, ...]:
        """Streams that can't be made from a recording and were not given with the call."""
        given = ("audio",) if self.pipeline.front_end.input == "precomputed" else ()
        needed = [name for name in self.runtime.widths if name not in MADE_STREAMS or name in given]
        return tuple(
            Note(
                WarningCode.MISSING_STREAM,
                f"the model also reads the stream '{name}', which can't be made from a recording: give it in a "
                "manifest (segments: streams). Scored without it.",
            )
            for name in needed
            if not any(name in segment.streams for segment in prepared.segments)
        )

    def _other_asr(self, prepared: PreparedCall) -> tuple[Note, ...]:
        if prepared.asr is None or self.trained_on_asr in (None, prepared.asr):
            return ()
        message = f"text by {prepared.asr}; the model was trained on text by {self.trained_on_asr}"
        return (Note(WarningCode.OTHER_ASR, message),)

    def _failed(self, call: Call, error: Exception, prepared: PreparedCall | None = None) -> CallScore:
        """The result of a call that can't be scored: its error in words, the traceback in the log only."""
        if isinstance(error, RecordingError):
            code, message = error.code, str(error)
        elif isinstance(error, MemoryError):
            code, message = ErrorCode.OUT_OF_MEMORY, "not enough memory for this call; score it alone"
        elif isinstance(error, DataError):
            code, message = ErrorCode.BAD_TRANSCRIPT, str(error)
        elif isinstance(error, CallsiftError):  # a part that is set up wrongly, not the call's fault
            code, message = ErrorCode.INTERNAL, str(error)
        else:
            logger.debug("unexpected error in %s", call.call_id, exc_info=error)
            code = ErrorCode.INTERNAL
            message = f"unexpected {type(error).__name__}: {error}. Run with --debug for the traceback."
        notes = prepared.notes if prepared is not None else ()
        return CallScore(**self._about(call, prepared), warnings=notes, error=(code, message))

    def _about(self, call: Call, prepared: PreparedCall | None) -> dict[str, Any]:
        waveform = None if prepared is None else prepared.waveform
        return {
            "call_id": call.call_id,
            "path": None if call.audio is None else printable(call.audio),
            "audio_sha256": None if prepared is None else prepared.audio_sha256,
            "duration_s": None if waveform is None else waveform.duration_s,
            "language": call.language if prepared is None else prepared.language,
            "model": self.info,
            "settings_sha256": self.settings_sha256,
        }


def printable(path: Path | str) -> str:
    """A path as text that UTF-8 can hold: bytes of a name in another encoding become `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def settings_hash(pipeline: Pipeline, said: Mapping[str, str | int | None]) -> str:
    """Hash of everything besides the model that a result depends on; engines by their whole specifications."""
    return sha256_of_json(
        {
            "front_end": pipeline.front_end.sha256,
            **pipeline.parts,
            "said": {name: value for name, value in said.items() if value is not None},
            "result": RESULT_VERSION,
        }
    )


def result_row(score: CallScore) -> dict[str, Any]:
    """A CallScore as a line of the JSONL output (format fixed in docs/formats.md)."""
    error = None if score.error is None else {"code": score.error[0].value, "message": score.error[1]}
    row: dict[str, Any] = {
        "schema_version": RESULT_VERSION,
        "call_id": score.call_id,
        "path": score.path,
        "audio_sha256": score.audio_sha256,
        "call_sha256": score.call_sha256,
        "duration_s": round_or_none(score.duration_s, 3),
        "language": score.language,
        "model": {"name": score.model.name, "version": score.model.version, "sha256": score.model.sha256},
        "settings_sha256": score.settings_sha256,
        "grade": score.grade,
        "value": round_or_none(score.value, 6),
        "propensity": round_or_none(score.propensity, 6),
        "rank_score": round_or_none(score.rank_score, 6),
        "probabilities": {task: rounded(found) for task, found in score.probabilities.items()},
        "segments": [segment_row(segment) for segment in score.segments],
        "warnings": [{"code": note.code.value, "message": note.message} for note in score.warnings],
        "error": error,
    }
    if score.evidence:
        row |= {"evidence": score.evidence, "explained": score.explained}
    if score.streams:
        row["streams"] = rounded(score.streams)
    return row
