"""Speech detection on made signals, and on real calls where the public data is at hand."""

import importlib.util
import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from callsift.speech.vad import VAD_NAME, detect_speech

ROOT = Path(__file__).parents[2]
RATE_HZ = 8000


def voice(seconds, seed=0, rate_hz=RATE_HZ):
    """Something voice-like: a 120 Hz pulse train through two resonances, four syllables a second."""
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    wave = np.zeros(time_s.size)
    for harmonic in range(1, int(3400 / 120)):
        hz = 120 * harmonic
        gain = 1 / (1 + ((hz - 600) / 150) ** 2) + 0.6 / (1 + ((hz - 1500) / 200) ** 2)
        wave += gain * np.sin(2 * np.pi * hz * time_s + harmonic * seed)
    wave *= 0.5 + 0.5 * np.sin(2 * np.pi * 4 * time_s) ** 2
    return (0.2 * wave / np.abs(wave).max()).astype(np.float32)


def call(rate_hz=RATE_HZ, noise_db=-65.0):
    """10 s with voice at 2-4 s and 6-9 s over line noise, (T,)."""
    noise = 10 ** (noise_db / 20) * np.random.default_rng(0).standard_normal(10 * rate_hz)
    samples = noise.astype(np.float32)
    samples[2 * rate_hz : 4 * rate_hz] += voice(2, 1, rate_hz)
    samples[6 * rate_hz : 9 * rate_hz] += voice(3, 2, rate_hz)
    return samples


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 44100])
def test_finds_the_speech_at_every_rate(rate_hz):
    spans = detect_speech(call(rate_hz), rate_hz)
    assert len(spans) == 2
    for span, (start_s, end_s) in zip(spans, [(2, 4), (6, 9)], strict=True):
        assert span.start_s == pytest.approx(start_s, abs=0.15)
        assert span.end_s == pytest.approx(end_s, abs=0.25)


@pytest.mark.parametrize("gain_db", [-20, 0, 6])
def test_finds_it_soft_and_loud(gain_db):
    assert len(detect_speech(call() * np.float32(10 ** (gain_db / 20)), RATE_HZ)) == 2


def test_silence_and_next_to_nothing():
    assert VAD_NAME == "webrtc"
    assert detect_speech(np.zeros(0, np.float32), RATE_HZ) == ()
    assert detect_speech(np.zeros(50, np.float32), RATE_HZ) == ()
    assert detect_speech(np.zeros(10 * RATE_HZ, np.float32), RATE_HZ) == ()
    assert detect_speech(np.full(10 * RATE_HZ, 1e-6, np.float32), RATE_HZ) == ()


def test_speech_in_digital_silence():
    samples = np.zeros(8 * RATE_HZ, np.float32)
    samples[2 * RATE_HZ : 5 * RATE_HZ] = voice(3)
    (span,) = detect_speech(samples, RATE_HZ)
    assert span.start_s == pytest.approx(2, abs=0.15)
    assert span.end_s == pytest.approx(5, abs=0.25)


@pytest.mark.parametrize("level_db", [-70, -55, -45, -35])
def test_line_noise_is_no_speech(level_db):
    noise = np.random.default_rng(1).standard_normal(20 * RATE_HZ).astype(np.float32)
    heard_s = sum(s.duration_s for s in detect_speech(noise * np.float32(10 ** (level_db / 20)), RATE_HZ))
    assert heard_s < 0.5


def test_crosstalk_is_no_speech():
    samples = call()
    samples[:RATE_HZ] += voice(1, 3) * np.float32(10 ** (-45 / 20))
    assert detect_speech(samples, RATE_HZ)[0].start_s > 1.5


def test_spans_are_in_order_apart_and_inside():
    rng = np.random.default_rng(2)
    samples = np.concatenate([voice(rng.uniform(0.1, 1), i) * rng.integers(0, 2) for i in range(40)])
    spans = detect_speech(samples, RATE_HZ)
    assert spans
    assert all(before.end_s < after.start_s for before, after in pairwise(spans))
    assert spans[0].start_s >= 0
    assert spans[-1].end_s <= samples.size / RATE_HZ
    assert all(span.duration_s >= 0.1 for span in spans)


@pytest.mark.data
def test_agrees_with_human_word_times(monkeypatch):
    data = Path(os.environ.get("CALLSIFT_DATA") or ROOT.parent / "shared" / "data")
    if not (data / "calls" / "spokenwoz").is_dir():
        pytest.skip(f"needs the public data: set CALLSIFT_DATA ({data} has no calls/spokenwoz)")
    spec = importlib.util.spec_from_file_location("vad_spokenwoz", ROOT / "benchmarks" / "vad_spokenwoz.py")
    benchmark = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "vad_spokenwoz", benchmark)  # dataclasses look their module up
    spec.loader.exec_module(benchmark)
    sides = list(benchmark.channels(data / "calls" / "spokenwoz"))
    figures = benchmark.agreement(sides, [side.samples for side in sides])
    assert figures.f1 >= 0.92
    assert figures.false_alarm <= 0.02
