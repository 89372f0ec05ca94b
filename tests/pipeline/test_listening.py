"""Who is heard on which channel of a recording, and what was mended on the way. Voices are synthesised here."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from callsift.errors import ErrorCode, RecordingError
from callsift.pipeline.listening import listen
from callsift.plugins import Diarization
from callsift.speech.spans import joined, total_s, within
from callsift.types import FloatArray, Signal, Span, Turn, Waveform
from tests.pipeline.voices import RATE_HZ, two_sides


class HalfHalf:
    """A diarizer that gives the first half of the speech to one voice, the rest to another."""

    name = "half-half"

    def diarize(self, samples: Signal, rate_hz: int, speech: tuple[Span, ...]) -> Diarization:
        middle_s = samples.size / rate_hz / 2
        return Diarization((within(speech, 0.0, middle_s), within(speech, middle_s, 1e9)), 0.8)


def _waveform(*channels: FloatArray) -> Waveform:
    return Waveform(np.stack(channels).astype(np.float32), RATE_HZ)


def _codes(hearing: object) -> list[str]:
    return [note.code.value for note in hearing.notes]


def test_two_channels_are_two_sides() -> None:
    left, right = two_sides()
    hearing = listen(_waveform(left, right), None, HalfHalf())
    assert hearing.channels == {0: "agent", 1: "customer"}
    assert hearing.diarized is None
    assert [side.channel for side in hearing.sides] == [0, 1]
    assert hearing.speech == tuple(side.speech for side in hearing.sides)
    assert not hearing.roles_given
    assert _codes(hearing) == []


def test_fake_stereo_is_one_channel_with_two_voices_whatever_roles_were_given() -> None:
    mix = sum(two_sides())
    hearing = listen(_waveform(mix, mix / 2), {0: "agent", 1: "customer"}, HalfHalf())
    assert hearing.waveform.channels == 1
    assert hearing.kept == (0,)
    assert hearing.channels == {0: "unknown"}
    assert [side.channel for side in hearing.sides] == [0, 0]
    assert hearing.diarized == 0.8
    assert not hearing.roles_given
    assert _codes(hearing) == ["identical_channels"]


def test_beside_a_dead_channel_two_voices_are_told_apart_unless_the_live_one_has_a_role() -> None:
    mix = sum(two_sides())
    dead = np.zeros_like(mix)
    hearing = listen(_waveform(dead, mix), None, HalfHalf())
    assert hearing.kept == (1,)
    assert len(hearing.sides) == 2
    assert _codes(hearing) == ["dead_channel"]
    told = listen(_waveform(dead, mix), {0: "agent", 1: "customer"}, HalfHalf())
    assert told.channels == {0: "customer"}
    assert told.diarized is None


def test_turns_of_a_transcript_follow_the_channels_that_are_left() -> None:
    mix = sum(two_sides())
    hearing = listen(_waveform(np.zeros_like(mix), mix), None, None)
    given = (Turn("agent", "a", 0.0, 1.0, 1), Turn("customer", "b", 1.0, 2.0, 0), Turn("unknown", "c", 2.0, 3.0))
    assert [turn.channel for turn in hearing.on_channels(given)] == [0, None, None]


def test_one_voice_stays_one_side() -> None:
    class One:
        name = "one"

        def diarize(self, samples: Signal, rate_hz: int, speech: tuple[Span, ...]) -> Diarization:
            return Diarization((tuple(speech),), 1.0)

    left, _ = two_sides()
    hearing = listen(_waveform(left), None, One())
    assert len(hearing.sides) == 1
    assert hearing.diarized is None
    assert hearing.channels == {0: "unknown"}
    assert _codes(hearing) == ["uncertain_roles"]


def test_the_other_sides_leak_is_nobodys_speech() -> None:
    left, right = two_sides()
    leaking = left + np.float32(0.1) * right
    clean = listen(_waveform(left, right), None, None)
    hearing = listen(_waveform(leaking, right), None, None)
    assert _codes(hearing) == ["crosstalk"]
    assert total_s(hearing.sides[0].speech) == pytest.approx(total_s(clean.sides[0].speech), rel=0.1)


def test_a_role_for_a_channel_that_is_not_there_is_an_error() -> None:
    left, _ = two_sides()
    with pytest.raises(RecordingError, match="channel 1") as caught:
        listen(_waveform(left), {1: "customer"}, None)
    assert caught.value.code == ErrorCode.MISSING_STREAM


def test_silence_is_heard_as_silence() -> None:
    hearing = listen(_waveform(np.zeros(RATE_HZ * 3, np.float32)), None, HalfHalf())
    assert hearing.speech == ((),)
    assert len(hearing.sides) == 1


def test_speech_that_a_diarizer_gives_to_nobody_goes_to_the_nearest_voice_and_overlaps_are_one_stretch() -> None:
    class Gaps:
        name = "gaps"

        def diarize(self, samples: Signal, rate_hz: int, speech: tuple[Span, ...]) -> Diarization:
            return Diarization(((Span(0.0, 4.0), Span(3.0, 9.0)), (Span(8.0, 12.0),)), 0.9)

    mix = sum(two_sides())
    alone = listen(_waveform(mix), None, None)
    hearing = listen(_waveform(mix), None, Gaps())
    heard_s = total_s(alone.speech[0])
    given_s = total_s(joined([span for side in hearing.sides for span in side.speech]))
    assert given_s >= heard_s - 0.2
    for spans in (*hearing.speech, *(side.speech for side in hearing.sides)):
        assert all(one.end_s <= other.start_s for one, other in pairwise(spans))
    assert max(span.end_s for span in hearing.sides[1].speech) > 20.0


def test_beside_two_copies_a_third_channel_keeps_its_role() -> None:
    left, right = two_sides()
    hearing = listen(_waveform(left, left / 2, right), {0: "agent", 1: "agent", 2: "customer"}, HalfHalf())
    assert hearing.kept == (0, 2)
    assert hearing.channels == {0: "unknown", 1: "customer"}


def test_of_two_given_channels_one_is_dead_and_the_other_keeps_its_role() -> None:
    mix = sum(two_sides())
    hearing = listen(_waveform(np.zeros_like(mix), mix), {0: "agent"}, HalfHalf())
    assert hearing.channels == {0: "customer"}
    assert hearing.diarized is None
