"""Evidence of networks that read waveforms, text and states of pretrained models, and prosody; weights are random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from callsift.config import TrainConfig, load_train_config
from callsift.data.manifest import read_manifest
from callsift.decision import Calibration
from callsift.labels import load_scheme
from callsift.pipeline import Pipeline
from callsift.scoring.evidence import segment_vectors
from callsift.scoring.scorer import Scorer, result_row
from callsift.training.assemble import make_network, make_tokenizer
from callsift.training.export import export
from callsift.training.run import load_run, train
from callsift.training.torch_runtime import TorchRuntime
from callsift.types import Call, CallInputs, FloatArray, IntArray, ModelInfo, Segment, StreamInput, StreamRef, Turn
from tests.training.sizes import SIZES
from tests.training.test_whole_network import pretrained_config


def untrained(config: TrainConfig) -> Scorer:
    torch.manual_seed(0)
    scheme = load_scheme(config.labels)
    network = make_network(config, scheme)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return Scorer(
        runtime=TorchRuntime(network), pipeline=Pipeline(config.front_end, make_tokenizer(config), None),
        scheme=scheme, calibration=Calibration(), info=ModelInfo("random", "1", "0" * 64),
    )  # fmt: skip


def explained(scorer: Scorer, inputs: CallInputs) -> float:
    return float(scorer.quantity(segment_vectors(scorer.runtime, inputs)).here[0])


def with_stream(inputs: CallInputs, at: int, stream: str, values: FloatArray | IntArray) -> CallInputs:
    changed = [*inputs.segments]
    changed[at] = {**changed[at], stream: StreamInput(values)}
    return replace(inputs, segments=tuple(changed))


def stretches(values: FloatArray | IntArray, count: int) -> Sequence[slice]:
    edges = np.linspace(0, len(values), count + 1).round().astype(int)
    return [slice(int(first), int(end)) for first, end in pairwise(edges)]


def check_sounds(scorer: Scorer, call: Call, nothing: float) -> None:
    """What a stretch counts is what the call is less with `nothing` in its place; the shares sum to what is left."""
    score = scorer.score(call, 1)
    assert score.error is None
    inputs, _ = scorer.pipeline.inputs(scorer.pipeline.prepare(call), tuple(scorer.runtime.widths))
    whole = explained(scorer, inputs)
    assert score.propensity == pytest.approx(whole, abs=1e-6)
    (at,) = [at for at, segment in enumerate(score.segments) if segment.moments]
    assert {moment.stream for moment in score.segments[at].moments} == {"text", "audio"}
    given = inputs.segments[at]["audio"]
    assert given is not None
    sounds = [moment.contribution for moment in score.segments[at].moments if moment.stream == "audio"]
    expected = []
    for rows in stretches(given.values, len(sounds)):
        values = given.values.copy()
        values[rows] = nothing
        expected.append(whole - explained(scorer, with_stream(inputs, at, "audio", values)))
    assert sorted(sounds) == pytest.approx(sorted(expected), abs=2e-6)
    assert max(map(abs, sounds)) > 1e-5, "something comes of it"
    assert set(score.streams) == {"text", "audio"}
    alone = [tuple({**row, stream: None} for row in inputs.segments) for stream in ("audio", "text")]
    text, audio = (explained(scorer, replace(inputs, segments=segments)) for segments in alone)
    assert score.streams["text"] - score.streams["audio"] == pytest.approx(text - audio, abs=1e-5)


def test_pretrained_encoders_of_words_and_waveforms(pretrained_pair: dict[str, Path], few: Path) -> None:
    scorer = untrained(pretrained_config(pretrained_pair))
    call = min(read_manifest(few).calls, key=lambda call: len(call.turns) or 99)
    check_sounds(scorer, call, 0.0)


def test_precomputed_states_in_place_of_a_recording(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "audio.npz", *(random.standard_normal((8 + at, 6)).astype(np.float32) for at in range(3)))
    said = ("would you like the plan", "perhaps another month", "yes please")
    segments = tuple(
        Segment(
            str(at), (Turn("customer", text),), 4.0 * at, 4.0 * at + 4.0,
            streams={"audio": StreamRef(tmp_path / "audio.npz", f"arr_{at}")},
        )
        for at, text in enumerate(said)
    )  # fmt: skip
    encoders = "network.encoders={audio: {model: precomputed, features: 6}}"
    scorer = untrained(load_train_config(None, [*SIZES, "front_end.input=precomputed", encoders]))
    check_sounds(scorer, Call("c", language="en", segments=segments), np.nan)


@pytest.mark.slow
def test_prosody_has_a_share_and_no_moments_in_torch_as_in_onnx(few: Path, tmp_path: Path) -> None:
    """One row of numbers per segment: there is nothing in it to leave out."""
    settings = [*SIZES, "network.streams=[prosody]", "network.fusion=concat", "fit.epochs=1", "fit.threads=1"]
    train(few, tmp_path / "run", load_train_config(None, settings), asr="none")
    run = load_run(tmp_path / "run")
    call = read_manifest(few).calls[3]
    scorers = [run.scorer(asr="none"), Scorer.from_bundle(export(run, tmp_path / "bundle"), asr="none")]
    one, other = (result_row(scorer.score(call, 2)) for scorer in scorers)
    assert one["error"] is None
    assert set(one["streams"]) == {"prosody"}
    assert one["streams"] == pytest.approx(other["streams"], abs=1e-4)
    assert (one["evidence"], one["explained"]) == (2, "propensity")
    assert len(one["segments"]) > 1
    for here, there in zip(one["segments"], other["segments"], strict=True):
        assert "moments" not in here
        assert here["weight"] == here["contribution"] == pytest.approx(there["weight"], abs=1e-4)
