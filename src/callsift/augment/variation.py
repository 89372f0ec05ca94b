"""One random variation of a call, audio and text together, that is the same wherever it is made.

All random numbers come from generators seeded by a hash of the seed, the call's id, the variation's number and the name
of what is drawn: never by what was drawn before. So it does not matter which process makes a variation, in which
order, or what else is switched on. (NumPy may change a distribution's numbers between its versions.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from callsift.augment.audio import AudioChoices, draw_choices, vary_audio
from callsift.canonical import canonical_json
from callsift.config.augment import AugmentConfig
from callsift.types import FloatArray, Signal, Turn


@dataclass(frozen=True, slots=True)
class Variation:
    """Variation `number` (1, 2, …) of a call; the same for the same four, in whatever process."""

    config: AugmentConfig
    seed: int
    call_id: str
    number: int

    @property
    def choices(self) -> AudioChoices:
        """What happens to the call's audio."""
        return draw_choices(self.config.audio, partial(self._stream, "choices"))

    def audio(self, signals: Sequence[Signal], rate_hz: int, part: str = "") -> tuple[list[FloatArray], float]:
        """The channels (T,) of a call → as many, changed, (T',) each, and the speed: new times are old / speed.

        T' = T / speed, rounded. `part`: names one of several recordings of a call; all have the same effects at the
        same strength, and noise, silenced stretches and lost packets of their own.

        Raises:
            UsageError: a codec that this libsndfile lacks.
        """
        choices = self.choices
        return vary_audio(choices, signals, rate_hz, partial(self._stream, "audio", part)), choices.speed

    def text(self, segment_id: str, turns: Sequence[Turn], language: str | None) -> tuple[Turn, ...]:
        """The turns of a segment with other texts; as many, in order, by the same people at the same times.

        Raises:
            UsageError: Chinese characters are to be changed and pypinyin is not installed.
        """
        if not self.config.text.on:
            return tuple(turns)
        from callsift.augment.text import vary_turns

        return vary_turns(turns, self.config.text, self._stream("text", segment_id), language)

    def _stream(self, *names: str) -> np.random.Generator:
        return _generator(self.seed, self.call_id, self.number, *names)


def variation_of(config: AugmentConfig, seed: int, call_id: str, epoch: int) -> Variation | None:
    """How a call is taken in an epoch (0, 1, …): by `config.share` varied, else as it is (None).

    With `config.copies` one of so many variations, numbered from 1; without, the one of this epoch alone.
    """
    if not config.on:
        return None
    random = _generator(seed, call_id, epoch, "which")
    if random.random() >= config.share:
        return None
    number = epoch + 1 if config.copies is None else 1 + int(random.integers(config.copies))
    return Variation(config, seed, call_id, number)


def _generator(*key: int | str) -> np.random.Generator:
    digest = hashlib.sha256(canonical_json(key).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
