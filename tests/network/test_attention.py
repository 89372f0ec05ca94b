"""Attention with true masks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from callsift.network.attention import (
    Attention,
    AttentionPool,
    CrossModalLayer,
    SharedDropout,
    TransformerLayer,
    sinusoidal_positions,
)

WIDTH = 8


def ragged(segments: int, length: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random states and a random mask, any pattern, at least one real state a row."""
    torch.manual_seed(seed)
    mask = torch.rand(segments, length) < 0.6
    mask[torch.arange(segments), torch.randint(length, (segments,))] = True
    return torch.randn(segments, length, WIDTH), mask


def test_attention_agrees_with_torch() -> None:
    """Origin of the expected values: torch.nn.MultiheadAttention with the same weights and no input bias."""
    ours = Attention(WIDTH, 2)
    theirs = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    queries, _ = ragged(3, 5, 0)
    keys, mask = ragged(3, 7, 1)
    expected, _ = theirs(queries, keys, keys, key_padding_mask=~mask)
    torch.testing.assert_close(ours(queries, keys, mask), expected, atol=1e-6, rtol=1e-5)


@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=25)
def test_masked_states_change_nothing(segments: int, length: int, seed: int) -> None:
    states, mask = ragged(segments, length, seed)
    other = torch.where(mask[..., None], states, 50.0 * torch.randn_like(states))
    own = TransformerLayer(WIDTH, 2, 16, 0.1).eval()
    cross = CrossModalLayer(WIDTH, 2, 16, 0.1).eval()
    pool = AttentionPool(WIDTH, 2)
    real = mask[..., None]
    torch.testing.assert_close(own(other, mask) * real, own(states, mask) * real, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pool(other, mask), pool(states, mask), atol=1e-5, rtol=1e-5)
    queries, query_mask = ragged(segments, 3, seed + 1)
    torch.testing.assert_close(
        cross(queries, query_mask, other, mask), cross(queries, query_mask, states, mask), atol=1e-5, rtol=1e-5
    )


def test_nothing_real_gives_no_nan() -> None:
    states, mask = ragged(2, 4, 0)
    mask[1] = False
    states.requires_grad_()
    own = TransformerLayer(WIDTH, 2, 16, 0.0)
    cross = CrossModalLayer(WIDTH, 2, 16, 0.0)
    queries, query_mask = ragged(2, 3, 1)
    crossed = cross(queries, query_mask, states, mask)
    pooled = AttentionPool(WIDTH)(states, mask)
    assert pooled[1].eq(0).all()
    torch.testing.assert_close(crossed[1], cross.own(queries, query_mask)[1])  # nothing heard, nothing added
    (own(states, mask).sum() + crossed.sum() + pooled.sum()).backward()
    assert states.grad is not None
    assert states.grad.isfinite().all()


def test_untrained_pool_is_nearly_the_mean_and_weighs_by_score() -> None:
    states, mask = ragged(3, 6, 2)
    pool = AttentionPool(WIDTH, heads=2)
    nn.init.zeros_(pool.score.weight)
    mean = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    torch.testing.assert_close(pool(states, mask), mean)
    nn.init.normal_(pool.score.weight, std=3.0)
    assert not torch.allclose(pool(states, mask), mean, atol=0.05)


@pytest.mark.parametrize("width", [1, 5, 8])
def test_positions_are_the_same_at_every_length(width: int) -> None:
    long = sinusoidal_positions(600, width)
    assert long.shape == (600, width)
    assert long.abs().max() <= 1
    torch.testing.assert_close(sinusoidal_positions(7, width), long[:7])
    assert torch.cdist(long[:50], long[:50]).fill_diagonal_(1.0).min() > 1e-3


def test_shared_dropout_draws_once_for_all_positions() -> None:
    dropout = SharedDropout(0.5)
    states = torch.ones(40, 6, 20)
    dropped = dropout(states)
    assert dropped.eq(dropped[:, :1]).all()
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert abs(dropped.mean() - 1) < 0.2
    assert dropout.eval()(states) is states


def test_width_must_be_a_multiple_of_heads() -> None:
    with pytest.raises(ValueError, match="width 8 is not a multiple of heads 3"):
        TransformerLayer(WIDTH, 3, 16, 0.0)
    with pytest.raises(ValueError, match="width 8 is not a multiple of heads 3"):
        AttentionPool(WIDTH, 3)
