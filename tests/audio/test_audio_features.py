"""Features against cases that can be worked out by hand."""

import numpy as np
import pytest

from callsift.audio.features import (
    NOBODY,
    frame_owners,
    frames_in,
    log_mel,
    relative_to_speaker,
    resample,
    speaker_reference,
    zero_mean_unit_variance,
)
from callsift.errors import ConfigError
from callsift.types import Span

RATE_HZ = 8000
SETTINGS = {"n_mels": 40, "window_s": 0.032, "hop_s": 0.01, "low_hz": 60.0, "high_hz": 3800.0, "floor": 1e-10}
CLOCK = {"window_s": 0.025, "hop_s": 0.01}


def mel(hz):
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def centres_hz():
    edges = np.linspace(mel(SETTINGS["low_hz"]), mel(SETTINGS["high_hz"]), SETTINGS["n_mels"] + 2)
    return (700 * (10 ** (edges / 2595) - 1))[1:-1]


def sine(hz, seconds=1.0):
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ).astype(np.float32)


@pytest.mark.parametrize("hz", [200, 440, 1000, 2500, 3500])
def test_a_pure_tone_lands_in_its_band(hz):
    bands = log_mel(sine(hz), RATE_HZ, **SETTINGS).mean(axis=0)
    assert bands.argmax() == np.abs(mel(centres_hz()) - mel(hz)).argmin()


def test_white_noise_of_variance_v_has_power_v_in_every_bin():
    # Each band sums `weight · v` over its bins, so band / sum of weights = v: the normalisation of the window.
    # Sum of weights of a triangle = half its base in bins.
    noise = 0.1 * np.random.default_rng(0).standard_normal(60 * RATE_HZ).astype(np.float32)
    edges = np.linspace(mel(SETTINGS["low_hz"]), mel(SETTINGS["high_hz"]), SETTINGS["n_mels"] + 2)
    hz = 700 * (10 ** (edges / 2595) - 1)
    half_base_bins = (hz[2:] - hz[:-2]) / 2 / (RATE_HZ / 256)
    power = np.exp(log_mel(noise, RATE_HZ, **SETTINGS)).mean(axis=0)
    np.testing.assert_allclose((power / half_base_bins)[20:], 0.01, rtol=0.1)
    assert (power / half_base_bins).mean() == pytest.approx(0.01, rel=0.02)


def test_ten_times_louder_is_ln_100_higher():
    low, high = (log_mel(gain * sine(1000), RATE_HZ, **SETTINGS) for gain in (0.01, 0.1))
    band = low[0].argmax()
    np.testing.assert_allclose(high[:, band] - low[:, band], np.log(100), atol=1e-3)


def test_frames_floor_and_shapes():
    window, hop = 256, 80
    for size in (0, 1, window - 1, window, window + hop - 1, window + hop, 5000):
        result = log_mel(np.zeros(size, np.float32), RATE_HZ, **SETTINGS)
        assert result.shape == (1 + max(0, size - window) // hop, 40)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, np.log(1e-10), rtol=1e-6)


def test_every_frame_is_the_same_in_a_longer_recording():
    samples = np.random.default_rng(1).standard_normal(40 * RATE_HZ).astype(np.float32)
    whole = log_mel(samples, RATE_HZ, **SETTINGS)
    part = log_mel(samples[8000 : 8000 + 4000], RATE_HZ, **SETTINGS)
    np.testing.assert_allclose(whole[100 : 100 + len(part)], part, atol=1e-4)


def test_many_bands_are_never_empty():
    loud = np.random.default_rng(2).standard_normal(RATE_HZ).astype(np.float32)
    assert log_mel(loud, RATE_HZ, **{**SETTINGS, "n_mels": 80}).mean(axis=0).min() > np.log(1e-10) + 1


@pytest.mark.parametrize("wrong", [{"high_hz": 5000.0}, {"low_hz": 3900.0}, {"n_mels": 100_000}])
def test_settings_that_do_not_fit(wrong):
    with pytest.raises(ConfigError):
        log_mel(sine(440), RATE_HZ, **{**SETTINGS, **wrong})


def test_resample_keeps_a_tone():
    up = resample(sine(440), RATE_HZ, 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert up.dtype == np.float32
    assert up.size == 16000
    np.testing.assert_allclose(up[500:-500], expected[500:-500], atol=1e-3)
    assert resample(up, 16000, 16000) is up


def test_zero_mean_unit_variance():
    samples = (3 + 5 * np.random.default_rng(0).standard_normal(10_000)).astype(np.float32)
    scaled = zero_mean_unit_variance(samples)
    assert scaled.dtype == np.float32
    assert scaled.mean() == pytest.approx(0, abs=1e-5)
    assert scaled.var() == pytest.approx(1, rel=1e-4)
    assert not zero_mean_unit_variance(np.zeros(100, np.float32)).any()
    assert zero_mean_unit_variance(np.zeros(0, np.float32)).size == 0


def test_frames_in_spans_are_judged_by_their_centre():
    # Centres at 0.0125, 0.0225, 0.0325, …
    inside = frames_in([Span(0.02, 0.04)], 6, **CLOCK)
    assert inside.tolist() == [False, True, True, False, False, False]
    shifted = frames_in([Span(1.02, 1.04)], 6, **CLOCK, start_s=1.0)
    assert shifted.tolist() == inside.tolist()
    assert not frames_in([Span(-5, 0), Span(9, 12)], 6, **CLOCK).any()


def test_frame_owners():
    speech = ([Span(0.0, 0.05)], [Span(0.03, 0.08)])
    assert frame_owners(speech, 8, **CLOCK).tolist() == [0, 0, NOBODY, NOBODY, 1, 1, 1, NOBODY]


def test_speaker_reference():
    frames = 1000
    rng = np.random.default_rng(0)
    voices = [rng.normal(level, 1, (frames, 3)).astype(np.float32) for level in (0, 5)]
    speech = ([Span(0, 4)], [Span(5, 6)])
    reference = speaker_reference((voice for voice in voices), speech, **CLOCK)
    spoken = [frames_in(spans, frames, **CLOCK) for spans in speech]
    both = np.concatenate([voices[0][spoken[0]], voices[1][spoken[1]]]).mean(axis=0)
    np.testing.assert_allclose(reference.means[0], voices[0][spoken[0]].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(reference.means[1], both, rtol=1e-5)  # 1 s of speech is too little
    np.testing.assert_allclose(reference.call_mean, both, rtol=1e-5)
    owners = np.array([0, 1, NOBODY])
    relative = relative_to_speaker(np.zeros((3, 3), np.float32), reference, owners)
    np.testing.assert_allclose(relative, -np.stack([reference.means[0], both, both]), rtol=1e-5)
    assert relative.dtype == np.float32


def test_reference_of_a_call_without_speech_is_the_mean_of_everything():
    mel_frames = np.arange(12, dtype=np.float32).reshape(4, 3)
    reference = speaker_reference([mel_frames], ([],), **CLOCK)
    np.testing.assert_allclose(reference.means[0], mel_frames.mean(axis=0))
