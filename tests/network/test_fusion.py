"""MSMT-FN's fusion, above all what the published code gets wrong (its defects are numbered as there found).

What holds for every fusion is in `test_fusion_contract.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from callsift.network.fusion import FusionOutput, StreamStates
from callsift.network.fusion.msmt_fn import MsmtFn

TEXT, AUDIO, TOKENS = 7, 5, 3
Build = Callable[..., MsmtFn]


@pytest.fixture
def build(stirred: Callable[..., None]) -> Build:
    """A fusion in which every weight matters."""

    def build(widths: Mapping[str, int] | None = None, **changes: Any) -> MsmtFn:
        torch.manual_seed(1)
        settings: dict[str, Any] = {"width": 8, "heads": 2, "feed_forward": 12, "cross_layers": 3, "text_layers": 2}
        settings |= {"bottleneck_layers": 3, "tokens": TOKENS, "dropout": 0.1}
        fusion = MsmtFn(widths or {"text": TEXT, "audio": AUDIO}, **(settings | changes))
        stirred(fusion)
        return fusion.eval()

    return build


def streams() -> dict[str, StreamStates]:
    """Ragged streams of 4 segments; segment 1 has no text, segment 2 no audio."""
    torch.manual_seed(2)
    result = {}
    for name, length, width, absent in (("text", 6, TEXT, 1), ("audio", 9, AUDIO, 2)):
        mask = torch.arange(length) < torch.randint(1, length + 1, (4, 1))
        mask[0] = True
        present = torch.arange(4) != absent
        result[name] = StreamStates(torch.randn(4, length, width), mask, present)
    return result


def distance(one: FusionOutput, other: FusionOutput) -> Tensor:
    """Largest change of each segment's vector, (N,)."""
    return (one.vector - other.vector).abs().amax(dim=1)


@contextmanager
def recorded(layers: nn.ModuleList) -> Iterator[list[tuple[tuple[Tensor, ...], Tensor]]]:
    """Inputs and output of each layer, in the order of their calls."""
    seen: list[tuple[tuple[Tensor, ...], Tensor]] = []
    hooks = [layer.register_forward_hook(lambda _, inputs, output: seen.append((inputs, output))) for layer in layers]
    yield seen
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("readout", ["both", "text"])
def test_audio_reaches_the_output(build: Build, readout: str) -> None:
    """Defect 1: other audio, same logits; no gradient for audio, cross-modal layers and tokens."""
    fusion, given = build(readout=readout), streams()
    audio = given["audio"].states.requires_grad_()
    output = fusion(given)
    output.vector.select(0, 0).max().backward()
    assert audio.grad is not None
    assert audio.grad[0].abs().max() > 1e-4
    for part in (fusion.cross, fusion.tokens):
        weights = [part] if isinstance(part, nn.Parameter) else list(part.parameters())
        assert all(weight.grad is not None and weight.grad.abs().max() > 1e-6 for weight in weights)
    other = given | {"audio": given["audio"]._replace(states=torch.randn_like(audio))}
    changed = distance(output, fusion(other))
    assert (changed > 1e-3).tolist() == [True, True, False, True]  # segment 2 has no audio


@pytest.mark.parametrize("readout", ["both", "text"])
def test_tokens_matter(build: Build, readout: str) -> None:
    """Defect 1: the tokens were masked out of the attention."""
    fusion, given = build(readout=readout), streams()
    before = fusion(given)
    nn.init.zeros_(fusion.tokens)
    assert distance(before, fusion(given)).min() > 1e-3


@pytest.mark.parametrize("stack", ["cross", "own"])
def test_layers_are_chained(build: Build, stack: str) -> None:
    """Defect 2: each cross-modal layer read the same input and overwrote the last one's output."""
    fusion, given = build(), streams()
    with recorded(getattr(fusion, stack)) as seen:
        fusion(given)
    for (_, output), (inputs, _) in pairwise(seen):
        assert inputs[0] is output


def test_bottleneck_layers_are_chained_and_tokens_are_the_mean(build: Build) -> None:
    """Defects 2 and 3: both streams are updated, each by its own layers; the next Z is the mean (eqs 3–5)."""
    fusion, given = build(), streams()
    with recorded(fusion.bottleneck) as own, recorded(fusion.cross_bottleneck) as crossed:
        fusion(given)
    assert len(own) == len(crossed) == 3
    for layer in range(2):
        tokens = (own[layer][1][:, -TOKENS:] + crossed[layer][1][:, -TOKENS:]) / 2
        for seen in (own, crossed):
            states = torch.cat([seen[layer][1][:, :-TOKENS], tokens], dim=1)
            torch.testing.assert_close(seen[layer + 1][0][0], states)
            assert seen[layer][0][1][:, -TOKENS:].all()  # the mask says: attend to the tokens
    assert not torch.allclose(own[0][0][0], crossed[0][0][0], atol=1e-3)


def test_without_cross_attention_the_second_stream_is_the_audio(build: Build) -> None:
    """[T ‖ Z] beside [A ‖ Z], each stream with its own length and mask; A attends to itself."""
    fusion, given = build(cross_layers=0), streams()
    with recorded(fusion.bottleneck) as own, recorded(fusion.cross_bottleneck) as second:
        fusion(given)
    audio, mask = fusion.streams["audio"](given["audio"])
    states, seen = second[0][0]
    torch.testing.assert_close(states[:, :-TOKENS], audio)
    assert seen[:, :-TOKENS].equal(mask)
    assert seen[:, -TOKENS:].all()
    assert own[0][0][0].shape[1] == 6 + TOKENS
    assert not any("cross." in name for name, _ in fusion.named_parameters())


@pytest.mark.parametrize("readout", ["both", "text"])
@pytest.mark.parametrize("stack", ["cross", "own", "bottleneck", "cross_bottleneck"])
def test_no_layer_can_be_dropped(build: Build, stack: str, readout: str) -> None:
    fusion, given = build(readout=readout), streams()
    before = fusion(given)
    layers = getattr(fusion, stack)
    for index in range(len(layers)):
        kept = layers[index]
        layers[index] = _Unchanged()
        assert distance(before, fusion(given)).max() > 1e-3, f"{stack}[{index}] has no effect"
        layers[index] = kept


class _Unchanged(nn.Module):
    def forward(self, states: Tensor, *_: Tensor) -> Tensor:
        return states


def test_each_stream_has_its_own_weights_unless_shared(build: Build) -> None:
    """Defect 3: one self-attention served both streams."""
    apart, shared = build(), build(shared_weights=True)
    own, crossed = ({id(weight) for weight in part.parameters()} for part in (apart.bottleneck, apart.cross_bottleneck))
    assert not own & crossed
    assert len(list(apart.parameters())) == len(list(shared.parameters())) + len(own)
    assert shared(streams()).vector.isfinite().all()


def test_flatten_is_one_linear_layer_over_text_with_zeros_for_padding(build: Build) -> None:
    """Defect 4: the layer that read all 200 positions, padding included. Ours has zeros there."""
    fusion, given = build(readout="flatten", flatten_length=9), streams()
    with recorded(nn.ModuleList([fusion.flatten])) as flattened, recorded(nn.ModuleList([fusion.norm])) as normed:
        vector = fusion(given).vector
    (states, mask), output = flattened[0]
    weight, bias = fusion.flatten.linear.weight, fusion.flatten.linear.bias
    assert weight.shape == (8, 9 * 8)
    for row in range(4):
        real = states[row][mask[row]]  # (L, D), real ones come first
        torch.testing.assert_close(output[row], weight[:, : real.numel()] @ real.flatten() + bias)
    torch.testing.assert_close(normed[0][0][0], output)
    assert vector.equal(normed[0][1])


def test_flatten_cuts_what_is_longer(build: Build) -> None:
    fusion, given = build(readout="flatten", flatten_length=2), streams()
    with recorded(nn.ModuleList([fusion.flatten])) as flattened:
        fusion(given)
    (states, mask), output = flattened[0]
    assert states.shape[1] == 6
    torch.testing.assert_close(fusion.flatten(states[:, :2], mask[:, :2]), output)
    assert fusion.flatten.linear.weight.shape == (8, 2 * 8)


@pytest.mark.parametrize("tokens", [2, 4, 8])
@pytest.mark.parametrize("readout", ["both", "text", "flatten"])
def test_each_token_matters(build: Build, tokens: int, readout: str) -> None:
    """However many there are; two layers on, text that attended to a token speaks of it in the flat readout too."""
    fusion, given = build(tokens=tokens, readout=readout, flatten_length=6), streams()
    before = fusion(given)
    for at in range(tokens):
        kept = fusion.tokens.data[at].clone()
        fusion.tokens.data[at] = torch.randn(8)
        assert distance(before, fusion(given)).max() > 1e-3
        fusion.tokens.data[at] = kept


@pytest.mark.parametrize("name", ["text", "audio"])
def test_one_stream_alone(build: Build, name: str) -> None:
    """That stream is the backbone; a constant stands for the other."""
    given = streams()
    fusion = build({name: given[name].states.shape[2]})
    assert fusion.backbone == name
    both, alone = fusion(given), fusion({name: given[name]})
    assert distance(both, alone).max() < 1e-6
    other = fusion({name: given[name]._replace(states=given[name].states.flip(0))})
    assert distance(alone, other).max() > 1e-3
    assert {part for part, weight in fusion.named_parameters() if not weight.requires_grad} == set()


@pytest.mark.parametrize(
    ("widths", "changes", "message"),
    [
        ({"video": 4}, {}, "MSMT-FN needs text or audio"),
        ({"text": 7}, {"readout": "mean"}, "Readout 'mean' is unknown; choose one of both, text, flatten"),
        ({"text": 7}, {"cross_layers": -1}, "cross_layers is -1; use 0 .none. or more"),
        ({"text": 7}, {"bottleneck_layers": -1}, "bottleneck_layers is -1"),
        ({"text": 7}, {"tokens": 0}, "tokens is 0 with 3 bottleneck layers"),
        ({"text": 7}, {"readout": "text", "bottleneck_layers": 0}, "never hear the audio"),
        ({"text": 7}, {"readout": "flatten", "bottleneck_layers": 1, "flatten_length": 4}, "use at least 2"),
        ({"text": 7}, {"readout": "flatten"}, "flatten_length None; give the positions"),
    ],
)
def test_settings_without_effect_are_refused(
    build: Build, widths: dict[str, int], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(widths, **changes)
