"""Thresholds and caps per grade do what their formulas say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsift.errors import ConfigError, DataError
from callsift.training.pseudo_labels import Accepted, AcceptRules, accept, ledger_rows, running_mean, thresholds


def test_a_rare_grade_needs_less_confidence() -> None:
    """τ = 0.9 and p̄ = (0.6, 0.3, 0.1): 0.9, 0.9 · 0.3 / 0.6 and 0.9 · 0.1 / 0.6; by hand."""
    mean = np.array([0.6, 0.3, 0.1])
    np.testing.assert_allclose(thresholds(mean, AcceptRules(0.9)), [0.9, 0.45, 0.15])
    np.testing.assert_allclose(thresholds(mean, AcceptRules(0.9, floor=0.4)), [0.9, 0.45, 0.4])


def test_the_mean_runs_over_rounds() -> None:
    first = running_mean(None, np.array([[0.8, 0.2], [0.6, 0.4]]), 0.5)
    np.testing.assert_allclose(first, [0.7, 0.3])
    np.testing.assert_allclose(running_mean(first, np.array([[0.1, 0.9]]), 0.5), [0.4, 0.6])
    np.testing.assert_allclose(running_mean(first, np.array([[0.1, 0.9]]), 0.0), [0.1, 0.9])


def test_the_surest_calls_are_taken_up_to_the_cap() -> None:
    """Ten calls, six of grade A and sure enough: the cap of 0.3 leaves the three surest, ids settling ties."""
    ids = [f"c{at}" for at in range(10)]
    sure = np.array([0.91, 0.99, 0.95, 0.95, 0.95, 0.93, 0.4, 0.3, 0.2, 0.1])
    shares = np.stack([sure, 1 - sure], axis=1)
    mean = np.array([0.6, 0.4])
    found = accept(ids, shares, "AB", mean, AcceptRules(0.9, 0.3))
    assert [(each.call_id, each.label) for each in found] == [
        ("c1", "A"), ("c2", "A"), ("c3", "A"), ("c7", "B"), ("c8", "B"), ("c9", "B"),
    ]  # fmt: skip
    assert found[0] == Accepted("c1", "A", 0.99, 0.9)
    assert found[-1].threshold == pytest.approx(0.6)


def test_no_grade_gets_more_than_its_share() -> None:
    shares = np.tile([0.95, 0.05], (20, 1))
    found = accept([str(at) for at in range(20)], shares, "AB", np.array([0.15, 0.85]), AcceptRules(0.9, 1.0))
    assert len(found) == 3  # 0.15 of 20


@given(st.integers(0, 10_000), st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_whatever_is_accepted_passes_its_threshold_and_its_cap(seed: int, threshold: float, cap: float) -> None:
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(4, 0.3), 50)
    mean = running_mean(None, shares, 0.5)
    rules = AcceptRules(threshold, cap)
    found = accept([f"{at:02}" for at in range(50)], shares, "ABCD", mean, rules)
    for each in found:
        assert each.confidence == shares[int(each.call_id)].max()
        assert each.label == "ABCD"[int(shares[int(each.call_id)].argmax())]
        assert each.confidence >= each.threshold
    for at, grade in enumerate("ABCD"):
        mine = {int(each.call_id) for each in found if each.label == grade}
        assert len(mine) <= min(cap, mean[at]) * 50 + 1e-6
        able = (shares.argmax(axis=1) == at) & (shares.max(axis=1) >= thresholds(mean, rules)[at])
        left = set(np.flatnonzero(able).tolist()) - mine
        assert not left or not mine or shares[list(left)].max(axis=1).max() <= shares[list(mine)].max(axis=1).min()
        assert not left or len(mine) == int(min(cap, mean[at]) * 50 + 1e-9)


def test_the_ledger_says_what_became_of_every_label() -> None:
    before = [Accepted("a", "A", 0.9, 0.8), Accepted("b", "A", 0.9, 0.8), Accepted("c", "B", 0.7, 0.6)]
    now = [Accepted("a", "A", 0.95, 0.8), Accepted("b", "B", 0.7, 0.6), Accepted("d", "B", 0.8, 0.6)]
    rows = ledger_rows(2, now, before, {"a": "A", "d": "C"})
    assert [(row["call_id"], row["label"], row["status"], row["true"]) for row in rows] == [
        ("a", "A", "kept", "A"), ("b", "B", "changed", None), ("d", "B", "added", "C"), ("c", "B", "dropped", None),
    ]  # fmt: skip
    assert {row["round"] for row in rows} == {2}


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": 1.5}, {"cap": 0.0}, {"momentum": 1.0}, {"floor": -1}]
)
def test_rules_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))} "):
        AcceptRules(**wrong)


def test_answers_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="call 'b' of the pool"):
        accept(["a", "b"], np.array([[0.5, 0.5], [np.nan, 0.5]]), "AB", np.array([0.5, 0.5]), AcceptRules())
