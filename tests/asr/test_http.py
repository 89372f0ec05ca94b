"""The engine behind an HTTP server, asked over a real connection."""

import io
import math
import pickle
import time
import wave
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from callsift.asr import http as module
from callsift.asr import remote
from callsift.asr.http import HttpEngine, text_of
from callsift.errors import ConfigError, ErrorCode, RecordingError
from callsift.plugins import make
from callsift.types import Span
from tests.asr.server import Answer, LocalServer

KEY = "sk-1234567890abcdef"
SECOND = (Span(0, 1),)
HELLO = Answer({"text": " Hello there. "})


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """No proxy between the engine and this machine, a key in the environment, and short pauses."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEST_ASR_KEY", KEY)
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.02)


@pytest.fixture
def tone():
    """Two seconds at 8 kHz, (T,)."""
    return (0.5 * np.sin(np.arange(16000) / 7)).astype(np.float32)


def heard(server, tone, spans=SECOND, language="en", rate_hz=8000, **options):
    return HttpEngine(**{"url": server.url, **options}).transcribe(tone, rate_hz, spans, language)


def failed(server, tone, **options):
    with pytest.raises(RecordingError) as caught:
        heard(server, tone, **options)
    assert KEY not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "nothing that is printed with the error holds a header"
    return caught.value


def test_what_is_sent(tone):
    with LocalServer(HELLO) as server:
        found = heard(
            server, tone, spans=(Span(0.5, 1.5), Span(1.5, 2)), language="zh-CN", model="m", key_env="TEST_ASR_KEY"
        )
    assert [(each.start_s, each.end_s, each.text, each.confidence) for each in found] == [
        (0.5, 1.5, "Hello there.", None),
        (1.5, 2, "Hello there.", None),
    ]
    first = server.asked[0]
    assert first.path == "/v1/audio/transcriptions"
    assert first.headers["authorization"] == f"Bearer {KEY}"
    form = first.form()
    name, kind, content = form.pop("file")
    assert form == {
        "model": "m",
        "language": "zh",
        "response_format": "verbose_json",
        "timestamp_granularities[]": "segment",
    }
    assert (name, kind) == ("speech.wav", "audio/wav")
    with wave.open(io.BytesIO(content)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 8000)
        sent = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    np.testing.assert_allclose(sent / 32767, tone[4000:12000], atol=1 / 32767)
    assert len(server.asked) == 2


def test_what_is_not_sent(tone):
    with LocalServer(HELLO) as server:
        heard(server, tone, language=None, answer="json")
        spans = (Span(0.5, 0.5), Span(1, 1.05), Span(3, 4))
        assert [each.text for each in heard(server, tone, spans)] == ["", "", ""]
        assert heard(server, tone, ()) == ()
    assert len(server.asked) == 1, "a stretch without room for a word is not sent"
    assert "authorization" not in server.asked[0].headers
    assert set(server.asked[0].form()) == {"file", "model", "response_format"}


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("", "/v1/audio/transcriptions"),
        ("/", "/v1/audio/transcriptions"),
        ("/v1", "/v1/audio/transcriptions"),
        ("/openai/", "/openai/audio/transcriptions"),
        ("/audio/transcriptions", "/audio/transcriptions"),
    ],
)
def test_address(tone, path, asked):
    with LocalServer(HELLO) as server:
        heard(server, tone, url=server.url + path)
    assert server.asked[0].path == asked


def test_other_rates_are_sent_at_16_khz(tone):
    with LocalServer(HELLO) as server:
        heard(server, tone, rate_hz=11025)
    with wave.open(io.BytesIO(server.asked[0].form()["file"][2])) as reader:
        assert reader.getframerate() == 16000
        assert abs(reader.getnframes() - 16000) < 20


def test_long_spans_are_sent_in_parts(tone, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_S", 0.5)
    with LocalServer(Answer({"text": "一。"}), Answer({"text": ""}), Answer({"text": "二"})) as server:
        found = heard(server, tone, spans=(Span(0, 2),))
    assert found[0].text.startswith("一。二"), "no space in Chinese"
    sizes = [len(asked.form()["file"][2]) - 44 for asked in server.asked]
    assert sum(sizes) == 2 * tone.size
    assert max(sizes) <= 2 * 4000


def test_verbose_answer():
    segments = [
        {"text": " Yes,", "avg_logprob": -0.2, "no_speech_prob": 0.01},
        {"text": " Thank you.", "avg_logprob": -1.4, "no_speech_prob": 0.9},
        {"text": " sure.", "avg_logprob": -0.4, "no_speech_prob": 0.9},
    ]
    content = {"task": "transcribe", "text": " Yes, Thank you. sure.", "segments": segments}
    text, confidence = text_of(Answer(content).body)
    assert text == "Yes, sure.", "what the model takes for silence is left out"
    assert confidence == pytest.approx(math.exp(-0.3))
    words = [{"word": "yes", "probability": 0.5}, {"word": "sure", "probability": 1.0}]
    assert text_of(Answer({"text": "yes sure", "words": words}).body) == ("yes sure", 0.75)
    assert text_of(Answer({"text": "", "segments": segments[1:2]}).body) == ("", None)
    assert text_of(Answer({"text": "a", "segments": None}).body) == ("a", None)


def test_access_denied_is_not_tried_again(tone):
    refusal = Answer({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401)
    with LocalServer(refusal) as server:
        error = failed(server, tone, key_env="TEST_ASR_KEY")
    assert len(server.asked) == 1
    assert error.code == ErrorCode.ASR_FAILED
    assert "Incorrect API key provided: ***" in str(error)
    assert "Check the key in TEST_ASR_KEY" in str(error)


def test_half_a_key_is_not_shown(tone):
    said = "x" * (remote._SHOWN_CHARACTERS - 8) + KEY
    with LocalServer(Answer(said.encode(), 403)) as server:
        error = failed(server, tone, key_env="TEST_ASR_KEY")
    assert KEY[:8] not in str(error)


def test_without_a_key_the_option_is_named(tone):
    with LocalServer(Answer(b"", 403)) as server:
        assert "key_env" in str(failed(server, tone))


@pytest.mark.parametrize("as_date", [False, True])
def test_waits_as_long_as_the_server_asks(tone, as_date):
    wish = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True) if as_date else "0.4"
    with LocalServer(Answer({}, 429, {"Retry-After": wish}), HELLO) as server:
        begun = time.monotonic()
        assert heard(server, tone)[0].text == "Hello there."
        waited_s = time.monotonic() - begun
    assert len(server.asked) == 2
    assert waited_s >= (0.9 if as_date else 0.4), "a date has whole seconds"


def test_does_not_wait_for_hours(tone):
    with LocalServer(Answer({}, 429, {"Retry-After": "7200"})) as server:
        error = failed(server, tone)
    assert len(server.asked) == 1
    assert "asks to wait 7200 s" in str(error)


@pytest.mark.parametrize(
    "passing", [Answer(b"overloaded", 500), Answer({}, 503), Answer({}, cut=-1), Answer({"text": "Hello"}, cut=5)]
)
def test_what_may_pass_is_tried_again(tone, passing):
    with LocalServer(passing, passing, HELLO) as server:
        assert heard(server, tone)[0].text == "Hello there."
    assert len(server.asked) == 3
    assert (
        server.asked[0].body.partition(b"RIFF")[2].split(b"\r\n--")[0]
        == (server.asked[2].body.partition(b"RIFF")[2].split(b"\r\n--")[0])
    )


def test_gives_up(tone):
    with LocalServer(Answer(b"overloaded", 500)) as server:
        error = failed(server, tone, retries=2)
    assert len(server.asked) == 3
    assert error.code == ErrorCode.ASR_FAILED
    assert "status 500: 'overloaded'; gave up after 3 tries" in str(error)


def test_nobody_there(tone):
    with LocalServer(HELLO) as server:
        pass
    assert "no connection" in str(failed(server, tone, retries=1))


def test_a_silent_server_is_a_timeout(tone):
    with LocalServer(Answer({}, hang_s=30)) as server:
        begun = time.monotonic()
        error = failed(server, tone, timeout_s=0.3)
        assert 0.3 <= time.monotonic() - begun < 5
        assert len(server.asked) == 1
    assert error.code == ErrorCode.TIMEOUT
    assert "0.3 s" in str(error)


@pytest.mark.parametrize("body", [b"<html>" + b"x" * 500, b"[1]", b'{"txt": 1}', b'{"text": null}', b"\xff\xfe"])
def test_answers_that_cannot_be_read(tone, body):
    with LocalServer(Answer(body)) as server:
        error = failed(server, tone)
    assert len(server.asked) == 1
    assert error.code == ErrorCode.ASR_FAILED
    assert body[:20].decode("utf-8", "replace") in str(error)
    assert len(str(error)) < 400


def test_other_refusals_say_why(tone):
    with LocalServer(Answer({"error": {"message": "model m does not exist"}}, 404)) as server:
        error = failed(server, tone)
    assert len(server.asked) == 1
    assert "status 404: 'model m does not exist'" in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(tone, status):
    with LocalServer(HELLO) as other:
        with LocalServer(Answer({}, status, {"Location": f"{other.url}/v1?{KEY}"})) as server:
            error = failed(server, tone, key_env="TEST_ASR_KEY")
    assert other.asked == []
    assert f"redirects to {other.url}," in str(error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "ftp://host"}, "must be http"),
        ({"url": "localhost:8000"}, "must be http"),
        ({"url": "http://[host"}, "must be http"),
        ({"url": f"https://user:{KEY}@host/v1"}, "must be http"),
        ({"url": f"https://host/v1?key={KEY}"}, "must be http"),
        ({"url": "http://host", "key_env": "UNSET_ASR_KEY"}, "UNSET_ASR_KEY is not set"),
        ({"url": "http://host", "key_env": KEY}, "the NAME of an environment variable"),
        ({"url": "http://host", "timeout_s": 0}, "timeout_s is 0"),
        ({"url": "http://host", "timeout_s": "soon"}, "timeout_s is 'soon'"),
        ({"url": "http://host", "retries": -1}, "retries is -1"),
        ({"url": "http://host", "answer": "srt"}, "verbose_json or json"),
    ],
)
def test_options(options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        HttpEngine(**options)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("value", ["two\nlines", "schlüssel", "a\x01b"])
def test_what_can_be_no_key(monkeypatch, value):
    monkeypatch.setenv("TEST_ASR_KEY", value)
    with pytest.raises(ConfigError, match="TEST_ASR_KEY") as caught:
        HttpEngine("http://host", key_env="TEST_ASR_KEY")
    assert value not in str(caught.value)


def test_holds_no_key_and_travels(tone):
    with LocalServer(HELLO) as server:
        engine = make("asr", f"http,url={server.url},key_env=TEST_ASR_KEY,model=large")
        assert isinstance(engine, HttpEngine)
        assert KEY.encode() not in pickle.dumps(engine)
        assert KEY not in repr(vars(engine))
        copy = pickle.loads(pickle.dumps(engine))
        assert (copy.name, copy.model, copy.languages) == ("http", "large", ())
        assert copy.transcribe(tone, 8000, [Span(0, 1)], None)[0].text == "Hello there."


def test_retry_after():
    assert remote.retry_after_s(None) is None
    assert remote.retry_after_s("soon") is None
    assert remote.retry_after_s(" 12 ") == 12
    assert remote.retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0
