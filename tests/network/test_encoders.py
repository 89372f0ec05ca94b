"""The tiny encoders: size, shapes, padding, n-grams."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from callsift.network.encoders import HashedTextEncoder, StreamEncoder, TinyAudioEncoder


def audio(**changes: int) -> TinyAudioEncoder:
    return TinyAudioEncoder(5, width=16, heads=2, feed_forward=24, **changes)


def text(**changes: float) -> HashedTextEncoder:
    return HashedTextEncoder(64, 3, embedding_width=8, width=16, heads=2, feed_forward=24, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("features", [40, 80])
def test_the_pair_has_at_most_half_a_million_parameters(features: int) -> None:
    pair = nn.ModuleList([TinyAudioEncoder(features), HashedTextEncoder()])
    assert sum(weight.numel() for weight in pair.parameters()) <= 500_000


@pytest.mark.parametrize("encoder", [audio(), text()])
def test_contract(encoder: nn.Module) -> None:
    assert isinstance(encoder, StreamEncoder)
    values = encoder.example(2, 9)
    states, mask = encoder.eval()(values, torch.ones(2, 9, dtype=torch.bool))
    assert values.shape[:2] == (2, 9)
    assert states.shape == (*mask.shape, encoder.width)
    assert mask.dtype == torch.bool


def test_audio_makes_one_state_of_eight_frames() -> None:
    encoder = audio().eval()
    for frames in range(1, 34):
        mask = torch.zeros(1, 40, dtype=torch.bool)
        mask[:, :frames] = True
        states, states_mask = encoder(torch.randn(1, 40, 5), mask)
        assert states.shape == (1, 5, 16)
        assert states_mask.sum() == -(-frames // 8)


@given(st.integers(1, 50), st.integers(0, 20), st.sampled_from([0.0, 1e4, float("inf"), float("nan")]))
@settings(max_examples=30)
def test_audio_padding_changes_nothing(frames: int, extra: int, garbage: float) -> None:
    """Defect 5 of the published code: a segment padded to 40 s had other states than at its own length."""
    torch.manual_seed(frames)
    encoder = audio(layers=2).eval()
    values = torch.randn(1, frames, 5)
    alone, alone_mask = encoder(values, torch.ones(1, frames, dtype=torch.bool))
    padded = torch.cat([values, torch.full((1, extra, 5), garbage)], dim=1).repeat(2, 1, 1)
    mask = torch.arange(frames + extra).repeat(2, 1) < torch.tensor([[frames], [frames + extra]])
    padded[1] = torch.randn(frames + extra, 5)  # a batch mate of another length
    states, states_mask = encoder(padded, mask)
    assert states_mask[0].sum() == alone_mask.sum()
    torch.testing.assert_close(states[:1, : alone.shape[1]], alone, atol=1e-5, rtol=1e-5)


@given(st.integers(1, 12), st.integers(0, 9), st.sampled_from([0, 7, -1, 10**9]))
@settings(max_examples=30)
def test_text_padding_changes_nothing(tokens: int, extra: int, garbage: int) -> None:
    torch.manual_seed(tokens)
    encoder = text(layers=2).eval()
    ids = torch.randint(0, 64, (1, tokens, 3))
    alone, _ = encoder(ids, torch.ones(1, tokens, dtype=torch.bool))
    padded = torch.cat([ids, torch.full((1, extra, 3), garbage)], dim=1)
    states, _ = encoder(padded, torch.arange(tokens + extra)[None] < tokens)
    torch.testing.assert_close(states[:, :tokens], alone, atol=1e-5, rtol=1e-5)


def test_id_zero_is_nothing_and_stays_nothing(stirred: Callable[..., None]) -> None:
    encoder = text(layers=0, dropout=0.0, token_dropout=0.0)
    stirred(encoder)
    embed = encoder.embedding.weight
    ids = torch.tensor([[[4, 0, 0], [4, 9, 0], [0, 0, 0]]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    states, _ = encoder(ids, mask)
    bare = text(layers=0).eval()
    bare.load_state_dict(encoder.state_dict())
    nn.init.zeros_(bare.embedding.weight)
    sums = torch.stack([embed[4], (embed[4] + embed[9]) / 2**0.5, torch.zeros(8)])
    torch.testing.assert_close((states - bare(ids, mask)[0])[0], sums @ encoder.project.weight.T)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.1)
    states.square().sum().backward()
    optimizer.step()
    assert embed[0].eq(0).all()
    assert embed[4].ne(0).all()


def test_word_order_matters() -> None:
    encoder = text().eval()
    nn.init.normal_(encoder.embedding.weight)
    encoder.position_scale.data.fill_(1.0)
    ids, mask = torch.randint(1, 64, (1, 6, 3)), torch.ones(1, 6, dtype=torch.bool)
    states, turned = encoder(ids, mask)[0], encoder(ids.flip(1), mask)[0].flip(1)
    assert (states - turned).abs().max() > 1e-2


def test_token_dropout_blanks_tokens_in_training_only() -> None:
    encoder = text(layers=0, dropout=0.0, token_dropout=0.5)
    ids, mask = torch.full((1, 400, 3), 5), torch.ones(1, 400, dtype=torch.bool)
    encoder.position_scale.data.zero_()
    states, states_mask = encoder(ids, mask)
    blank = states[0].eq(0).all(dim=1).float().mean()
    assert 0.35 < blank < 0.65
    assert states_mask.all()
    torch.testing.assert_close(
        encoder.eval()(ids, mask)[0][0, 0], states[0].abs().max(dim=0).values * states[0].sum(0).sign()
    )


def test_other_number_of_ngrams_is_refused() -> None:
    with pytest.raises(ValueError, match="Tokens have 4 n-gram ids, this encoder was built for 3"):
        text()(torch.zeros(1, 2, 4, dtype=torch.int64), torch.ones(1, 2, dtype=torch.bool))
