"""Two speakers of one channel: the shipped calls summed to mono, and the real ones where the data is at hand."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.mono_speakers import sales_figures, spokenwoz_figures
from callsift.audio.decode import decode
from callsift.audio.features import resample
from callsift.plugins import make
from callsift.speech.diarize import ClusteringDiarizer, best_path
from callsift.speech.vad import detect_speech
from callsift.speech.voices import HOP_S, Mixture, voice_frames
from callsift.types import Span

ROOT = Path(__file__).parents[2]
RATE_HZ = 8000
CALLS = ("en-05-gym.wav", "en-01-broadband.ogg", "zh-01-wealth.ogg", "zh-03-health-insurance.wav")
"""English voices of flite, Mandarin ones of espeak-ng; one a channel."""


def voice(seconds, pitch_hz=105):
    """Harmonics of a pitch through two resonances, five syllables a second, (T,)."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    wave = np.zeros(time_s.size)
    for harmonic in range(1, int(3600 / pitch_hz)):
        hz = harmonic * pitch_hz
        gain = 1 / (1 + ((hz - 600) / 150) ** 2) + 0.6 / (1 + ((hz - 1500) / 200) ** 2)
        wave += gain * np.sin(2 * np.pi * hz * time_s + harmonic)
    wave *= 0.55 + 0.45 * np.sin(2 * np.pi * 5 * time_s)
    return (0.1 * wave).astype(np.float32)


def sides(path):
    """Both channels of a shipped call."""
    waveform = decode(path).waveform
    assert waveform.rate_hz == RATE_HZ
    return [waveform.channel(number)[0 : waveform.length] for number in (0, 1)]


def mono(path):
    """A shipped call on one channel (T,), where each of the two speaks, and where anyone is heard to."""
    both = sides(path)
    samples = both[0] + both[1]
    return samples, [detect_speech(side, RATE_HZ) for side in both], detect_speech(samples, RATE_HZ)


def right_share(found, truth):
    """Of the truly spoken time, under the better assignment; what the detector misses of the sum is not right."""

    def shared_s(mine, theirs):
        return sum(max(0.0, min(a.end_s, b.end_s) - max(a.start_s, b.start_s)) for a in mine for b in theirs)

    total_s = sum(span.duration_s for spans in truth for span in spans)
    first, second = found.speakers
    straight = shared_s(first, truth[0]) + shared_s(second, truth[1])
    return max(straight, shared_s(first, truth[1]) + shared_s(second, truth[0])) / total_s


class OnDisk:
    """A signal that is no array: only its size and stretches of it can be had."""

    def __init__(self, samples):
        self._samples = samples

    @property
    def size(self):
        return self._samples.size

    def __getitem__(self, key):
        assert isinstance(key, slice)
        assert key.stop - key.start <= 60 * RATE_HZ, "a long stretch at once"
        return self._samples[key].copy()


@pytest.fixture(scope="module")
def two(demo):
    return mono(demo / "calls" / CALLS[0])


@pytest.fixture(scope="module")
def diarizer():
    return make("diarizer", "clustering")


@pytest.mark.parametrize("name", CALLS)
def test_tells_two_voices_apart(name, demo, diarizer):
    samples, truth, speech = mono(demo / "calls" / name)
    found = diarizer.diarize(samples, RATE_HZ, speech)
    assert diarizer.name == "clustering"
    assert len(found.speakers) == 2
    assert right_share(found, truth) > 0.95
    assert found.confidence > 0.95
    assert found.speakers[0][0].start_s == speech[0].start_s  # in order of first speech


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("channel", [0, 1])
def test_one_voice_is_one_speaker(name, channel, demo, diarizer):
    side = sides(demo / "calls" / name)[channel]
    speech = detect_speech(side, RATE_HZ)
    found = diarizer.diarize(side, RATE_HZ, speech)
    assert found.speakers == (speech,)
    assert found.confidence > 0.7


def test_the_speech_is_divided_without_rest(two, diarizer):
    samples, _, speech = two
    found = diarizer.diarize(samples, RATE_HZ, speech)
    parts = sorted((span for spans in found.speakers for span in spans), key=lambda span: span.start_s)
    assert all(before.end_s <= after.start_s for before, after in pairwise(parts))
    assert all(part.duration_s > 0 for part in parts)
    assert sum(part.duration_s for part in parts) == pytest.approx(sum(span.duration_s for span in speech))
    assert {span.start_s for span in speech} <= {part.start_s for part in parts}
    assert {span.end_s for span in speech} <= {part.end_s for part in parts}


@pytest.mark.parametrize("rate_hz", [11025, 16000, 44100])
def test_same_at_other_rates(rate_hz, two, diarizer):
    samples, truth, speech = two
    found = diarizer.diarize(resample(samples, RATE_HZ, rate_hz), rate_hz, speech)
    here = right_share(diarizer.diarize(samples, RATE_HZ, speech), truth)
    assert right_share(found, truth) == pytest.approx(here, abs=0.02)


def test_level_does_not_matter(two, diarizer):
    samples, _, speech = two
    loud, soft = (diarizer.diarize(samples * np.float32(gain), RATE_HZ, speech) for gain in (1, 0.05))
    assert len(loud.speakers) == len(soft.speakers) == 2
    assert soft.confidence == pytest.approx(loud.confidence, abs=0.05)


def test_from_disk_and_once_more_it_is_the_same(two, diarizer):
    samples, _, speech = two
    found = diarizer.diarize(samples, RATE_HZ, speech)
    assert diarizer.diarize(OnDisk(samples), RATE_HZ, speech) == found
    assert ClusteringDiarizer().diarize(samples, RATE_HZ, speech) == found


@pytest.mark.parametrize("seconds", [0, 0.01, 0.5, 1, 3, 6])
@pytest.mark.parametrize("kind", ["voice", "constant", "silence"])
def test_little_speech_and_none(kind, seconds, diarizer):
    made = {"voice": voice(seconds), "constant": np.full(int(seconds * RATE_HZ), 0.3, np.float32)}
    samples = made.get(kind, np.zeros(int(seconds * RATE_HZ), np.float32))
    speech = (Span(0.0, seconds),) if seconds else ()
    found = diarizer.diarize(samples, RATE_HZ, speech)
    assert found.speakers == ((speech,) if speech else ())
    assert 0 <= found.confidence <= 1
    assert not math.isnan(found.confidence)


def test_spans_without_a_frame_go_with_their_neighbours(two, diarizer):
    samples, truth, speech = two
    tiny = Span(speech[-1].end_s + 0.001, speech[-1].end_s + 0.004)
    early = Span(0.001, 0.004)
    found = diarizer.diarize(samples, RATE_HZ, (early, *speech, tiny))
    assert any(early in spans for spans in found.speakers)
    assert any(tiny in spans for spans in found.speakers)
    assert right_share(found, truth) > 0.95


def test_frames_do_not_depend_on_blocks():
    """More than one block of 30 s: the frames are those of the parts, at the same times."""
    samples = np.concatenate([voice(5, 100 + 20 * step) for step in range(8)])
    whole = voice_frames(samples, RATE_HZ, [Span(0.0, 40.0)])
    assert whole.cepstra.shape == (1 + int((40 - 0.03) / HOP_S), 19)
    assert np.diff(whole.centre_s) == pytest.approx(HOP_S)
    part = voice_frames(samples, RATE_HZ, [Span(28.0, 32.0)])
    inside = (whole.centre_s >= 28) & (whole.centre_s < 32)
    assert part.centre_s == pytest.approx(whole.centre_s[inside])
    assert np.corrcoef(part.cepstra[:, 0], whole.cepstra[inside, 0])[0, 1] == pytest.approx(1, abs=1e-6)


def test_a_mixture_gives_the_density_of_a_normal_distribution():
    random = np.random.default_rng(0)
    frames = random.standard_normal((5000, 2)).astype(np.float32)
    found = Mixture(frames, 1).log_likelihood(np.zeros((1, 2), np.float32))
    assert found[0] == pytest.approx(-math.log(2 * math.pi), abs=0.05)  # the standard normal at its centre
    far = np.concatenate([frames - 4, frames + 4])
    two, one = Mixture(far, 2), Mixture(far, 1)
    assert two.log_likelihood(far).mean() > one.log_likelihood(far).mean() + 0.5


def test_best_path_is_the_best_of_all():
    random = np.random.default_rng(0)
    for _ in range(50):
        ratio, cost = 3 * random.standard_normal(9), random.uniform(0.5, 3, 9)
        paths = np.array([[int(bit) for bit in f"{number:09b}"] for number in range(512)])
        scores = paths @ ratio - np.abs(np.diff(paths, axis=1)) @ cost[1:]
        found = best_path(ratio, cost)
        assert scores[int("".join(map(str, found)), 2)] == pytest.approx(scores.max())


@pytest.mark.data
def test_real_calls_summed_to_mono(data_folder, diarizer):
    """A little below what `benchmarks/mono_speakers.py` measured: 0.873 of all true speech, 0.983 of what is heard."""
    figures = spokenwoz_figures(diarizer, data_folder)["all"]
    assert figures["right share"] >= 0.85
    assert figures["right share of what is heard"] >= 0.96
    assert figures["turns right"] >= 0.94
    assert figures["speakers"] == 2


@pytest.mark.data
@pytest.mark.slow
def test_mono_sales_calls(data_folder, diarizer):
    """Likewise (0.969, 0.962, 19 of 20 with two). To recognise the words that lay the turns over the recordings takes
    minutes; they are kept."""
    work = ROOT / "build/mono"
    work.mkdir(parents=True, exist_ok=True)
    figures = sales_figures(diarizer, data_folder, work, roles=False)["all"]
    assert figures["right share"] >= 0.95
    assert figures["turns right"] >= 0.94
    assert figures["speakers"] >= 1.9
