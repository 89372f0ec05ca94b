"""Channels that are not what they seem. The signals are made here, so what is wrong with them is known."""

from __future__ import annotations

import numpy as np
import pytest

from callsift.audio.health import examine, mended, notes_on
from callsift.types import FloatArray, Waveform

RATE_HZ = 8000


def _talk(seed: int, seconds: float = 40.0, gain: float = 0.2) -> tuple[FloatArray, FloatArray]:
    """Two sides (T,) that take turns of about 2 s: noise whose loudness goes up and down as syllables do."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sides = []
    for side in (0, 1):
        syllables = (
            np.abs(np.sin(2 * np.pi * (2.3 + 0.4 * side) * times + side)) ** 2
            * rng.uniform(0.3, 1.0, size=40).repeat(times.size // 40 + 1)[: times.size]
        )
        speaking = (times // 2.0).astype(int) % 2 == side
        voice = rng.standard_normal(times.size) * syllables * speaking * gain
        sides.append((voice + rng.standard_normal(times.size) * 1e-4).astype(np.float32))
    return sides[0], sides[1]


def _waveform(*channels: FloatArray) -> Waveform:
    return Waveform(np.stack(channels).astype(np.float32), RATE_HZ)


def _codes(waveform: Waveform) -> list[str]:
    return [note.code.value for note in notes_on(examine(waveform))]


def test_two_people_on_two_channels_are_left_alone() -> None:
    waveform = _waveform(*_talk(1))
    health = examine(waveform)
    assert notes_on(health) == ()
    assert health.live == (0, 1)
    assert mended(waveform, health) is waveform


@pytest.mark.parametrize(("gain", "shift"), [(1.0, 0), (0.25, 0), (-1.0, 0), (0.7, 60)])
def test_copies_are_one_channel_whatever_their_gain_and_shift(gain: float, shift: int) -> None:
    mix = sum(_talk(2))
    copy = gain * np.roll(mix, shift) + np.random.default_rng(0).normal(0, 1e-4, mix.size)
    waveform = _waveform(copy.astype(np.float32), mix)
    health = examine(waveform)
    assert health.identical
    assert _codes(waveform) == ["identical_channels"]
    one = mended(waveform, health)
    assert one.channels == 1
    louder = waveform.samples[health.live[0], :]
    np.testing.assert_array_equal(one.samples[0, :], louder)
    if abs(gain) < 1:
        assert health.live == (1,)


@pytest.mark.parametrize("level", [0.0, 1e-5])
def test_a_dead_channel_is_left_out(level: float) -> None:
    mix = sum(_talk(3))
    dead = np.random.default_rng(0).normal(0, level, mix.size) if level else np.zeros_like(mix)
    waveform = _waveform(dead.astype(np.float32), mix)
    health = examine(waveform)
    assert health.dead == (0,)
    assert _codes(waveform) == ["dead_channel"]
    np.testing.assert_array_equal(mended(waveform, health).samples[0, 100:200], waveform.samples[1, 100:200])


def test_silence_on_all_channels_is_nobodys_fault() -> None:
    waveform = _waveform(np.zeros(RATE_HZ), np.zeros(RATE_HZ))
    health = examine(waveform)
    assert health.dead == ()
    assert health.live == (0, 1)
    assert not health.identical


def test_a_constant_is_taken_out() -> None:
    left, right = _talk(4)
    waveform = _waveform(left + np.float32(0.05), right)
    assert _codes(waveform) == ["dc_offset"]
    without = mended(waveform, examine(waveform))
    assert abs(float(without.samples[0, :].mean())) < 1e-5
    np.testing.assert_allclose(without.samples[:, 1000:2000], waveform.samples[:, 1000:2000] - [[0.05], [0]], atol=1e-3)
    np.testing.assert_array_equal(without.samples[1, 50:60], waveform.samples[1, 50:60])


def test_clipping_is_reported_and_loudness_is_not() -> None:
    left, right = _talk(5, gain=2.0)
    assert _codes(_waveform(np.clip(left, -0.8, 0.8), right)) == ["clipping"]
    assert _codes(_waveform(left / 8, right / 8)) == []


@pytest.mark.parametrize("leak_db", [-8, -15, -25, -35])
@pytest.mark.parametrize("delay_s", [0.0, 0.04, 0.12])
def test_the_level_of_a_leak_is_found(leak_db: float, delay_s: float) -> None:
    left, right = _talk(6)
    echo = np.roll(right, round(delay_s * RATE_HZ)) * np.float32(10 ** (leak_db / 20))
    waveform = _waveform(left + echo, right)
    health = examine(waveform)
    assert health.channels[0].leak_db == pytest.approx(leak_db, abs=2.0)
    assert health.channels[1].leak_db is None
    assert not health.identical
    assert _codes(waveform) == ["crosstalk"]


def test_levels_are_those_of_10_ms_frames() -> None:
    times = np.arange(RATE_HZ) / RATE_HZ
    sine = np.sqrt(2) * 0.1 * np.sin(2 * np.pi * 400 * times)
    levels = examine(Waveform(sine[None].astype(np.float32), RATE_HZ)).levels_db
    assert levels.shape == (1, 100)
    np.testing.assert_allclose(levels, -20.0, atol=0.01)


def test_a_customer_who_says_three_words_is_not_dead() -> None:
    """0.5 s in 40 s, beside digital silence: far below every percentile, and still somebody."""
    left, _ = _talk(7)
    right = np.zeros_like(left)
    right[80000:84000] = left[:4000] / 4
    assert np.abs(right).max() > 0.01
    health = examine(_waveform(left, right))
    assert health.dead == ()
    assert health.live == (0, 1)


def test_a_click_is_no_voice() -> None:
    left, _ = _talk(8)
    right = np.zeros_like(left)
    right[1000:1010] = 0.5
    assert examine(_waveform(left, right)).dead == (1,)


@pytest.mark.parametrize("kind", ["noise", "hum"])
@pytest.mark.parametrize("level", [0.003, 0.01, 0.03])
def test_noise_and_hum_leak_into_nothing(kind: str, level: float) -> None:
    left, _ = _talk(9)
    times = np.arange(left.size) / RATE_HZ
    noise = np.random.default_rng(0).standard_normal(left.size)
    steady = level * (noise if kind == "noise" else np.sin(2 * np.pi * 50 * times))
    assert [channel.leak_db for channel in examine(_waveform(left, steady.astype(np.float32))).channels] == [None, None]


def test_beside_two_copies_a_third_channel_stays() -> None:
    left, right = _talk(10)
    health = examine(_waveform(left, left / 2, right))
    assert health.identical
    assert health.live == (0, 2)


def test_silence_and_soft_hum_are_not_clipped() -> None:
    left, _ = _talk(11)
    hum = (0.01 * np.sign(np.sin(2 * np.pi * 50 * np.arange(left.size) / RATE_HZ))).astype(np.float32)
    assert [channel.clipped_share for channel in examine(_waveform(np.zeros_like(left), hum)).channels] == [0.0, 0.0]
