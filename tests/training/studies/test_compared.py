"""How the rows of a study are measured and compared."""

from __future__ import annotations

import pytest

from callsift.errors import UsageError
from callsift.labels import load_scheme
from callsift.training.studies.answers import Item
from callsift.training.studies.compared import Agreement, Line, Measure, compare, measure_of


def test_a_coarser_task_is_measured_on_the_same_answers() -> None:
    scheme = load_scheme("marketcalls")
    item = Item("a", "", "g", "C", {"A": 0.3, "B": 0.2, "C": 0.1, "D": 0.4, "E": 0.0})
    five, two = Measure("accuracy", scheme, "five"), Measure("accuracy", scheme, "two")
    assert (five.truth(item), five.said(item)) == (2, 3)
    assert (two.truth(item), two.said(item)) == (0, 0)
    open_label = Item("a", "", "g", ("A", "B", "C"), item.said)
    assert (five.truth(open_label), two.truth(open_label)) == (None, 0)
    with pytest.raises(UsageError, match="--task six"):
        measure_of(scheme, None, "six")
    with pytest.raises(UsageError, match="--metric correlation"):
        measure_of(scheme, "correlation", None)


def test_a_metric_that_says_nothing_of_the_items_makes_no_difference() -> None:
    """An AUROC of positive calls alone."""
    said = {"yes": 0.5, "no": 0.5}
    seeds = {1: {(name, ""): Item(name, "", name, "yes", said) for name in "abc"}}
    line = Line("row")
    assert compare(Agreement(load_scheme("donation"), load_scheme("donation")), line, seeds, seeds) == line


def test_an_order_is_compared_with_the_positive_grades_of_another_scheme() -> None:
    agreement = Agreement(load_scheme("marketcalls"), load_scheme("donation"))
    item = Item("a", "", "g", "yes", {"A": 0.5, "B": 0.0, "C": 0.0, "D": 0.0, "E": 0.5})
    assert (agreement.truth(item), agreement.said(item)) == (1, 0.5)  # worth 1 and 0
    assert agreement.truth(Item("a", "", "g", ("yes", "no"), item.said)) is None
    assert agreement.said(Item("a", "", "g", "no", -1.5)) == -1.5
