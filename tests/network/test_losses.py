"""Losses against their formulas, torch and scikit-learn."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, mean_absolute_error
from torch import Tensor
from torch.nn import functional as F

from callsift.network.losses import (
    TaskWeights,
    absolute_error,
    focal_cross_entropy,
    ordinal_cross_entropy,
    set_cross_entropy,
)


def items(count: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random scores (M, K) in float64 and sets (M, K), each of at least one class."""
    torch.manual_seed(seed)
    allowed = torch.rand(count, classes) < 0.4
    allowed[torch.arange(count), torch.randint(classes, (count,))] = True
    return 4 * torch.randn(count, classes, dtype=torch.float64), allowed


def ordinal_by_hand(scores: Tensor, allowed: Tensor) -> list[float]:
    """The definition, one item and one cut after the other."""
    costs = []
    for row, may in zip(scores.softmax(dim=1).tolist(), allowed.tolist(), strict=True):
        cost = 0.0
        for cut in range(1, len(row)):
            if any(may) and not any(may[cut:]):
                cost -= math.log(sum(row[:cut]))
            elif any(may) and not any(may[:cut]):
                cost -= math.log(sum(row[cut:]))
        costs.append(cost)
    return costs


@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=40)
def test_one_class_is_cross_entropy(count: int, classes: int, seed: int) -> None:
    """Origin of the expected values: torch's cross_entropy and scikit-learn's log_loss."""
    scores, _ = items(count, classes, seed)
    labels = torch.randint(classes, (count,))
    losses = set_cross_entropy(scores, F.one_hot(labels, classes).bool())
    torch.testing.assert_close(losses, F.cross_entropy(scores, labels, reduction="none"))
    theirs = log_loss(labels.numpy(), scores.softmax(dim=1).numpy(), labels=range(classes))
    assert losses.mean().item() == pytest.approx(theirs)


@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=40)
def test_set_is_minus_log_of_the_summed_probability(count: int, classes: int, seed: int) -> None:
    scores, allowed = items(count, classes, seed)
    expected = -(scores.softmax(dim=1) * allowed).sum(dim=1).log()
    torch.testing.assert_close(set_cross_entropy(scores, allowed), expected)


@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=40)
def test_ordinal_is_the_cost_of_the_cuts(count: int, classes: int, seed: int) -> None:
    scores, allowed = items(count, classes, seed)
    allowed[0] = False
    found = ordinal_cross_entropy(scores, allowed)
    assert found.tolist() == pytest.approx(ordinal_by_hand(scores, allowed), abs=1e-9)


@given(st.integers(1, 9), st.integers(0, 99))
def test_ordinal_of_two_classes_is_cross_entropy(count: int, seed: int) -> None:
    scores, allowed = items(count, 2, seed)
    torch.testing.assert_close(ordinal_cross_entropy(scores, allowed), set_cross_entropy(scores, allowed))


@pytest.mark.parametrize("label", range(5))
def test_ordinal_costs_more_the_further_off(label: int) -> None:
    """To cross-entropy all errors of one probability are alike."""
    scores = 8 * torch.eye(5)
    allowed = F.one_hot(torch.tensor(label), 5).bool().expand(5, 5)
    costs = ordinal_cross_entropy(scores, allowed)
    order = sorted(range(5), key=lambda guess: abs(guess - label))
    for nearer, further in pairwise(order):
        if abs(nearer - label) < abs(further - label):
            assert costs[further] > costs[nearer] + 5
    plain = set_cross_entropy(scores, allowed)
    assert plain[[guess for guess in range(5) if guess != label]].std() < 1e-5


def test_ordinal_skips_the_cuts_a_set_leaves_open() -> None:
    scores = torch.tensor([[0.3, -0.2, 0.9, 0.1]])
    p = scores.softmax(dim=1)[0]
    outer = torch.tensor([[True, False, False, True]])  # could be anywhere: no cut is settled
    upper = torch.tensor([[False, False, True, True]])
    assert ordinal_cross_entropy(scores, outer).item() == pytest.approx(0.0, abs=1e-6)
    expected = -math.log(p[1:].sum()) - math.log(p[2:].sum())
    assert ordinal_cross_entropy(scores, upper).item() == pytest.approx(expected, abs=1e-6)


@given(st.integers(1, 6), st.integers(2, 6), st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]), st.integers(0, 99))
@settings(max_examples=40)
def test_focal_is_its_formula(count: int, classes: int, gamma: float, seed: int) -> None:
    """Lin et al. 2017, eq. 4, with the summed probability of a set: −(1 − p)^γ · log p; γ = 0 is the cross-entropy."""
    scores, allowed = items(count, classes, seed)
    allowed[0] = False
    p = (scores.softmax(dim=1) * allowed).sum(dim=1)
    expected = [-((1 - q) ** gamma) * math.log(q) if 0.0 < q < 1.0 - 1e-12 else 0.0 for q in p.tolist()]
    assert focal_cross_entropy(scores, allowed, gamma).tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_slopes_everywhere(gamma: float) -> None:
    """Also where all is certain, or every class allowed: a root's slope is infinite there."""
    scores = torch.tensor(
        [[60.0, -60.0, 0.0], [-60.0, 60.0, 0.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], requires_grad=True
    )
    allowed = torch.tensor([[True, False, False], [True, False, False], [True] * 3, [False] * 3])
    focal_cross_entropy(scores, allowed, gamma).sum().backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
    assert scores.grad[1].abs().max() > 0.9
    assert scores.grad[2:].eq(0).all()


@pytest.mark.parametrize("loss", [set_cross_entropy, ordinal_cross_entropy, focal_cross_entropy])
def test_unlabelled_and_extreme_scores_are_finite(loss: object) -> None:
    scores = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [5.0, 1.0, 2.0]], requires_grad=True)
    allowed = torch.tensor([[False, True, False], [True, False, False], [False] * 3])
    losses = loss(scores, allowed)  # type: ignore[operator]
    assert losses.isfinite().all()
    assert losses[:2].min() >= 1e4
    assert losses[2] == 0.0
    losses.sum().backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
    assert scores.grad[2].eq(0).all()
    assert scores.grad[:2].abs().amax(dim=1).min() > 0.5


@pytest.mark.parametrize("loss", [set_cross_entropy, ordinal_cross_entropy, focal_cross_entropy])
def test_gradients(loss: object) -> None:
    """Origin of the expected values: finite differences."""
    scores, allowed = items(4, 5, 3)
    assert torch.autograd.gradcheck(lambda given: loss(given, allowed), scores.requires_grad_())  # type: ignore[operator]


def test_set_cross_entropy_of_segments_is_that_of_each() -> None:
    scores, allowed = items(6, 4, 0)
    apart = set_cross_entropy(scores.reshape(2, 3, 4), allowed.reshape(2, 3, 4))
    torch.testing.assert_close(apart.flatten(), set_cross_entropy(scores, allowed))


def test_absolute_error_skips_what_is_unlabelled() -> None:
    """Origin of the expected values: scikit-learn's mean_absolute_error."""
    torch.manual_seed(0)
    values = torch.randn(6, 1, requires_grad=True)
    target = torch.tensor([0.5, math.nan, -2.0, 3.0, math.nan, 0.0])
    losses = absolute_error(values, target)
    known = ~target.isnan()
    ours = losses[known].mean().item()
    assert ours == pytest.approx(mean_absolute_error(target[known].numpy(), values.detach()[known, 0].numpy()))
    assert losses[~known].eq(0).all()
    losses.sum().backward()
    assert values.grad is not None
    expected = (values.detach()[:, 0] - target).sign().nan_to_num(0.0)
    torch.testing.assert_close(values.grad[:, 0], expected)


def test_weights_start_plain_and_even_the_tasks_out() -> None:
    """Kendall et al.: exp(−s)·L + s, whose least value lies at s = log L."""
    weights = TaskWeights(["a", "b"])
    large, small = torch.tensor(20.0), torch.tensor(0.3)
    assert (weights("a", large) + weights("b", small)).item() == pytest.approx(20.3)
    optimizer = torch.optim.Adam(weights.parameters(), lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        (weights("a", large) + weights("b", small)).backward()
        optimizer.step()
    assert weights.log_scale.tolist() == pytest.approx([math.log(20.0), math.log(0.3)], abs=1e-2)
    loss = torch.tensor(2.0, requires_grad=True)
    weights("a", loss).backward()
    assert loss.grad is not None
    assert loss.grad.item() == pytest.approx(1 / 20, rel=1e-2)


def test_weights_of_an_unknown_task_are_refused() -> None:
    with pytest.raises(ValueError, match="Task 'c' has no weight; there are weights for a, b"):
        TaskWeights(["a", "b"])("c", torch.tensor(1.0))
