"""Words, sounds and pauses of a call, against scoring the call without them; with the shipped model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callsift.bundle import find_bundle, load_bundle
from callsift.data.manifest import read_manifest
from callsift.errors import ErrorCode
from callsift.labels import LabelScheme
from callsift.scoring.evidence import absent, encoded, judge, segment_vectors
from callsift.scoring.occlusion import MOST_PARTS
from callsift.scoring.report import places_of
from callsift.scoring.rows import segment_row
from callsift.scoring.scorer import Scorer, result_row
from callsift.scoring.streams_share import MOST_STREAMS, stream_shares, subset_vectors
from callsift.types import (
    BoolArray,
    Call,
    CallInputs,
    CallScore,
    FloatArray,
    IntArray,
    PreparedCall,
    Segment,
    StreamInput,
    Turn,
)
from tests.evaluation.planted import DONATION, MOOD, planted, said


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.from_bundle(load_bundle(find_bundle("starter")), asr="none")


@pytest.fixture(scope="module")
def prepared(scorer: Scorer, demo: Path) -> PreparedCall:
    calls = {call.call_id: call for call in read_manifest(demo / "manifest.jsonl").calls}
    return scorer.pipeline.prepare(calls["en-11-mobile-plan"])


@pytest.fixture(scope="module")
def score(scorer: Scorer, prepared: PreparedCall) -> CallScore:
    return scorer.score_prepared(prepared, 2)


def _propensity(scorer: Scorer, inputs: CallInputs) -> float:
    verdict, _ = judge(scorer.runtime, segment_vectors(scorer.runtime, inputs), scorer.scheme, scorer.calibration)
    assert verdict.propensity is not None
    return verdict.propensity


def _changed(prepared: PreparedCall, at: int, segment: Segment) -> PreparedCall:
    return replace(prepared, segments=(*prepared.segments[:at], segment, *prepared.segments[at + 1 :]))


def test_a_word_counts_what_the_call_is_less_without_it(
    scorer: Scorer, prepared: PreparedCall, score: CallScore
) -> None:
    compared = 0
    for at, evidence in enumerate(score.segments):
        for word in [moment for moment in evidence.moments if moment.kind == "word"][:6]:
            said = str(word.text)
            turns = prepared.segments[at].turns
            if sum(turn.text.count(said) for turn in turns) != 1:
                continue
            fewer = tuple(replace(turn, text=" ".join(turn.text.replace(said, "").split())) for turn in turns)
            other = scorer.score_prepared(_changed(prepared, at, replace(prepared.segments[at], turns=fewer)))
            assert score.propensity is not None
            assert other.propensity is not None
            assert word.contribution == pytest.approx(score.propensity - other.propensity, abs=1e-5)
            compared += 1
    assert compared >= 6


def test_a_sound_counts_what_the_call_is_less_with_the_speakers_mean_in_its_place(
    scorer: Scorer, prepared: PreparedCall, score: CallScore
) -> None:
    inputs, _ = scorer.pipeline.inputs(prepared)
    whole = _propensity(scorer, inputs)
    found = [
        (at, moment) for at, one in enumerate(score.segments) for moment in one.moments if moment.stream == "audio"
    ]
    assert len(found) > 10
    for at, moment in [found[0], found[-1]]:
        segment, start_s = prepared.segments[at], moment.start_s
        assert segment.start_s is not None
        assert start_s is not None
        assert moment.end_s is not None
        audio = inputs.segments[at]["audio"]
        assert audio is not None
        values = audio.values.copy()
        frames = [round(100 * (time_s - segment.start_s)) for time_s in (start_s, moment.end_s)]
        assert 80 <= frames[1] - frames[0] <= 200, "about a second"
        values[frames[0] : frames[1]] = 0.0
        changed = [*inputs.segments]
        changed[at] = {**changed[at], "audio": type(audio)(values)}
        expected = whole - _propensity(scorer, replace(inputs, segments=tuple(changed)))
        assert moment.contribution == pytest.approx(expected, abs=1e-5)


def test_pauses_are_where_the_detector_hears_nobody(prepared: PreparedCall, scorer: Scorer) -> None:
    everywhere = scorer.score_prepared(prepared, len(prepared.segments))
    speech = [span for spans in prepared.speech for span in spans]
    for evidence in everywhere.segments:
        for moment in evidence.moments:
            if moment.stream != "audio" or moment.start_s is None or moment.end_s is None:
                continue
            times_s = np.arange(moment.start_s, moment.end_s, 0.005)
            heard = np.mean([any(span.start_s <= time_s < span.end_s for span in speech) for time_s in times_s])
            assert (moment.kind == "pause") == (heard < 0.5) or abs(heard - 0.5) < 0.02


def test_the_segments_that_count_most_have_moments_and_nothing_else_is_changed(
    scorer: Scorer, prepared: PreparedCall, score: CallScore
) -> None:
    plain = result_row(scorer.score_prepared(prepared))
    asked = result_row(score)
    assert "streams" not in plain
    sizes = [abs(segment["contribution"]) for segment in plain["segments"]]
    with_moments = [at for at, segment in enumerate(asked["segments"]) if "moments" in segment]
    assert with_moments == sorted(np.argsort(sizes)[-2:].tolist())
    for at in with_moments:
        moments = asked["segments"][at].pop("moments")
        assert [abs(one["contribution"]) for one in moments] == sorted(
            (abs(one["contribution"]) for one in moments), reverse=True
        )
        assert max(sum(one["stream"] == stream for one in moments) for stream in ("text", "audio")) <= MOST_PARTS
    assert set(asked.pop("streams")) == {"text", "audio"}
    assert (asked.pop("evidence"), asked.pop("explained")) == (2, "propensity")
    assert [segment.pop("weight") for segment in asked["segments"]] == [
        one["contribution"] for one in plain["segments"]
    ]
    assert asked == plain
    assert result_row(scorer.score_prepared(prepared, 2)) == result_row(score), "the same every time"


def test_segments_that_are_named_are_looked_into_in_place_of_the_weightiest(
    scorer: Scorer, prepared: PreparedCall, score: CallScore
) -> None:
    other = next(at for at, segment in enumerate(score.segments) if not segment.moments)
    found = scorer.score_prepared(prepared, 1, [other])
    assert [at for at, segment in enumerate(found.segments) if segment.moments] == [other]
    assert found.streams == score.streams


def test_a_word_says_where_it_stands(prepared: PreparedCall, score: CallScore) -> None:
    words = 0
    for segment, evidence in zip(prepared.segments, score.segments, strict=True):
        spoken = [turn.text for turn in segment.turns if turn.text.strip()]
        for moment in evidence.moments:
            if moment.kind != "word":
                assert (moment.turn, moment.at) == (None, None)
                continue
            assert moment.turn is not None
            assert spoken[moment.turn].startswith(str(moment.text), moment.at)
            words += 1
        rows = segment_row(evidence)
        places = [place for row in rows.get("moments", []) for place in places_of(evidence.text, row)]
        assert len(set(places)) == len(places) == sum(moment.kind == "word" for moment in evidence.moments)
    assert words > 10


def test_shares_are_those_of_the_two_orders_in_which_text_and_audio_can_come(
    scorer: Scorer, prepared: PreparedCall, score: CallScore
) -> None:
    inputs, _ = scorer.pipeline.inputs(prepared)

    def with_only(*streams: str) -> float:
        segments = tuple({name: row[name] if name in streams else None for name in row} for row in inputs.segments)
        vectors = np.concatenate([_alone(scorer, row) for row in segments])
        verdict, _ = judge(scorer.runtime, vectors, scorer.scheme, scorer.calibration)
        return float(verdict.propensity or 0.0)

    nothing, text, audio, both = with_only(), with_only("text"), with_only("audio"), with_only("text", "audio")
    assert score.streams["text"] == pytest.approx(((text - nothing) + (both - audio)) / 2, abs=1e-5)
    assert score.streams["audio"] == pytest.approx(((audio - nothing) + (both - text)) / 2, abs=1e-5)
    assert sum(score.streams.values()) == pytest.approx(both - nothing, abs=1e-6)


def _alone(scorer: Scorer, row: Mapping[str, StreamInput | None]) -> FloatArray:
    """One segment by itself, of which nothing may be there."""
    return scorer.runtime.fuse(encoded(scorer.runtime, row))


SAID = (Turn("agent", "would you like the plan"), Turn("customer", "yes, please"))


def _segments(count: int, turns: tuple[Turn, ...] = SAID) -> Call:
    return Call("c", language="en", segments=tuple(Segment(str(at), turns) for at in range(count)))


@pytest.mark.parametrize(
    ("call", "moments"),
    [
        (_segments(1), [7]),
        (_segments(2), [7, 7]),
        (_segments(1, (Turn("customer", "?!"),)), [0]),
        (_segments(1, (Turn("customer", "yes"),)), [1]),
        (_segments(1, (Turn("customer", "好的，明天上午。"),)), [3]),
        (_segments(1, (Turn("customer", " ".join(["well"] * 100)),)), [20]),
        (_segments(1, (Turn("customer", "well yes"),) * 30), [20]),
    ],
    ids=[
        "one segment",
        "two",
        "marks alone",
        "one word",
        "Chinese",
        "a hundred words, in fives",
        "thirty turns, in threes",
    ],
)
def test_calls_of_text_alone(scorer: Scorer, call: Call, moments: list[int]) -> None:
    score = scorer.score(call, 5)
    assert score.error is None
    assert [len(segment.moments) for segment in score.segments] == moments
    assert all(moment.start_s is None for segment in score.segments for moment in segment.moments)
    assert score.streams["audio"] == 0.0
    assert result_row(score)["streams"] == pytest.approx(dict(score.streams), abs=1e-6)


def test_a_call_of_sound_alone_has_moments_of_sound(scorer: Scorer, demo: Path) -> None:
    call = next(call for call in read_manifest(demo / "manifest.jsonl").calls if call.audio is not None)
    score = scorer.score(Call("a", audio=call.audio), 1)
    assert score.error is None
    assert {moment.stream for segment in score.segments for moment in segment.moments} == {"audio"}
    assert score.streams["text"] == 0.0


def test_a_call_that_cannot_be_scored_says_why_as_it_does_without_evidence(scorer: Scorer) -> None:
    assert scorer.score(Call("nothing"), 3) == scorer.score(Call("nothing"))
    assert scorer.score(Call("nothing"), 3).error is not None


class Counting:
    """The shipped network, and how many segments go through it."""

    def __init__(self, scorer: Scorer, widths: Mapping[str, int] | None = None) -> None:
        self.runtime = scorer.runtime
        self.widths = widths or scorer.runtime.widths
        self.encoded = self.fused = 0

    def encode(self, stream: str, values: FloatArray | IntArray, mask: BoolArray) -> tuple[FloatArray, BoolArray]:
        self.encoded += len(values)
        return self.runtime.encode(stream, values, mask)

    def fuse(self, streams: Mapping[str, tuple[FloatArray, BoolArray, BoolArray]]) -> FloatArray:
        self.fused += len(next(iter(streams.values()))[2])
        return self.runtime.fuse({name: streams[name] for name in self.runtime.widths})

    def call(self, vectors: FloatArray, mask: BoolArray) -> dict[str, FloatArray]:
        return self.runtime.call(vectors, mask)


class AllText(Counting):
    """The shipped network, to which every stream is text; it reads the one called so."""

    def encode(self, stream: str, values: FloatArray | IntArray, mask: BoolArray) -> tuple[FloatArray, BoolArray]:
        return self.runtime.encode("text", values, mask)

    def fuse(self, streams: Mapping[str, tuple[FloatArray, BoolArray, BoolArray]]) -> FloatArray:
        return self.runtime.fuse({"text": streams["text"], "audio": absent(self.runtime, "audio")})


def _with(scorer: Scorer, runtime: Counting) -> Scorer:
    return Scorer(
        runtime=runtime, pipeline=scorer.pipeline, scheme=scorer.scheme, calibration=scorer.calibration,
        info=scorer.info,
    )  # fmt: skip


@pytest.mark.parametrize("moments", [3, 16])
def test_the_work_grows_as_the_call_does(scorer: Scorer, moments: int) -> None:
    """Not with its square: the same more for every four segments, moments of three of them or of all."""
    work = []
    for count in (4, 8, 16):
        counting = Counting(scorer)
        assert _with(scorer, counting).score(_segments(count), moments).error is None
        work.append((counting.encoded, counting.fused))
    for four, eight, sixteen in zip(*work, strict=True):
        assert eight > four
        assert sixteen - eight == 2 * (eight - four)
    each = 7 if moments == 16 else 0
    encoded_each = 2 if each else 1  # once for the answer, once more where parts are left out
    assert work[1][0] - work[0][0] == 4 * (encoded_each + each)
    assert work[1][1] - work[0][1] == 4 * (2 + each), "with and without the text, and without each word"


def test_of_too_many_streams_no_shares_are_given(scorer: Scorer) -> None:
    """Every one is text to the network, under names of its own."""
    widths = dict.fromkeys(("text", *(f"other{at}" for at in range(MOST_STREAMS))), scorer.runtime.widths["text"])
    prepared = scorer.pipeline.prepare(_segments(2))
    text, _ = scorer.pipeline.inputs(prepared, ("text",))
    inputs = CallInputs("c", tuple(dict.fromkeys(widths, row["text"]) for row in text.segments))
    vectors = subset_vectors(AllText(scorer, widths), inputs)
    assert [len(subset) for subset in vectors] == [MOST_STREAMS + 1], "nothing is left out of so many"
    assert stream_shares(scorer.quantity(next(iter(vectors.values()))), vectors) == {}


def test_a_number_at_the_end_of_its_range_has_evidence() -> None:
    """Three times +2 is held at 4, and each is still worth 2."""
    scorer = planted(LabelScheme.model_validate(MOOD))
    score = scorer.score(said("yes", "well yes", "yes", "plan"), 1)
    assert score.value == 4.0
    assert [segment.weight for segment in score.segments] == pytest.approx([2.0, 2.0, 2.0, 0.0])
    assert score.segments[0].moments[0].contribution == pytest.approx(2.0)
    assert score.streams == {"text": pytest.approx(6.0)}
    each = planted(LabelScheme.model_validate(MOOD), "segment").score(said("yes yes yes", "never"), 1)
    assert [segment.value for segment in each.segments] == [4.0, -1.0]
    assert [moment.contribution for moment in each.segments[0].moments] == pytest.approx([2.0] * 3)


@pytest.mark.parametrize("scheme", [DONATION, LabelScheme.model_validate(MOOD)], ids=["grades", "number"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_answer_that_is_no_number_costs_its_call_alone(scheme: LabelScheme, wrong: float) -> None:
    scorer = planted(scheme)
    real = scorer.runtime.call
    scorer.runtime.call = lambda rows, mask: {  # type: ignore[method-assign]
        task: found + (wrong if rows.shape[1] == 2 else 0.0) for task, found in real(rows, mask).items()
    }
    score = scorer.score(said("yes", "plan"))
    assert score.error is not None
    assert score.error[0] == ErrorCode.INTERNAL
    assert score.error[1].startswith("the model's answer to this call is not a number (NaN)")
    json.dumps(result_row(score), allow_nan=False)
    assert scorer.score(said("yes")).error is None
