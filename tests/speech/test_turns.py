"""Turns from speech, and text laid over it."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsift.speech.turns import spread_text, turns_from_speech
from callsift.types import Span, Turn

ROLES = {0: "agent", 1: "customer"}


def spans(*pairs):
    return tuple(Span(*pair) for pair in pairs)


def times(turns):
    return [(turn.role, turn.start_s, turn.end_s) for turn in turns]


def test_pauses_of_one_speaker_are_one_turn():
    turns = turns_from_speech([spans((0, 2), (2.5, 4), (5, 6)), ()], ROLES)
    assert times(turns) == [("agent", 0, 4), ("agent", 5, 6)]
    assert [turn.channel for turn in turns] == [0, 0]


def test_a_turn_of_the_other_divides_a_back_channel_does_not():
    answered = turns_from_speech([spans((0, 2), (2.7, 4)), spans((2.1, 2.9))], ROLES)
    assert times(answered) == [("agent", 0, 2), ("customer", 2.1, 2.9), ("agent", 2.7, 4)]
    murmured = turns_from_speech([spans((0, 2), (2.7, 4)), spans((2.1, 2.5))], ROLES)
    assert times(murmured) == [("agent", 0, 4), ("customer", 2.1, 2.5)]


def test_overlap_and_unknown_channels():
    turns = turns_from_speech([spans((1, 5)), spans((0, 3))], {})
    assert times(turns) == [("unknown", 0, 3), ("unknown", 1, 5)]
    assert [turn.channel for turn in turns] == [1, 0]


def test_lines_share_their_roles_speech_by_length():
    lines = [Turn("agent", "a" * 30), Turn("customer", "b" * 5), Turn("agent", "c" * 10)]
    turns = spread_text(lines, [spans((0, 3), (6, 7)), spans((4, 5))], ROLES)
    assert times(turns) == [
        ("agent", 0, pytest.approx(3)),
        ("customer", 4, 5),
        ("agent", pytest.approx(6), pytest.approx(7)),
    ]
    assert [turn.channel for turn in turns] == [0, 1, 0]


def test_roles_without_a_channel_share_everything():
    lines = [Turn("agent", "xx"), Turn("customer", "xx")]
    turns = spread_text(lines, [spans((1, 2), (3, 4))], {0: "unknown"})
    assert times(turns) == [("agent", 1, pytest.approx(2)), ("customer", pytest.approx(3), pytest.approx(4))]


def test_nothing_to_lay_over():
    lines = (Turn("agent", "hello"),)
    assert spread_text(lines, [(), ()], ROLES) == lines
    assert spread_text((), [spans((0, 1))], ROLES) == ()


@st.composite
def speech_and_lines(draw):
    lengths = draw(st.lists(st.integers(1, 500), min_size=1, max_size=12))
    at, pairs = 0, []
    for length in lengths:
        at += draw(st.integers(1, 300))
        pairs.append((at / 100, (at + length) / 100))
        at += length
    lines = [Turn("customer", text) for text in draw(st.lists(st.text(max_size=30), min_size=1, max_size=15))]
    return spans(*pairs), lines


@settings(deadline=None)
@given(speech_and_lines())
def test_spread_lines_keep_their_order_and_fill_the_speech(made):
    speech, lines = made
    turns = spread_text(lines, [speech], {0: "customer"})
    assert [turn.text for turn in turns] == [line.text for line in lines]
    assert turns[0].start_s == pytest.approx(speech[0].start_s)
    assert turns[-1].end_s == pytest.approx(speech[-1].end_s)
    for turn in turns:
        assert turn.start_s <= turn.end_s
    for before, after in pairwise(turns):
        assert before.end_s <= after.start_s + 1e-6
