"""Each effect does what it says, at any length. Pitches and levels follow from how the signals are made."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from callsift.augment.audio import AudioChoices, vary_audio
from callsift.augment.codecs import through_codec
from callsift.augment.effects import (
    BAND_HZ,
    active_power,
    drawn_losses,
    drawn_stretches,
    silenced,
    telephone_band,
    with_gain,
    with_noise,
    without_packets,
)
from callsift.augment.stretch import stretch, stretched_length
from callsift.config.augment import Codec
from callsift.types import FloatArray
from tests.pipeline.voices import two_sides

LOW, HIGH = two_sides(8.0)
ALL = AudioChoices(
    speed=1.1, noise_snr_db=10.0, gain_db=-6.0, band=True, codec="gsm", packets_share=0.05, mask_share=0.1
)
CODECS: tuple[Codec, ...] = ("ulaw", "alaw", "gsm", "mp3", "opus")


def _random() -> np.random.Generator:
    return np.random.default_rng(5)


def _stream(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


def _tone(frequency_hz: float, seconds: float, rate_hz: int) -> FloatArray:
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.3 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def _peak_hz(samples: FloatArray, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size), 1 << 18))
    return float(spectrum.argmax() * rate_hz / (1 << 18))


def _voice(seconds: float, rate_hz: int, pitch_hz: float = 120.0) -> FloatArray:
    """Harmonics of one pitch below 3 kHz, louder around 500 Hz."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    harmonics = np.arange(1, int(3000 / pitch_hz))
    strengths = np.exp(-np.square((harmonics * pitch_hz - 500) / 400)) + 0.05
    wave = sum(s * np.sin(2 * np.pi * h * pitch_hz * times + h) for h, s in zip(harmonics, strengths, strict=True))
    return np.asarray(0.05 * wave, np.float32)


def _period_s(samples: FloatArray, rate_hz: int) -> float:
    """By autocorrelation, between 50 and 400 Hz, with a parabola through its peak."""
    spectrum = np.fft.rfft(samples, 2 * samples.size)
    correlation = np.fft.irfft(np.square(np.abs(spectrum)))[: samples.size]
    first, last = rate_hz // 400, rate_hz // 50
    at = first + int(correlation[first:last].argmax())
    before, here, after = correlation[at - 1 : at + 2]
    return float(at + 0.5 * (before - after) / (before - 2 * here + after)) / rate_hz


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("factor", [0.8, 0.93, 1.1, 1.5])
def test_speed_leaves_the_pitch(factor: float, rate_hz: int) -> None:
    tone, voice = _tone(200.0, 3.0, rate_hz), _voice(3.0, rate_hz)
    both = stretch(np.stack([tone, voice]), factor, rate_hz)
    assert both.shape == (2, stretched_length(tone.size, factor))
    assert abs(both.shape[1] / rate_hz - 3.0 / factor) < 0.001
    alone = stretch(voice[None], factor, rate_hz)[0]
    assert _period_s(alone, rate_hz) == pytest.approx(1 / 120, rel=0.01)
    tone_alone = stretch(tone[None], factor, rate_hz)[0]
    assert _peak_hz(tone_alone, rate_hz) == pytest.approx(200.0, rel=0.01)
    inside = tone_alone[rate_hz // 5 : -rate_hz // 5]
    assert np.sqrt(np.square(inside).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_speed_moves_onsets_and_does_not_smear_them(factor: float) -> None:
    starts_s = np.arange(0.5, 7.5, 0.7)
    samples = np.zeros(8 * 8000, np.float32)
    for start_s in starts_s:
        first = round(start_s * 8000)
        samples[first : first + 1600] = _voice(0.2, 8000)
    found = stretch(samples[None], factor, 8000)[0]
    for start_s in starts_s:
        at = start_s / factor
        before = found[round((at - 0.1) * 8000) : round((at - 0.025) * 8000)]
        after = found[round((at + 0.025) * 8000) : round((at + 0.1) * 8000)]
        assert np.abs(before).max() < 1e-3
        assert np.abs(after).max() > 0.05


def test_channels_stay_together() -> None:
    both = stretch(np.stack([LOW, -0.5 * LOW]), 1.07, 8000)
    np.testing.assert_allclose(both[1], -0.5 * both[0], atol=1e-6)


def test_noise_is_as_far_below_speech_as_asked_and_pauses_do_not_count() -> None:
    speech = np.concatenate([_voice(2.0, 8000), np.zeros(6 * 8000, np.float32)])
    for snr_db in (0.0, 10.0, 25.0):
        noise = with_noise(speech, 8000, snr_db, _random()) - speech
        found_db = 10 * np.log10(np.square(speech[:16000]).mean() / np.square(noise).mean())
        assert found_db == pytest.approx(snr_db, abs=0.3)
    assert not with_noise(np.zeros(8000, np.float32), 8000, 5.0, _random()).any()


def test_line_noise_and_a_click_are_no_speech() -> None:
    speech = np.concatenate([_voice(3.0, 8000), np.zeros(5 * 8000, np.float32)])
    heard = speech + (1e-3 * _random().standard_normal(speech.size)).astype(np.float32)
    heard[50000:50004] = 0.9
    assert 10 * np.log10(active_power(heard, 8000) / np.square(speech[:24000]).mean()) == pytest.approx(0.0, abs=0.7)


def test_gain_is_exact_below_full_scale_and_bounded_above() -> None:
    np.testing.assert_allclose(with_gain(LOW, -6.0), LOW * 10 ** (-6 / 20), rtol=1e-6)
    loud = with_gain(LOW, 40.0)
    assert np.abs(LOW).max() * 100 > 1 >= np.abs(loud).max()
    assert (np.sign(loud) == np.sign(LOW)).all()


def test_masked_stretches_are_the_share_asked_for_and_short() -> None:
    spans = drawn_stretches(60.0, 0.1, 0.5, _random())
    assert sum(span.duration_s for span in spans) == pytest.approx(6.0, abs=1e-3)
    assert max(span.duration_s for span in spans) <= 0.5 + 1e-9
    assert all(a.end_s <= b.start_s for a, b in pairwise(spans))
    assert 0 <= spans[0].start_s < spans[-1].end_s <= 60 + 1e-9
    tone = np.ones(60 * 8000, np.float32)
    masked = silenced(tone, 8000, spans)
    assert (masked == 0).mean() == pytest.approx(0.1, abs=0.001)
    assert np.abs(np.diff(masked)).max() < 0.05  # faded: no clicks


def test_the_telephone_band_passes_what_it_should() -> None:
    for rate_hz in (8000, 16000):
        for frequency_hz, low_db, high_db in (
            (100, -200, -35),
            (500, -1, 1),
            (1000, -1, 1),
            (3000, -1, 1),
            (3900, -200, -35),
        ):
            if frequency_hz < rate_hz / 2:
                tone = _tone(frequency_hz, 1.0, rate_hz)
                middle = slice(rate_hz // 4, -rate_hz // 4)
                passed = np.square(telephone_band(tone, rate_hz)[middle]).mean()
                found_db = 10 * np.log10(passed / np.square(tone[middle]).mean())
                assert low_db < found_db < high_db, (rate_hz, frequency_hz)
    click = np.zeros(4001, np.float32)
    click[2000] = 1
    answer = telephone_band(click, 16000)
    np.testing.assert_allclose(answer, answer[::-1], atol=1e-6)  # linear phase, no delay
    assert BAND_HZ == (300.0, 3400.0)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_codecs_keep_time_and_length_and_change_something(codec: Codec, rate_hz: int) -> None:
    speech = np.concatenate([np.zeros(rate_hz // 2, np.float32), _voice(0.7, rate_hz), np.zeros(rate_hz, np.float32)])
    speech += np.where(speech != 0, 0.02 * _random().standard_normal(speech.size), 0).astype(np.float32)
    coded = through_codec(speech, rate_hz, codec)
    assert coded.shape == speech.shape
    size = 2 * speech.size
    likeness = np.fft.irfft(np.fft.rfft(coded, size) * np.conj(np.fft.rfft(speech, size)))
    lag = int(likeness.argmax())
    assert min(lag, size - lag) <= rate_hz // 2000
    correlation = np.corrcoef(coded, speech)[0, 1]
    assert 0.6 < correlation < 1 - 1e-9


def test_a_codec_does_not_clip_what_is_too_loud() -> None:
    loud = 8 * _tone(440.0, 0.5, 8000)
    assert np.abs(through_codec(loud, 8000, "ulaw")).max() == pytest.approx(2.4, rel=0.05)


@pytest.mark.parametrize("repeated", [False, True])
def test_packets_are_lost_in_bursts(repeated: bool) -> None:
    lost = drawn_losses(60.0, 0.05, _random())
    assert (lost.size, lost.sum()) == (3000, 150)
    bursts = int((np.diff(lost.astype(int), prepend=0) == 1).sum())
    assert 1.5 < 150 / bursts < 4
    noise = _random().standard_normal(60 * 8000).astype(np.float32)
    found = without_packets(noise, 8000, lost, repeated=repeated).reshape(3000, 160)
    original = noise.reshape(3000, 160)
    np.testing.assert_array_equal(found[~lost], original[~lost])
    first = int(np.flatnonzero(lost)[0])
    np.testing.assert_array_equal(found[first], original[first - 1] if repeated else np.zeros(160))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("length", [0, 1, 2, 159, 161, 8001])
def test_odd_lengths_and_silence(length: int, codec: Codec) -> None:
    choices = AudioChoices(0.9, 5.0, 40.0, True, codec, 0.9, True, 0.9)
    for samples in (np.zeros(length, np.float32), np.full(length, 0.5, np.float32)):
        for rate_hz in (8000, 11025):
            (found,) = vary_audio(choices, [samples], rate_hz, _stream)
            assert found.shape == (stretched_length(length, 0.9),)
            assert found.dtype == np.float32
            assert np.isfinite(found).all()


def test_nothing_is_changed_in_place_and_the_same_comes_again() -> None:
    before = LOW.copy(), HIGH.copy()
    first, second = (vary_audio(ALL, [LOW, HIGH], 8000, _stream) for _ in range(2))
    np.testing.assert_array_equal(np.stack([LOW, HIGH]), np.stack(before))
    np.testing.assert_array_equal(np.stack(first), np.stack(second))
    assert not any(np.shares_memory(found, LOW) for found in first)


def test_channels_get_equal_lengths_and_the_same_gaps() -> None:
    choices = AudioChoices(packets_share=0.2, mask_share=0.2)
    noise = _random().standard_normal((2, 16000)).astype(np.float32)
    first, second = vary_audio(choices, list(noise), 8000, _stream)
    np.testing.assert_array_equal(first == 0, second == 0)
    assert [each.size for each in vary_audio(ALL, [LOW, HIGH[:100]], 8000, _stream)] == [
        stretched_length(LOW.size, 1.1)
    ] * 2
