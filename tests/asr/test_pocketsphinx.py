"""The built-in engine. Speech comes from flite where it is installed; the rest needs no voice."""

import pickle
import shutil
import subprocess

import numpy as np
import pytest

from callsift.asr.pocketsphinx import PocketsphinxEngine
from callsift.audio.decode import decode
from callsift.audio.features import resample
from callsift.errors import ErrorCode, RecordingError
from callsift.types import Span

SENTENCE = "the first three months are free and you can cancel at any time before the end of the year"


@pytest.fixture(scope="module")
def engine():
    return PocketsphinxEngine()


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """The sentence at 8 kHz, (T,)."""
    if not shutil.which("flite"):
        pytest.skip("needs flite to speak")
    path = tmp_path_factory.mktemp("flite") / "a.wav"
    subprocess.run(["flite", "-voice", "rms", "-t", SENTENCE, "-o", path], check=True, timeout=60)
    waveform = decode(path).waveform
    return resample(waveform.samples[0], waveform.rate_hz, 8000)


def errors(reference, heard):
    """Word edit distance."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        previous, row[0] = row[:], i
        for j, other in enumerate(heard, 1):
            row[j] = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (word != other))
    return row[-1]


def test_understands_a_telephone_sentence(engine, spoken):
    silence = np.zeros(8000, np.float32)
    samples = np.concatenate([silence, spoken, silence, spoken])
    length_s = spoken.size / 8000
    spans = (Span(1, 1 + length_s), Span(2 + length_s, 2 + 2 * length_s))
    heard = engine.transcribe(samples, 8000, spans, "en-US")
    assert [(text.start_s, text.end_s) for text in heard] == [(span.start_s, span.end_s) for span in spans]
    for text in heard:
        assert errors(SENTENCE.split(), text.text.split()) <= 2
        assert 0.3 < text.confidence <= 1
    assert heard[0].text == heard[1].text, "nothing is carried from one span to the next"


def test_order_makes_no_difference(engine, spoken):
    """The first stretch that a decoder hears and any later one are treated alike, down to the probabilities."""
    second = engine.transcribe(spoken, 8000, [Span(0, 1), Span(0.5, 4)], "en")[1]
    assert PocketsphinxEngine().transcribe(spoken, 8000, [Span(0.5, 4)], "en")[0] == second


def test_no_fillers(engine, spoken):
    samples = np.concatenate([spoken, np.zeros(8000, np.float32), spoken])
    text = engine.transcribe(samples, 8000, [Span(0, samples.size / 8000)], None)[0].text
    assert not set(text) & set("<>[]+()")


def test_one_entry_a_span_also_where_nothing_is_said(engine):
    spans = (Span(0, 1), Span(0.5, 0.5), Span(0.9, 50), Span(20, 30))
    heard = engine.transcribe(np.zeros(16000, np.float32), 16000, spans, "en")
    assert [text.text for text in heard] == [""] * 4
    assert [text.confidence for text in heard] == [None] * 4
    assert engine.transcribe(np.zeros(16000, np.float32), 16000, (), "en") == ()


def test_native_code_writes_nothing(engine, capfd):
    noise = 0.05 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    PocketsphinxEngine().transcribe(noise, 16000, [Span(0, 1), Span(0, 0.02)], "en")
    assert capfd.readouterr() == ("", "")


def test_only_english(engine):
    with pytest.raises(RecordingError, match="'zh-CN'") as caught:
        engine.transcribe(np.zeros(16000, np.float32), 16000, [Span(0, 1)], "zh-CN")
    assert caught.value.code == ErrorCode.ASR_FAILED


def test_travels_to_another_process(engine):
    engine.transcribe(np.ones(16000, np.float32), 16000, [Span(0, 0.1)], "en")
    copy = pickle.loads(pickle.dumps(engine))
    assert copy.name == "pocketsphinx"
    assert copy.languages == ("en",)
    assert len(copy.transcribe(np.ones(16000, np.float32), 16000, [Span(0, 0.1)], "en")) == 1
