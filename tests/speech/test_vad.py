"""Speech detection on made signals, and on real calls where the public data is at hand."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from benchmarks import hearing_spokenwoz, made_sounds
from benchmarks.spokenwoz import channels
from callsift.audio.decode import decode
from callsift.speech.spans import total_s, within
from callsift.speech.vad import VAD_NAME, Heard, detect_speech, hear

RATE_HZ = 8000


def voice(seconds, seed=0, rate_hz=RATE_HZ):
    """Something voice-like: a gliding pitch of 110 to 150 Hz through two resonances, four syllables a second."""
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * np.cumsum(130 + 20 * np.sin(2 * np.pi * 1.3 * time_s + seed)) / rate_hz
    wave = np.zeros(time_s.size)
    for harmonic in range(1, int(3400 / 130)):
        hz = 130 * harmonic
        gain = 1 / (1 + ((hz - 600) / 150) ** 2) + 0.6 / (1 + ((hz - 1500) / 200) ** 2)
        wave += gain * np.sin(harmonic * phase + harmonic * seed)
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


def test_spans_for_measuring_and_for_cutting():
    samples = call()
    heard = hear(samples, RATE_HZ)
    for padded, bare in zip(heard.speech, heard.voiced, strict=True):
        assert (bare.start_s - padded.start_s, padded.end_s - bare.end_s) == pytest.approx((0.1, 0.1))
    assert heard.speech == detect_speech(samples, RATE_HZ)
    assert heard.tones == ()
    assert sum(total_s(within(heard.bursts, each.start_s, each.end_s)) for each in heard.voiced) == pytest.approx(
        total_s(heard.bursts)
    )
    assert total_s(heard.bursts) <= total_s(heard.voiced)


def test_bursts_show_dips_too_short_for_a_pause():
    samples = call()
    samples[int(2.9 * RATE_HZ) : int(3.1 * RATE_HZ)] *= 0.001
    heard = hear(samples, RATE_HZ)
    assert len(heard.voiced) == 2
    (dip,) = [(a.end_s, b.start_s) for a, b in pairwise(heard.bursts) if 2.8 < a.end_s < b.start_s < 3.2]
    assert dip == pytest.approx((2.9, 3.1), abs=0.08)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_blocks_change_nothing(rate_hz):
    samples = np.concatenate([call(rate_hz)] * 4)
    whole = hear(samples, rate_hz, block_s=1e6)
    assert len(whole.speech) == 8
    for block_s in (30.0, 1.0, 0.0137):
        assert hear(samples, rate_hz, block_s=block_s) == whole


class Repeated:
    """A channel that plays one stretch over and over, and is nowhere in memory."""

    def __init__(self, samples, times):
        self.samples, self.size = samples, samples.size * times

    def __getitem__(self, key):
        at = np.arange(*key.indices(self.size)) % self.samples.size
        return self.samples[at]


def test_a_long_channel_does_not_lie_in_memory():
    peaks = []
    for times in (12, 36):
        channel = Repeated(call(), times)
        tracemalloc.start()
        assert len(hear(channel, RATE_HZ, block_s=5.0).speech) == 2 * times
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 0.4 * 240 * RATE_HZ * 4, "of the 240 s more, as float32"


def test_nothing_heard():
    assert hear(np.zeros(0, np.float32), RATE_HZ) == Heard()
    assert hear(np.zeros(RATE_HZ, np.float32), RATE_HZ) == Heard()


@pytest.fixture(scope="module")
def sides(data_folder):
    return list(channels(data_folder))


@pytest.mark.data
def test_agrees_with_human_word_times(sides):
    figures = hearing_spokenwoz.agreement(sides, [side.samples for side in sides])
    assert figures.f1 >= 0.92
    assert figures.false_alarm <= 0.02


@pytest.mark.data
def test_turns_start_where_they_can_be_heard(sides):
    figures = hearing_spokenwoz.turn_figures(sides)["without"]
    assert figures["matched starts"] >= 0.95
    assert figures["median absolute start error, s"] <= 0.03
    assert figures["median absolute end error, s"] <= 0.04


@pytest.mark.data
def test_segments_of_two_channels_begin_and_end_in_pauses(sides):
    for name, row in hearing_spokenwoz.cut_figures(sides).items():
        assert row["forced"] <= 1
        assert row["on sound"] <= (0 if name.startswith("stereo") else 5), name


@pytest.mark.data
@pytest.mark.parametrize("pattern", ["ravdess/*.ogg", "nemo/*.ogg", "asr-samples/*.*", "ai-sales-calls/*.flac"])
def test_real_speech_is_no_tone(data_folder, pattern):
    paths = sorted(data_folder.glob(pattern))
    figures = hearing_spokenwoz.lost(paths[:: -(-len(paths) // 60)])
    assert figures["minutes of speech"] > 0.5
    assert figures["left out"] <= 0.01


@pytest.mark.data
@pytest.mark.parametrize("lead", ["ringing", "music"])
def test_ringing_before_a_real_voice_is_left_out_and_the_voice_is_not(data_folder, lead):
    waveform = decode(data_folder / "asr-samples/aishell-BAC009S0724W0121.wav").waveform
    said = hearing_spokenwoz.resample(waveform.channel(0)[0 : waveform.length], waveform.rate_hz, RATE_HZ)
    alone = hear(said, RATE_HZ)
    before = made_sounds.tone((440, 480), (2, 4), 41.0) if lead == "ringing" else made_sounds.music(40.0, seed=1000)
    samples = made_sounds.mu_law(np.concatenate([before, said]))
    heard = hear(samples, RATE_HZ)
    start_s = before.size / RATE_HZ
    assert total_s(within(heard.voiced, 0, start_s)) < 0.3
    kept_s = total_s(within(heard.voiced, start_s, samples.size / RATE_HZ))
    assert kept_s == pytest.approx(total_s(alone.voiced), rel=0.15)
