"""Task heads, and the joint loss over labels that may be sets."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from callsift.network.heads import TaskHeads, multi_task_loss
from callsift.network.losses import TaskWeights, ordinal_cross_entropy, set_cross_entropy


def test_each_task_has_its_own_weights() -> None:
    heads = TaskHeads(6, {"5": 5, "2": 2}, 0.0)
    vectors = torch.randn(3, 6, requires_grad=True)
    logits = heads(vectors)
    assert {task: tuple(scores.shape) for task, scores in logits.items()} == {"5": (3, 5), "2": (3, 2)}
    logits["5"].sum().backward()
    assert heads.heads["5"].weight.grad is not None
    assert heads.heads["2"].weight.grad is None


def test_no_task_is_refused() -> None:
    with pytest.raises(ValueError, match="No task"):
        TaskHeads(6, {}, 0.0)


@given(st.integers(1, 6), st.integers(2, 5), st.integers(0, 99))
@settings(max_examples=30)
def test_one_allowed_class_is_cross_entropy(calls: int, classes: int, seed: int) -> None:
    """Origin of the expected values: torch's cross_entropy; the tasks are plainly summed (eq. 6)."""
    torch.manual_seed(seed)
    logits = {"a": 5 * torch.randn(calls, classes), "b": torch.randn(calls, 2)}
    labels = {"a": torch.randint(classes, (calls,)), "b": torch.randint(2, (calls,))}
    allowed = {"a": F.one_hot(labels["a"], classes).bool(), "b": F.one_hot(labels["b"], 2).bool()}
    expected = sum(F.cross_entropy(logits[task], labels[task]) for task in logits)
    torch.testing.assert_close(multi_task_loss(logits, allowed), expected)
    each = sum(F.cross_entropy(logits[task], labels[task], reduction="none") for task in logits)
    torch.testing.assert_close(multi_task_loss(logits, allowed, reduction="none"), each)


@given(st.integers(2, 5), st.data())
@settings(max_examples=30)
def test_set_is_minus_log_of_the_summed_probability(classes: int, data: st.DataObject) -> None:
    logits = torch.tensor([data.draw(st.lists(st.floats(-8, 8), min_size=classes, max_size=classes))])
    chosen = data.draw(st.sets(st.integers(0, classes - 1), min_size=1))
    allowed = torch.tensor([[k in chosen for k in range(classes)]])
    expected = -math.log(sum(logits.double().softmax(dim=1)[0, k].item() for k in chosen))
    assert multi_task_loss({"t": logits}, {"t": allowed}).item() == pytest.approx(expected, abs=1e-5)


def test_unlabelled_rows_cost_nothing_and_do_not_dilute() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    allowed = torch.tensor([[True, False, False, False], [False] * 4, [True] * 4])
    loss = multi_task_loss({"t": logits}, {"t": allowed})
    expected = F.cross_entropy(logits[:1], torch.tensor([0])) / 2  # "any of them" is a label that says nothing
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0].ne(0).all()
    assert logits.grad[1:].abs().max() < 1e-6
    nothing = multi_task_loss({"t": logits}, {"t": torch.zeros(3, 4, dtype=torch.bool)})
    nothing.backward()
    assert nothing.item() == 0.0


def test_stable_at_extreme_logits() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], requires_grad=True)
    allowed = torch.tensor([[True, False, True], [True, False, True]])
    losses = multi_task_loss({"t": logits}, {"t": allowed}, reduction="none")
    torch.testing.assert_close(losses, torch.tensor([0.0, 1e4]))
    losses.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_labels_for_other_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\['5'\], labels for \['4'\]"):
        multi_task_loss({"5": torch.zeros(1, 5)}, {"4": torch.ones(1, 4, dtype=torch.bool)})


def test_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="Loss 'l2' is unknown; choose one of cross_entropy, ordinal, focal, l1"):
        multi_task_loss({"5": torch.zeros(1, 5)}, {"5": torch.ones(1, 5, dtype=torch.bool)}, kind="l2")  # type: ignore[arg-type]


def test_heads_of_segments_are_heads_of_each() -> None:
    heads = TaskHeads(6, {"5": 5, "2": 2}, 0.0)
    states = torch.randn(2, 3, 6)
    logits = heads(states)
    assert logits["5"].shape == (2, 3, 5)
    torch.testing.assert_close(logits["2"][1, 2], heads(states[1, 2])["2"])


def test_number_is_in_the_unit_of_the_labels() -> None:
    heads = TaskHeads(6, {"value": 1}, 0.0, number_range=(-1.0, 5.0))
    torch.nn.init.zeros_(heads.heads["value"].weight)
    for raw, expected in ((0.0, 2.0), (-1.0, -1.0), (1.0, 5.0)):
        torch.nn.init.constant_(heads.heads["value"].bias, raw)
        torch.testing.assert_close(heads(torch.randn(3, 6))["value"], torch.full((3, 1), expected))


@pytest.mark.parametrize(
    ("classes", "bounds", "message"),
    [({"5": 5}, (0.0, 1.0), "one output, but the tasks have {'5': 5}"), ({"value": 1}, (3.0, -3.0), r"is \(3, -3\)")],
)
def test_wrong_ranges_are_refused(classes: dict[str, int], bounds: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TaskHeads(6, classes, 0.0, number_range=bounds)


@pytest.mark.parametrize("kind", ["cross_entropy", "ordinal"])
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_none_agree_with_the_losses_of_the_tasks(kind: str, weighted: bool) -> None:
    torch.manual_seed(0)
    logits = {"5": torch.randn(4, 5), "2": torch.randn(4, 2)}
    allowed = {task: torch.rand(scores.shape) < 0.5 for task, scores in logits.items()}
    allowed["5"][0] = False
    allowed["2"][1:] = False
    allowed["2"][0] = torch.tensor([False, True])
    weights = TaskWeights(["5", "2"])
    torch.nn.init.normal_(weights.log_scale)
    loss = {"cross_entropy": set_cross_entropy, "ordinal": ordinal_cross_entropy}[kind]
    each, mean = torch.zeros(4), torch.zeros(())
    for at, task in enumerate(logits):
        labelled = allowed[task].any(dim=1)
        losses = loss(logits[task], allowed[task])
        if weighted:
            s = weights.log_scale[at]
            losses = torch.where(labelled, losses * torch.exp(-s) + s, 0.0)
        each = each + losses
        mean = mean + losses[labelled].mean()
    given = {"kind": kind, "weights": weights if weighted else None}
    torch.testing.assert_close(multi_task_loss(logits, allowed, "none", **given), each)  # type: ignore[arg-type]
    torch.testing.assert_close(multi_task_loss(logits, allowed, **given), mean)  # type: ignore[arg-type]


def test_unlabelled_items_teach_the_weights_nothing() -> None:
    weights = TaskWeights(["a", "b"])
    logits = {"a": torch.randn(3, 2), "b": torch.randn(3, 2)}
    allowed = {"a": torch.tensor([[True, False]] * 3), "b": torch.zeros(3, 2, dtype=torch.bool)}
    multi_task_loss(logits, allowed, "none", weights=weights).sum().backward()
    assert weights.log_scale.grad is not None
    assert weights.log_scale.grad[0] != 0
    assert weights.log_scale.grad[1] == 0


def test_numbers_cost_their_distance() -> None:
    values = {"value": torch.tensor([[1.5], [0.0], [-2.0]], requires_grad=True)}
    target = {"value": torch.tensor([1.0, math.nan, 1.0])}
    each = multi_task_loss(values, target, reduction="none", kind="l1")
    assert each.tolist() == pytest.approx([0.5, 0.0, 3.0])
    mean = multi_task_loss(values, target, kind="l1")
    assert mean.item() == pytest.approx(1.75)
    mean.backward()
    assert values["value"].grad is not None
    assert values["value"].grad[:, 0].tolist() == pytest.approx([0.5, 0.0, -0.5])
