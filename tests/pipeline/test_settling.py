"""Roles of sides: given, heard, or by a transcript; never changed without a word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from callsift.pipeline.listening import Hearing, Side
from callsift.pipeline.placing import in_given_segments, lay_over
from callsift.pipeline.roles import settle_by_transcript, settle_roles, settle_speakers
from callsift.types import Role, Segment, Span, Turn, Waveform

AGENT = "Good morning, this is Anna from Northlight Insurance, am I speaking with Mr. Brown? How can I help you?"
CUSTOMER = "Who is this? I'm not interested, I'm driving."


def _hearing(roles: tuple[Role, ...], *, given: bool = False, diarized: float | None = None) -> Hearing:
    spans = (Span(0.0, 5.0), Span(6.0, 9.0))
    sides = tuple(Side(0 if diarized is not None else at, role, (spans[at],)) for at, role in enumerate(roles))
    channels = 1 if diarized is not None else len(roles)
    waveform = Waveform(np.zeros((channels, 80000), np.float32), 8000)
    return Hearing(waveform, tuple(range(channels)), sides, given, diarized)


def _said(first: str, second: str) -> list[Turn]:
    return [Turn("unknown", first, 0.0, 5.0, 0), Turn("unknown", second, 6.0, 9.0, 1)]


HABIT = _hearing(("agent", "customer"))
GIVEN = _hearing(("agent", "customer"), given=True)
VOICES = _hearing(("unknown", "unknown"), diarized=0.9)


def _roles(hearing: Hearing) -> list[str]:
    return [side.role for side in hearing.sides]


def test_the_habit_holds_where_nothing_speaks_against_it() -> None:
    assert settle_roles(HABIT, _said(AGENT, CUSTOMER)) == (HABIT, ())
    assert settle_roles(HABIT, _said("hello", "hi")) == (HABIT, ())
    assert settle_roles(HABIT, []) == (HABIT, ())


def test_the_habit_gives_way_to_what_is_said_and_the_user_is_told() -> None:
    hearing, notes = settle_roles(HABIT, _said(CUSTOMER, AGENT))
    assert _roles(hearing) == ["customer", "agent"]
    assert [note.code.value for note in notes] == ["swapped_roles"]
    assert "this is anna from" in notes[0].message
    assert "--channels" in notes[0].message


def test_given_roles_are_kept_and_doubts_reported() -> None:
    hearing, notes = settle_roles(GIVEN, _said(CUSTOMER, AGENT))
    assert hearing == GIVEN
    assert [note.code.value for note in notes] == ["uncertain_roles"]
    assert settle_roles(GIVEN, _said(AGENT, CUSTOMER)) == (GIVEN, ())


@pytest.mark.parametrize(("first", "second", "roles"), [
    (AGENT, CUSTOMER, ["agent", "customer"]), (CUSTOMER, AGENT, ["customer", "agent"]),
])  # fmt: skip
def test_voices_get_their_roles_from_what_they_say(first: str, second: str, roles: list[str]) -> None:
    hearing, notes = settle_roles(VOICES, _said(first, second))
    assert _roles(hearing) == roles
    assert [note.code.value for note in notes] == ["diarized"]
    assert hearing.channels == {0: "unknown"}, "both voices share the channel"


def test_voices_that_say_nothing_telling_stay_unknown() -> None:
    hearing, notes = settle_roles(VOICES, _said("", ""))
    assert _roles(hearing) == ["unknown", "unknown"]
    assert [note.code.value for note in notes] == ["diarized", "uncertain_roles"]
    assert notes[0].message != notes[1].message


def test_a_transcripts_times_tell_swapped_channels() -> None:
    straight = [Turn("agent", "a", 0.0, 5.0), Turn("customer", "b", 6.0, 9.0)]
    crossed = [replace(turn, role=role) for turn, role in zip(straight, ("customer", "agent"), strict=True)]
    assert settle_by_transcript(HABIT, straight) == (HABIT, ())
    hearing, notes = settle_by_transcript(HABIT, crossed)
    assert _roles(hearing) == ["customer", "agent"]
    assert [note.code.value for note in notes] == ["swapped_roles"]
    hearing, notes = settle_by_transcript(GIVEN, crossed)
    assert hearing == GIVEN
    assert [note.code.value for note in notes] == ["uncertain_roles"]


def test_a_transcript_may_name_the_channels() -> None:
    named = [Turn("customer", "a", 0.0, 5.0, 0), Turn("agent", "b", 6.0, 9.0, 1)]
    hearing, notes = settle_by_transcript(HABIT, named)
    assert _roles(hearing) == ["customer", "agent"]
    assert [note.code.value for note in notes] == ["swapped_roles"]


def test_anonymous_speakers_of_a_transcript_get_roles_from_what_they_say() -> None:
    turns = [Turn("unknown", CUSTOMER, speaker="SPEAKER_00"), Turn("unknown", AGENT, speaker="SPEAKER_01")]
    settled, notes = settle_speakers(turns)
    assert [turn.role for turn in settled] == ["customer", "agent"]
    assert notes == ()
    unsure, notes = settle_speakers([replace(turn, text="hello") for turn in turns])
    assert [turn.role for turn in unsure] == ["unknown", "unknown"]
    assert [note.code.value for note in notes] == ["uncertain_roles"]


def test_roles_that_a_transcript_names_are_never_guessed() -> None:
    turns = [Turn("agent", CUSTOMER, speaker="a"), Turn("unknown", AGENT, speaker="b")]
    assert settle_speakers(turns) == (tuple(turns), ())


def test_voices_that_are_much_alike_are_doubted() -> None:
    _, notes = settle_roles(replace(VOICES, diarized=0.7), _said(AGENT, CUSTOMER))
    assert [note.code.value for note in notes] == ["diarized", "uncertain_roles"]


WEAK = ("so well i think it is all right and that would be nice then", "well ok")
"""By who says more, and first, the first is the agent; with a confidence of 0.83."""


def _anonymous(first: str, second: str, *, channels: bool = False, speakers: bool = False) -> list[Turn]:
    """Turns without roles, in which the first side speaks, and then the second."""
    return [
        replace(turn, channel=turn.channel if channels else None, speaker=f"S{turn.channel}" if speakers else None)
        for turn in _said(first, second)
    ]


@pytest.mark.parametrize(("channels", "speakers"), [(False, False), (True, False), (False, True), (True, True)])
def test_on_two_channels_turns_without_roles_get_those_of_the_sides(channels: bool, speakers: bool) -> None:
    for said in (WEAK, WEAK[::-1], (AGENT, CUSTOMER)):
        turns = _anonymous(*said, channels=channels, speakers=speakers)
        hearing, placed, notes = lay_over(HABIT, turns, named=False)
        assert [(turn.role, turn.channel) for turn in placed] == [("agent", 0), ("customer", 1)]
        assert (_roles(hearing), notes) == (["agent", "customer"], ())
    hearing, placed, notes = lay_over(
        HABIT, _anonymous(CUSTOMER, AGENT, channels=channels, speakers=speakers), named=False
    )
    assert _roles(hearing) == [turn.role for turn in placed] == ["customer", "agent"]
    assert [note.code.value for note in notes] == ["swapped_roles"]
    hearing, placed, notes = lay_over(
        GIVEN, _anonymous(CUSTOMER, AGENT, channels=channels, speakers=speakers), named=False
    )
    assert _roles(hearing) == [turn.role for turn in placed] == ["agent", "customer"]
    assert [note.code.value for note in notes] == ["uncertain_roles"]


def test_a_turn_beside_the_speech_goes_to_the_nearer_side() -> None:
    late = Turn("unknown", "yes", 9.1, 9.4)
    _, placed, _ = lay_over(HABIT, [*_anonymous(AGENT, CUSTOMER), late], named=False)
    assert placed[-1].channel == 1


def test_turns_left_open_by_a_transcript_with_roles_get_those_of_the_sides() -> None:
    turns = [Turn("agent", "a", 0.0, 4.0), Turn("unknown", "b", 6.0, 9.0)]
    _, placed, notes = lay_over(HABIT, turns, named=True)
    assert [turn.role for turn in placed] == ["agent", "customer"]
    assert notes == ()


def test_on_one_channel_speakers_get_roles_from_what_they_say() -> None:
    alone = _hearing(("unknown",))
    alone = replace(alone, sides=(Side(0, "unknown", (Span(0.0, 5.0), Span(6.0, 9.0))),))
    _, placed, notes = lay_over(alone, _anonymous(*WEAK, speakers=True), named=False)
    assert [turn.role for turn in placed] == ["agent", "customer"]
    assert [note.code.value for note in notes] == ["uncertain_roles"]


def test_how_many_turns_have_no_times_is_said() -> None:
    turns = [Turn("agent", "good morning", 0.0, 4.0), Turn("customer", "hello"), Turn("customer", "bye")]
    _, placed, notes = lay_over(HABIT, turns, named=True)
    assert all(turn.timed for turn in placed)
    assert "2 of 3 turns have no times" in notes[0].message
    _, _, notes = lay_over(HABIT, turns[1:], named=True)
    assert "the transcript has no times" in notes[0].message


def test_turns_outside_of_given_segments_are_left_out_and_counted() -> None:
    segments = [Segment("x", start_s=0.0, end_s=5.0), Segment("y", start_s=5.0, end_s=10.0)]
    turns = [Turn("agent", "in", 1.0, 2.0), Turn("agent", "at once", 6.0, 6.0), Turn("agent", "out", 10.0, 12.0),
             Turn("agent", "when"), Turn("agent", "", 20.0, 21.0)]  # fmt: skip
    found, notes = in_given_segments(segments, turns, 30.0)
    assert [[turn.text for turn in segment.turns] for segment in found] == [["in"], ["at once"]]
    assert [note.code.value for note in notes] == ["text_cut"]
    assert notes[0].message.startswith("2 turns")


def test_given_segments_beyond_the_recording_are_named() -> None:
    segments = [Segment("x", start_s=0.0, end_s=5.0), Segment("y", start_s=50.0, end_s=60.0)]
    assert in_given_segments(segments, (), 60.0)[1] == ()
    assert in_given_segments(segments, (), None)[1] == ()
    notes = in_given_segments(segments, (), 45.0)[1]
    assert [note.code.value for note in notes] == ["no_audio"]
    assert "segment y" in notes[0].message
    assert "45.0 s" in notes[0].message


def test_where_one_channel_is_silent_speakers_get_roles_from_what_they_say() -> None:
    both, silent = (Side(at, side.role, ()) for at, side in enumerate(HABIT.sides))
    one_sided = replace(HABIT, sides=(replace(both, speech=(Span(0.0, 5.0), Span(6.0, 9.0))), silent))
    hearing, placed, _ = lay_over(one_sided, _anonymous(CUSTOMER, AGENT, speakers=True), named=False)
    assert hearing == one_sided
    assert [turn.role for turn in placed] == ["customer", "agent"]
