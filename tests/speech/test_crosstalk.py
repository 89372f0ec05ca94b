"""The other side's leak is no speech of this side."""

from __future__ import annotations

import numpy as np

from callsift.speech.crosstalk import without_leak
from callsift.speech.spans import total_s, within
from callsift.types import Span


def test_what_is_no_louder_than_the_leak_goes_and_ones_own_voice_stays() -> None:
    """Levels by hand: own voice 2–4 s at −20 dB, the other's 6–9 s at −20 dB, leaking in at −15 dB; both at 7–8 s."""
    own, other = np.full(1000, -70.0, np.float32), np.full(1000, -70.0, np.float32)
    own[200:400] = -20
    other[600:900] = -20
    own[600:900] = -35
    own[700:800] = -20
    heard = (Span(1.9, 4.1), Span(5.9, 9.1))
    kept = without_leak(heard, own, other, -15.0)
    assert total_s(within(kept, 2.0, 4.0)) > 1.95
    assert total_s(within(kept, 7.0, 8.0)) > 0.9
    assert total_s(within(kept, 6.1, 6.9)) == 0.0
    assert total_s(within(kept, 8.1, 8.9)) == 0.0


def test_an_echo_that_comes_late_goes_too() -> None:
    other = np.full(1000, -70.0, np.float32)
    other[300:500] = -20
    own = np.full(1000, -70.0, np.float32)
    own[312:512] = -35
    assert without_leak((Span(3.0, 5.2),), own, other, -15.0) == ()


def test_silence_has_nothing_to_lose() -> None:
    levels = np.full(100, -70.0, np.float32)
    assert without_leak((), levels, levels, -20.0) == ()
