"""What trainings share: calls prepared once, and variations that are the same wherever they are made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callsift.augment import Variation
from callsift.config import AugmentConfig, TrainConfig
from callsift.data.manifest import read_manifest
from callsift.errors import NoRoomError, RecordingError
from callsift.labels import load_scheme
from callsift.pipeline import Pipeline
from callsift.training.assemble import make_tokenizer
from callsift.training.examples import prepare_examples, split_calls
from callsift.training.material import Maker, Material, call_key
from callsift.training.scratch import Scratch
from callsift.types import Call, CallInputs, PreparedCall, StreamInput

STREAMS = ("text", "audio")
VARIED = AugmentConfig.model_validate(
    {"copies": 2, "audio": {"speed": 1.0, "speed_factor": [1.1, 1.2], "noise": 1.0}, "text": {"misheard": 0.5}}
)


class Listening(Pipeline):
    """The real pipeline, counting what it prepares."""

    heard = 0

    def prepare(self, call: Call) -> PreparedCall:
        self.heard += 1
        return super().prepare(call)


@pytest.fixture
def pipeline(small_config: TrainConfig) -> Listening:
    return Listening(small_config.front_end, make_tokenizer(small_config), None)


@pytest.fixture(scope="module")
def recorded(practice: Path) -> Call:
    """A call with a recording."""
    return next(call for call in read_manifest(practice).calls if call.audio is not None)


def _arrays(inputs: CallInputs) -> list[np.ndarray]:
    return [stream.values for segment in inputs.segments for stream in segment.values() if stream is not None]


def _same(one: CallInputs, other: CallInputs) -> bool:
    pairs = zip(_arrays(one), _arrays(other), strict=True)
    return all(mine.shape == theirs.shape and np.array_equal(mine, theirs) for mine, theirs in pairs)


def test_a_call_is_heard_once_whatever_its_label(pipeline: Listening, recorded: Call) -> None:
    material, maker = Material(), Maker(pipeline, STREAMS)
    first = material.take(maker, replace(recorded, label="A", split="train", group="g"))
    second = material.take(maker, replace(recorded, label="E", split="test"))
    assert pipeline.heard == 1
    assert _same(first.inputs, second.inputs)
    assert (first.prepared.call.label, first.prepared.call.group) == ("A", "g")
    assert (second.prepared.call.label, second.prepared.call.split) == ("E", "test")


def test_another_front_end_hears_it_anew(small_config: TrainConfig, pipeline: Listening, recorded: Call) -> None:
    material = Material()
    material.take(Maker(pipeline, STREAMS), recorded)
    other = Listening(
        small_config.front_end.model_copy(update={"silence": "remove"}), make_tokenizer(small_config), None
    )
    material.take(Maker(other, STREAMS), recorded)
    assert (pipeline.heard, other.heard) == (1, 1)


def test_a_changed_recording_is_another_call(recorded: Call, tmp_path: Path) -> None:
    assert recorded.audio is not None
    copy = tmp_path / recorded.audio.name
    copy.write_bytes(recorded.audio.read_bytes())
    call = replace(recorded, audio=copy)
    before = call_key(call)
    copy.write_bytes(recorded.audio.read_bytes() + b"\0")
    assert call_key(call) != before
    assert call_key(replace(call, label="D", split="val")) == call_key(call)


def test_a_call_that_can_not_be_used_is_told_every_time(pipeline: Listening, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    material, maker = Material(), Maker(pipeline, STREAMS)
    for _ in range(2):
        with pytest.raises(RecordingError, match=r"broken\.wav"):
            material.take(maker, Call("x", audio=broken))
    assert pipeline.heard == 1


def test_variations_are_the_same_in_any_order_and_keep_the_segments(pipeline: Listening, recorded: Call) -> None:
    maker = Maker(pipeline, STREAMS, augment=VARIED, seed=3)
    one = Material().take(maker, recorded, varied=True)
    material = Material()
    material.take(maker, recorded)  # its recording is let go, and read again for the variations
    other = material.take(maker, recorded, varied=True)
    assert len(one.varied) == len(other.varied) == 2
    for mine, theirs in zip(one.varied, other.varied, strict=True):
        assert _same(mine, theirs)
        assert len(mine.segments) == len(one.inputs.segments)
        assert mine.call_id == recorded.call_id
        assert not _same(mine, one.inputs)
    assert not _same(*one.varied)
    faster = [segment["audio"] for segment in one.varied[0].segments]
    usual = [segment["audio"] for segment in one.inputs.segments]
    frames = [sum(len(each.values) for each in part if each is not None) for part in (faster, usual)]
    assert 1.08 < frames[1] / frames[0] < 1.22  # speed is drawn from 1.1 to 1.2


def test_only_the_training_part_is_varied_and_a_fresh_variation_every_epoch(
    pipeline: Listening, small_config: TrainConfig, practice: Path
) -> None:
    scheme = load_scheme(small_config.labels)
    parts = split_calls(read_manifest(practice), small_config)
    fresh = Maker(pipeline, STREAMS, augment=VARIED.model_copy(update={"copies": None}), seed=3)
    ready = prepare_examples(fresh, scheme, parts, lambda calls, total, what: calls)
    at = next(n for n, e in enumerate(ready.parts["train"]) if any(s["audio"] for s in e.inputs.segments))
    seen = [ready.train.example(at, epoch) for epoch in (0, 1, 0)]
    assert _same(seen[0].inputs, seen[2].inputs)
    assert not _same(seen[0].inputs, seen[1].inputs)
    plain = prepare_examples(Maker(pipeline, STREAMS), scheme, parts, lambda calls, total, what: calls)
    for name in ("val", "test"):
        for mine, theirs in zip(ready.parts[name], plain.parts[name], strict=True):
            assert _same(mine.inputs, theirs.inputs)
    for number, example in enumerate(ready.parts["train"]):
        varied = ready.train.example(number, 0)
        assert (varied.items, varied.labels, varied.inputs.call_id) == (
            example.items,
            example.labels,
            example.inputs.call_id,
        )


def test_what_finds_no_room_in_memory_is_read_back_the_same() -> None:
    values = [np.arange(12, dtype=np.float32).reshape(6, 2), np.arange(5, dtype=np.int64)]
    inputs = CallInputs("x", ({"audio": StreamInput(values[0]), "text": StreamInput(values[1]), "more": None},))
    for scratch in (Scratch(), Scratch(memory_bytes=0), Scratch(memory_bytes=50)):
        found = scratch.held(inputs).segments[0]
        assert found["more"] is None
        for name, expected in zip(("audio", "text"), values, strict=True):
            stream = found[name]
            assert stream is not None
            assert stream.values.dtype == expected.dtype
            assert np.array_equal(stream.values, expected)


def test_a_full_disk_is_no_fault_of_the_call(
    pipeline: Listening, recorded: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left out in silence; what is read at once needs no room."""
    material, maker = Material(), Maker(pipeline, STREAMS)
    material._scratch = Scratch(memory_bytes=0)
    monkeypatch.setattr("callsift.training.scratch._LEFT_FREE_BYTES", 1 << 60)
    with pytest.raises(NoRoomError, match="TMPDIR"):
        material.take(maker, recorded)
    assert _arrays(material.take(maker, recorded, once=True).inputs)
    monkeypatch.undo()
    assert _arrays(material.take(maker, recorded).inputs)


def test_a_file_that_is_gone_costs_its_own_call(pipeline: Listening, recorded: Call, tmp_path: Path) -> None:
    assert recorded.audio is not None
    copy = tmp_path / recorded.audio.name
    copy.write_bytes(recorded.audio.read_bytes())
    call = replace(recorded, audio=copy)
    copy.unlink()
    with pytest.raises(RecordingError, match="can't be read"):
        Material().take(Maker(pipeline, STREAMS), call)


def test_text_alone_is_varied_without_hearing_the_recording(pipeline: Listening, recorded: Call) -> None:
    material = Material()
    maker = Maker(pipeline, ("text",), augment=VARIED)
    material.take(maker, recorded)
    material.take(maker, recorded, varied=True)
    assert pipeline.heard == 1


def test_a_variation_is_heard_by_prosody_alone(pipeline: Listening, recorded: Call) -> None:
    maker = Maker(pipeline, ("prosody",), augment=VARIED)
    material = Material()
    plain = material.take(maker, recorded)
    assert maker.hears
    varied = maker.inputs(maker.heard(plain.prepared), Variation(VARIED, 1, recorded.call_id, 1))
    rows = [segment["prosody"] for segment in varied.segments]
    assert any(row is not None for row in rows)
    assert not _same(varied, plain.inputs)
