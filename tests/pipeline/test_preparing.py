"""Calls prepared for others to read and hear: redaction, muted copies, and numbers of channels that last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callsift.config import FrontEnd
from callsift.data.manifest import read_manifest
from callsift.errors import DataError, ErrorCode, RecordingError
from callsift.pipeline import Pipeline, check_prepared
from callsift.pipeline.prepared_set import prepared_row, write_prepared
from callsift.pipeline.preparing import with_muted_audio
from callsift.plugins import Diarization, Diarizer
from callsift.text.tokens import word_tokenizer
from callsift.types import Call, FloatArray, PreparedCall, Role, Segment, Signal, Span, Turn
from tests.pipeline.voices import RATE_HZ, two_sides

NUMBER = "my number is five five five one two three four okay"
LOW, HIGH = two_sides()
"""The low voice speaks from 0, 4, 8 … s, the high one from 2, 6, 10 … s, each for 1.6 s."""


class Counting:
    """Gives half of the speech to each of two voices, and counts how often it is asked."""

    name = "counting"

    def __init__(self) -> None:
        self.asked = 0

    def diarize(self, samples: Signal, rate_hz: int, speech: Sequence[Span]) -> Diarization:
        self.asked += 1
        return Diarization((tuple(speech[::2]), tuple(speech[1::2])), 0.9)


def _call(folder: Path, *channels: FloatArray, **given: object) -> Call:
    path = folder / "call.wav"
    soundfile.write(path, np.stack(channels, axis=1), RATE_HZ)
    return replace(Call("call", audio=path), **given)  # type: ignore[arg-type]


def _prepared(call: Call, *, redact: bool = False, diarizer: Diarizer | None = None) -> PreparedCall:
    return Pipeline(FrontEnd(redact=redact), word_tokenizer(), None, diarizer).prepare(call)


def _turn(text: str, start_s: float, role: Role = "unknown", channel: int | None = None) -> Turn:
    return Turn(role, text, start_s, start_s + 1.6, channel)


def _roles(prepared: PreparedCall) -> dict[str, str]:
    return {turn.text: turn.role for segment in prepared.segments for turn in segment.turns}


def _silent(path: Path | None, turn: Turn) -> bool:
    assert path is not None
    samples, rate_hz = soundfile.read(path, always_2d=True)
    return not samples[round((turn.start_s or 0) * rate_hz) : round((turn.end_s or 0) * rate_hz)].any()


def test_warnings_do_not_quote_what_is_redacted(tmp_path: Path) -> None:
    turns = (_turn("hello this is 555 123 4567 calling from the gym", 0.0), _turn("yes hello", 2.0))
    call = _call(tmp_path, LOW + HIGH, turns=turns)
    plain, redacted = (
        " ".join(note.message for note in _prepared(call, redact=redact, diarizer=Counting()).notes)
        for redact in (False, True)
    )
    assert "555 123 4567" in plain
    assert "555" not in redacted
    assert "calling from" in redacted


def test_what_the_guards_left_out_is_muted(tmp_path: Path) -> None:
    said = [_turn(NUMBER, start_s, "customer", 1) for start_s in (2.0, 6.0, 10.0, 14.0)]
    prepared = _prepared(_call(tmp_path, LOW, HIGH, turns=(*said, _turn("hello", 0.0, "agent", 0))), redact=True)
    assert {"repeated_text", "redacted"} <= {note.code.value for note in prepared.notes}
    muted = with_muted_audio(prepared, tmp_path / "out")
    assert all(_silent(muted.call.audio, turn) for turn in said)
    assert not _silent(muted.call.audio, _turn("", 18.0))


def test_segments_with_recordings_of_their_own_are_not_muted_but_refused(tmp_path: Path) -> None:
    own = _call(tmp_path, LOW).audio
    call = Call("call", segments=(Segment("0", (_turn(NUMBER, 0.0, "customer"),), audio=own),))
    with pytest.raises(RecordingError, match="recordings of their own") as caught:
        with_muted_audio(_prepared(call, redact=True), tmp_path / "out")
    assert caught.value.code == ErrorCode.BAD_TRANSCRIPT


def test_one_redacted_turn_without_times_is_enough_to_refuse(tmp_path: Path) -> None:
    timed, untimed = _turn(NUMBER, 2.0, "customer", 1), Turn("customer", NUMBER)
    parts = (Segment("0", (timed,), 0.0, 8.0), Segment("1", (untimed,), 8.0, 20.0))
    prepared = _prepared(_call(tmp_path, LOW, HIGH, segments=parts), redact=True)
    assert prepared.muted
    with pytest.raises(RecordingError, match="no times"):
        with_muted_audio(prepared, tmp_path / "out")
    harmless = replace(parts[1], turns=(Turn("customer", "yes please"),))
    prepared = _prepared(_call(tmp_path, LOW, HIGH, segments=(parts[0], harmless)), redact=True)
    assert _silent(with_muted_audio(prepared, tmp_path / "out").call.audio, timed)


def test_a_call_without_text_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="nothing is known of what is said"):
        with_muted_audio(_prepared(_call(tmp_path, LOW, HIGH), redact=True), tmp_path / "out")


@pytest.mark.parametrize("second", [LOW + HIGH, np.zeros_like(LOW)])
def test_given_roles_reach_turns_whose_channel_is_not_kept(tmp_path: Path, second: FloatArray) -> None:
    given: dict[int, Role] = {0: "customer", 1: "agent"}
    turns = (_turn("one", 0.0, channel=0), _turn("two", 2.0, channel=1))
    diarizer = Counting()
    prepared = _prepared(_call(tmp_path, LOW + HIGH, second, channels=given, turns=turns), diarizer=diarizer)
    assert prepared.waveform is not None
    assert prepared.waveform.channels == 1
    assert _roles(prepared) == {"one": "customer", "two": "agent"}
    assert diarizer.asked == 0


def test_channels_of_a_prepared_set_are_those_of_the_file(tmp_path: Path) -> None:
    given: dict[int, Role] = {1: "agent", 2: "customer"}
    turns = (_turn("one", 0.0, channel=1), _turn("two", 2.0, channel=2))
    prepared = _prepared(_call(tmp_path, np.zeros_like(LOW), LOW, HIGH, channels=given, turns=turns))
    assert (prepared.kept, dict(prepared.channels)) == ((1, 2), {0: "agent", 1: "customer"})
    write_prepared(tmp_path / "set", [prepared_row(prepared)], FrontEnd())
    call = read_manifest(tmp_path / "set/manifest.jsonl").calls[0]
    assert call.channels == given
    assert [turn.channel for segment in call.segments for turn in segment.turns] == [1, 2]
    again = _prepared(call)
    assert again.segments == prepared.segments
    assert again.channels == prepared.channels


def test_a_muted_copy_numbers_its_own_channels(tmp_path: Path) -> None:
    given: dict[int, Role] = {1: "agent", 2: "customer"}
    turns = (_turn("one", 0.0, channel=1), _turn("two", 2.0, channel=2))
    call = _call(tmp_path, np.zeros_like(LOW), LOW, HIGH, channels=given, turns=turns)
    row = prepared_row(with_muted_audio(_prepared(call, redact=True), tmp_path / "out"))
    assert row.call.channels == {0: "agent", 1: "customer"}
    assert [turn.channel for segment in row.call.segments for turn in segment.turns] == [0, 1]


def test_given_segments_get_the_voices_of_one_channel(tmp_path: Path) -> None:
    segments = (Segment("x", start_s=0.0, end_s=12.0), Segment("y", start_s=12.0, end_s=24.0))
    diarizer = Counting()
    prepared = _prepared(_call(tmp_path, LOW + HIGH, segments=segments), diarizer=diarizer)
    assert diarizer.asked == 1
    assert [segment.segment_id for segment in prepared.segments] == ["x", "y"]
    assert all(segment.turns for segment in prepared.segments)


def test_no_voices_are_told_apart_for_a_transcript_without_times(tmp_path: Path) -> None:
    diarizer = Counting()
    turns = (Turn("agent", "hello there"), Turn("customer", "no thank you"))
    prepared = _prepared(_call(tmp_path, LOW + HIGH, turns=turns), diarizer=diarizer)
    assert diarizer.asked == 0
    assert _roles(prepared) == {"hello there": "agent", "no thank you": "customer"}


def test_a_set_that_differs_in_redaction_alone_says_so(tmp_path: Path) -> None:
    plain, redacted = FrontEnd(), FrontEnd(redact=True)
    for front_end in (plain, redacted):
        write_prepared(tmp_path / str(front_end.redact), [], front_end)
    with pytest.raises(DataError, match="Give --redact here"):
        check_prepared(tmp_path / "True", plain.sha256)
    with pytest.raises(DataError, match="without --redact"):
        check_prepared(tmp_path / "False", redacted.sha256)
    with pytest.raises(DataError, match="or give that manifest itself"):
        check_prepared(tmp_path / "True", FrontEnd(silence="remove").sha256)
