"""Speech recognition by sherpa-onnx: SenseVoice, Paraformer, Whisper, Zipformer and others, from a folder, offline.

Spans are decoded one by one. Batches of the same work cost the same on a CPU, and 8-bit models quantise a whole batch
by its largest value: a span's text would depend on its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from callsift.asr.parts import at_least_one, fixed_language, joined, parts, spoken_language
from callsift.asr.sherpa_families import find_model
from callsift.audio.features import resample
from callsift.catalogue import model_folder
from callsift.errors import ErrorCode, RecordingError, UsageError
from callsift.plugins import AsrText
from callsift.types import FloatArray, Signal, Span

RATE_HZ = 16000

MAX_DECODED_S = 29.0
"""sherpa-onnx leaves out what a Whisper hears after 29.5 s; other families need memory that grows with the square."""

_SHORTEST_S = 0.4
"""Shorter stretches are filled up with silence: SenseVoice and Paraformer stack 7 frames and read past fewer."""


class SherpaOnnxEngine:
    """Any language its model knows. One instance serves one thread.

    Args:
        model: the model's folder, or the name of a pulled model (`callsift models list`).
        threads: CPU threads.
        kind: the family, where the files don't tell.
        language: assumed whatever the call says, as in `zh`; `auto`: the call's own, else heard by the model.
        use_itn: numbers as digits, and punctuation (SenseVoice).
        int8: 8-bit files even where there are others; smaller, quicker, slightly worse.

    Raises:
        UsageError: no such model, one that sherpa-onnx can't run, or sherpa-onnx is not installed.
    """

    name = "sherpa-onnx"

    def __init__(
        self,
        model: str,
        *,
        threads: int = 1,
        kind: str = "auto",
        language: str = "auto",
        use_itn: bool = True,
        int8: bool = False,
    ) -> None:
        if find_spec("sherpa_onnx") is None:
            raise UsageError('the engine sherpa-onnx is not installed; get it with: pip install "callsift[asr]"')
        folder = model_folder(str(model))
        self._found = find_model(folder, kind, int8=int8)
        self.model = folder.name
        self.languages = self._found.languages
        self._language = fixed_language(language, self.languages, self.model)
        self._threads = at_least_one("threads", threads)
        self._use_itn = use_itn
        self._loaded: tuple[str, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """The native recogniser can't travel to another process; it is loaded there again."""
        return self.__dict__ | {"_loaded": None}

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        """The text of every span of one channel (T,), one entry per span, '' where nothing is heard.

        `confidence`: the geometric mean of the tokens' probabilities, None of families that don't give them.

        Raises:
            RecordingError: `asr_failed`, the model does not know the language or can't be loaded.
        """
        spoken = self._language or spoken_language(language, self.languages, self.model)
        recogniser = self._recogniser(spoken or "")
        heard = []
        for span in spans:
            texts: list[str] = []
            log_probabilities: list[float] = []
            for part in parts(samples, rate_hz, span, MAX_DECODED_S):
                result = _decoded(recogniser, resample(part, rate_hz, RATE_HZ))
                texts.append(result.text)
                log_probabilities += getattr(result, "ys_log_probs", ())
            text = joined(texts)
            heard.append(AsrText(span.start_s, span.end_s, text, _confidence(log_probabilities) if text else None))
        return tuple(heard)

    def _recogniser(self, language: str) -> Any:
        """The recogniser for a language ('': to be heard), which is fixed when it is made; one at a time is kept."""
        family = self._found.family
        language = language if family.takes_language else ""
        if self._loaded is None or self._loaded[0] != language:
            import sherpa_onnx

            self._loaded = None  # the memory of one model at a time
            options: dict[str, Any] = {"num_threads": self._threads, **family.options}
            if family.takes_language:
                options["language"] = language
            if family.takes_itn:
                options["use_itn"] = self._use_itn
            files = {family.files[role]: str(path) for role, path in self._found.files.items()}
            make = getattr(sherpa_onnx.OfflineRecognizer, family.constructor)
            try:
                self._loaded = language, make(tokens=str(self._found.tokens), **files, **options)
            except (RuntimeError, ValueError, AssertionError) as error:
                raise RecordingError(ErrorCode.ASR_FAILED, f"sherpa-onnx can't load {self.model}: {error}") from error
        return self._loaded[1]


def _decoded(recogniser: Any, samples: FloatArray) -> Any:
    """sherpa-onnx's result for one stretch (T,) at `RATE_HZ`."""
    missing = round(_SHORTEST_S * RATE_HZ) - samples.size
    stream = recogniser.create_stream()
    stream.accept_waveform(RATE_HZ, np.pad(samples, (0, max(0, missing))))
    recogniser.decode_stream(stream)
    return stream.result


def _confidence(log_probabilities: Sequence[float]) -> float | None:
    if not log_probabilities:
        return None
    return min(1.0, math.exp(sum(log_probabilities) / len(log_probabilities)))
