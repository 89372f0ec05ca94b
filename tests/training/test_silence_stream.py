"""The stream `silence`: learnt from, carried by the bundle, computed from the recording, refused where it can't be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callsift.bundle import Bundle
from callsift.config import FrontEnd, load_train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import ConfigError
from callsift.pipeline import Pipeline
from callsift.pipeline.silence import STREAM_COLUMNS, conversation_of
from callsift.pipeline.streams import role_spans
from callsift.scoring.scorer import Scorer
from callsift.speech.silence import timing
from callsift.text.tokens import word_tokenizer
from callsift.training.export import export
from callsift.training.run import Run, load_run, train
from callsift.types import Call, Span, Turn
from recipes.silence_calls import LATENCY_S, write_calls

SCHEME = "labels={id: answering, grades: [A, B, C, D], tasks: {four: {A: [A], B: [B], C: [C], D: [D]}}}"
SMALL = [
    "network.width=16",
    "network.heads=2",
    "network.hidden=8",
    "network.embedding_width=8",
    "front_end.tokens.buckets=256",
]
SPLITS = ("train", "train", "train", "train", "val", "test")


@pytest.fixture(scope="module")
def planted(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 calls whose grade is how long the customer takes to answer: 32 to learn from, 8 to stop by, 8 to ask about."""
    folder = tmp_path_factory.mktemp("planted")
    calls = write_calls(folder / "calls", demo, 48, seed=7)
    write_manifest(
        folder / "manifest.jsonl",
        [replace(call, split=SPLITS[at // 4 % len(SPLITS)]) for at, call in enumerate(calls)],
    )
    return folder / "manifest.jsonl"


@pytest.fixture(scope="module")
def run(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Text, audio and silence side by side, barely trained."""
    folder = tmp_path_factory.mktemp("three") / "run"
    streams = "network.streams=[text, audio, silence]"
    settings = [*SMALL, streams, "network.fusion=concat", "fit.epochs=1"]  # msmt-fn's graphs: test_graphs, test_run
    train(few, folder, load_train_config(None, settings), asr="none")
    return load_run(folder)


@pytest.fixture(scope="module")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(run, tmp_path_factory.mktemp("three") / "bundle")


def test_the_bundle_carries_the_stream_and_scores_it_from_a_bare_recording(run: Run, bundle: Bundle, few: Path) -> None:
    assert set(bundle.graphs.encoders) == {"text", "audio", "silence"}
    in_torch, in_onnx = run.scorer(asr="none"), Scorer.from_bundle(bundle, asr="none")
    for call in read_manifest(few).calls[2:]:
        bare = replace(call, turns=(), transcript=None)
        one, other = in_torch.score(bare), in_onnx.score(bare)
        assert one.error is None
        for task, classes in one.probabilities.items():
            assert classes == pytest.approx(other.probabilities[task], abs=1e-4)
        assert "missing_stream" not in {note.code for note in other.warnings}


def test_the_same_words_and_sounds_with_other_times_score_otherwise(bundle: Bundle) -> None:
    """A transcript with times alone: nothing but the stream `silence` knows how late the answer comes."""
    scorer = Scorer.from_bundle(bundle, asr="none")
    turns = (Turn("agent", "would you like it", 0.0, 2.0), Turn("customer", "yes", 2.2, 3.0))
    late = (turns[0], replace(turns[1], start_s=7.2, end_s=8.0))
    call = Call("c", language="en", turns=turns)
    quick, slow = scorer.score(call), scorer.score(replace(call, turns=late))
    untimed = scorer.score(replace(call, turns=tuple(replace(t, start_s=None, end_s=None) for t in turns)))
    assert quick.error is None
    assert untimed.error is None, "without times the stream is absent, and the call is scored by its words"
    scores = [score.rank_score or 0.0 for score in (quick, slow, untimed)]
    assert len({round(score, 5) for score in scores}) == 3


def test_what_is_removed_cannot_be_measured() -> None:
    streams = "network.streams=[text, audio, silence]"
    with pytest.raises(ConfigError, match="front_end.silence 'remove' takes out what the stream 'silence' would"):
        load_train_config(None, [streams, "front_end.silence=remove"])
    load_train_config(None, [streams, "front_end.silence=shorten"])
    with pytest.raises(ConfigError, match="encoders.silence.model 'precomputed': silence is made from the recording"):
        load_train_config(None, [streams, "network.encoders={silence: {model: precomputed, features: 3}}"])


@pytest.mark.slow
def test_a_planted_silence_is_learnt_from_the_stream_alone(planted: Path, tmp_path: Path) -> None:
    settings = [
        SCHEME, *SMALL, "network.streams=[silence]", "network.fusion=concat", "network.dropout=0.1",
        "fit.epochs=20", "fit.patience=20", "fit.batch_calls=4", "fit.learning_rate=0.005",
    ]  # fmt: skip
    train(planted, tmp_path / "run", load_train_config(None, settings), asr="none")
    run = load_run(tmp_path / "run")
    scores = {grade: index for index, grade in enumerate(run.scheme.grades)}
    scorer = run.scorer(asr="none")
    asked = [call for call in read_manifest(planted).calls if call.split == "test"]
    said = [scorer.score(replace(call, turns=())) for call in asked]
    distance = [abs(scores[str(one.grade)] - scores[str(call.label)]) for one, call in zip(said, asked, strict=True)]
    assert np.mean(distance) <= 0.5, "by chance it is 1.25 grades"
    assert run.network.encoders["silence"].features == len(STREAM_COLUMNS)


def test_every_grade_has_as_much_silence(planted: Path) -> None:
    """What the answers take is taken from other pauses: neither length nor share of silence tells the grade."""
    pipeline = Pipeline(FrontEnd(), word_tokenizer(), None)
    found: dict[str, list[tuple[float, float]]] = {}
    for call in read_manifest(planted).calls:
        prepared = pipeline.prepare(call)
        assert prepared.waveform is not None
        heard = conversation_of(prepared, role_spans(prepared))
        values = timing(heard, Span(0.0, prepared.waveform.duration_s))
        share, answer_s = values["silence_share"], values["customer_latency_median_s"]
        found.setdefault(str(call.label), []).append((share or 0.0, answer_s or 0.0))
    means = {grade: np.mean(rows, axis=0) for grade, rows in found.items()}
    shares = [means[grade][0] for grade in LATENCY_S]
    assert max(shares) - min(shares) < 0.03
    answers_s = [means[grade][1] for grade in LATENCY_S]  # a little late: recorded words end softly
    assert answers_s == pytest.approx(list(LATENCY_S.values()), rel=0.2, abs=0.25)


def test_the_moments_of_all_three_streams_are_the_same_from_run_and_bundle(run: Run, bundle: Bundle, few: Path) -> None:
    """And the shares of the streams, which sum to what the call is less without any of them."""
    call = read_manifest(few).calls[3]
    one, other = run.scorer(asr="none").score(call, 2), Scorer.from_bundle(bundle, asr="none").score(call, 2)
    assert one.error is None
    assert dict(one.streams) == pytest.approx(dict(other.streams), abs=1e-4)
    assert set(one.streams) == {"text", "audio", "silence"}
    kinds = set()
    for here, there in zip(one.segments, other.segments, strict=True):
        found = {(m.stream, m.text, m.start_s, m.end_s): (m.kind, m.contribution) for m in there.moments}
        assert len(found) == len(here.moments)
        for moment in here.moments:
            kind, contribution = found[moment.stream, moment.text, moment.start_s, moment.end_s]
            assert kind == moment.kind
            assert contribution == pytest.approx(moment.contribution, abs=1e-4)
            kinds.add((moment.stream, moment.kind))
    assert kinds >= {("text", "word"), ("audio", "sound"), ("silence", "pause")}
