"""The contexts of a call: what holds for all of them, and what each is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from callsift.network.attention import sinusoidal_positions
from callsift.network.context import CONTEXTS, BiGru, make_context

WIDTH, HIDDEN = 5, 4


every = pytest.mark.parametrize("name", CONTEXTS)


def gru(layers: int = 2) -> BiGru:
    torch.manual_seed(0)
    return BiGru(WIDTH, HIDDEN, layers).eval()


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    return make_context(name, WIDTH, HIDDEN, layers=2, heads=2, dropout=0.1).eval()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_agrees_with_torch(layers: int) -> None:
    """Origin of the expected values: torch.nn.GRU, bidirectional, over packed sequences."""
    ours = gru(layers)
    theirs = nn.GRU(WIDTH, HIDDEN, layers, batch_first=True, bidirectional=True)
    state = {}
    for layer in range(layers):
        for stack, suffix in ((ours.ahead, ""), (ours.back, "_reverse")):
            weights = stack[layer].state_dict()
            state |= {name.replace("_l0", f"_l{layer}{suffix}"): value for name, value in weights.items()}
    theirs.load_state_dict(state)
    lengths = torch.tensor([1, 3, 22, 8])
    mask = torch.arange(22) < lengths[:, None]
    vectors = torch.randn(4, 22, WIDTH)
    packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(ours(vectors, mask).segments * mask[..., None], expected, atol=1e-6, rtol=1e-5)


@every
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4), extra=st.integers(0, 5))
@settings(max_examples=25)
def test_padding_and_batch_mates_change_nothing(name: str, lengths: list[int], extra: int) -> None:
    context = make(name)
    most = max(lengths) + extra
    mask = torch.arange(most) < torch.tensor(lengths)[:, None]
    vectors = torch.randn(len(lengths), most, WIDTH)
    vectors[~mask] = float("nan")
    together = context(vectors, mask)
    for row, length in enumerate(lengths):
        alone = context(vectors[row : row + 1, :length], torch.ones(1, length, dtype=torch.bool))
        torch.testing.assert_close(together.call[row], alone.call[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.segments[row, :length], alone.segments[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("segments", [2, 3, 22, 150])
@pytest.mark.parametrize("name", ["bigru", "transformer"])
def test_order_matters(stirred: Callable[..., None], name: str, segments: int) -> None:
    context = make(name)
    stirred(context)
    vectors, mask = torch.randn(1, segments, WIDTH), torch.ones(1, segments, dtype=torch.bool)
    assert (context(vectors, mask).call - context(vectors.flip(1), mask).call).abs().max() > 1e-3


@given(st.integers(1, 30), st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_without_context_order_does_not_matter(segments: int, random: Random) -> None:
    """Nor does the number: the same segments twice are the same call."""
    context = make("none")
    order = list(range(segments))
    random.shuffle(order)
    vectors, mask = torch.randn(1, segments, WIDTH), torch.ones(1, segments, dtype=torch.bool)
    plain, shuffled = context(vectors, mask), context(vectors[:, order], mask)
    torch.testing.assert_close(shuffled.call, plain.call, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(shuffled.segments, plain.segments[:, order], atol=1e-6, rtol=1e-5)
    twice = context(vectors.repeat(1, 2, 1), mask.repeat(1, 2))
    torch.testing.assert_close(twice.call, plain.call, atol=1e-5, rtol=1e-5)


def test_without_context_a_segment_speaks_for_itself() -> None:
    """And the call vector is the normed mean of the projected segments."""
    context = make("none")
    vectors, mask = torch.randn(2, 4, WIDTH), torch.tensor([[True] * 4, [True, True, False, False]])
    output = context(vectors, mask)
    projected = vectors @ context.project.weight.T + context.project.bias
    torch.testing.assert_close(output.segments[mask], projected[mask])
    means = torch.stack([projected[0].mean(dim=0), projected[1, :2].mean(dim=0)])
    torch.testing.assert_close(output.call, nn.functional.layer_norm(means, (2 * HIDDEN,)))


def test_a_transformer_of_blind_layers_pools_segments_and_positions() -> None:
    """Origin of the expected values: with all branches off, the mean of projections and position codes."""
    context = make("transformer")
    with torch.no_grad():
        for layer in context.layers:
            for part in (layer.attention.out, layer.feed_forward.out):
                part.weight.zero_()
        context.pool.score.weight.zero_()
        context.position_scale.fill_(0.7)
    vectors = torch.randn(1, 5, WIDTH)
    output = context(vectors, torch.ones(1, 5, dtype=torch.bool))
    states = context.project(vectors) + 0.7 * sinusoidal_positions(5, 2 * HIDDEN)
    torch.testing.assert_close(output.segments, states)
    torch.testing.assert_close(output.call, nn.functional.layer_norm(states.mean(dim=1), (2 * HIDDEN,)))


@every
@pytest.mark.parametrize("target", ["call", "segments"])
def test_every_parameter_learns(name: str, target: str) -> None:
    """From the first step on; with labelled segments all but what makes the call vector."""
    context = make(name).train()
    mask = torch.arange(7) < torch.tensor([[7], [1], [4]])
    output = getattr(context(torch.randn(3, 7, WIDTH), mask), target)
    output = output if target == "call" else output[mask]
    (output * torch.randn_like(output)).sum().backward()
    idle = {part for part, weight in context.named_parameters() if weight.grad is None or not weight.grad.any()}
    of_the_call = {part for part, _ in context.named_parameters() if part.split(".")[0] in ("norm", "pool", "skip")}
    assert idle == (set() if target == "call" else of_the_call)


@every
def test_shapes_and_dropout(name: str) -> None:
    context, vectors, mask = make(name), torch.randn(2, 3, WIDTH), torch.ones(2, 3, dtype=torch.bool)
    output = context(vectors, mask)
    assert context.width == 2 * HIDDEN
    assert output.segments.shape == (2, 3, 2 * HIDDEN)
    assert output.call.shape == (2, 2 * HIDDEN)
    assert context(vectors, mask).call.equal(output.call)
    context.train()
    assert not context(vectors, mask).call.equal(output.call)


@every
def test_every_segment_of_a_long_call_is_heard(name: str) -> None:
    context = make(name)
    vectors = torch.randn(1, 150, WIDTH, requires_grad=True)
    (context(vectors, torch.ones(1, 150, dtype=torch.bool)).call @ torch.randn(2 * HIDDEN)).sum().backward()
    assert vectors.grad is not None
    heard = vectors.grad.abs().amax(dim=(0, 2))  # (S,)
    assert heard.min() > heard.max() / 1000


@every
def test_call_without_segments_is_finite(name: str) -> None:
    output = make(name)(torch.randn(2, 3, WIDTH), torch.tensor([[True, True, False], [False] * 3]))
    assert output.call.isfinite().all()
    assert output.call.shape == (2, 2 * HIDDEN)


def test_names_and_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="Context 'lstm' is unknown; choose one of bigru, transformer, none"):
        make_context("lstm", WIDTH, HIDDEN, 1, 2, 0.0)
    for name in ("bigru", "transformer"):
        with pytest.raises(ValueError, match=f"Context '{name}' has 0 layers"):
            make_context(name, WIDTH, HIDDEN, 0, 2, 0.0)
    with pytest.raises(ValueError, match="width 8 is not a multiple of heads 3"):
        make_context("transformer", WIDTH, HIDDEN, 1, 3, 0.0)
