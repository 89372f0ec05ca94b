"""Speakers by trained models: sherpa-onnx with a pyannote segmentation and a speaker embedding model from files.

Both models are the user's own (sherpa-onnx publishes converted ones among its releases, «speaker-segmentation-models»
and «speaker-recongition-models»); nothing is downloaded. The library takes a channel as a whole: 230 MB an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from callsift.audio.blocks import resampled
from callsift.catalogue import model_file
from callsift.errors import UsageError
from callsift.plugins import Diarization
from callsift.speech.spans import joined, total_s, within
from callsift.types import FloatArray, Signal, Span

MOST_SPEAKERS = 2
"""A sales call has two; of more, those who speak least are left out."""


class SherpaDiarizer:
    """Tells speakers apart by trained voice embeddings."""

    name = "sherpa-onnx"

    def __init__(
        self,
        segmentation: str = "",
        embedding: str = "",
        threads: int = 1,
        num_speakers: int = 2,
        threshold: float = 0.5,
    ) -> None:
        """`segmentation`, `embedding`: ONNX files. `num_speakers`: how many there are; 0: as many as lie at least
        `threshold` apart, in cosine distance.

        Raises:
            UsageError: a file that isn't there, a number out of range, sherpa-onnx is not installed, or can't use the
                models.
        """
        self._segmentation = _model("segmentation", segmentation)
        self._embedding = _model("embedding", embedding)
        if threads < 1:
            raise UsageError(f"diarizer sherpa-onnx: threads is {threads}; give 1 or more")
        if num_speakers < 0:
            raise UsageError(f"diarizer sherpa-onnx: num_speakers is {num_speakers}; give 2, or 0 to go by threshold")
        self._threads, self._num_speakers, self._threshold = threads, num_speakers, threshold
        if find_spec("sherpa_onnx") is None:
            raise UsageError('the diarizer sherpa-onnx is not installed; get it with: pip install "callsift[asr]"')
        self._loaded: Any = self._load()  # now: models of no use are to be found out before the first call

    def __getstate__(self) -> dict[str, Any]:
        """The native models can't travel to another process; they are loaded there again."""
        return {**self.__dict__, "_loaded": None}

    def diarize(self, samples: Signal, rate_hz: int, speech: Sequence[Span]) -> Diarization:
        """Speakers of the speech (in order, disjoint) in one channel (T,): the two who speak most.

        `confidence`: the share of the speech that the models give to exactly one of the two.
        """
        if not speech:
            return Diarization((), 0.0)
        if self._loaded is None:
            self._loaded = self._load()
        diarizer = self._loaded
        parts: list[FloatArray] = list(resampled(samples, rate_hz, diarizer.sample_rate))
        found = diarizer.process(np.concatenate(parts)).sort_by_start_time()
        said: dict[int, list[Span]] = {}
        for each in found:
            said.setdefault(each.speaker, []).append(Span(each.start, each.end))
        return _of_speech(list(said.values()), speech)

    def _load(self) -> Any:
        import sherpa_onnx

        config = sherpa_onnx.OfflineSpeakerDiarizationConfig(
            segmentation=sherpa_onnx.OfflineSpeakerSegmentationModelConfig(
                pyannote=sherpa_onnx.OfflineSpeakerSegmentationPyannoteModelConfig(model=str(self._segmentation)),
                num_threads=self._threads,
            ),
            embedding=sherpa_onnx.SpeakerEmbeddingExtractorConfig(
                model=str(self._embedding), num_threads=self._threads
            ),
            clustering=sherpa_onnx.FastClusteringConfig(
                num_clusters=self._num_speakers or -1, threshold=self._threshold
            ),
        )
        try:
            return sherpa_onnx.OfflineSpeakerDiarization(config)
        except Exception as error:
            raise UsageError(
                f"diarizer sherpa-onnx can't use segmentation={self._segmentation} with "
                f"embedding={self._embedding}: {' '.join(str(error).split())}. Give models converted for sherpa-onnx."
            ) from error


def _model(option: str, path: str) -> Path:
    """The file that an option names."""
    if not path:
        raise UsageError(
            f"diarizer sherpa-onnx needs {option}: an ONNX model converted for sherpa-onnx. "
            "Write sherpa-onnx,segmentation=FILE.onnx,embedding=FILE.onnx."
        )
    return model_file(path, option)


def _of_speech(said: Sequence[Sequence[Span]], speech: Sequence[Span]) -> Diarization:
    """What of each speaker's spans is speech: the two who speak most, in order of first speech."""
    own = [_both(joined(spans), speech) for spans in said]
    most = sorted((spans for spans in own if spans), key=total_s, reverse=True)[:MOST_SPEAKERS]
    if not most:
        return Diarization((tuple(speech),), 0.0)
    most.sort(key=lambda spans: spans[0].start_s)
    overlap_s = total_s(_both(most[0], most[1])) if len(most) > 1 else 0.0
    alone_s = sum(map(total_s, most)) - 2 * overlap_s
    return Diarization(tuple(most), min(1.0, max(0.0, alone_s / total_s(speech))))


def _both(spans: Sequence[Span], others: Sequence[Span]) -> tuple[Span, ...]:
    """Where both are; each in order and disjoint."""
    return tuple(part for other in others for part in within(spans, other.start_s, other.end_s))
