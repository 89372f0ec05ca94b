"""Speech recognition by faster-whisper (Whisper in CTranslate2), from a folder, offline.

Whisper writes words where nobody speaks and falls into loops. Against it: it hears spans of speech only, each by itself
(nothing said earlier is its prompt), greedily in temperature, as one text without timestamps. Whisper's own thresholds
(Radford et al. 2022, section 4.5) discard what is probably no speech; a text that compresses too well to be speech is
decoded once more with repetitions forbidden.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from callsift.asr.parts import at_least_one, fixed_language, joined, parts, spoken_language
from callsift.audio.features import resample
from callsift.catalogue import model_folder
from callsift.errors import ErrorCode, RecordingError, UsageError
from callsift.plugins import AsrText
from callsift.types import FloatArray, Signal, Span

RATE_HZ = 16000

MAX_DECODED_S = 30.0
"""Whisper's window."""

SIMPLIFIED_PROMPT = "以下是普通话的句子。"
"""Makes Whisper write Mandarin in simplified characters and with punctuation."""

NO_SPEECH_THRESHOLD = 0.6
LOG_PROBABILITY_THRESHOLD = -1.0
COMPRESSION_THRESHOLD = 2.4
_FORBIDDEN_REPEAT = 5
_PUNCTUATION = " 。，！？.,!?"


class FasterWhisperEngine:
    """Any of Whisper's languages, English alone for models that end in .en. One instance serves one thread.

    Args:
        model: the folder of a CTranslate2 Whisper, or the name of a pulled model (`callsift models list`).
        device: `cpu`, `cuda` or `auto`.
        compute_type: numbers it computes in: `int8`, `float32`, on a GPU `float16`, …
        threads: CPU threads.
        beam_size: how many texts are followed at once; 1 is quickest.
        language: assumed whatever the call says, as in `zh`; `auto`: the call's own, else heard in its longest spans.
        initial_prompt: a text in the style wanted; `auto`: simplified characters for Mandarin; empty for none.

    Raises:
        UsageError: no such model, an incomplete one, or faster-whisper is not installed.
    """

    name = "faster-whisper"

    def __init__(
        self,
        model: str,
        *,
        device: str = "cpu",
        compute_type: str = "int8",
        threads: int = 1,
        beam_size: int = 5,
        language: str = "auto",
        initial_prompt: str | None = "auto",
    ) -> None:
        if find_spec("faster_whisper") is None:
            raise UsageError('the engine faster-whisper is not installed; get it with: pip install "callsift[asr]"')
        self._folder = model_folder(str(model))
        self.languages = _languages(self._folder)
        self.model = self._folder.name
        self._language = fixed_language(language, self.languages, self.model)
        self._prompt = initial_prompt
        self._beam_size = at_least_one("beam_size", beam_size)
        threads = at_least_one("threads", threads)
        self._options = {"device": device, "compute_type": compute_type, "cpu_threads": threads}
        self._loaded: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """The native model can't travel to another process; it is loaded there again."""
        return self.__dict__ | {"_loaded": None}

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        """The text of every span of one channel (T,), one entry per span, '' where nothing is heard.

        `confidence`: the geometric mean of the tokens' probabilities. Of a call in an unknown language one is heard in
        the channel's longest spans and taken for all.

        Raises:
            RecordingError: `asr_failed`, the model does not know the language or can't be loaded.
        """
        if not spans:
            return ()
        spoken = self._language or spoken_language(language, self.languages, self.model)
        if spoken is not None and spoken not in self._whisper.supported_languages:
            message = f"{self.model} does not know '{spoken}'. Give a transcript or another engine."
            raise RecordingError(ErrorCode.ASR_FAILED, message)
        spoken = spoken or self._heard_language(samples, rate_hz, spans)
        return tuple(self._text(samples, rate_hz, span, spoken) for span in spans)

    def _text(self, samples: Signal, rate_hz: int, span: Span, language: str) -> AsrText:
        texts, log_probability_s, duration_s = [], 0.0, 0.0
        for part in parts(samples, rate_hz, span, MAX_DECODED_S):
            for segment in self._segments(resample(part, rate_hz, RATE_HZ), language):
                texts.append(segment.text)
                log_probability_s += segment.avg_logprob * part.size / rate_hz
                duration_s += part.size / rate_hz
        text = joined(texts)
        confidence = min(1.0, math.exp(log_probability_s / duration_s)) if text else None
        return AsrText(span.start_s, span.end_s, text, confidence)

    def _segments(self, samples: FloatArray, language: str) -> Iterator[Any]:
        """What Whisper hears in one stretch (T,) at `RATE_HZ`, without the prompt that it may repeat on no speech."""
        prompt = (SIMPLIFIED_PROMPT if language == "zh" else None) if self._prompt == "auto" else self._prompt
        found = self._decoded(samples, language, prompt)
        if any(segment.compression_ratio > COMPRESSION_THRESHOLD for segment in found):
            found = self._decoded(samples, language, prompt, no_repeat_ngram_size=_FORBIDDEN_REPEAT)
        for segment in found:
            if not prompt or segment.text.strip(_PUNCTUATION) != prompt.strip(_PUNCTUATION):
                yield segment

    def _decoded(self, samples: FloatArray, language: str, prompt: str | None, **options: Any) -> list[Any]:
        segments, _ = self._whisper.transcribe(
            samples,
            language=language,
            beam_size=self._beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            initial_prompt=prompt or None,
            without_timestamps=True,
            vad_filter=False,
            no_speech_threshold=NO_SPEECH_THRESHOLD,
            log_prob_threshold=LOG_PROBABILITY_THRESHOLD,
            compression_ratio_threshold=COMPRESSION_THRESHOLD,
            **options,
        )
        return list(segments)

    def _heard_language(self, samples: Signal, rate_hz: int, spans: Sequence[Span]) -> str:
        """The language of the longest spans, as many as fill Whisper's window."""
        if not self._whisper.model.is_multilingual:
            return "en"
        heard: list[FloatArray] = []
        for span in sorted(spans, key=lambda span: -span.duration_s):
            heard += [resample(part, rate_hz, RATE_HZ) for part in parts(samples, rate_hz, span, MAX_DECODED_S)]
            if sum(part.size for part in heard) >= MAX_DECODED_S * RATE_HZ:
                break
        if not heard:
            return "en"
        language, _, _ = self._whisper.detect_language(np.concatenate(heard))
        return str(language)

    @property
    def _whisper(self) -> Any:
        if self._loaded is None:
            import faster_whisper

            try:
                self._loaded = faster_whisper.WhisperModel(str(self._folder), local_files_only=True, **self._options)
            except (RuntimeError, ValueError) as error:
                raise RecordingError(
                    ErrorCode.ASR_FAILED, f"faster-whisper can't load {self.model}: {error}"
                ) from error
        return self._loaded


def _languages(folder: Path) -> tuple[str, ...]:
    """English of a model that knows no other; empty: all of Whisper's, of which CTranslate2 tells by an empty token.

    Raises:
        UsageError: a file is missing.
    """
    vocabulary = next(
        (folder / name for name in ("vocabulary.json", "vocabulary.txt") if (folder / name).is_file()), None
    )
    needed = ("model.bin", "config.json", "tokenizer.json")
    missing = [name for name in needed if not (folder / name).is_file()] + (
        ["vocabulary.json"] if not vocabulary else []
    )
    if missing or vocabulary is None:
        raise UsageError(
            f"{folder} is no complete faster-whisper model, it lacks {', '.join(missing)}; "
            "callsift models list shows models to pull"
        )
    content = vocabulary.read_text("utf-8")
    tokens = json.loads(content) if vocabulary.suffix == ".json" else content.removesuffix("\n").split("\n")
    return () if "" in tokens else ("en",)
