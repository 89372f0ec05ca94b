"""Two sides of a call from synthesised voices, for tests that need speech and no words."""

from __future__ import annotations

import numpy as np

from callsift.types import FloatArray

RATE_HZ = 8000


def two_sides(seconds: float = 24.0, turn_s: float = 2.0) -> tuple[FloatArray, FloatArray]:
    """(T,) of a low and of a high voice that take turns: pulse trains through vowel-like resonances, in syllables."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    rng = np.random.default_rng(7)
    sides = []
    for number, pitch_hz in enumerate((110.0, 210.0)):
        course_hz = pitch_hz * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * times + number))
        phase = np.cumsum(course_hz) / RATE_HZ
        vowel = np.zeros_like(times)
        for harmonic in range(1, int(3600 / (pitch_hz * 1.1))):
            frequency_hz = harmonic * pitch_hz
            strength = sum(
                np.exp(-(((frequency_hz - centre) / width) ** 2)) * gain
                for centre, width, gain in ((500, 150, 1.0), (1500, 250, 0.5), (2500, 300, 0.25))
            )
            vowel += (strength + 0.02) * np.sin(2 * np.pi * harmonic * phase)
        syllables = np.clip(np.sin(2 * np.pi * 4.2 * times + number), 0, None) ** 0.5
        speaking = ((times // turn_s).astype(int) % 2 == number) & (times % turn_s < turn_s - 0.4)
        voice = 0.1 * vowel * syllables * speaking + rng.normal(0, 1e-4, times.size)
        sides.append(voice.astype(np.float32))
    return sides[0], sides[1]
