"""The real sherpa-onnx with small models in the real format: a gate on loudness, and mean filter banks as a voice."""

import pickle
from itertools import pairwise

import numpy as np
import pytest

from callsift.errors import ConfigError, UsageError
from callsift.plugins import make
from callsift.speech.sherpa_diarizer import SherpaDiarizer, _of_speech
from callsift.types import Span

RATE_HZ = 16000
WINDOW, FIELD, SHIFT = 16000, 991, 270
"""Of the toy segmentation model; the published ones look at ten seconds at once."""


def voice(seconds, pitch_hz, formants_hz, rate_hz=RATE_HZ):
    """Harmonics of a pitch through two resonances, four syllables a second, (T,)."""
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    wave = np.zeros(time_s.size)
    for harmonic in range(1, int(3800 / pitch_hz)):
        hz = pitch_hz * harmonic
        gain = sum(1 / (1 + ((hz - formant) / 120) ** 2) for formant in formants_hz)
        wave += gain * np.sin(2 * np.pi * hz * time_s + harmonic)
    wave *= 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s)
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


TURNS = ((0, 1.0, 5.0), (1, 5.5, 9.0), (0, 9.5, 13.0), (1, 13.5, 18.0))
SPEECH = tuple(Span(start_s, end_s) for _, start_s, end_s in TURNS)


@pytest.fixture(scope="module")
def dialogue():
    """Two voices by turns (19 s at 16 kHz)."""
    samples = 1e-4 * np.random.default_rng(0).standard_normal(19 * RATE_HZ).astype(np.float32)
    for who, start_s, end_s in TURNS:
        part = voice(end_s - start_s, *((110, (500, 1200)), (220, (900, 2600)))[who])
        samples[round(start_s * RATE_HZ) : round(start_s * RATE_HZ) + part.size] += part
    return samples


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Options naming a segmentation and an embedding model that sherpa-onnx loads."""
    onnx = pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("models")
    made = {"segmentation": _segmentation(onnx), "embedding": _embedding(onnx)}
    for name, model in made.items():
        onnx.save(model, folder / f"{name}.onnx")
    return {name: str(folder / f"{name}.onnx") for name in made}


def _segmentation(onnx):
    """(N, 1, T) → log-probabilities (N, F, 7): nobody below a loudness, the first speaker above it."""
    h, to = onnx.helper, onnx.numpy_helper.from_array
    loud = np.zeros((7, 1, 1), np.float32)
    loud[1] = 1e4
    bias = np.array([5.0, 0, -9, -9, -9, -9, -9], np.float32)
    nodes = [
        h.make_node("Mul", ["x", "x"], ["power"]),
        h.make_node("Conv", ["power", "mean"], ["level"], strides=[SHIFT]),
        h.make_node("Conv", ["level", "loud", "bias"], ["classes"]),
        h.make_node("Transpose", ["classes"], ["frames"], perm=[0, 2, 1]),
        h.make_node("LogSoftmax", ["frames"], ["y"], axis=-1),
    ]
    weights = [
        to(np.full((1, 1, FIELD), 1 / FIELD, np.float32), "mean"),
        to(loud, "loud"),
        to(bias, "bias"),
    ]
    about = {
        "num_speakers": 3,
        "powerset_max_classes": 2,
        "num_classes": 7,
        "sample_rate": RATE_HZ,
        "window_size": WINDOW,
        "receptive_field_size": FIELD,
        "receptive_field_shift": SHIFT,
    }
    return _model(onnx, nodes, weights, ("x", ["N", 1, "T"]), ("y", ["N", "F", 7]), about)


def _embedding(onnx):
    """Filter banks (N, F, 80) → their mean over time, less the mean over the bands (N, 80)."""
    h = onnx.helper
    nodes = [
        h.make_node("ReduceMean", ["feats"], ["mean"], axes=[1], keepdims=0),
        h.make_node("ReduceMean", ["mean"], ["level"], axes=[1], keepdims=1),
        h.make_node("Sub", ["mean", "level"], ["embs"]),
    ]
    about = {
        "framework": "wespeaker",
        "language": "English",
        "url": "none",
        "comment": "toy",
        "output_dim": 80,
        "sample_rate": RATE_HZ,
        "normalize_samples": 1,
        "feature_normalize_type": "",
    }
    return _model(onnx, nodes, [], ("feats", ["N", "F", 80]), ("embs", ["N", 80]), about)


def _model(onnx, nodes, weights, given, gives, about):
    h, kind = onnx.helper, onnx.TensorProto.FLOAT
    ends = [[h.make_tensor_value_info(name, kind, shape)] for name, shape in (given, gives)]
    graph = h.make_graph(nodes, "toy", *ends, weights)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
    h.set_model_props(model, {key: str(value) for key, value in about.items()})
    return model


def shared_s(spans, turns):
    return sum(max(0.0, min(s.end_s, end) - max(s.start_s, start)) for s in spans for _, start, end in turns)


def test_tells_two_voices_apart(models, dialogue):
    pytest.importorskip("sherpa_onnx")
    diarizer = make("diarizer", "sherpa-onnx," + ",".join(f"{key}={value}" for key, value in models.items()))
    found = diarizer.diarize(dialogue, RATE_HZ, SPEECH)
    assert len(found.speakers) == 2
    right = sum(shared_s(spans, [t for t in TURNS if t[0] == who]) for who, spans in enumerate(found.speakers))
    assert right / sum(span.duration_s for span in SPEECH) > 0.9
    assert found.confidence > 0.9
    for spans in found.speakers:
        assert all(before.end_s <= after.start_s for before, after in pairwise(spans))
        assert shared_s(spans, TURNS) == pytest.approx(sum(span.duration_s for span in spans))  # inside the speech


def test_other_rates_and_another_process(models, dialogue):
    pytest.importorskip("sherpa_onnx")
    diarizer = SherpaDiarizer(**models)
    assert len(diarizer.diarize(dialogue[::2], RATE_HZ // 2, SPEECH).speakers) == 2
    again = pickle.loads(pickle.dumps(diarizer)).diarize(dialogue, RATE_HZ, SPEECH)
    assert again == diarizer.diarize(dialogue, RATE_HZ, SPEECH)


def test_one_voice_by_threshold(models, dialogue):
    pytest.importorskip("sherpa_onnx")
    alone = dialogue.copy()
    alone[5 * RATE_HZ :] = 0
    found = SherpaDiarizer(**models, num_speakers=0, threshold=1.5).diarize(alone, RATE_HZ, SPEECH[:1])
    assert len(found.speakers) == 1


def test_silence_is_one_speaker_at_most(models):
    pytest.importorskip("sherpa_onnx")
    diarizer = SherpaDiarizer(**models)
    assert diarizer.diarize(np.zeros(RATE_HZ, np.float32), RATE_HZ, ()).speakers == ()
    unheard = diarizer.diarize(np.zeros(3 * RATE_HZ, np.float32), RATE_HZ, (Span(1.0, 2.0),))
    assert unheard.speakers == ((Span(1.0, 2.0),),)
    assert unheard.confidence == 0.0


def test_the_two_who_speak_most():
    said = [[Span(0, 1)], [Span(1, 5)], [Span(4.5, 9), Span(10, 20)]]
    found = _of_speech(said, [Span(0, 8), Span(11, 12)])
    assert found.speakers == ((Span(1, 5),), (Span(4.5, 8), Span(11, 12)))
    assert found.confidence == pytest.approx((4 + 4.5 - 1) / 9)  # 1 s nobody's, half a second both's


@pytest.mark.parametrize("missing", ["segmentation", "embedding"])
def test_says_which_model_is_missing(tmp_path, missing):
    there = tmp_path / "there.onnx"
    there.touch()
    options = {"segmentation": str(there), "embedding": str(there)}
    with pytest.raises(UsageError, match=f"needs {missing}"):
        SherpaDiarizer(**{**options, missing: ""})
    with pytest.raises(UsageError, match=rf"{missing}=.*gone\.onnx: no such folder or model"):
        SherpaDiarizer(**{**options, missing: str(tmp_path / "gone.onnx")})


def test_says_that_the_package_is_missing(models, monkeypatch):
    monkeypatch.setattr("callsift.speech.sherpa_diarizer.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "callsift\[asr\]"'):
        SherpaDiarizer(**models)


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_models_of_no_use_are_found_out_before_any_call(models, tmp_path, content):
    pytest.importorskip("sherpa_onnx")
    (tmp_path / "bad.onnx").write_bytes(content)
    for option in models:
        with pytest.raises(UsageError, match=rf"can't use .*{option}=\S*bad\.onnx.*Give models") as caught:
            SherpaDiarizer(**{**models, option: str(tmp_path / "bad.onnx")})
        assert "\n" not in str(caught.value)


def test_says_what_numbers_are_out_of_range(tmp_path):
    there = tmp_path / "there.onnx"
    there.touch()
    with pytest.raises(UsageError, match="threads is 0"):
        SherpaDiarizer(str(there), str(there), threads=0)
    with pytest.raises(UsageError, match="num_speakers is -1"):
        SherpaDiarizer(str(there), str(there), num_speakers=-1)
    with pytest.raises(ConfigError, match="Its options: segmentation, embedding, threads, num_speakers, threshold"):
        make("diarizer", "sherpa-onnx,speakers=2")
