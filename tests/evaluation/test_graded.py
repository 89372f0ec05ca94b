"""Words and confidence of prepared calls, and the texts of training calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from callsift.bundle import find_bundle, load_bundle
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import DataError, ErrorCode, RecordingError
from callsift.evaluation.desk import InProcess
from callsift.evaluation.graded import confidence_of, hear, labelled_texts, text_of
from callsift.pipeline import Pipeline
from callsift.pipeline.prepared_set import prepared_row
from callsift.plugins import AsrText
from callsift.scoring.scorer import Scorer
from callsift.text.tokens import load_tokenizer
from callsift.types import Call, PreparedCall, Segment, Signal, Span, Turn
from tests.evaluation.planted import made, planted


def prepared(*turns: Turn) -> PreparedCall:
    return PreparedCall(Call("c"), (Segment("0", turns[:1]), Segment("1", turns[1:])), None, None, None)


def test_confidence_counts_by_the_seconds() -> None:
    one, other = Turn("agent", "hello", 0.0, 1.0, confidence=0.2), Turn("customer", "hi", 1.0, 4.0, confidence=0.6)
    assert confidence_of(prepared(one, other)) == pytest.approx((0.2 * 1 + 0.6 * 3) / 4)
    given, silent = Turn("agent", "given", 4.0, 9.0), Turn("agent", " ", 9.0, 10.0, confidence=1.0)
    assert confidence_of(prepared(one, other, given, silent)) == pytest.approx(0.5)
    assert confidence_of(prepared(given, silent)) is None
    assert confidence_of(prepared(Turn("agent", "a", confidence=0.2), Turn("agent", "b", confidence=0.4))) == (
        pytest.approx(0.3)
    )


def test_words_of_a_call_and_of_a_segment() -> None:
    call = Call("c", segments=(Segment("0", (Turn("agent", "hello"), Turn("customer", ""))),
                               Segment("1", (Turn("customer", "bye"),))))  # fmt: skip
    assert text_of(call) == "hello bye"
    assert text_of(call, "1") == "bye"


def test_confidence_is_kept_in_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    turn = Turn("agent", "hello", 0.0, 1.0, confidence=0.4567)
    write_manifest(path, [Call("c", turns=(turn,)), Call("d", segments=(Segment("0", (turn,)),))])
    one, other = read_manifest(path).calls
    assert one.turns[0].confidence == other.segments[0].turns[0].confidence == 0.457
    assert read_manifest(path).notes == ()


@pytest.mark.parametrize("value", ['"high"', "1.5", "-0.1", "true", "NaN"])
def test_a_confidence_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(f'{{"call_id": "c", "turns": [{{"text": "hello", "confidence": {value}}}]}}\n')
    with pytest.raises(DataError, match="turn 0: confidence .* must be a number from 0 to 1"):
        read_manifest(path)


def test_training_texts_need_no_recording_where_words_are_given(tmp_path: Path) -> None:
    """The recordings are no audio at all, so that decoding them would fail."""
    scorer = Scorer.from_bundle(load_bundle(find_bundle("starter")), asr="none", threads=1)
    for name in "abc":
        (tmp_path / f"{name}.wav").write_bytes(b"no audio")
    (tmp_path / "b.txt").write_text("agent: good day\ncustomer: not now\n")
    turns = (Turn("agent", "hello there"), Turn("customer", "yes please"))
    calls = [
        Call("a", audio=tmp_path / "a.wav", turns=turns, label="A"),
        Call("b", audio=tmp_path / "b.wav", label="B"),
        Call("c", audio=tmp_path / "c.wav", label="C"),
        Call("d", segments=(Segment("0", turns, label="A"), Segment("1", turns[:1])), label="D"),
    ]
    assert list(labelled_texts(InProcess(scorer), calls).values()) == [
        [("hello there yes please", "A")], [("good day not now", "B")], [("hello there yes please hello there", "D")],
    ]  # fmt: skip
    scorer.target = "segment"
    assert labelled_texts(InProcess(scorer), calls[3:]) == {"d": [("hello there yes please", "A")]}


def test_a_call_that_fails_says_why_and_is_tried_once() -> None:
    """An engine over a network may fail once and answer then: a second try would come right, and tell no reason."""
    scorer, tries = planted(), []

    class Flaky(Pipeline):
        def prepare(self, call: Call) -> PreparedCall:
            tries.append(call.call_id)
            if len(tries) == 1:
                raise RecordingError(ErrorCode.ASR_FAILED, "the engine is out of order")
            return super().prepare(call)

    scorer.pipeline = Flaky(scorer.pipeline.front_end, scorer.pipeline.tokenizer, None)
    heard = hear(InProcess(scorer), [made(1, 3), made(2, 3)])
    assert heard.failed == {"c1": "asr_failed: the engine is out of order"}
    assert tries == ["c1", "c2"]


class _Halting:
    """Hears one word in every stretch, and is half sure of it."""

    name, model, languages = "halting", "", ()

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        return tuple(AsrText(span.start_s, span.end_s, f"word{at}", 0.5) for at, span in enumerate(spans))


def test_what_an_engine_is_sure_of_goes_with_its_words(demo: Path, tmp_path: Path) -> None:
    bundle = load_bundle(find_bundle("starter"))
    pipeline = Pipeline(bundle.front_end, load_tokenizer(bundle.tokenizer), _Halting(), "none")
    recording = tmp_path / "call.ogg"
    recording.write_bytes((demo / "calls/en-01-broadband.ogg").read_bytes())
    heard = pipeline.prepare(Call("c", audio=recording))
    assert {turn.confidence for segment in heard.segments for turn in segment.turns if turn.text} == {0.5}
    assert confidence_of(heard) == pytest.approx(0.5)
    kept = tmp_path / "manifest.jsonl"
    write_manifest(kept, [prepared_row(heard).call])
    assert confidence_of(pipeline.prepare(read_manifest(kept).calls[0])) == pytest.approx(0.5)
