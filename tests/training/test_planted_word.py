"""A network that goes by one word: evidence finds it, and the segment in which it is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callsift.config import load_train_config
from callsift.data.manifest import write_manifest
from callsift.scoring.scorer import Scorer, result_row
from callsift.training.run import load_run, train
from callsift.types import Call, Segment, Turn
from tests.training.sizes import SIZES

FILLING = ("well", "the", "plan", "costs", "ten", "pounds", "a", "month")
SETTINGS = [
    "labels=donation",
    "network.streams=[text]",
    "network.fusion=text",
    *SIZES,
    "front_end.tokens={buckets: 256, word_ngrams: 1, by_role: false}",
    "network.dropout=0",
    "network.head_dropout=0",
    "network.token_dropout=0",
    "fit.epochs=5",
    "fit.patience=5",
    "fit.batch_calls=4",
    "fit.learning_rate=0.01",
    "fit.threads=1",
]


def made(number: int, segments: int = 2) -> Call:
    """Whoever says "yes", in one of the segments, gives; every other call."""
    random = np.random.default_rng(number)
    gives, where = number % 2 == 1, int(random.integers(segments))
    found = []
    for at in range(segments):
        words = [str(word) for word in random.permutation(FILLING)[:4]]
        if gives and at == where:
            words.insert(int(random.integers(5)), "yes")
        found.append(Segment(str(at), (Turn("agent", "would you"), Turn("customer", " ".join(words)))))
    return Call(f"c{number}", language="en", segments=tuple(found), label="yes" if gives else "no")


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    folder = tmp_path_factory.mktemp("planted")
    calls = [
        replace(made(number, 2 + number // 2 % 4), split="train" if number < 48 else "val") for number in range(56)
    ]
    write_manifest(folder / "manifest.jsonl", calls)
    train(folder / "manifest.jsonl", folder / "run", load_train_config(None, SETTINGS), asr="none")
    return load_run(folder / "run").scorer(asr="none")


@pytest.mark.parametrize("number", [101, 103, 105, 107])
def test_the_word_that_decides_comes_first(scorer: Scorer, number: int) -> None:
    score = scorer.score(made(number), 1)
    assert score.grade == "yes"
    (deciding,) = [segment for segment in score.segments if segment.moments]
    assert "yes" in deciding.text
    first, second = deciding.moments[:2]
    assert first.text == "yes"
    assert first.contribution > 0.3
    assert abs(second.contribution) < first.contribution / 2


def test_shares_of_one_stream_are_what_it_adds_to_nothing(scorer: Scorer) -> None:
    scores = [scorer.score(made(number), 1) for number in (101, 102)]
    shares = [score.streams["text"] for score in scores]
    propensities = [float(score.propensity or 0.0) for score in scores]
    assert shares[0] - shares[1] == pytest.approx(propensities[0] - propensities[1], abs=1e-5)


def test_rows_of_a_scheme_without_positive_grades(scorer: Scorer) -> None:
    """What is explained is then the probability of the grade that is given; contributions stay null, weights do not."""
    plain = Scorer(
        runtime=scorer.runtime, pipeline=scorer.pipeline, calibration=scorer.calibration, info=scorer.info,
        scheme=scorer.scheme.model_copy(update={"positive": ()}),
    )  # fmt: skip
    for number in (101, 102):
        here, there = result_row(scorer.score(made(number), 2)), result_row(plain.score(made(number), 2))
        sign = 1 if here["grade"] == "yes" else -1
        assert there["propensity"] is None
        assert (here["explained"], there["explained"]) == ("propensity", f"probability of {here['grade']}")
        assert there["streams"]["text"] == pytest.approx(sign * here["streams"]["text"], abs=1e-6)
        for one, other in zip(here["segments"], there["segments"], strict=True):
            assert other["contribution"] is None
            assert one["weight"] == pytest.approx(one["contribution"], abs=1e-6)
            assert other["weight"] == pytest.approx(sign * one["weight"], abs=2e-6)
            expected = [(moment["text"], sign * moment["contribution"]) for moment in one["moments"]]
            found = [(moment["text"], moment["contribution"]) for moment in other["moments"]]
            np.testing.assert_allclose([each for _, each in found], [each for _, each in expected], atol=2e-6)
            assert found[0][0] == expected[0][0] or abs(found[0][1]) < 1e-5


@pytest.mark.slow  # without training: tests/evaluation/test_mistakes.py
def test_a_model_of_segments_is_explained_segment_by_segment(tmp_path: Path) -> None:
    """Moments are of the segment's own answer; the call has no contributions."""
    calls = []
    for number in range(32):
        call = made(number, 3)
        mood = [1.0 if "yes" in segment.turns[1].text.split() else -1.0 for segment in call.segments]
        segments = tuple(replace(one, label=own) for one, own in zip(call.segments, mood, strict=True))
        calls.append(replace(call, segments=segments, label=None, split="train" if number < 26 else "val"))
    write_manifest(tmp_path / "manifest.jsonl", calls)
    number_of = ["target=segment", "labels={id: mood, kind: number, range: [-3, 3]}", *SETTINGS[1:]]
    train(tmp_path / "manifest.jsonl", tmp_path / "run", load_train_config(None, number_of), asr="none")
    scorer = load_run(tmp_path / "run").scorer(asr="none")
    score = scorer.score(made(101, 3), 3)
    assert score.error is None
    for at, segment in enumerate(score.segments):
        assert segment.contribution is None
        said = segment.moments[0]
        if said.text == "yes":
            assert said.contribution > 0
        call = made(101, 3)
        fewer = [" ".join(word for word in turn.text.split() if word != said.text) for turn in call.segments[at].turns]
        turns = tuple(replace(turn, text=text) for turn, text in zip(call.segments[at].turns, fewer, strict=True))
        changed = replace(call.segments[at], turns=turns)
        other = scorer.score(replace(call, segments=(*call.segments[:at], changed, *call.segments[at + 1 :])))
        assert segment.value is not None
        assert said.contribution == pytest.approx(segment.value - (other.segments[at].value or 0.0), abs=1e-5)
    assert set(score.streams) == {"text"}
