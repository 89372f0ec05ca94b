"""Tones and music, made, are no speech; voices are no tones."""

import subprocess
from shutil import which
from unittest.mock import patch

import numpy as np
import pytest
import soundfile

from benchmarks.made_sounds import DTMF_ROWS_HZ, RATE_HZ, TONES, dialling, mu_law, music, sounding, tone, with_noise
from benchmarks.spokenwoz import frame_mask
from callsift.audio.decode import decode
from callsift.audio.features import resample
from callsift.speech.spans import total_s, within
from callsift.speech.tones import ToneListener
from callsift.speech.vad import hear


def voiced_s(samples):
    return total_s(hear(samples, RATE_HZ).voiced)


@pytest.mark.parametrize("noise_db", [-60, -40])
@pytest.mark.parametrize("name", TONES)
def test_signalling_tones_are_no_speech(name, noise_db):
    samples = mu_law(with_noise(tone(*TONES[name], 40), noise_db))
    sounds_s = sounding(TONES[name][1], 40).mean() * 40
    assert voiced_s(samples) <= 0.05 * sounds_s


@pytest.mark.parametrize("name", [name for name in TONES if name.startswith(("ringing", "busy", "fax"))])
def test_tones_with_pauses_are_reported(name):
    hz, cadence_s = TONES[name]
    found = hear(mu_law(with_noise(tone(hz, cadence_s, 40), -55)), RATE_HZ).tones
    covered = np.zeros(40 * RATE_HZ, dtype=bool)
    for span in found:
        covered[int(span.start_s * RATE_HZ) : int(span.end_s * RATE_HZ)] = True
    assert covered[sounding(cadence_s, 40)].mean() >= 0.95


@pytest.mark.parametrize("on_s", [0.06, 0.1, 0.3])
def test_keys_are_no_speech(on_s):
    samples = mu_law(with_noise(dialling(8, on_s=on_s, seed=3), -50))
    assert voiced_s(samples) <= 0.02 * 8
    assert total_s(hear(samples, RATE_HZ).tones) >= 0.9 * 8 * on_s / (on_s + 0.1)


@pytest.mark.parametrize("noise_db", [-60, -40])
def test_made_music_is_no_speech(noise_db):
    pieces = [mu_law(with_noise(music(20, seed), noise_db)) for seed in range(2000, 2005)]
    assert sum(voiced_s(piece) for piece in pieces) <= 0.05 * 100


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """A synthetic voice, some 5 s at 8 kHz."""
    if which("flite") is None:
        pytest.skip("needs flite")
    path = tmp_path_factory.mktemp("said") / "said.wav"
    text = "Good morning, this is Anna from customer service. How can I help you today? I see, thank you very much."
    subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", path], check=True)
    samples, rate_hz = soundfile.read(path, dtype="float32")
    return resample(samples, rate_hz, RATE_HZ)


@pytest.fixture(scope="module")
def demo_voice(demo):
    """One side of a shipped call, its first minute at 8 kHz."""
    waveform = decode(demo / "calls/en-01-broadband.ogg").waveform
    first = waveform.channel(0)[: min(waveform.length, 60 * waveform.rate_hz)]
    return resample(first, waveform.rate_hz, RATE_HZ)


@pytest.mark.parametrize("name", ["ringing, North America", "ringing, China", "busy, Europe"])
def test_forty_seconds_of_ringing_before_a_voice(said, name):
    alone = hear(mu_law(said), RATE_HZ)
    assert alone.tones == ()
    samples = mu_law(with_noise(np.concatenate([tone(*TONES[name], 40, level_db=-12), said]), -60))
    heard = hear(samples, RATE_HZ)
    assert within(heard.voiced, 0, 39.9) == ()
    assert total_s(within(heard.voiced, 40, 60)) == pytest.approx(total_s(alone.voiced), rel=0.1)
    assert heard.speech[0].start_s == pytest.approx(40 + alone.speech[0].start_s, abs=0.15)


def test_music_around_a_voice(said):
    around = music(15, seed=2000)
    samples = mu_law(with_noise(np.concatenate([around, said, around]), -60))
    heard = hear(samples, RATE_HZ)
    end_s = 15 + said.size / RATE_HZ
    kept_s = total_s(within(heard.voiced, 15, end_s))
    assert kept_s >= 0.9 * total_s(hear(mu_law(said), RATE_HZ).voiced)
    assert total_s(heard.voiced) - kept_s <= 0.5
    assert total_s(within(heard.tones, 15.3, end_s - 0.3)) == 0


def test_a_voice_over_softer_music_stays(said):
    rng_music = music(said.size / RATE_HZ + 0.1, seed=2001)[: said.size]
    loudness = np.sqrt(np.square(said).mean() / np.square(rng_music).mean())
    alone_s = total_s(hear(said, RATE_HZ).voiced)
    assert voiced_s(said + rng_music * np.float32(loudness * 10 ** (-20 / 20))) >= 0.9 * alone_s


@pytest.fixture(scope="module")
def pieces(demo_voice):
    """Three pieces of music as long as the voice."""
    return [music(demo_voice.size / RATE_HZ + 0.1, seed)[: demo_voice.size] for seed in (2010, 2011, 2012)]


@pytest.fixture(scope="module")
def loud(demo_voice):
    """Where the voice is heard as speech by itself."""
    return spoken(demo_voice)


def over_music(samples, ratio_db, below, loud):
    """Music below the whole of it, the speech louder by this ratio."""
    gain = np.sqrt(np.square(samples[np.repeat(loud, 80)]).mean() / np.square(below).mean()) * 10 ** (-ratio_db / 20)
    return samples + below * np.float32(gain)


def spoken(samples):
    """Frames of 10 ms (F,) that are heard as speech."""
    return frame_mask(hear(samples, RATE_HZ).voiced, samples.size // 80)[: samples.size // 80]


@pytest.mark.parametrize("ratio_db", [25, 20, 15, 10])
def test_speech_over_music_is_not_lost_as_music(demo_voice, pieces, loud, ratio_db):
    """Of what is heard if nothing is left out: the music itself hides more. Where talk was not told, 2 to 24 %."""
    lost = total = 0
    for below in pieces:
        mixed = over_music(demo_voice, ratio_db, below, loud)
        with patch.object(ToneListener, "tonal", lambda _, loud_enough: np.zeros_like(loud_enough)):
            audible = loud & spoken(mixed)
        lost += int((audible & ~spoken(mixed)).sum())
        total += int(loud.sum())
    assert lost < 0.02 * total


def test_music_before_speech_over_music(demo_voice):
    """Nobody talks in the first 20 s, and the music goes on."""
    silent = np.zeros(20 * RATE_HZ, np.float32)
    below = music(20 + demo_voice.size / RATE_HZ + 0.1, seed=2013, level_db=-35)[: silent.size + demo_voice.size]
    samples = np.concatenate([silent, demo_voice]) + below
    heard = hear(samples, RATE_HZ)
    assert total_s(within(heard.voiced, 0, 20)) <= 1
    kept_s = total_s(within(heard.voiced, 20, samples.size / RATE_HZ))
    assert kept_s >= 0.95 * total_s(hear(demo_voice, RATE_HZ).voiced)


def test_one_row_of_a_key_alone_is_no_key():
    listener = ToneListener()
    pair = tone((DTMF_ROWS_HZ[0], 3000), (0.1, 0.9), 1.0)
    listener.hear(pair)
    assert not listener.tonal(np.ones(100, dtype=bool)).any()


def test_too_little_to_tell():
    listener = ToneListener()
    listener.hear(np.zeros(100, np.float32))
    assert not listener.tonal(np.ones(1, dtype=bool)).any()
