"""Shapley values of streams."""

from __future__ import annotations

from itertools import combinations, pairwise, permutations

import numpy as np
import pytest

from callsift.scoring.streams_share import shapley


def _game(players: str, seed: int) -> dict[frozenset[str], float]:
    random = np.random.default_rng(seed)
    sizes = range(len(players) + 1)
    return {frozenset(each): float(random.normal()) for size in sizes for each in combinations(players, size)}


@pytest.mark.parametrize("players", ["a", "ab", "abc", "abcd"])
def test_a_share_is_the_mean_over_all_orders_in_which_streams_can_come(players: str) -> None:
    worth = _game(players, len(players))
    found = shapley(worth)
    orders = list(permutations(players))
    for player in players:
        added = [
            worth[frozenset(order[: order.index(player) + 1])] - worth[frozenset(order[: order.index(player)])]
            for order in orders
        ]
        assert found[player] == pytest.approx(np.mean(added))
    assert sum(found.values()) == pytest.approx(worth[frozenset(players)] - worth[frozenset()])


def test_who_adds_nothing_has_no_share_and_equals_have_equal_ones() -> None:
    worth = {coalition: float("a" in coalition) for coalition in _game("abc", 0)}
    assert shapley(worth) == pytest.approx({"a": 1.0, "b": 0.0, "c": 0.0})
    by_size = {coalition: len(coalition) ** 2.0 for coalition in _game("abcd", 0)}
    assert all(one == pytest.approx(other) for one, other in pairwise(shapley(by_size).values()))
