"""One contract for all fusions, in all their forms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from callsift.network.attention import CrossModalLayer, TransformerLayer
from callsift.network.fusion import FusionOutput, StreamStates
from callsift.network.fusion.make import FUSIONS, make_fusion, switches

WIDTH, SEGMENTS = 8, 6
SIZES = {"text": 7, "audio": 5, "video": 6}
SETTINGS: dict[str, Any] = {
    "width": WIDTH,
    "heads": 2,
    "feed_forward": 12,
    "dropout": 0.1,
    "cross_layers": 2,
    "text_layers": 2,
    "own_layers": 2,
    "block_layers": 2,
    "bottleneck_layers": 2,
    "tokens": 4,
    "flatten_length": 4,
}
BOTH, THREE = ("text", "audio"), ("text", "audio", "video")
FORMS: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("msmt-fn", BOTH, {}),
    ("msmt-fn", BOTH, {"tokens": 2, "bottleneck_layers": 1}),
    ("msmt-fn", BOTH, {"tokens": 8, "shared_weights": True}),
    ("msmt-fn", BOTH, {"readout": "text"}),
    ("msmt-fn", BOTH, {"readout": "text", "bottleneck_layers": 1}),
    ("msmt-fn", BOTH, {"readout": "flatten"}),
    ("msmt-fn", BOTH, {"readout": "flatten", "flatten_length": 30, "bottleneck_layers": 3}),
    ("msmt-fn", BOTH, {"readout": "flatten", "shared_weights": True}),
    ("msmt-fn", BOTH, {"bottleneck_layers": 0}),
    ("msmt-fn", BOTH, {"cross_layers": 0}),
    ("msmt-fn", BOTH, {"cross_layers": 0, "bottleneck_layers": 0}),
    ("msmt-fn", BOTH, {"cross_layers": 0, "readout": "flatten"}),
    ("msmt-fn", BOTH, {"cross_layers": 0, "readout": "text", "shared_weights": True}),
    ("msmt-fn", THREE, {}),
    ("msmt-fn", THREE, {"readout": "text", "shared_weights": True}),
    ("msmt-fn", THREE, {"readout": "flatten"}),
    ("msmt-fn", THREE, {"bottleneck_layers": 0}),
    ("msmt-fn", ("text", "video"), {"cross_layers": 0}),
    ("msmt-fn", ("text",), {}),
    ("msmt-fn", ("audio",), {"readout": "flatten"}),
    ("agt", BOTH, {}),
    ("agt", THREE, {}),
    ("agt", ("video", "text"), {"cross_layers": 3, "own_layers": 0}),
    ("agt", THREE, {"block_layers": 0}),
    ("agt", ("audio",), {}),
    ("mmml", BOTH, {}),
    ("mmml", BOTH, {"multi_loss": False, "own_layers": 0}),
    ("concat", BOTH, {}),
    ("concat", THREE, {"own_layers": 1}),
    ("concat", ("video",), {}),
    ("text", ("text",), {}),
    ("audio", ("audio",), {}),
]
forms = pytest.mark.parametrize(
    ("name", "names", "changes"),
    FORMS,
    ids=[f"{name}-{'+'.join(names)}-{changes}" for name, names, changes in FORMS],
)
ONE_KEY = re.compile(r"cross\.\d\.(query_norm|cross\.query|cross\.key)\..*")
"""MSMT-FN with one stream has a single key to attend to: there is nothing to choose."""
Build = Callable[..., nn.Module]


@pytest.fixture
def build(stirred: Callable[..., None]) -> Build:
    """A fusion in which every weight matters."""

    def build(name: str, names: tuple[str, ...], changes: Mapping[str, Any], stir: bool = True) -> nn.Module:
        torch.manual_seed(1)
        fusion = make_fusion(name, {stream: SIZES[stream] for stream in names}, **SETTINGS | dict(changes))
        if stir:
            stirred(fusion)
        return fusion.eval()

    return build


def streams(names: tuple[str, ...]) -> dict[str, StreamStates]:
    """Ragged streams of 6, 9 and 12 states; each is absent in one segment, and the last segment has none."""
    torch.manual_seed(2)
    given = {}
    for at, name in enumerate(names):
        length = 6 + 3 * at
        mask = torch.arange(length) < torch.randint(1, length + 1, (SEGMENTS, 1))
        mask[0] = True
        present = (torch.arange(SEGMENTS) != at + 1) & (torch.arange(SEGMENTS) != SEGMENTS - 1)
        given[name] = StreamStates(torch.randn(SEGMENTS, length, SIZES[name]), mask, present)
    return given


def distance(one: FusionOutput, other: FusionOutput) -> Tensor:
    """Largest change of each segment's vectors, the auxiliary ones too, (N,)."""
    pairs = [(one.vector, other.vector), *((one.aux[name], other.aux[name]) for name in one.aux)]
    return torch.stack([(a - b).abs().amax(dim=1) for a, b in pairs]).amax(dim=0)


def rows(given: Mapping[str, StreamStates], chosen: slice) -> dict[str, StreamStates]:
    """The segments `chosen` alone."""
    return {name: StreamStates(*(part[chosen] for part in stream)) for name, stream in given.items()}


@forms
def test_shapes(build: Build, name: str, names: tuple[str, ...], changes: dict[str, Any]) -> None:
    fusion, given = build(name, names, changes), streams(names)
    output = fusion(given)
    assert fusion.width == WIDTH
    assert output.vector.shape == (SEGMENTS, WIDTH)
    assert {key: tuple(aux.shape) for key, aux in output.aux.items()} == {
        key: (SEGMENTS, width) for key, width in fusion.aux_widths.items()
    }
    one = rows(given, slice(0, 1))
    short = {key: StreamStates(part.states[:, :1], part.mask[:, :1], part.present) for key, part in one.items()}
    assert fusion(short).vector.shape == (1, WIDTH)


@forms
@pytest.mark.parametrize("garbage", [1e4, float("nan"), float("inf")])
def test_padding_and_absent_content_are_not_read(
    build: Build, name: str, names: tuple[str, ...], changes: dict[str, Any], garbage: float
) -> None:
    fusion, given = build(name, names, changes), streams(names)
    padded = {}
    for key, (states, mask, present) in given.items():
        longer = nn.functional.pad(states, (0, 0, 0, 11))
        longer_mask = nn.functional.pad(mask, (0, 11))
        longer[~(longer_mask & present[:, None])] = garbage
        padded[key] = StreamStates(longer, longer_mask, present)
    assert distance(fusion(given), fusion(padded)).max() < 1e-5


@forms
def test_batch_mates_do_not_matter(build: Build, name: str, names: tuple[str, ...], changes: dict[str, Any]) -> None:
    fusion, given = build(name, names, changes), streams(names)
    together = fusion(given)
    for row in range(SEGMENTS):
        alone = fusion(rows(given, slice(row, row + 1)))
        mine = FusionOutput(together.vector[row : row + 1], {k: v[row : row + 1] for k, v in together.aux.items()})
        assert distance(alone, mine).max() < 1e-5


@forms
def test_three_ways_to_be_absent_are_one(
    build: Build, name: str, names: tuple[str, ...], changes: dict[str, Any]
) -> None:
    fusion, given = build(name, names, changes), streams(names)
    everything = fusion(given)
    assert everything.vector.isfinite().all()  # the last segment has no stream at all
    for key, stream in given.items():
        flagged = fusion(given | {key: stream._replace(present=torch.zeros_like(stream.present))})
        empty = fusion(given | {key: stream._replace(mask=torch.zeros_like(stream.mask))})
        assert distance(flagged, empty).max() < 1e-5
        assert distance(flagged, everything)[0] > 1e-3
        if len(names) > 1:
            left_out = fusion({other: states for other, states in given.items() if other != key})
            assert distance(flagged, left_out).max() < 1e-5


@forms
def test_each_stream_moves_the_vector(build: Build, name: str, names: tuple[str, ...], changes: dict[str, Any]) -> None:
    """The published code's first defect: other audio, same logits to the last bit."""
    fusion, given = build(name, names, changes), streams(names)
    before = fusion(given).vector
    for key, stream in given.items():
        other = given | {key: stream._replace(states=torch.randn_like(stream.states))}
        changed = (fusion(other).vector - before).abs().amax(dim=1)
        assert changed[stream.present].min() > 1e-4, key
        assert changed[~stream.present].max() < 1e-6, key


@forms
@pytest.mark.parametrize("stir", [True, False], ids=["stirred", "as built"])
def test_every_parameter_learns(
    build: Build, name: str, names: tuple[str, ...], changes: dict[str, Any], stir: bool
) -> None:
    fusion = build(name, names, changes, stir).train()
    output = fusion(streams(names))
    sum((vector * torch.randn_like(vector)).sum() for vector in (output.vector, *output.aux.values())).backward()
    for part, weight in fusion.named_parameters():
        assert weight.grad is not None, part
        assert weight.grad.isfinite().all(), part
        idle = name == "msmt-fn" and len(names) == 1 and ONE_KEY.fullmatch(part)
        assert (weight.grad.abs().max() > 1e-6) != bool(idle), part


@forms
def test_no_layer_can_be_dropped(build: Build, name: str, names: tuple[str, ...], changes: dict[str, Any]) -> None:
    """The published code's second defect: layers whose output the next one overwrote."""
    fusion, given = build(name, names, changes), streams(names)
    before = fusion(given)
    stacks = [part for part in fusion.modules() if isinstance(part, nn.ModuleList)]
    layers = [(stack, at) for stack in stacks for at, part in enumerate(stack) if isinstance(part, _LAYERS)]
    for stack, at in layers:
        kept, stack[at] = stack[at], _Unchanged()
        assert distance(before, fusion(given)).max() > 1e-3
        stack[at] = kept


_LAYERS = (TransformerLayer, CrossModalLayer)


class _Unchanged(nn.Module):
    def forward(self, states: Tensor, *_: Tensor) -> Tensor:
        return states


@forms
def test_dropout_is_drawn_in_training_only(
    build: Build, name: str, names: tuple[str, ...], changes: dict[str, Any]
) -> None:
    fusion, given = build(name, names, changes), streams(names)
    assert distance(fusion(given), fusion(given)).max() == 0.0
    fusion.train()
    assert distance(fusion(given), fusion(given)).max() > 1e-3


@pytest.mark.parametrize("name", FUSIONS)
def test_no_stream_is_refused(build: Build, name: str) -> None:
    names = (name,) if name in BOTH else BOTH
    with pytest.raises(ValueError, match="No stream was given"):
        build(name, names, {})({})


@pytest.mark.parametrize("name", FUSIONS)
def test_heads_must_divide_the_width(name: str) -> None:
    names = (name,) if name in BOTH else BOTH
    with pytest.raises(ValueError, match="width 8 is not a multiple of heads 3"):
        make_fusion(name, dict.fromkeys(names, 4), **SETTINGS | {"heads": 3})


@pytest.mark.parametrize(
    ("name", "widths", "changes", "message"),
    [
        ("msmt", {"text": 4}, {}, "Fusion 'msmt' is unknown; choose one of msmt-fn, agt, mmml, concat, text, audio"),
        ("text", {"audio": 4}, {}, r"reads stream 'text' alone, not \['audio'\]"),
        ("audio", {"text": 4, "audio": 4}, {}, r"reads stream 'audio' alone, not \['audio', 'text'\]"),
        ("mmml", {"text": 4}, {}, r"MMML fuses text and audio, not \['text'\]; use 'agt' or 'concat'"),
        ("mmml", dict.fromkeys(THREE, 4), {}, "MMML fuses text and audio"),
        ("mmml", dict.fromkeys(BOTH, 4), {"cross_layers": 0}, "cross_layers is 0"),
        ("msmt-fn", {"video": 4}, {}, "MSMT-FN needs text or audio, .* alone use the fusion 'agt' or 'concat'"),
        ("agt", {}, {}, "No stream was named"),
        ("agt", dict.fromkeys(BOTH, 4), {"cross_layers": 0}, "cross_layers is 0"),
        ("concat", {}, {}, "No stream was named"),
        ("concat", {"text": 4}, {"colour": 1}, "No fusion has a setting colour; 'concat' has width, heads"),
    ],
)
def test_what_has_no_effect_is_refused(
    name: str, widths: dict[str, int], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_fusion(name, widths, **SETTINGS | changes)


def test_each_fusion_gets_the_switches_it_knows() -> None:
    assert switches("text") == ("width", "heads", "feed_forward", "dropout", "own_layers")
    assert "own_layers" not in switches("msmt-fn")
    assert {"tokens", "readout", "flatten_length"} <= set(switches("msmt-fn")) - set(switches("agt"))
    fusion = make_fusion("msmt-fn", dict.fromkeys(BOTH, 4), **SETTINGS | {"tokens": 8})
    assert fusion.tokens.shape == (8, WIDTH)


@pytest.mark.parametrize(("names", "guide"), [(BOTH, "audio"), (("video", "text"), "video"), (("text",), "text")])
def test_agt_is_guided_by_audio_or_the_first_stream(build: Build, names: tuple[str, ...], guide: str) -> None:
    fusion, given = build("agt", names, {}), streams(names)
    asked = []
    for stack in fusion.cross.values():
        stack[0].register_forward_hook(lambda _, inputs, output: asked.append(inputs[0].shape[1]))
    fusion(given)
    assert fusion.guide == guide
    assert asked == [given[guide].states.shape[1]] * (len(names) - 1)


def test_agt_weighs_channels_by_what_they_say(build: Build) -> None:
    """A gate that favours one channel gives that channel alone; an empty gate their mean."""
    fusion, pooled = build("agt", THREE, {}), torch.randn(3, 5, WIDTH)
    nn.init.zeros_(fusion.gate)
    torch.testing.assert_close(fusion._weigh(pooled), pooled.mean(dim=1))
    with torch.no_grad():
        fusion.gate[2] = 1e3 * pooled[0, 2]
    weighed = fusion._weigh(pooled)
    torch.testing.assert_close(weighed[0], pooled[0, 2])
    assert (weighed[1] - pooled[1].mean(dim=0)).abs().max() > 1e-2  # other segments are weighed otherwise


@pytest.mark.parametrize("at", [0, 1])
def test_mmml_class_tokens_matter_and_read_both_streams(build: Build, at: int) -> None:
    fusion, given = build("mmml", BOTH, {}), streams(BOTH)
    before = fusion(given)
    for name, stream in given.items():
        states = stream.states.clone().requires_grad_()
        tokens = _class_tokens(fusion, given | {name: stream._replace(states=states)})
        tokens[at].select(1, 0).sum().backward()
        assert states.grad is not None
        assert states.grad[0].abs().max() > 1e-5, name
    with torch.no_grad():
        fusion.tokens[at] += torch.randn(WIDTH)
    assert distance(before, fusion(given)).min() > 1e-3


def _class_tokens(fusion: nn.Module, given: Mapping[str, StreamStates]) -> list[Tensor]:
    """What is merged, text's and audio's (N, D)."""
    seen: list[list[Tensor]] = []
    hook = fusion.merge.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    fusion(given)
    hook.remove()
    return seen[0]


def test_mmml_auxiliary_vectors_know_their_own_stream_only(build: Build) -> None:
    fusion, given = build("mmml", BOTH, {}), streams(BOTH)
    before = fusion(given).aux
    for name, other in (("text", "audio"), ("audio", "text")):
        stream = given[name]
        after = fusion(given | {name: stream._replace(states=torch.randn_like(stream.states))}).aux
        assert after[other].equal(before[other])
        assert (after[name] - before[name]).abs().amax(dim=1)[stream.present].min() > 1e-3
