"""The built-in English fallback: CMU PocketSphinx, whose wheel carries its model. Offline and light, but poor on
spontaneous telephone speech; any better engine or transcript should be preferred.

The search is narrowed: one pass (no flat lexicon search), the two best of each codebook's Gaussians, at most
3000 states and 20 words a frame, then the best path through the lattice. On one core a second of speech takes
0.11 s instead of 0.64 s with the defaults, and three flite voices at 8 kHz mu-law (195 words) are understood
no worse: word error rate 0.17 against 0.19.

The engine keeps nothing from one span to the next, so results don't depend on order. That needs the decoder's noise
removal to be off, which carries its estimate along and costs words: on the reporting half of `benchmarks/asr_wer.py`
(three flite voices, 861 words) the word error rate is 0.20 without it and 0.25 with it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pocketsphinx

from callsift.asr.parts import parts, spoken_language
from callsift.audio.features import resample
from callsift.plugins import AsrText
from callsift.types import FloatArray, Signal, Span

RATE_HZ = 16000
"""The model's rate; its upper bands stay empty for telephone audio."""

MAX_DECODED_S = 15.0
"""Longer spans are decoded in parts, cut where it is quietest, so that memory and delay stay flat."""

_FULL_SCALE = 32767
_SEARCH = {"fwdflat": False, "bestpath": True, "maxhmmpf": 3000, "maxwpf": 20, "topn": 2}
_FILLER = re.compile(r"^(<.*>|\[.*\]|\+\+.*\+\+)$")
_VARIANT = re.compile(r"\(\d+\)$")


class PocketsphinxEngine:
    """English speech → lower-case words without punctuation. One instance serves one thread."""

    name = "pocketsphinx"
    model = ""
    languages: tuple[str, ...] = ("en",)

    def __init__(self) -> None:
        self._loaded: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """The native decoder can't travel to another process; it is loaded there again."""
        return {"_loaded": None}

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        """The text of every span of one channel (T,), one entry per span, '' where no word is heard.

        `confidence`: the mean posterior probability of the words.

        Raises:
            RecordingError: `asr_failed`, the language is not English.
        """
        spoken_language(language, self.languages, self.name)
        heard = []
        for span in spans:
            words: list[tuple[str, float]] = []
            for part in parts(samples, rate_hz, span, MAX_DECODED_S):
                words += self._words(resample(part, rate_hz, RATE_HZ))
            confidence = sum(probability for _, probability in words) / len(words) if words else None
            text = " ".join(word for word, _ in words)
            heard.append(AsrText(span.start_s, span.end_s, text, confidence))
        return tuple(heard)

    @property
    def _decoder(self) -> Any:
        if self._loaded is None:
            # The native code writes its log to stderr, failed searches included.
            config = pocketsphinx.Config(**_SEARCH, loglevel="FATAL", logfn=os.devnull)
            decoder = pocketsphinx.Decoder(config)
            # Only now, as the model's own settings override those above. It carries what it takes for noise from
            # one stretch to the next, and costs words.
            decoder.config["remove_noise"] = False
            decoder.reinit_feat()
            self._loaded = decoder
        return self._loaded

    def _words(self, samples: FloatArray) -> list[tuple[str, float]]:
        """Words and their posterior probabilities in one stretch (T,) at `RATE_HZ`."""
        pcm = (np.clip(samples, -1, 1) * _FULL_SCALE).astype("<i2").tobytes()
        decoder = self._decoder
        decoder.start_utt()
        # full_utt: the spectral mean is taken over this stretch alone, not carried over from earlier ones.
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
        return [
            (_VARIANT.sub("", word.word), min(1.0, float(word.prob)))
            for word in decoder.seg() or ()
            if not _FILLER.match(word.word)
        ]
