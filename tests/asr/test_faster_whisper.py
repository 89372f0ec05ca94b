"""The real faster-whisper with a tiny Whisper that says what it was made to say, whatever it hears."""

import json
import pickle
import re
import shutil

import numpy as np
import pytest

from callsift.asr import faster_whisper as module
from callsift.asr.faster_whisper import SIMPLIFIED_PROMPT, FasterWhisperEngine
from callsift.errors import ConfigError, ErrorCode, RecordingError, UsageError
from callsift.plugins import make
from callsift.types import Span
from tests.asr.tiny_models import make_whisper

pytest.importorskip("faster_whisper", reason="needs the extra asr")
pytest.importorskip("transformers", reason="makes its model with transformers")

RATE_HZ = 16000
ECHO_PROMPT = "TheQuickBrownFoxJumpsOverTheLazyDogAndPacksMyBoxWithFiveJugs"
LOOP_PROMPT = "z" * 150
NOISE = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE_HZ).astype(np.float32)
SPANS = (Span(0, 2), Span(2, 4))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    said = {"": "hello", SIMPLIFIED_PROMPT: "您好。", ECHO_PROMPT: ECHO_PROMPT, LOOP_PROMPT: "ha" * 60}
    return make_whisper(tmp_path_factory.mktemp("tiny"), said, language="zh")


def test_text_times_and_confidence_of_every_span(whisper):
    heard = FasterWhisperEngine(str(whisper)).transcribe(NOISE, RATE_HZ, SPANS, "en")
    assert [text.text for text in heard] == ["hello"] * 2
    assert [(text.start_s, text.end_s) for text in heard] == [(0, 2), (2, 4)]
    assert all(0.5 < text.confidence <= 1 for text in heard)


def test_says_what_it_is(whisper):
    engine = make("asr", f"faster-whisper,model={whisper},threads=1,beam_size=1,compute_type=float32")
    assert (engine.name, engine.model, engine.languages) == ("faster-whisper", "model", ())
    assert engine.transcribe(NOISE, RATE_HZ, SPANS[:1], "en-GB")[0].text == "hello"


def test_mandarin_is_prompted_for_simplified_characters_unless_told_otherwise(whisper):
    assert FasterWhisperEngine(str(whisper)).transcribe(NOISE, RATE_HZ, SPANS[:1], "zh-CN")[0].text == "您好。"
    plain = FasterWhisperEngine(str(whisper), initial_prompt="")
    assert plain.transcribe(NOISE, RATE_HZ, SPANS[:1], "zh")[0].text == "hello"


def test_an_unknown_language_is_heard_once(whisper):
    """The tiny model hears Mandarin, so the prompt for Mandarin is used."""
    engine = FasterWhisperEngine(str(whisper))
    assert [text.text for text in engine.transcribe(NOISE, RATE_HZ, SPANS, None)] == ["您好。"] * 2
    own = FasterWhisperEngine(str(whisper), language="en")
    assert own.transcribe(NOISE, RATE_HZ, SPANS[:1], "zh")[0].text == "hello"


def test_loops_are_decoded_again_without_repetitions(whisper):
    engine = FasterWhisperEngine(str(whisper), initial_prompt=LOOP_PROMPT)
    text = engine.transcribe(NOISE, RATE_HZ, SPANS[:1], "en")[0].text
    longest = max(re.findall("(?:ha)+", text), key=len)
    assert 0 < len(longest) < 10, "of 120 letters"


def test_the_prompt_itself_is_no_text(whisper):
    """What Whisper makes of noise, often enough."""
    engine = FasterWhisperEngine(str(whisper), initial_prompt=ECHO_PROMPT)
    found = engine.transcribe(NOISE, RATE_HZ, SPANS[:1], "en")[0]
    assert (found.text, found.confidence) == ("", None)


def test_one_entry_a_span_also_where_nothing_is_said(whisper):
    spans = (Span(0, 1), Span(0.5, 0.5), Span(0.9, 50), Span(20, 30))
    engine = FasterWhisperEngine(str(whisper))
    for language in ("en", None):
        heard = engine.transcribe(np.zeros(RATE_HZ, np.float32), RATE_HZ, spans, language)
        assert [(text.text, text.confidence) for text in heard] == [("", None)] * 4
    assert engine.transcribe(NOISE, RATE_HZ, (), "en") == ()


def test_long_spans_at_telephone_rate(whisper):
    """65 s are three or four parts, each of which says its text."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(65 * 8000).astype(np.float32)
    text = FasterWhisperEngine(str(whisper), beam_size=1).transcribe(samples, 8000, [Span(0, 65)], "en")[0].text
    assert text in ("hello hello hello", "hello hello hello hello")


def test_same_again_and_in_another_process(whisper):
    engine = FasterWhisperEngine(str(whisper))
    first = engine.transcribe(NOISE, RATE_HZ, SPANS, "zh")
    assert engine.transcribe(NOISE, RATE_HZ, SPANS, "zh") == first
    assert pickle.loads(pickle.dumps(engine)).transcribe(NOISE, RATE_HZ, SPANS, "zh") == first


def test_languages_it_does_not_know(whisper, tmp_path):
    with pytest.raises(RecordingError, match="'tlh'") as caught:
        FasterWhisperEngine(str(whisper)).transcribe(NOISE, RATE_HZ, SPANS, "tlh")
    assert caught.value.code == ErrorCode.ASR_FAILED
    english = shutil.copytree(whisper, tmp_path / "small.en")
    tokens = json.loads((english / "vocabulary.json").read_text())
    (english / "vocabulary.json").write_text(json.dumps([token or "filler" for token in tokens]))
    assert FasterWhisperEngine(str(english)).languages == ("en",)
    with pytest.raises(ConfigError, match="language=zh: use auto or one of en of small.en"):
        FasterWhisperEngine(str(english), language="zh")


def test_the_vocabulary_as_text(whisper, tmp_path):
    """Older conversions have vocabulary.txt, one token a line."""
    old = shutil.copytree(whisper, tmp_path / "old")
    tokens = json.loads((old / "vocabulary.json").read_text())
    (old / "vocabulary.json").unlink()
    (old / "vocabulary.txt").write_text("".join(f"{token}\n" for token in tokens), "utf-8")
    assert FasterWhisperEngine(str(old)).languages == ()
    (old / "vocabulary.txt").write_text("".join(f"{token}\n" for token in tokens if token), "utf-8")
    assert FasterWhisperEngine(str(old)).languages == ("en",)


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_incomplete_folders(whisper, tmp_path, missing):
    folder = shutil.copytree(whisper, tmp_path / "part")
    (folder / missing).unlink()
    with pytest.raises(UsageError, match=f"no complete faster-whisper model, it lacks {missing}"):
        FasterWhisperEngine(str(folder))


def test_names_never_reach_for_the_network(tmp_path, monkeypatch):
    monkeypatch.setenv("CALLSIFT_MODELS", str(tmp_path))
    with pytest.raises(UsageError, match="get it with: callsift models pull faster-whisper-small"):
        FasterWhisperEngine("faster-whisper-small")
    with pytest.raises(UsageError, match="model=small: no such folder or model; callsift models list"):
        FasterWhisperEngine("small")


def test_damaged_weights(whisper, tmp_path):
    folder = shutil.copytree(whisper, tmp_path / "damaged")
    (folder / "model.bin").write_bytes(b"nothing")
    with pytest.raises(RecordingError, match="faster-whisper can't load damaged") as caught:
        FasterWhisperEngine(str(folder)).transcribe(NOISE, RATE_HZ, SPANS, "en")
    assert caught.value.code == ErrorCode.ASR_FAILED


def test_without_the_library(whisper, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "callsift\[asr\]"'):
        FasterWhisperEngine(str(whisper))
