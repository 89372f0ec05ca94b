"""One rule for several graders' labels, with a scheme or without."""

from __future__ import annotations

import pytest

from callsift.data.votes import majority
from callsift.errors import DataError
from callsift.labels import load_scheme
from callsift.types import Label

MARKETCALLS = load_scheme("marketcalls")
NUMBER = load_scheme({"id": "n", "kind": "number", "range": [0, 9]})


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([], None),
        (["B", "A", "B"], "B"),
        (["B", "A"], ("A", "B")),
        ([("B", "C"), "C"], "C"),
        ([("A", "B", "C"), ("A", "B")], ("A", "B")),
        (["C", "B", "A"], ("A", "B", "C")),
    ],
)
def test_a_tie_stays_open(votes: list[Label], expected: Label | None) -> None:
    assert majority(votes) == majority(votes, MARKETCALLS) == expected


def test_numbers_have_a_median_and_strange_votes_are_refused() -> None:
    assert majority([1.0, 2.0, 9.0]) == majority([1.0, 2.0, 9.0], NUMBER) == 2.0
    with pytest.raises(DataError, match="label 'Q' is not a grade"):
        majority(["A", "Q"], MARKETCALLS)
