"""Samples as a decoder gives them: checked block by block, and kept on disk where they are many."""

from __future__ import annotations

import numpy as np

from callsift.audio.spool import Spool
from callsift.errors import ErrorCode, RecordingError, WarningCode
from callsift.types import FloatArray, Note, Samples

MAX_BAD_SHARE = 0.01
"""Up to this share of samples that are not numbers (NaN, infinity) is repaired, more is refused."""

MAX_LEVEL = np.float32(2.0**31)
"""Full scale is 1; integers stored as floats reach 2^31 at most. Beyond is damage, and counts as not a number."""

RATES_HZ = range(2000, 384001)
"""Sampling rates that a header may state without being taken for damaged."""


class Collector:
    """What is known of one recording while it is decoded."""

    def __init__(self, name: str) -> None:
        """`name`: of the file, for messages."""
        self.name = name
        self.rate_hz = 0
        self.broke_off = False
        """Whether the data ended before it should, or was damaged on the way."""
        self._rows = Spool(1, f"'{name}'")
        self._bad = 0

    def __len__(self) -> int:
        """Samples per channel so far."""
        return len(self._rows)

    def accepts(self, rate_hz: int, channels: int, expected: int = 0) -> bool:
        """Whether sound of this kind can follow; the first decides. `expected`: its samples per channel, if known.

        Raises:
            RecordingError: `not_audio`, no recorder has such a rate.
        """
        if rate_hz not in RATES_HZ:
            message = f"'{self.name}' declares a rate of {rate_hz} Hz: its header is damaged. Export it again."
            raise RecordingError(ErrorCode.NOT_AUDIO, message)
        if not len(self):
            self.rate_hz = rate_hz
            hours = f", {expected / rate_hz / 3600:.1f} h" if expected else ""
            what = f"'{self.name}' ({channels} channel{'s' if channels > 1 else ''} at {rate_hz} Hz{hours})"
            self._rows = Spool(channels, what, expected)
        return rate_hz == self.rate_hz and channels == self._rows.width

    def add(self, block: FloatArray) -> None:
        """The next samples (n, C); those that are not numbers are set to 0 and counted.

        Raises:
            RecordingError: `out_of_memory`, no room for them.
        """
        good = np.abs(block) <= MAX_LEVEL  # False for NaN
        if not good.all():
            self._bad += block.size - int(np.count_nonzero(good))
            block = np.where(good, block, np.float32(0))
        self._rows.append(block)

    def finish(self) -> tuple[Samples, tuple[Note, ...]]:
        """Samples (C, T), and a note where some were repaired.

        Raises:
            RecordingError: `bad_samples`, too many were not numbers.
        """
        if not self._bad:
            return self._rows.samples(), ()
        share = self._bad / (len(self._rows) * self._rows.width)
        if share > MAX_BAD_SHARE:
            message = (
                f"'{self.name}' holds {self._bad} samples ({share:.1%}) that are not numbers (NaN or infinity); "
                f"at most {MAX_BAD_SHARE:.0%} can be repaired. Export it again, e.g. as 16-bit PCM."
            )
            raise RecordingError(ErrorCode.BAD_SAMPLES, message)
        message = f"'{self.name}': {self._bad} samples that are not numbers (NaN or infinity) were set to 0."
        return self._rows.samples(), (Note(WarningCode.REPAIRED_SAMPLES, message),)
