"""Splits: groups stay whole, grades are spread, seeds repeat."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsift.data.splits import check_groups, folds, hold_out
from callsift.errors import DataError
from callsift.types import Call


def _calls(groups: list[int], labels: str = "ABCDE") -> list[Call]:
    return [Call(str(i), group=f"g{g}", label=labels[i % len(labels)]) for i, g in enumerate(groups)]


@settings(deadline=None)
@given(st.lists(st.integers(0, 20), min_size=30, max_size=80), st.integers(2, 5), st.integers(0, 5))
def test_folds_partition_and_keep_groups_whole(groups: list[int], count: int, seed: int) -> None:
    calls = _calls(groups)
    if len(set(groups)) < count:
        return
    found = folds(calls, count, seed)
    assert sorted(at for fold in found for at in fold) == list(range(len(calls)))
    homes = [{calls[at].group for at in fold} for fold in found]
    assert sum(len(home) for home in homes) == len(set.union(*homes))
    assert found == folds(calls, count, seed)


def test_grades_are_spread_evenly() -> None:
    calls = _calls(list(range(100)), "AAAB")
    for fold in folds(calls, 5, seed=3):
        counts = Counter(calls[at].label for at in fold)
        assert counts == {"A": 15, "B": 5}


def test_hold_out_takes_about_its_share() -> None:
    for share in (0.05, 0.15, 0.5, 0.8):
        kept, held_out = hold_out(_calls(list(range(100))), share, seed=1)
        assert abs(len(held_out) - 100 * share) <= 3
        assert sorted(kept + held_out) == list(range(100))
    kept, held_out = hold_out(_calls([0, 1, 2]), 0.15, seed=1)
    assert (len(kept), len(held_out)) == (2, 1)


def test_too_few_groups_and_groups_on_both_sides() -> None:
    with pytest.raises(DataError, match="2 groups"):
        folds(_calls([0, 0, 1]), 3, seed=0)
    with pytest.raises(DataError, match="group 'g0' lies in split 'train' and in 'test'"):
        check_groups({"train": _calls([0]), "test": _calls([0])})
