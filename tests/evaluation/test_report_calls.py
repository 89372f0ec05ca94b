"""What the page shows of a call: which segments, and where its words are marked."""

from __future__ import annotations

from callsift.evaluation.report.calls import MOST_LETTERS, MOST_MOMENTS, MOST_SEGMENTS, calls_of
from callsift.evaluation.report.page import page_of
from tests.evaluation.report_sample import mistake, moment, sample, segment


def test_segments_that_were_looked_into_come_first() -> None:
    segments = [segment(at, "agent: x", 0.9 - 0.001 * at) for at in range(40)]
    segments[39] |= {"contribution": 0.001, "moments": [moment("word", "x", 0.001)]}
    (call,) = calls_of([mistake("long", "en", segments)])
    shown = [each["segment_id"] for each in call["segments"]]
    assert shown == [*map(str, range(MOST_SEGMENTS - 1)), "39"]
    assert call["chosen"] == "those that weigh most"


def test_segments_without_contributions_do_not_weigh_most() -> None:
    segments = [segment(at, "agent: x", None) for at in range(40)]
    assert calls_of([mistake("long", "en", segments)])[0]["chosen"] == "the first"
    segments[30]["moments"] = [moment("word", "x", 0.2)]
    (call,) = calls_of([mistake("long", "en", segments)])
    assert call["chosen"] == "those looked into"
    assert "30" in [each["segment_id"] for each in call["segments"]]
    page = page_of(sample() | {"mistakes": [mistake("long", "en", segments)]})
    assert "12 of 40 segments shown, those looked into." in page


def test_what_a_segment_weighs_of_the_explained_quantity_is_shown() -> None:
    (call,) = calls_of([mistake("en", "en", [segment(0, "agent: x", None) | {"weight": -0.4}])])
    assert (call["segments"][0]["contribution"], call["segments"][0]["width"]) == (-0.4, 100)


def test_a_mistake_about_a_segment_has_no_shares_of_streams() -> None:
    about = mistake("en", "en", [segment(0, "agent: x", None)], {"text": 0.2})
    assert calls_of([about])[0]["streams"]
    assert calls_of([about | {"segment_id": "0"}])[0]["streams"] == []


def test_a_word_that_is_said_twice_is_marked_where_it_counts() -> None:
    text = "agent: yes or no?; customer: no, I mean yes."
    words = [
        moment("word", "yes.", 0.3, 2.0) | {"turn": 1, "at": 11},
        moment("word", "no", -0.2, 2.0) | {"turn": 1, "at": 0},
    ]
    (call,) = calls_of([mistake("en", "en", [segment(0, text, 0.1, words)])])
    pieces = [(piece.text, piece.contribution) for piece in call["segments"][0]["text"]]
    assert pieces == [
        ("agent: yes or no?\ncustomer: ", None), ("no", -0.2), (", I mean ", None), ("yes.", 0.3)]  # fmt: skip


def test_a_word_that_is_cut_off_is_not_marked_elsewhere() -> None:
    text = "agent: yes " + "x" * MOST_LETTERS + " yes"
    words = [moment("word", "yes", 0.3) | {"turn": 0, "at": 5 + MOST_LETTERS}]
    (call,) = calls_of([mistake("en", "en", [segment(0, text, 0.1, words)])])
    assert [piece.strength for piece in call["segments"][0]["text"]] == [0]


def test_sounds_are_told_beside_the_strongest_moment_of_the_call() -> None:
    sounds = [moment("sound", None, 0.0099 * at, float(at)) for at in range(1, 12)]
    other = segment(1, "agent: y", 0.2, [moment("word", "y", 0.5)])
    (call,) = calls_of([mistake("en", "en", [segment(0, "agent: x", 0.1, sounds), other])])
    told = [each["contribution"] for each in call["segments"][0]["moments"]]
    assert told == [0.0099 * at for at in (11, 10, 9, 8, 7, 6)]
    assert len(told) == MOST_MOMENTS
    weak = [moment("sound", None, 0.049, 1.0), moment("pause", "a pause", -0.0501, 2.0)]
    (call,) = calls_of([mistake("en", "en", [segment(0, "agent: x", 0.1, weak), other])])
    assert [each["kind"] for each in call["segments"][0]["moments"]] == ["pause"]
