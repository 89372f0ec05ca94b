"""Agreement of raters: Krippendorff's own example, and what must hold of any ratings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from callsift.errors import DataError
from callsift.evaluation.agreement import Level, agreement_of, alpha, majority_label
from callsift.labels import LabelScheme, load_scheme
from callsift.types import Call, Label, RaterLabel

SCHEME = load_scheme("marketcalls")
NUMBER = LabelScheme(id="stars", kind="number", range=(0.0, 10.0))

# Krippendorff (2011), section C: four observers, twelve units, "." is missing; the paper's section D and E give alpha.
PUBLISHED = ("12332141 2...", "123322412 5.3", ".33323422 51.", "123324412 51.")
CODERS = [row.replace(" ", "") for row in PUBLISHED]
UNITS = [[value for value in column if value != "."] for column in zip(*CODERS, strict=True)]


@pytest.mark.parametrize(("level", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_as_published(level: Level, expected: float) -> None:
    units: list[list[Label]] = [[float(v) if level == "interval" else v for v in unit] for unit in UNITS]
    found = alpha(units, level, "12345", draws=200)
    assert found is not None
    assert found.value == pytest.approx(expected, abs=5e-4)
    assert found.low < found.value < found.high <= 1.0


RATINGS = st.lists(st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=4), min_size=2, max_size=12)


def _value(units: list[list[Any]], level: Level) -> float | None:
    found = alpha(units, level, "ABCDE", draws=1)
    return None if found is None else found.value


@settings(max_examples=60)
@given(RATINGS, st.sampled_from(["nominal", "ordinal"]), st.permutations(range(12)))
def test_neither_order_of_calls_nor_of_raters_nor_lone_ratings_matter(
    units: list[list[str]], level: Level, order: list[int]
) -> None:
    shuffled = [units[at][::-1] for at in order if at < len(units)]
    before = _value(units, level)
    assert _value([*shuffled, ["A"]], level) == (None if before is None else pytest.approx(before))


@settings(max_examples=60)
@given(RATINGS, st.sampled_from(["nominal", "ordinal"]))
def test_alpha_is_one_exactly_where_nobody_disagrees(units: list[list[str]], level: Level) -> None:
    found = _value(units, level)
    agreed = all(len(set(unit)) == 1 for unit in units)
    assert found is None or (found == pytest.approx(1.0)) == agreed
    assert found is None or found <= 1.0 + 1e-12


def test_ordinal_minds_far_grades_more_than_near_ones() -> None:
    base = [[grade, grade] for grade in "ABCDE" * 4]
    near, far = _value([*base, ["A", "B"]], "ordinal"), _value([*base, ["A", "E"]], "ordinal")
    assert near is not None
    assert far is not None
    assert near > far


def test_a_coarser_answer_that_holds_the_other_does_not_disagree() -> None:
    base = [["A", "A"], ["E", "E"]] * 5
    assert _value([*base, [("A", "B", "C"), "B"]], "ordinal") == pytest.approx(1.0)
    disagrees = _value([*base, [("A", "B", "C"), "E"]], "nominal")
    assert disagrees is not None
    assert disagrees < 1.0


def _call(name: str, **votes: Label) -> Call:
    return Call(name, labels=tuple(RaterLabel(rater, label) for rater, label in votes.items()))


def test_pairs_kappa_is_scikit_learns_and_disputed_calls_come_first() -> None:
    votes = ["AA", "AB", "BB", "CE", "DD", "EE", "CC", "BA", "AE", "DD"]
    calls = [_call(f"call{at}", ann=pair[0], bo=pair[1]) for at, pair in enumerate(votes)]
    calls += [_call("lone", ann="A"), _call("third", bo="B", cy="B")]
    found = agreement_of(calls, SCHEME, draws=50)
    assert (found.calls, found.ratings) == (11, 22)
    pair = next(pair for pair in found.pairs if pair.raters == ("ann", "bo"))
    expected = cohen_kappa_score([v[0] for v in votes], [v[1] for v in votes])
    assert (pair.calls, pair.agreement) == (10, pytest.approx(0.6))
    assert pair.kappa == pytest.approx(expected)
    assert {pair.raters for pair in found.pairs} == {("ann", "bo"), ("bo", "cy")}
    assert found.disputed[0].call_id == "call8"
    assert found.disputed[0].disagreement == pytest.approx(1.0)
    assert {each.call_id for each in found.disputed} == {"call1", "call3", "call7", "call8"}
    assert found.use["cy"] == {"B": 1}
    assert found.use["ann"]["A"] == 4


def test_numbers_have_an_interval_alpha_and_a_mean_difference() -> None:
    calls = [_call(str(at), ann=float(at), bo=float(at) + 1.0) for at in range(6)]
    found = agreement_of(calls, NUMBER, draws=50)
    assert list(found.alpha) == ["interval"]
    assert found.pairs[0].apart == pytest.approx(1.0)
    assert found.pairs[0].agreement == 0.0


def test_nothing_to_compare_and_a_rater_twice_are_refused() -> None:
    with pytest.raises(DataError, match="no call was graded by two people \\(1 of 2"):
        agreement_of([_call("a", ann="A"), Call("b")], SCHEME)
    twice = Call("c", labels=(RaterLabel("ann", "A"), RaterLabel("ann", "B")))
    with pytest.raises(DataError, match="call 'c': rater 'ann' stands there twice"):
        agreement_of([twice], SCHEME)


def test_ratings_that_are_all_alike_have_no_alpha() -> None:
    found = agreement_of([_call(str(at), ann="A", bo="A") for at in range(3)], SCHEME, draws=10)
    assert found.alpha == {"ordinal": None, "nominal": None}
    assert found.pairs[0].kappa is None


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ({"a": "B", "b": "B", "c": "A"}, "B"),
        ({"a": "B", "b": "A"}, ("A", "B")),
        ({"a": ("B", "C"), "b": "C"}, "C"),
        ({"a": "E"}, "E"),
    ],
)
def test_majority(votes: dict[str, Label], expected: Label) -> None:
    assert majority_label(_call("x", **votes), SCHEME) == expected


def test_majority_of_numbers_is_their_median_and_without_votes_the_label_stays() -> None:
    assert majority_label(_call("x", a=1.0, b=2.0, c=9.0), NUMBER) == 2.0
    assert majority_label(Call("x", label="D"), SCHEME) == "D"
