"""Pretrained encoders of every family: padding, what learns, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from callsift.network.encoders import FrozenEncoder, StreamEncoder
from callsift.network.encoders.pretrained import PretrainedEncoder, load_pretrained
from tests.hugging_face import AUDIO, FIELD, TEXT, drop_weight, ragged, save_small

TRAINED = ("lora", "top-k", "all")
TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: save_small(name, tmp_path_factory.mktemp(name)) for name in (*AUDIO, *TEXT)}


def load(folders: dict[str, str], name: str, *, seed: int = 0, **options: Any) -> PretrainedEncoder:
    options = {"top_k": 1, "lora_rank": 2, **options}
    torch.manual_seed(seed)
    return load_pretrained(folders[name], kind="audio" if name in AUDIO else "text", **options)


def stir_adapters(encoder: PretrainedEncoder) -> None:
    """Adapters start as nothing; give them an effect."""
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if ".lora_" in name:
                weight.normal_(std=0.3)


def loss(encoder: PretrainedEncoder, name: str) -> Tensor:
    values, mask = ragged(name, (400, 130, 400) if name in AUDIO else (9, 4, 9))
    states, states_mask = encoder(values, mask)
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(5))
    return (states * weights)[states_mask].sum()


@pytest.mark.parametrize("name", [*AUDIO, *TEXT])
def test_contract(folders: dict[str, str], name: str) -> None:
    frozen, trained = load(folders, name), load(folders, name, train="all")
    assert isinstance(frozen, FrozenEncoder)
    assert isinstance(trained, StreamEncoder)
    assert (frozen.frozen, trained.frozen) == (True, False)
    values = frozen.example(2, 36)
    states, mask = frozen(values, torch.ones(2, 36, dtype=torch.bool))
    assert states.shape == (*mask.shape, frozen.width) == (2, mask.shape[1], 32)
    assert mask.all()
    assert frozen.backbone.config._attn_implementation == ("eager" if name == "wavlm" else "sdpa")
    assert {weight.dtype for weight in frozen.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", [*AUDIO, *TEXT])
def test_states_are_those_of_transformers(folders: dict[str, str], name: str) -> None:
    """The reference: the published model's own class, given one segment without padding."""
    from transformers import AutoModel

    reference = AutoModel.from_pretrained(folders[name]).eval()
    values, mask = ragged(name, (60,) if name in AUDIO else (12,))
    given = {"input_values": values[..., 0]} if name in AUDIO else {"input_ids": values}
    with torch.no_grad():
        expected = reference(**given, output_hidden_states=True)
        found, _ = load(folders, name)(values, mask)
        mixed, _ = load(folders, name, layers="weighted")(values, mask)
    torch.testing.assert_close(found, expected.last_hidden_state)
    last = (*expected.hidden_states[:-1], expected.last_hidden_state)
    torch.testing.assert_close(mixed, torch.stack(last).mean(dim=0), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("layers", ["last", "weighted"])
@pytest.mark.parametrize("name", [*AUDIO, *TEXT])
def test_batch_is_single(folders: dict[str, str], name: str, layers: str) -> None:
    """Segments of unequal and equal lengths, too short ones, empty ones, and garbage in the padding."""
    encoder = load(folders, name, layers=layers)
    lengths = (400, FIELD - 1, 0, 131, 400, 1) if name in AUDIO else (30, 1, 0, 17, 30, 2)
    values, mask = ragged(name, lengths)
    states, states_mask = encoder(values, mask)
    assert states.isfinite().all()
    assert not states_mask[2].any()
    turned, _ = encoder(values.flip(0), mask.flip(0))
    torch.testing.assert_close(turned.flip(0)[states_mask], states[states_mask], **TOLERANCE)
    for row, length in enumerate(lengths):
        if length:
            alone, alone_mask = encoder(values[row : row + 1, :length], mask[row : row + 1, :length])
            whole, whole_mask = encoder.whole(values[row : row + 1, :length], mask[row : row + 1, :length])
            assert alone_mask.all()
            assert torch.equal(alone_mask, whole_mask)
            assert states_mask[row].sum() == alone_mask.sum()
            torch.testing.assert_close(states[row : row + 1, : alone.shape[1]], alone, **TOLERANCE)
            torch.testing.assert_close(whole, alone, **TOLERANCE)
    empty, empty_mask = encoder(values[2:3], mask[2:3])
    assert empty.isfinite().all()
    assert empty_mask.shape == empty.shape[:2]
    assert not empty_mask.any()


def test_fifteen_seconds_padded_to_forty(folders: dict[str, str]) -> None:
    """Defect 5 of the published code: HuBERT's group norm over time made other states of a padded segment."""
    encoder = load(folders, "hubert")
    assert encoder.backbone.config.feat_extract_norm == "group"
    short, long = 15 * 800, 40 * 800
    values, mask = ragged("hubert", (short,))
    alone, _ = encoder(values, mask)
    padded = F.pad(values, (0, 0, 0, long - short))
    states, states_mask = encoder(padded, torch.arange(long)[None] < short)
    torch.testing.assert_close(states[states_mask], alone[0], **TOLERANCE)
    other, _ = encoder(padded, torch.ones(1, long, dtype=torch.bool))  # padding that is heard does move them
    moved = (other[:, : alone.shape[1]] - alone).norm() / alone.norm()
    assert moved > 0.05


@pytest.mark.parametrize("layers", ["last", "weighted"])
@pytest.mark.parametrize("name", ["hubert", "roberta"])
def test_features_and_the_rest_make_the_whole(folders: dict[str, str], name: str, layers: str) -> None:
    encoder = load(folders, name, layers=layers)
    values, mask = ragged(name, (390, 190) if name == "hubert" else (38, 30))
    features, features_mask = encoder.features(values, mask)
    assert not features.requires_grad
    assert features.shape[2:] == ((32,) if layers == "last" else (3, 32))
    states, states_mask = encoder(values, mask)
    rest, rest_mask = encoder.from_features(features, features_mask)
    assert torch.equal(rest, states)
    assert torch.equal(rest_mask, states_mask)
    if layers == "weighted":
        assert encoder.layer_weights is not None
        with torch.no_grad():
            encoder.layer_weights[1] = 30.0
        torch.testing.assert_close(encoder.from_features(features, features_mask)[0], features[:, :, 1])


@pytest.mark.parametrize("layers", ["last", "weighted"])
@pytest.mark.parametrize("train", ["none", *TRAINED])
@pytest.mark.parametrize("name", [*AUDIO, *TEXT])
def test_what_learns(folders: dict[str, str], name: str, train: str, layers: str) -> None:
    """Every trainable parameter gets a gradient, the others none, and the stem never learns."""
    encoder = load(folders, name, train=train, layers=layers).train()
    stir_adapters(encoder)
    learning = {key: weight for key, weight in encoder.named_parameters() if weight.requires_grad}
    for key in learning:
        assert key == "layer_weights" or train == "all" or (train == "lora") == (".lora_" in key)
        assert "feature_extractor" not in key
    assert len(learning) >= {"none": 0, "lora": 8, "top-k": 15, "all": 30}[train] + (layers == "weighted")
    if not learning:
        assert not loss(encoder, name).requires_grad
        return
    loss(encoder, name).backward()
    assert [key for key, weight in learning.items() if weight.grad is None or not weight.grad.any()] == []
    assert [key for key, weight in encoder.named_parameters() if key not in learning and weight.grad is not None] == []


def test_the_last_layers_are_the_ones_that_learn(folders: dict[str, str]) -> None:
    for name, part in (("hubert", "encoder.layers.1."), ("bert", "encoder.layer.1.")):
        encoder = load(folders, name, train="top-k")
        assert all(part in key for key, weight in encoder.named_parameters() if weight.requires_grad)
    stable = load(folders, "wav2vec2-stable", train="top-k")
    assert stable.backbone.encoder.layer_norm.weight.requires_grad


@pytest.mark.parametrize("name", ["hubert", "bert"])
def test_what_does_not_learn_stays_in_eval_mode(folders: dict[str, str], name: str) -> None:
    frozen = load(folders, name).train()
    assert frozen.training
    assert not any(module.training for module in frozen.backbone.modules())
    assert torch.equal(loss(frozen, name), loss(frozen, name))
    top = load(folders, name, train="top-k").train()
    layers = top.backbone.encoder.layers if name == "hubert" else top.backbone.encoder.layer
    assert [layer.training for layer in layers] == [False, True]
    every = load(folders, name, train="all", dropout=0.5).train()
    assert not torch.equal(loss(every, name), loss(every, name))
    if name == "hubert":
        assert not any(module.training for module in every.backbone.feature_extractor.modules())
    every.eval()
    assert torch.equal(loss(every, name), loss(every, name))


@pytest.mark.parametrize("train", TRAINED)
@pytest.mark.parametrize("name", ["hubert", "wavlm", "roberta"])
def test_gradient_checkpointing_changes_no_gradient(folders: dict[str, str], name: str, train: str) -> None:
    found = []
    for checkpointing in (False, True):
        encoder = load(
            folders, name, train=train, layers="weighted", dropout=0.0, gradient_checkpointing=checkpointing
        ).train()
        torch.manual_seed(1)
        stir_adapters(encoder)
        loss(encoder, name).backward()
        found.append({key: weight.grad for key, weight in encoder.named_parameters() if weight.grad is not None})
    assert found[0].keys() == found[1].keys()
    for key, gradient in found[0].items():
        torch.testing.assert_close(found[1][key], gradient, atol=1e-5, rtol=1e-4)


def test_gradient_checkpointing_keeps_fewer_states(folders: dict[str, str]) -> None:
    kept = []
    for checkpointing in (False, True):
        encoder = load(folders, "hubert", train="all", gradient_checkpointing=checkpointing).train()
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x, to=sizes: to.append(x.numel()) or x, lambda x: x):
            loss(encoder, "hubert")
        kept.append(sum(sizes))
    assert kept[1] < 0.7 * kept[0]


@pytest.mark.parametrize("train", ["none", *TRAINED])
@pytest.mark.parametrize("name", ["hubert", "bert"])
def test_saved_trainable_parts_reproduce(folders: dict[str, str], name: str, train: str, tmp_path: Path) -> None:
    encoder = load(folders, name, train=train, layers="weighted").eval()
    kept = {key: weight for key, weight in encoder.named_parameters() if weight.requires_grad}
    with torch.no_grad():
        for weight in kept.values():
            weight.add_(0.1 * torch.randn_like(weight))
    save_file(kept, tmp_path / "kept.safetensors")
    again = load(folders, name, seed=9, train=train, layers="weighted").eval()
    assert not torch.equal(loss(again, name), loss(encoder, name))
    _, unexpected = again.load_state_dict(load_file(tmp_path / "kept.safetensors"), strict=False)
    assert unexpected == []
    assert torch.equal(loss(again, name), loss(encoder, name))


@pytest.mark.parametrize("name", ["hubert", "wavlm", "bert"])
def test_merged_adapters(folders: dict[str, str], name: str) -> None:
    encoder = load(folders, name, train="lora").eval()
    before = {key: weight.clone() for key, weight in encoder.state_dict().items()}
    plain = loss(load(folders, name), name)
    torch.testing.assert_close(loss(encoder, name), plain)
    stir_adapters(encoder)
    merged = encoder.merged()
    assert (loss(encoder, name) - plain).abs() > 0.01
    torch.testing.assert_close(loss(merged, name), loss(encoder, name), **TOLERANCE)
    assert not any("lora" in key for key, _ in merged.named_parameters())
    assert encoder.state_dict().keys() == before.keys()
    assert all(torch.equal(weight, before[key]) for key, weight in encoder.state_dict().items() if "lora" not in key)
    assert merged.merged() is merged


def test_fingerprint_tells_what_decides_the_features(folders: dict[str, str], tmp_path: Path) -> None:
    encoder = load(folders, "bert")
    assert encoder.fingerprint == load(folders, "bert").fingerprint
    copied = tmp_path / "elsewhere"
    encoder.backbone.save_pretrained(copied)  # type: ignore[operator]
    assert load({"bert": str(copied)}, "bert").fingerprint == encoder.fingerprint
    lora = load(folders, "bert", train="lora")
    stir_adapters(lora)
    assert lora.fingerprint == encoder.fingerprint  # the model it began with
    others = [load(folders, "bert", layers="weighted"), load(folders, "roberta")]
    changed = load(folders, "bert")
    with torch.no_grad():
        changed.backbone.encoder.layer[0].attention.self.query.weight[0, 0] += 1e-6
    assert len({encoder.fingerprint, changed.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_most_tokens(folders: dict[str, str]) -> None:
    """RoBERTa's first position is that after its padding id."""
    assert load(folders, "hubert").max_tokens is None
    for name, most in (("bert", 40), ("roberta", 38), ("xlm-roberta", 38)):
        encoder = load(folders, name)
        assert encoder.max_tokens == most
        states, _ = encoder(*ragged(name, (most, 3)))
        assert states.isfinite().all()
        with pytest.raises(ValueError, match=f"has {most + 1} tokens.*lower front_end.max_tokens to {most}"):
            encoder(*ragged(name, (most + 1,)))


def test_channels(folders: dict[str, str]) -> None:
    encoder = load(folders, "hubert")
    values, mask = ragged("hubert", (90, 60))
    assert torch.equal(encoder(values[..., 0], mask)[0], encoder(values, mask)[0])
    with pytest.raises(ValueError, match="2 channels.*front_end.channels"):
        encoder(values.expand(-1, -1, 2), mask)


def test_smallest_recording(folders: dict[str, str]) -> None:
    """The published stems: 400 samples; what is shorter counts as followed by silence."""
    encoder = load(folders, "hubert")
    assert encoder.min_samples == FIELD
    short, _ = encoder(torch.ones(1, 7), torch.ones(1, 7, dtype=torch.bool))
    padded, _ = encoder(F.pad(torch.ones(1, 7), (0, FIELD - 7)), torch.ones(1, FIELD, dtype=torch.bool))
    assert short.shape == (1, 1, 32)
    torch.testing.assert_close(short, padded)


def test_pretraining_parts_are_left_out(folders: dict[str, str], tmp_path: Path) -> None:
    names = {key for name in (*AUDIO, *TEXT) for key in load(folders, name, train="all").state_dict()}
    assert not [name for name in names if "masked_spec_embed" in name or "pooler" in name]
    folder = save_small("bert", tmp_path)
    drop_weight(tmp_path, "pooler.dense.weight")
    assert load_pretrained(folder, kind="text").frozen
