"""The whole network: what may change a result, and what must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from callsift.network.model import CallBatch, CallNetwork, build_network, drop_modalities

Build = Callable[..., CallNetwork]
CallOf = Callable[..., list[dict[str, Tensor | None]]]
BatchOf = Callable[..., CallBatch]


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Largest difference between two answers."""
    return max(float((one[task] - other[task]).detach().abs().max()) for task in one)


@pytest.mark.parametrize("garbage", [1e4, float("nan")])
def test_padding_changes_nothing(small: Build, call_of: CallOf, batch_of: BatchOf, garbage: float) -> None:
    """Defect 5, for frames, tokens and segments, whatever stands in them; absent streams likewise."""
    network = small()
    calls = [call_of(n, seed=n) for n in (1, 4)]
    plain = network(batch_of(calls))
    assert apart(plain, network(batch_of(calls, extra=13, garbage=garbage))) < 1e-5


def test_batch_equals_single_for_any_number_of_segments(small: Build, call_of: CallOf, batch_of: BatchOf) -> None:
    """Defect 6: long calls were cut into samples of three segments, those over 21 yielded nothing."""
    network = small()
    calls = [call_of(n, seed=n) for n in (3, 150, 1, 22)]
    with torch.no_grad():
        together = network(batch_of(calls))
        backwards = network(batch_of(calls[::-1]))
        for row, call in enumerate(calls):
            alone = network(batch_of([call]))
            for task, scores in alone.items():
                assert scores.shape[0] == 1
                torch.testing.assert_close(together[task][row], scores[0], atol=1e-5, rtol=1e-5)
                torch.testing.assert_close(backwards[task][-1 - row], scores[0], atol=1e-5, rtol=1e-5)


def test_the_last_segment_of_a_long_call_counts(small: Build, call_of: CallOf, batch_of: BatchOf) -> None:
    """Defect 6."""
    network, call = small(), call_of(150, seed=0, absent=0.0)
    changed = [*call[:-1], call_of(1, seed=5, absent=0.0)[0]]
    assert apart(network(batch_of([call])), network(batch_of([changed]))) > 1e-4


@pytest.mark.parametrize("stream", ["text", "audio"])
def test_each_stream_changes_the_logits(small: Build, call_of: CallOf, batch_of: BatchOf, stream: str) -> None:
    """Defect 1: other audio, same logits to the last bit."""
    network, call = small(), call_of(3, seed=0, absent=0.0)
    other = [
        {**segment, stream: new[stream]} for segment, new in zip(call, call_of(3, seed=9, absent=0.0), strict=True)
    ]
    assert apart(network(batch_of([call])), network(batch_of([other]))) > 1e-3


def test_order_of_segments_changes_the_logits(small: Build, call_of: CallOf, batch_of: BatchOf) -> None:
    network, call = small(), call_of(4, seed=0)
    assert apart(network(batch_of([call])), network(batch_of([call[::-1]]))) > 1e-3


def test_tokens_change_the_logits(small: Build, call_of: CallOf, batch_of: BatchOf) -> None:
    """Defect 1: the bottleneck tokens could be anything."""
    network, batch = small(), batch_of([call_of(3, seed=0)])
    before = network(batch)
    network.fusion.tokens.data.zero_()
    assert apart(before, network(batch)) > 1e-3


@pytest.mark.parametrize("as_built", [True, False])
def test_every_parameter_learns(small: Build, call_of: CallOf, batch_of: BatchOf, as_built: bool) -> None:
    """Defects 1 to 3; from the very first step on."""
    network = small()
    if as_built:
        torch.manual_seed(0)
        network = build_network(classes={"5": 5, "2": 2}, audio_features=5, text_buckets=64, text_features_per_token=3)
    network.train()
    logits = network(batch_of([call_of(5, seed=n, absent=0.3) for n in range(6)]))
    sum((scores * torch.randn_like(scores)).sum() for scores in logits.values()).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 1e-7, name


def test_encoder_layers_are_chained(small: Build, call_of: CallOf, batch_of: BatchOf) -> None:
    """Defect 2, outside the fusion: the first layer's output is the second one's input."""
    network, batch = small(), batch_of([call_of(3, seed=0)])
    for name in network.streams:
        first, second = network.encoders[name].layers
        seen: list[Tensor] = []
        hooks = [
            first.register_forward_hook(lambda _, inputs, output, to=seen: to.append(output)),
            second.register_forward_pre_hook(lambda _, inputs, to=seen: to.append(inputs[0])),
        ]
        network(batch)
        assert seen[0] is seen[1]
        for hook in hooks:
            hook.remove()


def test_stream_left_out_is_an_absent_stream(small: Build, call_of: CallOf, batch_of: BatchOf) -> None:
    network, batch = small(), batch_of([call_of(3, seed=0, absent=0.0)])
    values, mask, present = batch.streams["audio"]
    flagged = CallBatch({**batch.streams, "audio": (values, mask, torch.zeros_like(present))}, batch.segments_mask)
    left_out = CallBatch({"text": batch.streams["text"]}, batch.segments_mask)
    assert apart(network(flagged), network(left_out)) < 1e-5
    assert apart(network(batch), network(left_out)) > 1e-3


def test_dropout_is_off_in_eval_and_on_in_training(small: Build, call_of: CallOf, batch_of: BatchOf) -> None:
    network, batch = small(), batch_of([call_of(4, seed=0)])
    assert apart(network(batch), network(batch)) == 0.0
    network.train()
    assert apart(network(batch), network(batch)) > 1e-3


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=6), min_size=1, max_size=5), st.integers(0, 99))
@settings(max_examples=60)
def test_modality_dropout_never_drops_both(calls: list[list[int]], seed: int) -> None:
    """Each segment has text (1), audio (2) or both (3)."""
    torch.manual_seed(seed)
    mask = torch.arange(max(map(len, calls))) < torch.tensor([[len(call)] for call in calls])
    flat = torch.tensor([kind for call in calls for kind in call])
    present = {"text": flat != 2, "audio": flat != 1}
    dropped = drop_modalities(present, mask, 1.0)
    assert (dropped["text"] | dropped["audio"]).all()
    assert not (dropped["text"] & dropped["audio"]).any()  # probability 1: wherever both were, one is gone
    owner = mask.nonzero()[:, 0]
    for call in range(len(calls)):
        whole = (owner == call) & (flat == 3)
        assert len(dropped["text"][whole].unique()) <= 1  # the same one throughout a call
    kept = drop_modalities(present, mask, 0.0)
    assert all(kept[name].equal(present[name]) for name in present)


def test_modality_dropout_is_even_and_as_frequent_as_asked() -> None:
    torch.manual_seed(0)
    mask = torch.ones(4000, 2, dtype=torch.bool)
    everything = torch.ones(8000, dtype=torch.bool)
    kept = drop_modalities({"text": everything, "audio": everything}, mask, 0.3)
    for name in kept:
        assert float((~kept[name]).float().mean()) == pytest.approx(0.15, abs=0.02)


def test_modality_dropout_only_in_training(small: Build, call_of: CallOf, batch_of: BatchOf) -> None:
    off = {"dropout": 0.0, "token_dropout": 0.0, "head_dropout": 0.0}
    network, batch = small(modality_dropout=1.0, **off), batch_of([call_of(3, seed=0, absent=0.0)])
    answer = network(batch)
    network.train()
    torch.manual_seed(0)
    dropped = [network(batch) for _ in range(12)]
    alone = [network(CallBatch({name: batch.streams[name]}, batch.segments_mask)) for name in ("text", "audio")]
    assert all(apart(answer, other) > 1e-3 for other in dropped)
    assert all(min(apart(other, one) for one in alone) < 1e-5 for other in dropped)
    assert {min((0, 1), key=lambda k: apart(other, alone[k])) for other in dropped} == {0, 1}


@pytest.mark.parametrize("shared_weights", [True, False])
def test_saved_equals_loaded(
    small: Build, call_of: CallOf, batch_of: BatchOf, tmp_path: Path, shared_weights: bool
) -> None:
    network, batch = small(shared_weights=shared_weights), batch_of([call_of(3, seed=0)])
    save_file(network.state_dict(), tmp_path / "network.safetensors")
    other = small(shared_weights=shared_weights)
    other.load_state_dict({name: torch.zeros_like(weight) for name, weight in other.state_dict().items()})
    other.load_state_dict(load_file(tmp_path / "network.safetensors"))
    assert apart(network(batch), other(batch)) == 0.0


@pytest.mark.parametrize("stream", ["text", "audio"])
def test_network_of_one_stream(small: Build, call_of: CallOf, batch_of: BatchOf, stream: str) -> None:
    network = small(streams=[stream])
    assert network.streams == (stream,)
    calls = [call_of(3, seed=0, absent=0.0), call_of(3, seed=1, absent=0.0)]
    for task, scores in network.train()(batch_of(calls)).items():
        assert scores.shape == (2, int(task))
        assert (scores[0] - scores[1]).abs().max() > 1e-3


def test_number_of_segments_must_agree(small: Build, call_of: CallOf, batch_of: BatchOf) -> None:
    batch = batch_of([call_of(3, seed=0)])
    with pytest.raises(ValueError, match="Stream 'text' has 3 segments, segments_mask has 2"):
        small()(CallBatch(batch.streams, batch.segments_mask[:, :2]))


def test_unknown_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="choose among text, audio"):
        build_network(classes={"2": 2}, streams=["video"])


def test_batch_moves_as_a_whole(call_of: CallOf, batch_of: BatchOf) -> None:
    moved = batch_of([call_of(2, seed=0)]).to("meta")
    assert moved.segments_mask.is_meta
    assert all(part.is_meta for stream in moved.streams.values() for part in stream)
