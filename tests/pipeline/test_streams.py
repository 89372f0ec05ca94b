"""Which streams are made: only what is asked for, and precomputed ones as the manifest gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from callsift.audio import features, pitch, spool
from callsift.config import FrontEnd
from callsift.data.manifest import read_manifest
from callsift.errors import DataError, ErrorCode, RecordingError, WarningCode
from callsift.pipeline import Pipeline, call_audio, streams
from callsift.text.tokens import word_tokenizer
from callsift.types import Call, PreparedCall, Segment, Span, StreamRef, Turn


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(FrontEnd(max_tokens=8, channels="customer"), word_tokenizer(), None)


@pytest.fixture(scope="module")
def prepared(pipeline: Pipeline, demo: Path) -> PreparedCall:
    return pipeline.prepare(read_manifest(demo / "manifest.jsonl").calls[0])


def _segments(folder: Path, widths: list[int | None]) -> tuple[Segment, ...]:
    """Segments of text with a stream `face` of these widths, two rows each; None has no stream."""
    arrays = {f"s{at}": np.full((2, width), at + 0.5) for at, width in enumerate(widths) if width is not None}
    np.savez(folder / "face.npz", **arrays)
    return tuple(
        Segment(
            str(at),
            turns=(Turn("customer", f"line {at}"),),
            streams={} if width is None else {"face": StreamRef(folder / "face.npz", f"s{at}")},
        )
        for at, width in enumerate(widths)
    )


def test_none_means_text_and_audio(pipeline: Pipeline, prepared: PreparedCall) -> None:
    both, _ = pipeline.inputs(prepared)
    asked, _ = pipeline.inputs(prepared, ["audio", "text"])
    for one, other in zip(both.segments, asked.segments, strict=True):
        assert set(one) == set(other) == {"text", "audio"}
        for name in one:
            ours, theirs = one[name], other[name]
            assert ours is not None
            assert theirs is not None
            assert np.array_equal(ours.values, theirs.values)


def test_a_stream_alone_is_what_it_is_beside_the_other(pipeline: Pipeline, prepared: PreparedCall) -> None:
    both, _ = pipeline.inputs(prepared)
    for name in ("text", "audio"):
        alone, _ = pipeline.inputs(prepared, [name])
        for one, other in zip(alone.segments, both.segments, strict=True):
            assert set(one) == {name}
            assert np.array_equal(one[name].values, other[name].values)  # type: ignore[union-attr]


def test_audio_that_nobody_reads_costs_nothing(
    pipeline: Pipeline, prepared: PreparedCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def count(*args: Any, **options: Any) -> Any:
            worked.append(name)
            return real(*args, **options)

        return count

    for module, name in ((call_audio, "log_mel"), (streams, "resample"), (streams, "detect_speech")):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    pipeline.inputs(prepared, ["text"])
    assert not worked
    pipeline.inputs(prepared, ["audio"])
    assert set(worked) == {"log_mel", "resample"}


def test_warnings_belong_to_the_streams_asked_for(pipeline: Pipeline, prepared: PreparedCall) -> None:
    nobody = replace(prepared, channels={})
    codes = {name: {note.code for note in pipeline.inputs(nobody, [name])[1]} for name in ("text", "audio")}
    assert codes == {"text": {WarningCode.TEXT_CUT}, "audio": {WarningCode.UNKNOWN_ROLES}}
    assert {note.code for note in pipeline.inputs(nobody)[1]} == codes["text"] | codes["audio"]


def test_a_bad_recording_of_a_segment_fails_only_those_who_hear_it(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"this is not audio")
    soundfile.write(tmp_path / "good.wav", 0.1 * np.random.default_rng(1).standard_normal(16000), 8000)
    said = (Turn("customer", "yes please"),)
    good, bad = (Segment(name, turns=said, audio=tmp_path / f"{name}.wav") for name in ("good", "bad"))
    prepared = pipeline.prepare(Call("c", segments=(good, bad)))
    inputs, _ = pipeline.inputs(prepared, ["text"])
    assert [streams["text"] is not None for streams in inputs.segments] == [True, True]
    with pytest.raises(RecordingError) as caught:
        pipeline.inputs(prepared, ["text", "audio"])
    assert caught.value.code == ErrorCode.NOT_AUDIO


def test_precomputed_streams_stand_beside_text(pipeline: Pipeline, tmp_path: Path) -> None:
    prepared = pipeline.prepare(Call("c", segments=_segments(tmp_path, [3, None, 3])))
    inputs, notes = pipeline.inputs(prepared, {"text", "face", "unheard_of"})
    assert not notes
    faces = [found["face"] for found in inputs.segments]
    assert faces[1] is None
    for at in (0, 2):
        found = faces[at]
        assert found is not None
        assert found.values.dtype == np.float32
        assert np.array_equal(found.values, np.full((2, 3), at + 0.5))
    assert all(found["text"] is not None and found["unheard_of"] is None for found in inputs.segments)
    # Not asked for, it is not even opened.
    (tmp_path / "face.npz").unlink()
    assert set(pipeline.inputs(prepared)[0].segments[0]) == {"text", "audio"}
    with pytest.raises(RecordingError, match="the file does not exist"):
        pipeline.inputs(prepared, ["face"])


def test_widths_must_agree_within_a_call(pipeline: Pipeline, tmp_path: Path) -> None:
    prepared = pipeline.prepare(Call("c", segments=_segments(tmp_path, [3, None, 4])))
    with pytest.raises(DataError, match=r"face\.npz: stream 'face' of call 'c' is 3 wide in 's0' .* 4 wide here"):
        pipeline.inputs(prepared, ["face"])


def test_a_manifest_with_streams_gives_them_through_a_prepared_call(pipeline: Pipeline, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.arange(4.0))
    row = {"call_id": "c", "segments": [{"text": "hi", "streams": {"face": {"path": "a.npz", "key": "one"}}}]}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row))
    (call,) = read_manifest(tmp_path / "manifest.jsonl").calls
    found = pipeline.inputs(pipeline.prepare(call), ["face"])[0].segments[0]["face"]
    assert found is not None
    assert found.values.tolist() == [[0.0, 1.0, 2.0, 3.0]]


@pytest.mark.parametrize("given", ["pitch", "logmel+pitch"])
def test_pitch_comes_alone_or_beside_log_mel(given: str, demo: Path) -> None:
    """On the same frames, and with log-mel first, unchanged by its company."""
    call = read_manifest(demo / "manifest.jsonl").calls[0]
    made = {}
    for name in ("logmel", "pitch", given):
        front_end = FrontEnd.model_validate({"input": name})
        pipe = Pipeline(front_end, word_tokenizer(), None)
        inputs, _ = pipe.inputs(pipe.prepare(call), ("audio",))
        made[name] = [each.values for segment in inputs.segments if (each := segment["audio"]) is not None]
        assert all(values.shape[1] == front_end.audio_features for values in made[name])
    assert made["pitch"]
    wanted = (
        made["pitch"]
        if given == "pitch"
        else [np.concatenate(pair, axis=1) for pair in zip(made["logmel"], made["pitch"], strict=True)]
    )
    for found, expected in zip(made[given], wanted, strict=True):
        assert np.array_equal(found, expected)
    assert np.concatenate(made["pitch"])[:, 0].std() > 0.1


def _whole_view(front_end: FrontEnd, samples: np.ndarray, rate_hz: int, roles: list[tuple[Span, ...]]) -> np.ndarray:
    """Features (F, M) of one signal (samples,) over whole arrays, as the definitions have it."""
    signal = features.resample(samples, rate_hz, front_end.encoder_rate_hz)
    if front_end.input == "waveform":
        return ((signal - signal.mean(dtype=np.float64)) / np.sqrt(signal.var(dtype=np.float64) + 1e-7))[:, None]
    clock = {"window_s": front_end.logmel.window_s, "hop_s": front_end.logmel.hop_s}
    mel = features.log_mel(signal, front_end.encoder_rate_hz, **front_end.logmel.model_dump()).astype(np.float64)
    spoken = [features.frames_in(spans, len(mel), **clock) for spans in roles]
    call_mean = np.concatenate([mel[inside] for inside in spoken]).mean(axis=0)
    owners = features.frame_owners(roles, len(mel), **clock)
    relative = mel - call_mean
    for role, inside in enumerate(spoken):
        mean = mel[inside].mean(axis=0) if inside.sum() * clock["hop_s"] >= features.MIN_REFERENCE_S else call_mean
        relative[owners == role] = mel[owners == role] - mean
    track = pitch.pitch_track(signal, front_end.encoder_rate_hz, **clock)
    return np.concatenate([relative, pitch.relative_pitch(*track, roles, **clock)], axis=1)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {"channels": "mix", "input": "logmel+pitch"},
        {"channels": "both", "input": "logmel+pitch", "encoder_rate_hz": 16000},
        {"channels": "customer", "input": "waveform", "encoder_rate_hz": 16000},
    ],
)
@pytest.mark.parametrize("sides", [1, 2])
def test_in_stretches_the_view_is_that_of_the_whole_call(
    sides: int, settings: dict[str, Any], on_disk: bool, demo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """However the stretches fall: many short ones, spooled to disk or not."""
    front_end = FrontEnd.model_validate(settings)
    pipe = Pipeline(front_end, word_tokenizer(), None)
    call = read_manifest(demo / "manifest.jsonl").calls[0]
    assert call.audio is not None
    samples, rate_hz = soundfile.read(call.audio, dtype="float32")
    if sides == 1:
        soundfile.write(tmp_path / "mono.wav", samples.mean(axis=1), rate_hz, subtype="FLOAT")
        call = replace(call, audio=tmp_path / "mono.wav", channels=None)
    prepared = pipe.prepare(call)
    assert prepared.waveform is not None
    roles = list(streams.role_spans(prepared).values())
    heard = [prepared.waveform.samples[c, :] for c in range(sides)]
    mix = np.mean(heard, axis=0)
    customer = [c for c, role in prepared.channels.items() if role == "customer"]
    wanted = {
        "mix": [mix],
        "customer": [heard[customer[0]] if customer else mix],
        "both": heard if sides == 2 else [mix] * 2,
    }
    view = np.concatenate([_whole_view(front_end, each, rate_hz, roles) for each in wanted[front_end.channels]], axis=1)
    for module, name, value in (
        (call_audio, "_BLOCK_FRAMES", 333),
        (features, "_READ_FRAMES", 250),
        (features, "_READ_SAMPLES", 10_007),
        (pitch, "_CHUNK_FRAMES", 100),
        (spool, "MEMORY_BYTES", 50_000 if on_disk else 1 << 30),
        (call_audio, "MEMORY_BYTES", 50_000 if on_disk else 1 << 30),
    ):
        monkeypatch.setattr(module, name, value)
    inputs, _ = pipe.inputs(prepared, ["audio"])
    frame_s = 1 / front_end.encoder_rate_hz if front_end.input == "waveform" else front_end.logmel.hop_s
    for segment, made in zip(prepared.segments, inputs.segments, strict=True):
        found = made["audio"]
        assert found is not None
        assert callable(found.source) is on_disk, "a call that is small is kept, a long one is not"
        assert segment.start_s is not None
        assert segment.end_s is not None
        expected = view[round(segment.start_s / frame_s) : round(segment.end_s / frame_s)]
        np.testing.assert_allclose(found.values, expected, atol=1e-5, rtol=1e-5)
        assert np.array_equal(found.kept().values, found.values)


def test_segments_of_a_long_call_with_recordings_of_their_own(
    pipeline: Pipeline, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several rates and channels, on disk as in memory."""
    calls = read_manifest(demo / "manifest.jsonl").calls[:2]
    call = Call("long", segments=tuple(Segment(str(at), audio=call.audio) for at, call in enumerate(calls)))
    prepared = pipeline.prepare(call)
    expected = [each["audio"] for each in pipeline.inputs(prepared, ["audio"])[0].segments]
    monkeypatch.setattr(spool, "MEMORY_BYTES", 50_000)
    monkeypatch.setattr(call_audio, "MEMORY_BYTES", 50_000)
    found = [each["audio"] for each in pipeline.inputs(prepared, ["audio"])[0].segments]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours is not None
        assert theirs is not None
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-5)
