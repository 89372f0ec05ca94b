"""The front end: from calls to streams, over the shipped calls and planted cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callsift.config import FrontEnd, HashedTokens
from callsift.data.manifest import read_manifest
from callsift.errors import DataError, ErrorCode, RecordingError, WarningCode
from callsift.pipeline import Pipeline, check_prepared, role_spans, segment_text, speech_seconds
from callsift.pipeline.prepared_set import prepared_row, write_prepared
from callsift.plugins import AsrText
from callsift.text.tokens import features_per_token, word_tokenizer
from callsift.types import Call, Segment, Signal, Span, Turn


def _pipeline(**settings: object) -> Pipeline:
    return Pipeline(FrontEnd.model_validate(settings), word_tokenizer(), None)


@pytest.fixture(scope="module")
def calls(demo: Path) -> tuple[Call, ...]:
    return read_manifest(demo / "manifest.jsonl").calls


def test_every_demo_call_is_cut_into_rounds_with_text_and_audio(calls: tuple[Call, ...]) -> None:
    pipeline = _pipeline()
    assert len(calls) == 24
    for call in calls:
        prepared = pipeline.prepare(call)
        inputs, notes = pipeline.inputs(prepared)
        assert len(inputs.segments) == len(prepared.segments) >= 3
        assert not notes
        assert prepared.language == call.language
        for segment, streams in zip(prepared.segments, inputs.segments, strict=True):
            assert segment.start_s is not None
            assert segment.end_s is not None
            assert 0 < segment.end_s - segment.start_s <= 40.0
            audio, text = streams["audio"], streams["text"]
            assert audio is not None
            assert text is not None
            assert audio.values.shape == (pytest.approx(100 * (segment.end_s - segment.start_s), abs=3), 40)
            assert text.values.shape[1] == features_per_token(HashedTokens())
            assert np.isfinite(audio.values).all()


def test_no_word_is_lost_or_doubled(calls: tuple[Call, ...]) -> None:
    call = next(call for call in calls if call.turns)
    for segmenting in ("round", "pack"):
        prepared = _pipeline(segmenting=segmenting, max_segment_s=8.0).prepare(call)
        cut = "".join(turn.text for segment in prepared.segments for turn in segment.turns)
        whole = "".join(turn.text for turn in sorted(call.turns, key=lambda turn: turn.start_s or 0.0))
        assert sorted(cut.replace(" ", "")) == sorted(whole.replace(" ", ""))


@pytest.mark.parametrize(("channels", "width"), [("mix", 40), ("customer", 40), ("both", 80)])
def test_channels(calls: tuple[Call, ...], channels: str, width: int) -> None:
    pipeline = _pipeline(channels=channels)
    prepared = pipeline.prepare(calls[0])
    inputs, _ = pipeline.inputs(prepared)
    assert {stream.values.shape[1] for s in inputs.segments if (stream := s["audio"]) is not None} == {width}


def test_the_agent_alone_does_not_change_what_the_customer_channel_gives(calls: tuple[Call, ...]) -> None:
    pipeline = _pipeline(channels="customer", speaker_reference="none")
    prepared = pipeline.prepare(calls[0])
    assert prepared.waveform is not None
    louder = prepared.waveform.samples.copy()
    louder[0] *= 0.1
    changed = replace(prepared, waveform=replace(prepared.waveform, samples=louder))
    before, after = (pipeline.inputs(p)[0].segments[0]["audio"] for p in (prepared, changed))
    assert before is not None
    assert after is not None
    assert np.array_equal(before.values, after.values)


@pytest.mark.parametrize("view", ["waveform", "logmel"])
def test_silence_can_be_removed_and_times_stay_on_the_recordings_clock(calls: tuple[Call, ...], view: str) -> None:
    lengths = {}
    for silence in ("keep", "shorten", "remove"):
        pipeline = _pipeline(silence=silence, input=view)
        prepared = pipeline.prepare(calls[0])
        inputs, _ = pipeline.inputs(prepared)
        lengths[silence] = sum(len(s.values) for streams in inputs.segments if (s := streams["audio"]) is not None)
        times = [(segment.start_s, segment.end_s) for segment in prepared.segments]
        assert times == [(s.start_s, s.end_s) for s in _pipeline().prepare(calls[0]).segments]
    assert lengths["keep"] > lengths["shorten"] > lengths["remove"] > 0


def test_a_waveform_is_normalised(calls: tuple[Call, ...]) -> None:
    pipeline = _pipeline(input="waveform", normalise="segment", encoder_rate_hz=16000)
    inputs, _ = pipeline.inputs(pipeline.prepare(calls[0]))
    audio = inputs.segments[0]["audio"]
    assert audio is not None
    assert audio.values.mean() == pytest.approx(0.0, abs=1e-4)
    assert audio.values.std() == pytest.approx(1.0, abs=1e-2)


def test_level_of_a_voice_is_taken_out_by_the_speaker_reference(calls: tuple[Call, ...]) -> None:
    pipeline = _pipeline(channels="customer")
    prepared = pipeline.prepare(calls[0])
    assert prepared.waveform is not None
    quiet = replace(prepared, waveform=replace(prepared.waveform, samples=prepared.waveform.samples * 0.5))
    before, after = (pipeline.inputs(p)[0].segments[1]["audio"] for p in (prepared, quiet))
    assert before is not None
    assert after is not None
    # Frames at the floor of the logarithm can't fall with the level; those of the voice do.
    voiced = before.values > 0
    assert voiced.mean() > 0.3
    assert np.median(np.abs(before.values - after.values)[voiced]) < 0.01


def test_text_alone_and_audio_alone() -> None:
    turns = (Turn("agent", "hello there " * 60), Turn("customer", "no thank you"))
    pipeline = _pipeline(max_segment_tokens=50)
    prepared = pipeline.prepare(Call("t", turns=turns))
    inputs, _ = pipeline.inputs(prepared)
    assert len(inputs.segments) > 1
    assert all(streams["audio"] is None and streams["text"] is not None for streams in inputs.segments)
    assert speech_seconds(prepared.segments[0], role_spans(prepared)) == {}


def test_no_transcript_and_no_engine_is_a_warning(calls: tuple[Call, ...], tmp_path: Path) -> None:
    assert calls[0].audio is not None
    alone = tmp_path / f"alone{calls[0].audio.suffix}"
    alone.write_bytes(calls[0].audio.read_bytes())
    pipeline = _pipeline()
    prepared = pipeline.prepare(Call("a", audio=alone))
    assert WarningCode.NO_TRANSCRIPT in {note.code for note in prepared.notes}
    inputs, _ = pipeline.inputs(prepared)
    assert all(streams["text"] is None and streams["audio"] is not None for streams in inputs.segments)


class _BreaksOff:
    """An engine whose answers end in the middle of a character."""

    name, model, languages = "breaks-off", "", ()

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        return tuple(AsrText(span.start_s, span.end_s, "yes \U0001f600 \ud83d") for span in spans)


def test_what_an_engine_breaks_off_can_be_written(calls: tuple[Call, ...], tmp_path: Path) -> None:
    assert calls[0].audio is not None
    alone = tmp_path / f"alone{calls[0].audio.suffix}"
    alone.write_bytes(calls[0].audio.read_bytes())
    pipeline = Pipeline(FrontEnd(), word_tokenizer(), _BreaksOff())
    prepared = pipeline.prepare(Call("a", audio=alone))
    texts = {turn.text for segment in prepared.segments for turn in segment.turns}
    assert "yes \U0001f600 \ufffd" in texts
    pipeline.inputs(prepared)
    write_prepared(tmp_path / "set", [prepared_row(prepared)], FrontEnd())


def test_a_transcript_without_times_is_laid_over_the_speech(calls: tuple[Call, ...]) -> None:
    call = next(call for call in calls if call.turns)
    bare = tuple(Turn(turn.role, turn.text) for turn in call.turns)
    prepared = _pipeline().prepare(replace(call, turns=bare))
    assert WarningCode.APPROXIMATE_TIMES in {note.code for note in prepared.notes}
    said = " ".join(segment_text(segment) for segment in prepared.segments)
    assert all(turn.text.split()[0] in said for turn in bare)


def test_a_bad_recording_with_a_transcript_scores_by_text(tmp_path: Path) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(b"this is not audio")
    with pytest.raises(RecordingError) as caught:
        _pipeline().prepare(Call("a", audio=path))
    assert caught.value.code == ErrorCode.NOT_AUDIO
    prepared = _pipeline().prepare(Call("a", audio=path, turns=(Turn("customer", "yes please"),)))
    assert prepared.waveform is None
    assert [note.code for note in prepared.notes] == [WarningCode.NO_AUDIO]


def test_given_segments_are_never_cut_again(calls: tuple[Call, ...]) -> None:
    given = (Segment("x", start_s=0.0, end_s=20.0), Segment("y", start_s=20.0, end_s=45.0))
    prepared = _pipeline().prepare(replace(calls[0], segments=given))
    assert [(s.segment_id, s.start_s, s.end_s) for s in prepared.segments] == [("x", 0.0, 20.0), ("y", 20.0, 45.0)]
    assert all(segment.turns for segment in prepared.segments)


def test_segments_with_recordings_of_their_own(calls: tuple[Call, ...], tmp_path: Path) -> None:
    assert calls[0].audio is not None
    samples, rate_hz = soundfile.read(calls[0].audio, dtype="float32")
    paths = [tmp_path / "0.wav", tmp_path / "1.wav"]
    for at, path in enumerate(paths):
        soundfile.write(path, samples[at * 10 * rate_hz : (at + 1) * 10 * rate_hz, 1], rate_hz)
    call = Call("s", segments=tuple(Segment(str(at), audio=path) for at, path in enumerate(paths)))
    pipeline = _pipeline()
    inputs, _ = pipeline.inputs(pipeline.prepare(call))
    assert [len(streams["audio"].values) for streams in inputs.segments] == [1000, 998]  # type: ignore[union-attr]
    assert WarningCode.NO_TRANSCRIPT in {note.code for note in pipeline.prepare(call).notes}
    part = replace(call, segments=(Segment("0", audio=paths[0], start_s=2.0, end_s=6.0),))
    inputs, _ = pipeline.inputs(pipeline.prepare(part))
    assert len(inputs.segments[0]["audio"].values) == 398  # type: ignore[union-attr]
    beyond = replace(call, segments=(Segment("0", audio=paths[0], start_s=12.0, end_s=16.0),))
    with pytest.raises(RecordingError, match="Correct the segment's times"):
        pipeline.inputs(pipeline.prepare(beyond))
    # The last window needs 25 ms of samples: two frames fewer at the very end.


def test_a_prepared_set_gives_the_same_streams(calls: tuple[Call, ...], tmp_path: Path) -> None:
    pipeline = _pipeline()
    prepared = [pipeline.prepare(call) for call in calls[:3]]
    write_prepared(tmp_path, [prepared_row(one) for one in prepared], pipeline.front_end)
    check_prepared(tmp_path, pipeline.front_end.sha256)
    with pytest.raises(DataError, match="prepared with other settings"):
        check_prepared(tmp_path, FrontEnd(silence="remove").sha256)
    for before, call in zip(prepared, read_manifest(tmp_path / "manifest.jsonl").calls, strict=True):
        one, other = pipeline.inputs(before)[0], pipeline.inputs(pipeline.prepare(call))[0]
        for ours, theirs in zip(one.segments, other.segments, strict=True):
            assert np.array_equal(ours["text"].values, theirs["text"].values)  # type: ignore[union-attr]
            assert abs(len(ours["audio"].values) - len(theirs["audio"].values)) <= 1  # type: ignore[union-attr]


def test_speech_seconds_are_inside_the_segment(calls: tuple[Call, ...]) -> None:
    prepared = _pipeline().prepare(calls[0])
    for segment in prepared.segments:
        span = Span(segment.start_s or 0.0, segment.end_s or 0.0)
        seconds = speech_seconds(segment, role_spans(prepared))
        assert set(seconds) == {"agent", "customer"}
        assert all(0.0 <= value <= span.duration_s for value in seconds.values())
