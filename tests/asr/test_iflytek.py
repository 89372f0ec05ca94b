"""iFlytek's service, played by a local server after its public documentation."""

import base64
import hashlib
import hmac
import io
import json
import pickle
import time
import wave

import numpy as np
import pytest

from callsift.asr import iflytek as module
from callsift.asr import remote
from callsift.asr.iflytek import GAP_S, IflytekEngine, signature
from callsift.asr.iflytek_answers import words_of
from callsift.errors import ConfigError, ErrorCode, RecordingError
from callsift.plugins import make
from callsift.types import Span
from tests.asr.server import Answer, LocalServer

APP, SECRET = "595f23df", "d9f4aa7ea6d94faca62cd88a28fd5234"
ORDER = Answer({"code": "000000", "descInfo": "success", "content": {"orderId": "DK1", "taskEstimateTime": 28000}})
SPANS = (Span(0.5, 1.5), Span(1.5, 1.5), Span(2, 4))


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IFLYTEK_APP_ID", APP)
    monkeypatch.setenv("IFLYTEK_SECRET_KEY", SECRET)
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.02)


@pytest.fixture
def tone():
    """Five seconds at 8 kHz, (T,)."""
    return (0.5 * np.sin(np.arange(40000) / 7)).astype(np.float32)


def word(text, begin, end, kind="n", certain="1.0000"):
    return {"cw": [{"w": text, "wp": kind, "wc": certain}], "wb": begin, "we": end}


def sentence(begin_ms, end_ms, *words):
    """One entry of the lattice: JSON inside of JSON, numbers as texts, as the service writes it."""
    best = {
        "st": {"sc": "0.86", "pa": "0", "rt": [{"ws": list(words)}], "bg": str(begin_ms), "rl": "0", "ed": str(end_ms)}
    }
    return {"json_1best": json.dumps(best, ensure_ascii=False)}


def result(*sentences, status=4, fail=0):
    order = {"orderId": "DK1", "failType": fail, "status": status, "originalDuration": 200, "realDuration": 1878}
    written = json.dumps({"lattice": list(sentences)}, ensure_ascii=False)
    content = {"orderInfo": order, "orderResult": written, "taskEstimateTime": 0}
    return Answer({"code": "000000", "descInfo": "success", "content": content})


def heard(server, tone, spoken="zh-CN", **options):
    engine = IflytekEngine(**{"url": server.url + "/v2/api", "poll_s": 0.01, **options})
    return engine.transcribe(tone, 8000, SPANS, spoken)


def failed(server, tone, **options):
    with pytest.raises(RecordingError) as caught:
        heard(server, tone, **options)
    message = str(caught.value)
    assert SECRET not in message
    assert APP not in message
    assert "signa=" not in message
    assert caught.value.__context__ is None
    return caught.value


def test_signature_is_the_documented_one():
    """The example in the service's documentation, under "signa生成"."""
    assert signature(APP, "1512041814", SECRET) == "IrrzsJeOFk1NGfJHW6SkHUoN9CU="


def test_upload_wait_result(tone):
    done = result(
        sentence(
            50, 950, word("你好", 1, 40), word("，", 40, 40, "p", "0.0000"), word("在吗", 50, 90, certain="0.5000")
        ),
        sentence(1600, 3400, word("OK", 0, 30), word("five", 30, 60), word("块", 60, 90), word("。", 90, 90, "p")),
    )
    with LocalServer(ORDER, result(status=0), result(status=3), done) as server:
        found = heard(server, tone)
    assert [(each.start_s, each.end_s, each.text) for each in found] == [
        (0.5, 1.5, "你好，在吗"),
        (1.5, 1.5, ""),
        (2, 4, "OK five块。"),
    ]
    assert [each.confidence for each in found] == [0.75, None, 1.0]
    assert [asked.path for asked in server.asked] == ["/v2/api/upload"] + ["/v2/api/getResult"] * 3
    upload = server.asked[0]
    assert upload.headers["content-type"] == "application/octet-stream"
    assert int(upload.query["fileSize"]) == len(upload.body)
    assert upload.query["fileName"].endswith(".wav")
    assert upload.query["language"] == "cn"
    assert server.asked[1].query["orderId"] == "DK1"
    for asked in server.asked:
        assert asked.query["appId"] == APP
        assert abs(int(asked.query["ts"]) - time.time()) < 60
        digest = hashlib.md5((APP + asked.query["ts"]).encode()).hexdigest()
        expected = base64.b64encode(hmac.new(SECRET.encode(), digest.encode(), "sha1").digest()).decode()
        assert asked.query["signa"] == expected
        assert SECRET.encode() not in asked.body
        assert SECRET not in str(asked.query)


def test_speech_is_sent_joined(tone):
    with LocalServer(ORDER, result()) as server:
        heard(server, tone, "en-US")
    assert server.asked[0].query["language"] == "en"
    with wave.open(io.BytesIO(server.asked[0].body)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 8000)
        sent = np.frombuffer(reader.readframes(reader.getnframes()), "<i2") / 32767
    gap = np.zeros(int(GAP_S * 8000))
    expected = np.concatenate([tone[4000:12000], gap, tone[16000:32000], gap])
    np.testing.assert_allclose(sent, expected, atol=1 / 32767)
    assert int(server.asked[0].query["duration"]) == 4000


@pytest.mark.parametrize(
    ("options", "spoken", "sent"),
    [
        ({}, None, "cn"),
        ({}, "yue", "cn_cantonese"),
        ({}, "ja", "ja"),
        ({"language": "cn_henanese"}, "zh", "cn_henanese"),
    ],
)
def test_language(tone, options, spoken, sent):
    with LocalServer(ORDER, result()) as server:
        heard(server, tone, spoken, **options)
    assert server.asked[0].query["language"] == sent


def test_without_frames_words_are_spread_over_their_sentence(tone):
    """Languages other than Chinese and English have no frames. This sentence crosses from one span to the next."""
    done = result(sentence(0, 2500, *(word(text, 0, 0, certain="0.0000") for text in "あいうえお")))
    with LocalServer(ORDER, done) as server:
        found = heard(server, tone, "ja")
    assert [each.text for each in found] == ["あい", "", "うえお"], (
        "middles at 0.25, 0.75, 1.25 … s; the cut is at 1.25 s"
    )
    assert [each.confidence for each in found] == [None] * 3


def test_results_as_objects_and_the_documented_example():
    """The answer in the documentation of getResult, its lattice also as an object instead of a text."""
    words = [("这", 1, 16), ("是", 17, 36), ("一", 37, 52), ("条", 53, 80), ("测试", 81, 116), ("音频", 117, 172)]
    entries = [word(*each) for each in words] + [word("。", 172, 172, "p", "0.0000"), word("", 172, 172, "g", "0.0000")]
    found = words_of(result(sentence(50, 1840, *entries)).body)
    assert "".join(each.text for each in found) == "这是一条测试音频。"
    assert found[0].middle_s == pytest.approx(0.05 + 0.085)
    as_object = json.loads(result(sentence(50, 1840, *entries)).body)
    lattice = json.loads(as_object["content"]["orderResult"])
    lattice["lattice"][0]["json_1best"] = json.loads(lattice["lattice"][0]["json_1best"])
    as_object["content"]["orderResult"] = lattice
    assert words_of(json.dumps(as_object).encode()) == found


def test_no_speech_nothing_sent(tone):
    with LocalServer(ORDER) as server:
        engine = IflytekEngine(url=server.url)
        assert engine.transcribe(tone, 8000, (), "zh") == ()
        assert [each.text for each in engine.transcribe(tone, 8000, [Span(9, 10), Span(1, 1)], "zh")] == ["", ""]
    assert server.asked == []


@pytest.mark.parametrize(
    "answers", [[Answer({"code": "26606", "descInfo": "空音频"})], [ORDER, result(status=-1, fail=6)]]
)
def test_audio_that_the_service_finds_silent(tone, answers):
    with LocalServer(*answers) as server:
        assert [each.text for each in heard(server, tone)] == ["", "", ""]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("26601", "check IFLYTEK_APP_ID and IFLYTEK_SECRET_KEY"),
        ("26625", "no credit left"),
        ("26607", "may not use that language"),
        ("99999", "99999"),
    ],
)
def test_codes_in_words(tone, code, words):
    refusal = Answer({"code": code, "descInfo": f"拒绝 {APP} {SECRET}"})
    with LocalServer(refusal) as server:
        error = failed(server, tone)
    assert len(server.asked) == 1
    assert error.code == ErrorCode.ASR_FAILED
    assert words in str(error)
    assert "拒绝 *** ***" in str(error)


def test_busy_service_is_asked_again(tone):
    busy, working = (Answer({"code": code, "descInfo": ""}) for code in ("26603", "26605"))
    with LocalServer(busy, ORDER, busy, working, result(sentence(0, 900, word("好", 1, 30)))) as server:
        assert heard(server, tone)[0].text == "好"
    assert [asked.path[-6:] for asked in server.asked] == ["upload"] * 2 + ["Result"] * 3
    assert server.asked[0].body == server.asked[1].body
    with LocalServer(busy) as server:
        assert "26603" in str(failed(server, tone, retries=1))
    assert len(server.asked) == 2


def test_failed_order(tone):
    with LocalServer(ORDER, result(status=-1, fail=2)) as server:
        error = failed(server, tone)
    assert "its audio could not be converted" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<html>busy</html>"),
        Answer({"code": "000000", "content": {"orderInfo": {"status": 4}, "orderResult": "{broken"}}),
        Answer({"code": "000000", "content": {"orderInfo": {"status": 4}, "orderResult": '{"lattice": [{}]}'}}),
        Answer({"code": "000000", "content": None}),
        Answer({"message": "not this service"}),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_answers_that_cannot_be_read(tone, answer, at_once):
    with LocalServer(*([] if at_once else [ORDER]), answer) as server:
        error = failed(server, tone)
    assert error.code == ErrorCode.ASR_FAILED
    assert len(str(error)) < 500


def test_silent_service(tone, monkeypatch):
    monkeypatch.setattr(module, "_SILENT_S", 0.2)
    for answers in ([Answer({}, hang_s=30)], [ORDER, Answer({}, hang_s=30)]):
        with LocalServer(*answers) as server:
            assert failed(server, tone).code == ErrorCode.TIMEOUT


def test_order_that_is_never_done(tone, monkeypatch):
    with LocalServer(ORDER, result(status=3)) as server:
        error = failed(server, tone, timeout_s=0.3)
    assert error.code == ErrorCode.TIMEOUT
    assert "0.3 s" in str(error)
    monkeypatch.setattr(module, "MAX_POLLS", 4)
    with LocalServer(ORDER, result(status=3)) as server:
        assert failed(server, tone).code == ErrorCode.TIMEOUT
    assert len(server.asked) == 5, "the service allows so many questions and no more"


@pytest.mark.parametrize("missing", ["IFLYTEK_APP_ID", "IFLYTEK_SECRET_KEY"])
def test_keys_come_from_the_environment(monkeypatch, missing):
    monkeypatch.delenv(missing)
    with pytest.raises(ConfigError, match=f"{missing} is not set"):
        IflytekEngine()


@pytest.mark.parametrize(
    "options", [{"timeout_s": 0}, {"poll_s": -1}, {"language": "zh-CN"}, {"url": "x"}, {"retries": 1.5}]
)
def test_options(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        IflytekEngine(**options)


def test_holds_no_key_and_travels():
    engine = make("asr", "iflytek,language=en,timeout_s=60")
    assert (engine.name, engine.model, engine.languages) == ("iflytek", "lfasr", ())
    travelled = pickle.dumps(engine)
    assert SECRET.encode() not in travelled
    assert APP.encode() not in travelled
    assert isinstance(pickle.loads(travelled), IflytekEngine)
