"""Turn-taking on conversations short enough to work out by hand."""

from __future__ import annotations

from inspect import signature
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsift.speech.silence import (
    CALL_MEASURES,
    MIN_SILENCE_S,
    SIDE_MEASURES,
    TIMING_MEASURES,
    VAD_PADDING_S,
    Conversation,
    conversation,
    timing,
    unpadded,
)
from callsift.speech.spans import joined
from callsift.speech.vad import detect_speech
from callsift.types import Role, Span


def spoken(**voices: list[tuple[float, float]]) -> Conversation:
    roles: dict[str, Role] = {"agent": "agent", "customer": "customer", "unknown": "unknown"}
    return conversation({roles[role]: [Span(*span) for span in spans] for role, spans in voices.items()})


@pytest.fixture
def three_turns() -> Conversation:
    """The agent with a pause of 0.5 s, the customer 1.5 s later, the agent 0.25 s later."""
    return spoken(agent=[(1.0, 3.0), (3.5, 5.0), (9.25, 11.25)], customer=[(6.5, 9.0)])


def test_three_turns_by_hand(three_turns: Conversation) -> None:
    found = timing(three_turns, Span(0.0, 12.0))
    expected: dict[str, float | None] = {
        "silence_share": 1 - (2.0 + 1.5 + 2.5 + 2.0) / 12,
        "pause_count": 1, "pause_total_s": 0.5, "pause_mean_s": 0.5, "pause_longest_s": 0.5,
        "gap_count": 2, "gap_total_s": 1.75, "gap_mean_s": 0.875, "gap_longest_s": 1.5,
        "overlap_count": 0, "overlap_s": 0.0, "talk_ratio": 5.5 / 2.5,
        "agent_turns": 2, "agent_speech_s": 5.5, "agent_latency_count": 1,
        "agent_latency_median_s": 0.25, "agent_latency_mean_s": 0.25, "agent_latency_max_s": 0.25,
        "agent_pause_count": 1, "agent_pause_total_s": 0.5, "agent_pause_mean_s": 0.5, "agent_pause_longest_s": 0.5,
        "agent_interruptions": 0, "agent_back_channels": 0,
        "customer_turns": 1, "customer_speech_s": 2.5, "customer_latency_count": 1,
        "customer_latency_median_s": 1.5, "customer_latency_mean_s": 1.5, "customer_latency_max_s": 1.5,
        "customer_pause_count": 0, "customer_pause_total_s": 0.0, "customer_pause_mean_s": None,
        "customer_pause_longest_s": None, "customer_interruptions": 0, "customer_back_channels": 0,
    }  # fmt: skip
    assert found == {name: pytest.approx(value) for name, value in expected.items()}
    assert tuple(found) == TIMING_MEASURES


def test_a_latency_and_a_gap_belong_to_the_window_of_the_turn_that_follows(three_turns: Conversation) -> None:
    first, second = timing(three_turns, Span(0.5, 9.2)), timing(three_turns, Span(9.2, 11.75))
    assert (first["customer_latency_count"], first["agent_latency_count"]) == (1, 0)
    assert (second["customer_latency_count"], second["agent_latency_median_s"]) == (0, pytest.approx(0.25))
    assert (first["gap_count"], second["gap_count"]) == (1, 1)
    assert second["customer_latency_median_s"] is None
    assert second["customer_speech_s"] == 0.0
    assert second["talk_ratio"] is None, "nobody to set the agent's speech against"


def test_latencies_have_a_median_a_mean_and_a_largest() -> None:
    heard = spoken(agent=[(0, 1), (4, 5), (8, 9)], customer=[(1.25, 3.5), (5.5, 7.5), (11, 12)])
    found = timing(heard, Span(0.0, 12.0))
    customer = {name: found[f"customer_latency_{name}"] for name in ("count", "median_s", "mean_s", "max_s")}
    assert customer == {"count": 3, "median_s": 0.5, "mean_s": pytest.approx(2.75 / 3), "max_s": 2.0}


def test_an_interruption_takes_the_floor_and_its_latency_is_negative() -> None:
    """The customer starts 1 s before the agent ends and goes on; then the agent 0.1 s before the customer ends."""
    heard = spoken(agent=[(0.0, 5.0), (7.9, 9.0)], customer=[(4.0, 8.0)])
    found = timing(heard, Span(0.0, 9.0))
    assert found["customer_interruptions"] == 1
    assert found["customer_latency_median_s"] == pytest.approx(-1.0)
    assert found["agent_interruptions"] == 0, "0.1 s is a smooth change of turns"
    assert found["agent_latency_median_s"] == pytest.approx(-0.1)
    assert (found["overlap_count"], found["overlap_s"]) == (2, pytest.approx(1.1))
    assert found["gap_count"] == 0


def test_a_back_channel_takes_no_turn_and_a_longer_aside_takes_no_floor() -> None:
    heard = spoken(agent=[(0.0, 8.0), (12.0, 13.0)], customer=[(2.0, 2.5), (4.0, 5.5), (9.0, 11.0)])
    mm, aside, answer = (move for move in heard.moves if move.role == "customer")
    assert (mm.back_channel, mm.latency_s, mm.overlap_s) == (True, None, 0.5)
    assert (aside.back_channel, aside.latency_s, aside.overlap_s) == (False, None, 1.5)
    assert answer.latency_s == 1.0
    found = timing(heard, Span(0.0, 13.0))
    assert (found["customer_back_channels"], found["customer_interruptions"], found["customer_turns"]) == (1, 0, 2)


def test_a_short_answer_takes_the_floor_but_interrupts_nobody() -> None:
    heard = spoken(agent=[(0.0, 2.0), (3.5, 5.0), (6.0, 7.0)], customer=[(2.5, 2.9), (4.7, 5.2)])
    yes, late = (move for move in heard.moves if move.role == "customer")
    assert (yes.latency_s, yes.back_channel) == (pytest.approx(0.5), False)
    assert (late.latency_s, late.interrupts) == (pytest.approx(-0.3), False), "0.5 s is a back-channel's length"


def test_a_speaker_who_goes_on_resumes() -> None:
    """1.5 s is longer than a pause inside a turn may be, and still the agent's own pause."""
    heard = spoken(agent=[(0.0, 2.0), (3.5, 5.0)], customer=[(6.0, 7.0)])
    assert [(move.latency_s, move.resumed_s) for move in heard.moves] == [(None, None), (None, 1.5), (1.0, None)]
    found = timing(heard, Span(0.0, 7.0))
    assert (found["agent_pause_count"], found["agent_pause_longest_s"], found["agent_turns"]) == (1, 1.5, 2)


def test_what_is_shorter_than_the_threshold_is_no_silence() -> None:
    heard = spoken(agent=[(0.0, 1.0), (1.0 + MIN_SILENCE_S - 0.01, 2.0)], customer=[(2.0 + MIN_SILENCE_S, 3.0)])
    found = timing(heard, Span(0.0, 3.0))
    assert (found["pause_count"], found["gap_count"]) == (0, 1)
    assert found["customer_latency_median_s"] == pytest.approx(MIN_SILENCE_S), "latencies have no threshold"


def test_one_speaker_alone_has_pauses_and_no_latency() -> None:
    found = timing(spoken(agent=[(0.0, 1.0), (2.0, 3.0)]), Span(0.0, 4.0))
    assert (found["agent_pause_count"], found["agent_latency_count"], found["gap_count"]) == (1, 0, 0)
    assert found["agent_latency_median_s"] is None
    assert {found[f"customer_{name}"] for name in SIDE_MEASURES} == {None}, "nothing is known of the customer"
    assert found["talk_ratio"] is None


def test_speakers_that_are_not_known_have_silences_and_no_sides() -> None:
    found = timing(spoken(unknown=[(0.0, 1.0), (2.5, 3.0)]), Span(0.0, 4.0))
    assert (found["pause_count"], found["pause_total_s"], found["silence_share"]) == (1, 1.5, 1 - 1.5 / 4)
    assert {found[f"{side}_{name}"] for side in ("agent", "customer") for name in SIDE_MEASURES} == {None}


def test_without_any_speech_nothing_is_known() -> None:
    assert timing(conversation({}), Span(0.0, 4.0)) == dict.fromkeys(TIMING_MEASURES)
    assert len(set(TIMING_MEASURES)) == len(CALL_MEASURES) + 2 * len(SIDE_MEASURES)


def test_the_padding_taken_off_is_what_the_detector_puts_on() -> None:
    assert signature(detect_speech).parameters["padding_s"].default == VAD_PADDING_S
    assert unpadded([Span(1.0, 2.0), Span(3.0, 3.15)]) == (Span(1.1, 1.9), Span(3.0, 3.15))


times = st.lists(st.integers(0, 400), min_size=2, max_size=20, unique=True).map(
    lambda found: joined(Span(a / 10, b / 10) for a, b in zip(*[iter(sorted(found))] * 2, strict=False))
)


@given(times, times, st.lists(st.integers(1, 399), max_size=4, unique=True))
def test_windows_that_tile_a_call_share_its_events_out(
    agent: tuple[Span, ...], customer: tuple[Span, ...], cuts: list[int]
) -> None:
    heard = conversation({"agent": agent, "customer": customer})
    bounds = [0.0, *(cut / 10 + 0.05 for cut in sorted(cuts)), 41.0]
    parts = [timing(heard, Span(a, b)) for a, b in pairwise(bounds)]
    whole = timing(heard, Span(0.0, 41.0))
    for name in ("gap_count", "pause_total_s", "agent_latency_count", "customer_turns", "agent_speech_s", "overlap_s"):
        assert np.sum([part[name] or 0.0 for part in parts]) == pytest.approx(whole[name] or 0.0), name
    for silence in heard.silences:
        assert silence.duration_s >= MIN_SILENCE_S - 1e-6
        assert not any(
            span.start_s < silence.end_s - 1e-6 and span.end_s > silence.start_s + 1e-6 for span in (*agent, *customer)
        )
