"""Cutting: what must hold for every call, and what a few calls must give."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsift.errors import ConfigError, UsageError, WarningCode
from callsift.speech.cutting import MIN_PAUSE_S, cut_segments, kept_spans
from callsift.speech.spans import joined, total_s, within
from callsift.speech.turns import turns_from_speech
from callsift.types import Span, Turn

ROLES = {0: "agent", 1: "customer"}
SLACK_S = 1e-6


def spans(*pairs):
    return tuple(Span(*pair) for pair in pairs)


def bounds(segments):
    return [(pytest.approx(segment.start_s), pytest.approx(segment.end_s)) for segment in segments]


def unheard(turns, speech, duration_s):
    """Turns in which no speech was heard: what they say is taken to be said all the same."""
    return [
        Span(turn.start_s, min(turn.end_s, duration_s))
        for turn in turns
        if turn.start_s < duration_s
        for channels in [speech if turn.channel is None else [speech[turn.channel]]]
        if not any(within(channel, turn.start_s, turn.end_s) for channel in channels)
    ]


def cut(turns, speech, segmenting="round", limit=40.0, duration_s=1000.0):
    return cut_segments(turns, speech, segmenting=segmenting, max_segment_s=limit, duration_s=duration_s)


@st.composite
def calls(draw):
    """Speech of one to three channels, turns with numbered words over it, the call's duration."""
    speech = []
    for _ in range(draw(st.integers(1, 3))):
        at, channel = 0, []
        for gap, length in draw(st.lists(st.tuples(st.integers(2, 800), st.integers(5, 3000)), max_size=12)):
            channel.append(Span((at + gap) / 100, (at + gap + length) / 100))
            at += gap + length
        speech.append(tuple(channel))
    end_s = max((span.end_s for channel in speech for span in channel), default=0.0)
    duration_s = end_s + draw(st.integers(1, 300)) / 100
    turns = list(turns_from_speech(speech, draw(st.sampled_from([ROLES, {}, {0: "customer", 1: "agent"}]))))
    for start, length in draw(st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 4000)), max_size=3)):
        turns.append(Turn("agent", "", start / 100, (start + length) / 100, draw(st.sampled_from([None, 0]))))
    turns.sort(key=lambda turn: turn.start_s)
    script = []
    for number, turn in enumerate(turns):
        text = " ".join(f"t{number}w{word}" for word in range(draw(st.integers(1, 40))))
        script.append(Turn(turn.role, text, turn.start_s, turn.end_s, turn.channel))
    return script, speech, duration_s


@settings(deadline=None)
@given(calls(), st.sampled_from(["round", "pack"]), st.sampled_from([0.5, 5.0, 12.3, 40.0]))
def test_what_holds_for_every_call(call, segmenting, limit):
    turns, speech, duration_s = call
    segments, notes = cut(turns, speech, segmenting, limit, duration_s)

    assert [segment.segment_id for segment in segments] == [str(n) for n in range(len(segments))]
    for segment in segments:
        assert -SLACK_S <= segment.start_s < segment.end_s <= duration_s + SLACK_S
        assert segment.end_s - segment.start_s <= limit + SLACK_S
        for turn in segment.turns:
            assert segment.start_s - SLACK_S <= turn.start_s <= turn.end_s <= segment.end_s + SLACK_S
    for before, after in pairwise(segments):
        assert before.end_s <= after.start_s + SLACK_S

    windows = joined((Span(s.start_s, s.end_s) for s in segments), SLACK_S)
    for channel in speech:
        covered_s = sum(total_s(within(channel, w.start_s, w.end_s)) for w in windows)
        assert covered_s == pytest.approx(total_s(channel), abs=1e-4), "every span of speech is in a segment"

    said = [word for segment in segments for turn in segment.turns for word in turn.text.split()]
    assert sorted(said) == sorted(word for turn in turns for word in turn.text.split())
    for number, turn in enumerate(turns):
        assert [word for word in said if word.startswith(f"t{number}w")] == turn.text.split()

    regions = joined(
        [*(span for channel in speech for span in channel), *unheard(turns, speech, duration_s)], MIN_PAUSE_S
    )
    inside = 0
    for segment in segments:
        for region in regions:
            if region.start_s + SLACK_S < segment.end_s < region.end_s - SLACK_S:
                inside += 1
                assert segment.end_s - segment.start_s == pytest.approx(limit), "only at the limit"
                pauses = [r for r in regions if segment.start_s + SLACK_S < r.end_s < segment.end_s - SLACK_S]
                assert not pauses, "a cut in speech although there was a pause"
    assert inside == 0 or [note.code for note in notes] == [WarningCode.CUT_IN_SPEECH]


def test_one_segment_a_round():
    agent, customer = spans((1, 5), (10, 14)), spans((5.5, 9), (14.5, 20))
    turns = turns_from_speech([agent, customer], ROLES)
    segments, notes = cut(turns, [agent, customer], duration_s=30)
    assert bounds(segments) == [(0.5, 10), (10, 20.5)]
    assert [[turn.role for turn in segment.turns] for segment in segments] == [["agent", "customer"]] * 2
    assert notes == ()


def test_packing_takes_as_many_rounds_as_fit():
    agent = spans(*((20 * n, 20 * n + 8) for n in range(4)))
    customer = spans(*((20 * n + 9, 20 * n + 17) for n in range(4)))
    turns = turns_from_speech([agent, customer], ROLES)
    segments, _ = cut(turns, [agent, customer], "pack", 40, 77.2)
    assert bounds(segments) == [(0, 40), (40, 77.2)]
    assert [len(segment.turns) for segment in segments] == [4, 4]


def test_the_longest_pause_of_the_last_half_is_best():
    # Pauses at 5 (long, but early), 24 (1 s), 30 (0.5 s), 38 (0.3 s).
    speech = spans((0, 5), (8, 24), (25, 30), (30.5, 38), (38.3, 60))
    segments, notes = cut([Turn("unknown", "", 0, 60, 0)], [speech], "round", 40, 60)
    assert bounds(segments) == [(0, 25), (25, 60)]
    assert notes == ()


def test_an_early_pause_is_better_than_none():
    speech = spans((0, 5), (5.2, 50))
    segments, notes = cut([Turn("unknown", "", 0, 50, 0)], [speech], "round", 45, 50)
    assert bounds(segments) == [(0, 5.2), (5.2, 50)]
    assert notes == ()


def test_without_any_pause_the_limit_cuts_and_says_so():
    segments, notes = cut([Turn("unknown", "a b c d", 0, 100, 0)], [spans((0, 100))], "round", 40, 100)
    assert bounds(segments) == [(0, 40), (40, 80), (80, 100)]
    assert [segment.turns[0].text for segment in segments] == ["a b", "c", "d"]
    assert [note.code for note in notes] == [WarningCode.CUT_IN_SPEECH]
    assert "2 cut(s)" in notes[0].message


def test_a_forced_cut_falls_between_bursts():
    turn, whole = [Turn("unknown", "", 0, 50, 0)], spans((0, 50))
    dips = spans((0, 10), (10.3, 30), (30.1, 36), (36.05, 50))  # the longest is early, the longest late one at 30
    segments, notes = cut_segments(turn, [whole], segmenting="round", max_segment_s=40, duration_s=50, bursts=[dips])
    assert bounds(segments) == [(0, 30.05), (30.05, 50)]
    assert [note.code for note in notes] == [WarningCode.CUT_IN_SPEECH]
    # The other speaker talks over that dip, so the next best is taken.
    both = [whole, spans((29, 31))]
    segments, _ = cut_segments(turn, both, segmenting="round", max_segment_s=40, duration_s=50, bursts=[dips, both[1]])
    assert bounds(segments) == [(0, 36.025), (36.025, 50)]


def test_a_long_silence_belongs_to_the_segment_before_up_to_the_limit():
    agent = spans((0, 5), (200, 205))
    customer = spans((6, 8), (206, 208))
    turns = turns_from_speech([agent, customer], ROLES)
    segments, _ = cut(turns, [agent, customer], "pack", 40, 300)
    assert bounds(segments) == [(0, 40), (200, 208.5)]


def test_mandarin_is_divided_between_characters():
    text = "我想了解一下价格谢谢"
    segments, _ = cut([Turn("customer", text, 0, 100, 0)], [spans((0, 40), (60, 100))], limit=50)
    assert [segment.turns[0].text for segment in segments] == ["我想了解一", "下价格谢谢"]


def test_overlapping_speakers_are_cut_in_the_nearest_pause():
    agent = spans((0, 5), (9.4, 14))
    customer = spans((5.2, 9.8), (14.3, 18))  # the agent begins before the customer has ended
    turns = turns_from_speech([agent, customer], ROLES)
    segments, notes = cut(turns, [agent, customer], duration_s=18)
    assert len(segments) == 1, "no pause within a second of the second round's beginning"
    assert notes == ()
    apart = spans((5.2, 8.6), (9.0, 9.8), (14.3, 18))
    segments, _ = cut(turns_from_speech([agent, apart], ROLES), [agent, apart], duration_s=18)
    assert bounds(segments) == [(0, 9.0), (9.0, 18)]


def test_text_where_no_speech_was_heard_is_kept():
    turns = [Turn("agent", "hello there", 3, 5), Turn("customer", "beyond the end", 70, 80)]
    segments, _ = cut(turns, [(), ()], duration_s=20)
    assert [turn.text for segment in segments for turn in segment.turns] == ["hello there", "beyond the end"]
    assert cut([], [()], duration_s=20) == ((), ())
    segments, _ = cut([Turn("agent", "late", 30, 31)], [()], duration_s=20)
    assert [turn.text for turn in segments[0].turns] == ["late"]


def test_wrong_use():
    with pytest.raises(ConfigError, match="max_segment_s 0"):
        cut([], [()], limit=0)
    with pytest.raises(UsageError, match="spread_text"):
        cut([Turn("agent", "hello")], [spans((0, 1))])


def test_a_call_of_fourteen_hours():
    agent = spans(*((10 * n, 10 * n + 4) for n in range(5000)))
    customer = spans(*((10 * n + 4.5, 10 * n + 9) for n in range(5000)))
    turns = turns_from_speech([agent, customer], ROLES)
    segments, _ = cut(turns, [agent, customer], "pack", 40, 50_000)
    assert len(segments) == 1250


def test_kept_spans():
    whole = Span(10, 30)
    speech = [spans((5, 12), (18, 20)), spans((12.3, 13), (20.05, 21))]
    assert kept_spans(whole, speech, "keep") == (whole,)
    assert kept_spans(whole, speech, "remove") == spans((10, 12), (12.3, 13), (18, 21))
    assert kept_spans(whole, speech, "shorten") == spans((10, 13.25), (17.75, 21.5))
    assert kept_spans(whole, [()], "remove") == (whole,)
    assert kept_spans(Span(0, 30), [spans((5, 12))], "shorten") == spans((4.5, 12.5))


def test_pauses_at_the_edges_of_a_segment():
    window, speech = Span(10, 20), [spans((11, 12)), spans((18, 19.9))]
    assert kept_spans(window, speech, "remove") == spans((11, 12), (18, 19.9))
    assert kept_spans(window, speech, "shorten") == spans((10.5, 12.25), (17.75, 20))
    assert kept_spans(window, [spans((10.2, 19.8))], "shorten") == (window,)


def test_a_pause_of_one_speaker_in_which_the_other_talks_is_none():
    window, agent, customer = Span(0, 10), spans((0, 4), (8, 10)), spans((3, 9))
    for silence in ("shorten", "remove"):
        assert kept_spans(window, [agent, customer], silence) == (window,)
    assert kept_spans(window, [agent], "remove") == agent, "who listens to one alone loses the other's part"


@settings(deadline=None)
@given(calls(), st.sampled_from(["shorten", "remove"]))
def test_what_is_left_of_pauses(call, silence):
    """On the call's own clock: spans lie where the speech lies, and what goes are pauses alone."""
    turns, speech, duration_s = call
    longest_s = {"shorten": 0.5, "remove": 0.1}[silence]
    for segment in cut(turns, speech, "pack", 12.3, duration_s)[0]:
        window = Span(segment.start_s, segment.end_s)
        heard = joined(span for channel in speech for span in within(channel, window.start_s, window.end_s))
        kept = kept_spans(window, speech, silence)
        if not heard:
            assert kept == (window,)
            continue
        silent_s = total_s(kept) - total_s(heard)
        edges_s = 2 * longest_s if silence == "shorten" else 0.0
        assert -SLACK_S <= silent_s <= (len(heard) - 1) * longest_s + edges_s + SLACK_S
        for before, after in pairwise(kept):
            assert not within(heard, before.end_s + SLACK_S, after.start_s - SLACK_S)


@settings(deadline=None)
@given(calls(), st.sampled_from(["keep", "shorten", "remove"]))
def test_kept_spans_lose_no_speech(call, silence):
    turns, speech, duration_s = call
    for segment in cut(turns, speech, "pack", 12.3, duration_s)[0]:
        window = Span(segment.start_s, segment.end_s)
        kept = kept_spans(window, speech, silence)
        assert kept == joined(kept)
        assert window.start_s <= kept[0].start_s
        assert kept[-1].end_s <= window.end_s
        for channel in speech:
            heard = within(channel, window.start_s, window.end_s)
            assert sum(total_s(within(heard, k.start_s, k.end_s)) for k in kept) == pytest.approx(total_s(heard))
