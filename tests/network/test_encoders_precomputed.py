"""States made elsewhere: standardising, gaps, padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from callsift.network.encoders import PrecomputedEncoder, StreamEncoder


def precomputed(**changes: int) -> PrecomputedEncoder:
    torch.manual_seed(0)
    return PrecomputedEncoder(7, width=16, heads=2, feed_forward=24, **changes).eval()


def whole(length: int, rows: int = 1) -> torch.Tensor:
    return torch.ones(rows, length, dtype=torch.bool)


def test_contract() -> None:
    encoder = precomputed()
    assert isinstance(encoder, StreamEncoder)
    assert not encoder.frozen
    values = encoder.example(2, 9)
    states, mask = encoder(values, whole(9, 2))
    assert values.shape == (2, 9, 7)
    assert states.shape == (2, 9, encoder.width)
    assert mask.all()
    assert torch.equal(encoder.whole(values, mask)[0], states)


@given(st.integers(1, 30), st.integers(0, 20), st.sampled_from([0.0, 1e9, float("inf"), float("nan")]))
@settings(max_examples=30)
def test_padding_changes_nothing(length: int, extra: int, garbage: float) -> None:
    encoder = precomputed(layers=2)
    values = torch.randn(1, length, 7)
    alone, _ = encoder(values, whole(length))
    padded = torch.cat([values, torch.full((1, extra, 7), garbage)], dim=1).repeat(2, 1, 1)
    padded[1] = torch.randn(length + extra, 7)
    mask = torch.arange(length + extra).repeat(2, 1) < torch.tensor([[length], [length + extra]])
    states, _ = encoder(padded, mask)
    torch.testing.assert_close(states[:1, :length], alone, atol=1e-5, rtol=1e-5)


def test_training_data_set_the_scale() -> None:
    """Values in any unit give the states of their standard scores."""
    encoder, plain = precomputed(), precomputed()
    mean, scale = 100 * torch.randn(7), 50 * torch.rand(7) + 1
    encoder.start_from(mean, scale)
    scores = torch.randn(1, 6, 7)
    found, _ = encoder(scores * scale + mean, whole(6))
    torch.testing.assert_close(found, plain(scores, whole(6))[0], atol=1e-4, rtol=1e-4)
    assert {"mean", "scale"} <= encoder.state_dict().keys()
    assert not {"mean", "scale"} & {name for name, _ in encoder.named_parameters()}


def test_a_constant_number_is_not_scaled() -> None:
    encoder = precomputed()
    encoder.start_from(torch.full((7,), 3.0), torch.zeros(7))
    states, _ = encoder(torch.full((1, 2, 7), 3.5), whole(2))
    torch.testing.assert_close(states, precomputed()(torch.full((1, 2, 7), 0.5), whole(2))[0])


def test_gaps_are_the_mean_and_outliers_are_bounded() -> None:
    encoder = precomputed()
    encoder.start_from(torch.arange(7.0), torch.full((7,), 2.0))
    values = torch.randn(1, 4, 7)
    gap, mean, far, limit = (values.clone() for _ in range(4))
    gap[0, 1, 5], mean[0, 1, 5] = float("nan"), 5.0
    far[0, 2], limit[0, 2] = float("inf"), torch.arange(7.0) + 20
    torch.testing.assert_close(encoder(gap, whole(4))[0], encoder(mean, whole(4))[0])
    torch.testing.assert_close(encoder(far, whole(4))[0], encoder(limit, whole(4))[0])
    assert (encoder(gap, whole(4))[0] - encoder(values, whole(4))[0]).abs().max() > 1e-4


def test_other_numbers_are_refused() -> None:
    encoder = precomputed()
    with pytest.raises(ValueError, match="States have 8 numbers each, this encoder was built for 7"):
        encoder(torch.zeros(1, 2, 8), whole(2))
    with pytest.raises(ValueError, match="mean must be 7 finite numbers"):
        encoder.start_from(torch.zeros(6), torch.ones(7))
    with pytest.raises(ValueError, match="scale must be 7 finite numbers"):
        encoder.start_from(torch.zeros(7), torch.full((7,), float("nan")))


def test_every_weight_learns() -> None:
    encoder = precomputed().train()
    states, _ = encoder(torch.randn(2, 5, 7), whole(5, 2))
    states.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in encoder.parameters())
