"""The table of measures, and the stream `silence`, of calls whose times and voices are known."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callsift.config import FrontEnd
from callsift.data.manifest import read_manifest
from callsift.errors import WarningCode
from callsift.pipeline import Pipeline
from callsift.pipeline.measures import MEASURES, MeasuredRow, count_words, measures_of, write_features
from callsift.pipeline.silence import STREAM_COLUMNS
from callsift.text.tokens import word_tokenizer
from callsift.types import Call, FloatArray, Note, PreparedCall, Segment, Span, Turn, Waveform

RATE_HZ = 8000
PADDING_S = 0.1


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(FrontEnd(), word_tokenizer(), None)


def padded(*spans: tuple[float, float]) -> tuple[Span, ...]:
    """Speech as the detector gives it."""
    return tuple(Span(start_s - PADDING_S, end_s + PADDING_S) for start_s, end_s in spans)


def voice(duration_s: float, pitch_hz: FloatArray, level_db: FloatArray) -> FloatArray:
    """Two harmonics of a pitch that is given per sample, at an RMS level given per sample."""
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    wave = (np.sin(phase) + np.sin(2 * phase)) * 10 ** (level_db / 20)  # RMS 1 before scaling
    assert wave.size == round(duration_s * RATE_HZ)
    return wave.astype(np.float32)


def two_sides() -> PreparedCall:
    """The agent 1–7 s at 200 Hz and −20 dB; the customer 8–14 s, an octave up in a minute, 60 dB down in a minute."""
    samples = np.zeros((2, 15 * RATE_HZ), np.float32)
    flat = np.ones(6 * RATE_HZ, np.float32)
    minutes = np.arange(6 * RATE_HZ) / RATE_HZ / 60
    samples[0, RATE_HZ : 7 * RATE_HZ] = voice(6, 200 * flat, -20 * flat)
    samples[1, 8 * RATE_HZ : 14 * RATE_HZ] = voice(6, 120 * 2**minutes, -20 - 60 * minutes)
    agent = Turn("agent", "Would you like to hear more of it?", 1.0, 7.0, 0)
    customer = Turn("customer", "不用了，谢谢。 OK", 8.0, 14.0, 1)
    return PreparedCall(
        call=Call("c"),
        segments=(Segment("0", (agent,), 0.5, 7.5), Segment("1", (customer,), 7.5, 14.5)),
        waveform=Waveform(samples, RATE_HZ),
        audio_sha256="x",
        language="en",
        speech=(padded((1.0, 7.0)), padded((8.0, 14.0))),
        channels={0: "agent", 1: "customer"},
    )


def test_voices_are_measured_side_by_side() -> None:
    whole = measures_of(two_sides())[0].values
    agent = {name[6:]: value for name, value in whole.items() if name.startswith("agent_")}
    customer = {name[9:]: value for name, value in whole.items() if name.startswith("customer_")}
    assert agent["speaking_rate"] == pytest.approx(8 / 6)
    assert customer["speaking_rate"] == pytest.approx(6 / 6), "five characters and a word"
    assert agent["loudness_db"] == pytest.approx(-20.0, abs=0.1)
    assert customer["loudness_db"] == pytest.approx(-20 - 60 * 3 / 60, abs=0.1)
    assert agent["pitch_median_hz"] == pytest.approx(200.0, rel=0.01)
    assert customer["pitch_median_hz"] == pytest.approx(120 * 2**0.05, rel=0.01)
    assert agent["pitch_range_semitones"] == pytest.approx(0.0, abs=0.1)
    assert customer["pitch_range_semitones"] == pytest.approx(0.8 * 12 * 6 / 60, abs=0.1), "80 % of the glide"
    assert customer["latency_median_s"] == pytest.approx(1.0), "without the detector's padding"
    for side in (agent, customer):
        slopes = (side["loudness_slope_db_per_min"], side["pitch_slope_semitones_per_min"])
        assert slopes == (None, None), "6 s are no course"


def test_slopes_are_of_speech_that_lasts() -> None:
    """The agent 26 s at 200 Hz and −20 dB; the customer, half as high in a minute and 10 dB louder, 19 s of them."""
    samples = np.zeros((2, 28 * RATE_HZ), np.float32)
    flat, minutes = np.ones(26 * RATE_HZ, np.float32), np.arange(26 * RATE_HZ) / RATE_HZ / 60
    samples[0, RATE_HZ : 27 * RATE_HZ] = voice(26, 200 * flat, -20 * flat)
    samples[1, RATE_HZ : 27 * RATE_HZ] = voice(26, 120 * 2**-minutes, -40 + 10 * minutes)
    agent, customer = Turn("agent", "", 1.0, 27.0, 0), Turn("customer", "", 1.0, 27.0, 1)
    call = replace(
        two_sides(),
        segments=(Segment("0", (agent, customer), 0.5, 20.0), Segment("1", (), 20.0, 27.5)),
        waveform=Waveform(samples, RATE_HZ),
        speech=(padded((1.0, 27.0)), padded((1.0, 27.0))),
    )
    whole, *segments = (row.values for row in measures_of(call))
    assert whole["agent_loudness_slope_db_per_min"] == pytest.approx(0.0, abs=0.2)
    assert whole["customer_loudness_slope_db_per_min"] == pytest.approx(10.0, abs=0.5)
    assert whole["agent_pitch_slope_semitones_per_min"] == pytest.approx(0.0, abs=0.2)
    assert whole["customer_pitch_slope_semitones_per_min"] == pytest.approx(-12.0, abs=0.5)
    for segment in segments:
        assert {value for name, value in segment.items() if "slope" in name} == {None}


def test_what_is_an_octave_off_is_no_pitch_of_the_voice() -> None:
    """A low voice, whose upper harmonics are taken for it in a quarter of its frames."""
    samples = np.zeros((2, 15 * RATE_HZ), np.float32)
    flat = np.ones(4 * RATE_HZ, np.float32)
    samples[0, RATE_HZ : 5 * RATE_HZ] = voice(4, 104 * flat, -20 * flat)
    samples[0, 5 * RATE_HZ : 6 * RATE_HZ] = voice(1, 416 * flat[:RATE_HZ], -20 * flat[:RATE_HZ])
    samples[0, 6 * RATE_HZ : 7 * RATE_HZ] = voice(1, 208 * flat[:RATE_HZ], -20 * flat[:RATE_HZ])
    found = measures_of(replace(two_sides(), waveform=Waveform(samples, RATE_HZ)))[0].values
    assert found["agent_pitch_median_hz"] == pytest.approx(104.0, rel=0.01)
    assert found["agent_pitch_range_semitones"] == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("name", ["en-02-home-insurance", "en-07-dental", "zh-08-water-filter"])
def test_low_voices_of_the_sample_calls_range_over_less_than_an_octave(
    pipeline: Pipeline, demo: Path, name: str
) -> None:
    call = next(call for call in read_manifest(demo / "manifest.jsonl").calls if call.call_id == name)
    found = measures_of(pipeline.prepare(call))[0].values
    assert 85 < (found["agent_pitch_median_hz"] or 0) < 110
    assert 2 < (found["agent_pitch_range_semitones"] or 0) < 8, "with harmonics it is 25 to 29"


def approximate(call: PreparedCall) -> PreparedCall:
    return replace(call, notes=(Note(WarningCode.APPROXIMATE_TIMES, "laid over the speech"),))


def test_made_up_times_say_nothing_of_who_speaks_when_on_a_shared_channel() -> None:
    call = two_sides()
    assert call.waveform is not None
    mono = replace(
        call,
        waveform=Waveform(call.waveform.samples[:1, :], RATE_HZ),
        speech=(padded((1.0, 7.0), (8.0, 14.0)),),
        channels={0: "unknown"},
        segments=tuple(replace(s, turns=tuple(replace(t, channel=0) for t in s.turns)) for s in call.segments),
    )
    assert measures_of(mono)[0].values["customer_latency_median_s"] == pytest.approx(1.0)
    for row in measures_of(approximate(mono)):
        told = {name for name, value in row.values.items() if value is not None}
        assert told == {"start_s", "end_s", "duration_s", "silence_share"}
    assert measures_of(approximate(mono))[0].values["silence_share"] == pytest.approx(3 / 15)


def test_made_up_times_leave_what_is_heard_on_channels_of_their_own() -> None:
    (before, *_), (after, *segments) = measures_of(two_sides()), measures_of(approximate(two_sides()))
    assert after.values == before.values
    for segment in segments:
        assert (segment.values["agent_speaking_rate"], segment.values["customer_speaking_rate"]) == (None, None)
    assert segments[1].values["customer_latency_median_s"] == pytest.approx(1.0)


def test_made_up_times_leave_the_voice_of_the_one_side_whose_channel_is_known() -> None:
    call = replace(two_sides(), channels={0: "agent", 1: "unknown"})
    found = measures_of(approximate(call))[0].values
    assert found["agent_speech_s"] == pytest.approx(6.0)
    assert found["agent_pitch_median_hz"] == pytest.approx(200.0, rel=0.01)
    assert (found["agent_turns"], found["agent_latency_count"], found["gap_count"]) == (None, None, None)
    assert {value for name, value in found.items() if name.startswith("customer_")} == {None}


def test_a_segment_has_its_own_measures_in_the_order_of_the_call() -> None:
    rows = measures_of(two_sides())
    assert [(row.call_id, row.segment_id) for row in rows] == [("c", ""), ("c", "0"), ("c", "1")]
    assert all(tuple(row.values) == MEASURES for row in rows)
    first, second = rows[1].values, rows[2].values
    assert (first["agent_turns"], first["customer_turns"], first["customer_latency_median_s"]) == (1, 0, None)
    assert (second["agent_turns"], second["customer_turns"]) == (0, 1)
    assert second["customer_latency_median_s"] == pytest.approx(1.0)
    assert first["customer_loudness_db"] is None
    assert second["agent_speaking_rate"] is None


def test_without_text_there_is_no_speaking_rate_and_without_roles_no_sides() -> None:
    call = two_sides()
    silent = replace(
        call, segments=tuple(replace(s, turns=tuple(replace(t, text="") for t in s.turns)) for s in call.segments)
    )
    found = measures_of(silent)[0].values
    assert (found["agent_speaking_rate"], found["customer_speaking_rate"]) == (None, None)
    assert found["agent_pitch_median_hz"] is not None
    nobody = replace(silent, channels={}, segments=tuple(replace(s, turns=()) for s in call.segments))
    unknown = measures_of(nobody)[0].values
    assert (unknown["pause_count"], unknown["gap_count"]) == (1, 0), "who speaks after the silence is not known"
    assert {value for name, value in unknown.items() if name.startswith(("agent_", "customer_"))} == {None}


def test_two_speakers_on_one_channel_are_told_apart_by_their_turns() -> None:
    call = two_sides()
    assert call.waveform is not None
    mono = replace(
        call,
        waveform=Waveform(call.waveform.samples[:, :].sum(axis=0, keepdims=True), RATE_HZ),
        speech=(padded((1.0, 3.0), (4.0, 7.0), (8.0, 14.0)),),
        channels={0: "unknown"},
        segments=tuple(replace(s, turns=tuple(replace(t, channel=0) for t in s.turns)) for s in call.segments),
    )
    found = measures_of(mono)[0].values
    assert found["customer_latency_median_s"] == pytest.approx(1.0)
    assert (found["agent_pause_count"], found["agent_pause_total_s"]) == (1, pytest.approx(1.0)), "inside its turn"
    assert found["agent_pitch_median_hz"] == pytest.approx(200.0, rel=0.01)
    assert found["customer_pitch_median_hz"] == pytest.approx(124.0, rel=0.01)


def test_where_two_voices_meet_on_one_channel_no_gap_is_made() -> None:
    """A diarizer parts one stretch of the detector's speech in two: no padding lies where they meet."""
    call = two_sides()
    assert call.waveform is not None
    turns = (Turn("agent", "", 0.9, 6.0, 0), Turn("customer", "", 6.0, 14.1, 0))
    mono = replace(
        call,
        waveform=Waveform(call.waveform.samples[:1, :], RATE_HZ),
        speech=((Span(0.9, 6.0), Span(6.0, 14.1)),),
        channels={0: "unknown"},
        segments=(Segment("0", turns, 0.5, 14.5),),
    )
    found = measures_of(mono)[0].values
    assert (found["customer_latency_median_s"], found["gap_count"]) == (pytest.approx(0.0), 0)
    assert found["agent_speech_s"] == pytest.approx(5.0)


def test_a_transcript_with_times_has_turn_taking_and_one_without_has_nothing(pipeline: Pipeline) -> None:
    turns = (Turn("agent", "hello there", 0.0, 2.0), Turn("customer", "hello", 3.5, 4.0))
    timed = pipeline.prepare(Call("timed", turns=turns))
    found = measures_of(timed)[0].values
    assert found["customer_latency_median_s"] == pytest.approx(1.5)
    assert found["agent_loudness_db"] is None
    bare = pipeline.prepare(Call("bare", turns=tuple(replace(t, start_s=None, end_s=None) for t in turns)))
    for row in measures_of(bare):
        assert set(row.values.values()) == {None}
    assert [segment["silence"] for segment in pipeline.inputs(bare, ["silence"])[0].segments] == [None]


def test_answers_in_a_recording_are_as_late_as_they_were_made(pipeline: Pipeline, demo: Path) -> None:
    """Against the times at which the sample calls' turns were laid. Words begin and end more softly than is heard:
    without its padding the detector makes an answer 0.07 s later, with it 0.13 s earlier.
    """
    differences = []
    for call in [call for call in read_manifest(demo / "manifest.jsonl").calls if call.turns][:6]:
        heard = measures_of(pipeline.prepare(replace(call, turns=())))[0].values
        made = measures_of(pipeline.prepare(replace(call, audio=None)))[0].values
        differences += [
            (heard[f"{side}_latency_median_s"] or 0.0) - (made[f"{side}_latency_median_s"] or 0.0)
            for side in ("agent", "customer")
        ]
    assert np.median(differences) == pytest.approx(0.07, abs=0.03)
    assert np.abs(differences).max() < 0.3


def test_the_table_has_a_row_for_the_call_and_each_segment(tmp_path: Path) -> None:
    rows = [*measures_of(two_sides()), MeasuredRow("d, e", "", dict.fromkeys(MEASURES, float("nan")))]
    write_features(tmp_path / "deep" / "F.csv", rows)
    with (tmp_path / "deep" / "F.csv").open(encoding="utf-8", newline="") as stream:
        head, *lines = csv.reader(stream)
    assert head == ["call_id", "segment_id", *MEASURES]
    assert [line[:2] for line in lines] == [["c", ""], ["c", "0"], ["c", "1"], ["d, e", ""]]
    assert head[2:5] == ["start_s", "end_s", "duration_s"]
    assert [line[2:5] for line in lines[:3]] == [["0", "15", "15"], ["0.5", "7.5", "7"], ["7.5", "14.5", "7"]]
    cells = dict(zip(head, lines[0], strict=True))
    assert (cells["customer_latency_median_s"], cells["gap_count"], cells["pause_mean_s"]) == ("1", "1", "")
    assert set(lines[3][2:]) == {""}


@pytest.mark.parametrize(
    ("text", "count"), [("Don't worry - be happy!", 4), ("您好，请问…", 4), ("我要 iPhone 15", 4), ("", 0), ("…", 0)]
)
def test_words_and_characters_are_counted(text: str, count: int) -> None:
    assert count_words(text) == count


def test_the_stream_has_a_row_for_each_turn_and_one_for_the_whole(pipeline: Pipeline) -> None:
    inputs, notes = pipeline.inputs(two_sides(), ["silence"])
    first, second = (segment["silence"] for segment in inputs.segments)
    assert not notes
    assert first is not None
    assert second is not None
    assert second.values.dtype == np.float32
    turn, whole = (dict(zip(STREAM_COLUMNS, row, strict=True)) for row in second.values)
    assert (turn["customer"], turn["takes_floor"], turn["whole"]) == (1, 1, 0)
    assert turn["latency"] == pytest.approx(np.log(2.0)), "log(1 + 1 s)"
    assert turn["duration"] == pytest.approx(np.log(7.0))
    assert np.isnan(turn["resumed"])
    assert (whole["whole"], whole["customer_share"]) == (1, 1)
    assert whole["silence_share"] == pytest.approx(1 / 7)
    opening = dict(zip(STREAM_COLUMNS, first.values[0], strict=True))
    assert (opening["agent"], opening["takes_floor"]) == (1, 0)
    assert np.isnan(opening["latency"])


def test_a_call_in_which_nobody_is_heard_has_no_stream(pipeline: Pipeline) -> None:
    call = replace(two_sides(), speech=((), ()))
    assert [segment["silence"] for segment in pipeline.inputs(call, ["silence"])[0].segments] == [None, None]
