"""The bidirectional GRU over the segments of a call."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from callsift.network.context import BiGru

WIDTH, HIDDEN = 5, 4


def gru(layers: int = 2) -> BiGru:
    torch.manual_seed(0)
    return BiGru(WIDTH, HIDDEN, layers).eval()


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


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 5))
@settings(max_examples=25)
def test_padding_and_batch_mates_change_nothing(lengths: list[int], extra: int) -> None:
    context = gru()
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
def test_order_matters(segments: int) -> None:
    context = gru()
    vectors, mask = torch.randn(1, segments, WIDTH), torch.ones(1, segments, dtype=torch.bool)
    assert (context(vectors, mask).call - context(vectors.flip(1), mask).call).abs().max() > 1e-3


def test_every_segment_of_a_long_call_is_heard() -> None:
    context = gru()
    vectors = torch.randn(1, 150, WIDTH, requires_grad=True)
    (context(vectors, torch.ones(1, 150, dtype=torch.bool)).call @ torch.randn(2 * HIDDEN)).sum().backward()
    assert vectors.grad is not None
    heard = vectors.grad.abs().amax(dim=(0, 2))  # (S,)
    assert heard.min() > heard.max() / 1000


def test_call_without_segments_is_finite() -> None:
    output = gru()(torch.randn(2, 3, WIDTH), torch.tensor([[True, True, False], [False] * 3]))
    assert output.call.isfinite().all()
    assert output.call.shape == (2, 2 * HIDDEN)
