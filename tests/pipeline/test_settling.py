"""Roles of sides: given, heard, or by a transcript; never changed without a word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from callsift.pipeline.listening import Hearing, Side
from callsift.pipeline.roles import settle_by_transcript, settle_roles, settle_speakers
from callsift.types import Role, Span, Turn, Waveform

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
