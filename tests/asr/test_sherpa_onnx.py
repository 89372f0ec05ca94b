"""The real sherpa-onnx with a tiny SenseVoice; for the other families, what its constructors are called with."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from callsift.asr import sherpa_onnx as module
from callsift.asr.sherpa_onnx import MAX_DECODED_S, SherpaOnnxEngine
from callsift.catalogue import find_entry, write_record
from callsift.errors import ConfigError, ErrorCode, RecordingError, UsageError
from callsift.plugins import make
from callsift.types import Span
from tests.asr.tiny_models import LOUD, QUIET, make_sense_voice

library = pytest.importorskip("sherpa_onnx", reason="needs the extra asr")
onnx = pytest.importorskip("onnx", reason="makes its models with onnx")

RATE_HZ = 16000


def noise(*amplitudes, seconds=2, rate_hz=RATE_HZ):
    """White noise, `seconds` of each amplitude."""
    amplitude = np.repeat(np.array(amplitudes, np.float32), seconds * rate_hz)
    return amplitude * np.random.default_rng(0).standard_normal(amplitude.size).astype(np.float32)


@pytest.fixture(scope="module")
def sense_voice(tmp_path_factory):
    return make_sense_voice(tmp_path_factory.mktemp("models") / "sense-voice")


def other_model(folder, *names, tokens="tokens.txt", **metadata):
    """A folder with ONNX files that have the metadata and hold nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
        onnx.helper.set_model_props(model, metadata)
        onnx.save(model, folder / name)
    (folder / tokens).write_text("<blk> 0\n")
    return folder


@pytest.mark.parametrize(
    ("language", "use_itn", "texts"),
    [
        (None, False, ["a", "b", "ab"]),
        ("en-US", False, ["a", "b", "ab"]),
        ("en", True, ["A", "B", "AB"]),
        ("zh-CN", False, ["甲", "乙", "甲乙"]),
        ("zh", True, ["甲", "乙", "甲乙"]),
    ],
)
def test_hears_every_span_in_the_language_of_the_call(sense_voice, language, use_itn, texts):
    engine = SherpaOnnxEngine(str(sense_voice), use_itn=use_itn)
    spans = [Span(0, 2), Span(2, 4), Span(0, 4)]
    heard = engine.transcribe(noise(QUIET, LOUD), RATE_HZ, spans, language)
    assert [text.text for text in heard] == texts
    assert [(text.start_s, text.end_s) for text in heard] == [(span.start_s, span.end_s) for span in spans]
    assert [text.confidence for text in heard] == [None] * 3, "SenseVoice gives no probabilities"


def test_says_what_it_is(sense_voice):
    engine = make("asr", f"sherpa-onnx,model={sense_voice},threads=1,use_itn=false")
    assert (engine.name, engine.model) == ("sherpa-onnx", "sense-voice")
    assert engine.languages == ("zh", "en", "yue", "ja", "ko")


def test_a_pulled_model_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("CALLSIFT_MODELS", str(tmp_path))
    with pytest.raises(UsageError, match="get it with: callsift models pull sense-voice"):
        SherpaOnnxEngine("sense-voice")
    folder = make_sense_voice(tmp_path / "sense-voice", name="model.int8.onnx")
    write_record(folder, find_entry("sense-voice"), "0" * 40, {"model.int8.onnx": "", "tokens.txt": ""})
    assert SherpaOnnxEngine("sense-voice").transcribe(noise(LOUD), RATE_HZ, [Span(0, 2)], "zh")[0].text == "乙"


def test_a_language_of_its_own_goes_first(sense_voice):
    engine = SherpaOnnxEngine(str(sense_voice), language="zh")
    assert engine.transcribe(noise(LOUD), RATE_HZ, [Span(0, 2)], "en")[0].text == "乙"
    with pytest.raises(ConfigError, match="language=fr: use auto or one of zh, en, yue, ja, ko of sense-voice"):
        SherpaOnnxEngine(str(sense_voice), language="fr")


def test_languages_it_does_not_know(sense_voice):
    with pytest.raises(RecordingError, match="'fr'") as caught:
        SherpaOnnxEngine(str(sense_voice)).transcribe(noise(LOUD), RATE_HZ, [Span(0, 2)], "fr")
    assert caught.value.code == ErrorCode.ASR_FAILED


def test_one_entry_a_span_also_where_nothing_is_said(sense_voice):
    engine = SherpaOnnxEngine(str(sense_voice))
    spans = (Span(0, 1), Span(0.5, 0.5), Span(0.9, 50), Span(20, 30))
    heard = engine.transcribe(np.zeros(RATE_HZ, np.float32), RATE_HZ, spans, "en")
    assert [text.text for text in heard] == [""] * 4
    assert engine.transcribe(np.zeros(RATE_HZ, np.float32), RATE_HZ, (), "en") == ()


def test_very_short_spans(sense_voice):
    """Fewer than the seven frames that the model stacks."""
    engine = SherpaOnnxEngine(str(sense_voice), use_itn=False)
    heard = engine.transcribe(noise(LOUD), RATE_HZ, [Span(0, 0.03), Span(0, 0.002)], None)
    assert all(set(text.text) <= {"a", "b"} for text in heard)


def test_long_spans_in_parts_at_telephone_rate_from_disk(sense_voice):
    rate_hz = 8000

    class OnDisk:
        """Half a minute each of loud noise and silence, over and over, read stretch by stretch."""

        size = 300 * rate_hz
        longest_s = 0.0

        def __getitem__(self, key):
            self.longest_s = max(self.longest_s, (key.stop - key.start) / rate_hz)
            second = np.arange(key.start, key.stop) // rate_hz
            loud = np.random.default_rng(0).standard_normal(second.size) * LOUD
            return np.where(second // 30 % 2 == 0, loud, 0).astype(np.float32)

    samples = OnDisk()
    engine = SherpaOnnxEngine(str(sense_voice), use_itn=False)
    text = engine.transcribe(samples, rate_hz, [Span(0, 300)], "zh")[0].text
    assert text.count("甲") + text.count("乙") >= 5, "all five loud stretches are heard"
    assert samples.longest_s <= MAX_DECODED_S


def test_same_again_and_in_another_process(sense_voice):
    engine = SherpaOnnxEngine(str(sense_voice))
    first = engine.transcribe(noise(QUIET, LOUD), RATE_HZ, [Span(0, 4)], "zh")
    copy = pickle.loads(pickle.dumps(engine))
    for again in (engine, copy):
        again.transcribe(noise(LOUD), RATE_HZ, [Span(0, 2)], "en")
        assert again.transcribe(noise(QUIET, LOUD), RATE_HZ, [Span(0, 4)], "zh") == first


ONE, TWO = ("model.onnx",), ("small-encoder.int8.onnx", "small-decoder.int8.onnx")
THREE = ("encoder-epoch-9.int8.onnx", "decoder-epoch-9.onnx", "joiner-epoch-9.int8.onnx")
WHISPER = {
    **dict.fromkeys(("n_mels", "n_text_layer", "n_text_ctx", "n_text_state", "n_vocab", "sot", "eot", "blank_id"), "1"),
    **dict.fromkeys(("translate", "transcribe", "no_timestamps", "no_speech", "sot_sequence"), "1"),
}
LFR = dict.fromkeys(("vocab_size", "lfr_window_size", "lfr_window_shift", "neg_mean", "inv_stddev"), "1")
CTC = {"vocab_size": "1", "subsampling_factor": "4"}
FIRE_RED = dict.fromkeys(("num_decoder_layers", "num_head", "head_dim", "sos", "eos", "max_len"), "1") | {
    "cmvn_mean": "0",
    "cmvn_inv_stddev": "1",
}


@pytest.mark.parametrize(
    ("files", "metadata", "constructor", "keywords", "languages"),
    [
        (ONE, LFR | {"model_type": "paraformer"}, "from_paraformer", {"paraformer": "model.onnx"}, ("zh", "en")),
        (ONE, {"model_type": "zipformer2_ctc"}, "from_zipformer_ctc", {"model": "model.onnx"}, ()),
        (ONE, CTC | {"model_type": "wenet_ctc"}, "from_wenet_ctc", {"model": "model.onnx"}, ()),
        (ONE, CTC | {"model_type": "EncDecCTCModelBPE"}, "from_nemo_ctc", {"model": "model.onnx"}, ()),
        (ONE, {"model_type": "telespeech_ctc"}, "from_telespeech_ctc", {"model": "model.onnx"}, ("zh",)),
        (
            TWO,
            WHISPER | {"model_type": "whisper-small", "is_multilingual": "1", "all_language_codes": "en,zh,de"},
            "from_whisper",
            {"encoder": TWO[0], "decoder": TWO[1], "language": "zh"},
            ("en", "zh", "de"),
        ),
        (TWO, FIRE_RED, "from_fire_red_asr", {"encoder": TWO[0], "decoder": TWO[1]}, ("zh", "en")),
        (
            THREE,
            {"model_type": "zipformer2"},
            "from_transducer",
            {"encoder": THREE[0], "decoder": THREE[1], "joiner": THREE[2], "model_type": "transducer"},
            (),
        ),
        (
            THREE,
            {"model_type": "EncDecRNNTBPEModel"},
            "from_transducer",
            {"encoder": THREE[0], "decoder": THREE[1], "joiner": THREE[2], "model_type": "nemo_transducer"},
            (),
        ),
    ],
)
def test_each_family_by_its_constructor(tmp_path, monkeypatch, files, metadata, constructor, keywords, languages):
    """Stands in for the constructor alone, which would need real weights."""
    calls = []
    stream = SimpleNamespace(
        accept_waveform=lambda rate_hz, samples: None,
        result=SimpleNamespace(text=" 您好 ", ys_log_probs=[np.log(0.9), np.log(0.4)]),
    )
    recogniser = SimpleNamespace(create_stream=lambda: stream, decode_stream=lambda stream: None)
    monkeypatch.setattr(
        library.OfflineRecognizer, constructor, lambda **given: calls.append(given) or recogniser, raising=True
    )
    tokens = "small-tokens.txt" if files is TWO else "tokens.txt"
    folder = other_model(tmp_path / "any", *files, tokens=tokens, **metadata)
    engine = SherpaOnnxEngine(str(folder), threads=3)
    heard = engine.transcribe(noise(LOUD), RATE_HZ, [Span(0, 2)], "zh")
    assert engine.languages == languages
    paths = {key: str(folder / value) if value.endswith(".onnx") else value for key, value in keywords.items()}
    assert calls == [{"tokens": str(folder / tokens), "num_threads": 3, **paths}]
    assert heard[0].text == "您好"
    assert heard[0].confidence == pytest.approx(0.6), "the geometric mean of 0.9 and 0.4"


def test_the_constructors_take_what_they_are_given():
    """Names that the library would refuse are found here, not with the first real model."""
    import inspect

    from callsift.asr.sherpa_families import FAMILIES

    for family in FAMILIES:
        known = inspect.signature(getattr(library.OfflineRecognizer, family.constructor)).parameters
        given = {"tokens", "num_threads", *family.files.values(), *family.options}
        given |= {"language"} if family.takes_language else set()
        assert given | ({"use_itn"} if family.takes_itn else set()) <= set(known), family.name


def test_8_bit_files_where_they_are_wanted_or_alone(tmp_path):
    from callsift.asr.sherpa_families import find_model

    folder = make_sense_voice(tmp_path, name="model.int8.onnx")
    assert find_model(folder).files["model"].name == "model.int8.onnx"
    make_sense_voice(tmp_path, name="model.onnx")
    assert find_model(folder).files["model"].name == "model.onnx"
    assert find_model(folder, int8=True).files["model"].name == "model.int8.onnx"


def broken(tmp_path):
    make_sense_voice(tmp_path / "no-tokens")
    (tmp_path / "no-tokens/tokens.txt").unlink()
    make_sense_voice(tmp_path / "two", name="a.onnx")
    make_sense_voice(tmp_path / "two", name="b.onnx")
    cut = make_sense_voice(tmp_path / "cut") / "model.onnx"
    cut.write_bytes(cut.read_bytes()[:-900])
    other_model(tmp_path / "junk", "model.onnx")
    (tmp_path / "junk/model.onnx").write_bytes(b"<html>404</html>" * 9)
    make_sense_voice(tmp_path / "bare", without=("with_itn", "lang_ko"))
    make_sense_voice(tmp_path / "streaming", decode_chunk_len="32")
    other_model(tmp_path / "unknown", "model.onnx", model_type="dolphin")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no such folder or model; callsift models list"),
        ("file", "is not a folder"),
        ("empty", "holds no .onnx file, but nothing"),
        ("no-tokens", "no tokens.txt"),
        ("two", "several files that may be the model: a.onnx, b.onnx"),
        ("cut", "or not all of one"),
        ("junk", "is no ONNX model"),
        ("bare", r"lacks the metadata with_itn, lang_ko.*sense-voice"),
        ("streaming", "holds a streaming model"),
        ("unknown", r"unknown family: model.onnx, tokens.txt \(model_type 'dolphin'\). Known: sense-voice, paraformer"),
    ],
)
def test_folders_that_are_no_model(tmp_path, name, message):
    with pytest.raises(UsageError, match=message):
        SherpaOnnxEngine(str(broken(tmp_path) / name))


def test_a_family_by_name(tmp_path, sense_voice):
    folder = other_model(tmp_path / "plain", "model.onnx")
    assert SherpaOnnxEngine(str(folder), kind="zipformer-ctc").languages == ()
    with pytest.raises(UsageError, match="kind=other is not known; use auto, sense-voice"):
        SherpaOnnxEngine(str(sense_voice), kind="other")
    with pytest.raises(UsageError, match="is no whisper model: it needs files for encoder, decoder"):
        SherpaOnnxEngine(str(sense_voice), kind="whisper")


def test_weights_that_the_library_refuses(tmp_path):
    """The folder looks right; what is inside shows when it is loaded."""
    folder = other_model(tmp_path / "hollow", "model.onnx", model_type="zipformer2_ctc")
    with pytest.raises(RecordingError, match="sherpa-onnx can't load hollow") as caught:
        SherpaOnnxEngine(str(folder)).transcribe(noise(LOUD), RATE_HZ, [Span(0, 2)], None)
    assert caught.value.code == ErrorCode.ASR_FAILED


def test_without_the_library(sense_voice, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "callsift\[asr\]"'):
        SherpaOnnxEngine(str(sense_voice))
