"""What is left out of a segment, and when it was."""

from __future__ import annotations

import numpy as np
import pytest

from callsift.config import FrontEnd
from callsift.pipeline import Pipeline
from callsift.scoring.occlusion import MOST_PARTS, Part, Parts, evenly
from callsift.text.tokens import word_tokenizer
from callsift.types import Call, IntArray, PreparedCall, Segment, Span, StreamInput, Turn, Waveform

RATE_HZ = 8000


def _prepared(*turns: Turn, speech: tuple[Span, ...] = (), seconds: float = 0.0, start_s: float = 2.0) -> PreparedCall:
    noise = np.random.default_rng(0).normal(0, 0.1, (1, round(seconds * RATE_HZ))).astype(np.float32)
    waveform = Waveform(noise, RATE_HZ) if seconds else None
    segment = Segment("0", turns, *((start_s, seconds) if seconds else (None, None)))
    return PreparedCall(
        Call("c"), (segment,), waveform, None, "en", speech=(speech,) if seconds else (), channels={0: "unknown"}
    )


def _parts(prepared: PreparedCall, stream: str, **settings: object) -> tuple[list[Part], StreamInput]:
    pipeline = Pipeline(FrontEnd(**settings), word_tokenizer(), None)  # type: ignore[arg-type]
    inputs, _ = pipeline.inputs(prepared, (stream,))
    given = inputs.segments[0][stream]
    assert given is not None
    return Parts(pipeline, prepared).of(0, stream, given), given


def _ids(text: str) -> IntArray:
    _, given = _parts(_prepared(Turn("customer", text)), "text")
    return np.asarray(given.values)


def test_without_a_word_stands_what_would_stand_had_it_not_been_said() -> None:
    parts, _ = _parts(_prepared(Turn("customer", "Yes,  please do")), "text")
    assert [part.moment.text for part in parts] == ["Yes,", "please", "do"]
    for part, rest in zip(parts, ("please do", "yes, do", "yes, please"), strict=True):
        assert part.without is not None
        np.testing.assert_array_equal(part.without.values, _ids(rest))


def test_a_word_that_was_all_there_was_leaves_nothing() -> None:
    parts, _ = _parts(_prepared(Turn("customer", "Yes!")), "text")
    assert [part.without for part in parts] == [None]


def test_chinese_goes_by_pairs_of_characters_that_no_mark_divides() -> None:
    parts, _ = _parts(_prepared(Turn("customer", "我想要，ok吗？"), Turn("agent", "好 — 的")), "text")
    assert [part.moment.text for part in parts] == ["我想", "要，", "ok", "吗？", "好", "的"]
    assert parts[2].without is not None
    np.testing.assert_array_equal(parts[2].without.values, _ids_of("我想要，吗？", "好 — 的"))


def _ids_of(customer: str, agent: str) -> IntArray:
    _, given = _parts(_prepared(Turn("customer", customer), Turn("agent", agent)), "text")
    return np.asarray(given.values)


def test_too_many_words_go_together_within_their_clause() -> None:
    clause = " ".join(f"w{at}" for at in range(6))
    parts, _ = _parts(_prepared(Turn("customer", f"{clause}, {clause}."), Turn("agent", f"{clause}; {clause}")), "text")
    found = [str(part.moment.text) for part in parts]
    assert len(found) <= MOST_PARTS
    assert all(said.count(" ") == 0 for said in found), "24 words: each by itself"
    parts, _ = _parts(
        _prepared(Turn("customer", f"{clause}, {clause} x."), Turn("agent", f"{clause}; {clause}")), "text"
    )
    found = [str(part.moment.text) for part in parts]
    assert found[:3] == ["w0 w1", "w2 w3", "w4 w5,"]
    assert " ".join(found) == f"{clause}, {clause} x. {clause}; {clause}", "all of it, in order, nothing twice"


def test_a_words_time_is_its_turns() -> None:
    parts, _ = _parts(_prepared(Turn("customer", "yes do", 1.5, 2.5), Turn("agent", "fine")), "text")
    assert [(part.moment.start_s, part.moment.end_s) for part in parts] == [(1.5, 2.5), (1.5, 2.5), (None, None)]


def test_a_words_place_is_its_turn_among_those_with_text_and_its_character() -> None:
    parts, _ = _parts(_prepared(Turn("agent", " "), Turn("customer", "yes  yes"), Turn("agent", "fine")), "text")
    assert [(part.moment.turn, part.moment.at) for part in parts] == [(0, 0), (0, 5), (1, 0)]


def test_neighbours_are_grouped_evenly() -> None:
    groups = evenly(list(range(50)))
    assert [item for group in groups for item in group] == list(range(50))
    assert len(groups) == MOST_PARTS
    assert {len(group) for group in groups} == {2, 3}
    assert evenly([]) == []


@pytest.mark.parametrize(
    ("silence", "times_s", "kinds"),
    [
        ("keep", [(2 + at, 3 + at) for at in range(6)], ["sound", "pause", "pause", "pause", "sound", "pause"]),
        ("remove", [(2.0, 3.0), (6.0, 7.0)], ["sound", "sound"]),
    ],
)
def test_sounds_have_the_times_of_the_recording(
    silence: str, times_s: list[tuple[float, float]], kinds: list[str]
) -> None:
    """Speech from 2 to 3 and from 6 to 7, in a segment from 2 to 8: what was removed shifts nothing."""
    prepared = _prepared(speech=(Span(2.0, 3.0), Span(6.0, 7.0)), seconds=8.0)
    parts, given = _parts(prepared, "audio", silence=silence)
    found = [(part.moment.start_s, part.moment.end_s) for part in parts]
    np.testing.assert_allclose(np.array(found, dtype=float), times_s, atol=0.03)
    assert [part.moment.kind for part in parts] == kinds
    values = [part.without.values for part in parts if part.without is not None]
    blank = np.array([(each != given.values).any(axis=1) for each in values])
    assert (blank.sum(axis=0) == 1).all(), "every frame goes once"


@pytest.mark.parametrize(("reference", "input_"), [("call", "logmel"), ("none", "logmel"), ("call", "waveform")])
def test_nothing_is_the_mean_or_silence(reference: str, input_: str) -> None:
    prepared = _prepared(speech=(Span(2.0, 8.0),), seconds=8.0)
    parts, given = _parts(prepared, "audio", speaker_reference=reference, input=input_)
    assert parts[0].without is not None
    row = parts[0].without.values[0]
    expected = given.values.mean(axis=0) if reference == "none" else np.zeros_like(row)
    np.testing.assert_allclose(row, expected, atol=1e-4)
    np.testing.assert_array_equal(parts[0].without.values[-1], given.values[-1])


def test_a_pause_is_a_turn_whose_timing_is_not_known() -> None:
    turns = (Turn("agent", "would you", 0.0, 2.0), Turn("customer", "yes", 3.5, 4.5), Turn("agent", "fine", 4.7, 6.0))
    segment = Segment("0", turns, 0.0, 6.0)
    prepared = PreparedCall(Call("c"), (segment,), None, None, "en")
    parts, given = _parts(prepared, "silence")
    assert [part.moment.text for part in parts] == ["agent speaks", "customer answers after 1.5 s",
                                                    "agent answers after 0.2 s"]  # fmt: skip
    assert {part.moment.kind for part in parts} == {"pause"}
    assert (parts[1].moment.start_s, parts[1].moment.end_s) == pytest.approx((3.5, 4.5))
    assert len(given.values) == 4, "a row for each turn, and the whole segment's"
    for at, part in enumerate(parts):
        assert part.without is not None
        changed = np.isnan(part.without.values).all(axis=1)
        assert changed.tolist() == [row == at for row in range(4)]
