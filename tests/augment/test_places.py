"""The draw: the set share of all units, also where some can't be replaced, and the likelier ones oftener."""

from __future__ import annotations

import numpy as np
import pytest

from callsift.augment.places import Place, Places, redrawn


def _every_other(length: int) -> Places:
    places = tuple(Place(at, at + 1, ("x", "yy"), (0.25, 1.0)) for at in range(0, length, 2))
    return Places("." * length, length, places)


@pytest.mark.parametrize("chance", [0.05, 0.2])
def test_what_cannot_be_replaced_is_made_up_for_by_what_can(chance: float) -> None:
    found = [_every_other(20_000), Places("?" * 20_000, 20_000, ())]
    text, other = redrawn(found, chance, np.random.default_rng(0))
    assert other == "?" * 20_000
    # 10,000 draws at a chance of 4 times the share: at most sqrt(10,000 · 0.8 · 0.2) = 40 of 40,000 units, 0.1 points
    assert (text.count("x") + text.count("yy")) / 40_000 == pytest.approx(chance, abs=0.005)


def test_no_more_can_be_replaced_than_there_is() -> None:
    (text,) = redrawn([_every_other(6)], 0.9, np.random.default_rng(0))
    assert text.replace("yy", "x") == "x.x.x."


def test_a_likelier_other_is_taken_oftener() -> None:
    (text,) = redrawn([_every_other(20_000)], 1.0, np.random.default_rng(0))
    assert text.count("x") / 10_000 == pytest.approx(0.25, abs=0.02)


def test_bounds_that_rounding_left_below_one_still_give_the_last() -> None:
    found = [Places("ab", 2, (Place(0, 2, ("c",), (0.0,)),))]
    assert redrawn(found, 1.0, np.random.default_rng(0)) == ("c",)


def test_nothing_is_drawn_where_nothing_can_change() -> None:
    random = np.random.default_rng(0)
    assert redrawn([Places("ab", 2, ())], 1.0, random) == ("ab",)
    assert redrawn([_every_other(4)], 0.0, random) == ("....",)
    assert random.random() == np.random.default_rng(0).random()
