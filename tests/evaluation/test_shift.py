"""Class balances are found again where they are known, within the intervals that are given; nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import nnls

from callsift.decision import balanced
from callsift.errors import DataError
from callsift.evaluation.scored import Said, scored_of
from callsift.evaluation.shift import (
    Array,
    Scored,
    bbse_balance,
    confusion,
    em_balance,
    estimate_both,
    implied_balance,
    nearest_mixture,
)
from callsift.evaluation.shift_report import estimate_shift, mixture_test
from callsift.labels import LabelScheme

CENTRES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
TRAIN = np.array([0.6, 0.3, 0.1])
TARGET = np.array([0.2, 0.3, 0.5])


def drawn(random: np.random.Generator, calls: int, balance: Array) -> tuple[Array, NDArray[np.int64]]:
    """Points of three unit Gaussians, two standard deviations apart, and which one each is of."""
    grades = random.choice(3, calls, p=balance)
    return CENTRES[grades] + random.normal(size=(calls, 2)), grades


def said(points: Array, balance: Array = TRAIN) -> Array:
    """What Bayes' rule says of points, with this balance as the prior: a perfectly calibrated model."""
    likely = np.exp(-((points[:, None] - CENTRES) ** 2).sum(axis=-1) / 2) * balance
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))


def both(seed: int, validation: int = 150, pool: int = 300, target: Array = TARGET) -> tuple[Scored, Scored]:
    random = np.random.default_rng(seed)
    points, grades = drawn(random, validation, TRAIN)
    return Scored(said(points), grades), Scored(said(drawn(random, pool, target)[0]))


def test_intervals_cover_a_known_balance_as_often_as_they_say() -> None:
    """95 % intervals by 100 redrawings, 20 samples of three grades: 57 of 60 expected, 54 (90 %) at least."""
    covered = np.zeros(2)
    for seed in range(20):
        _, *found = estimate_both(*both(seed, 150, 200), TRAIN, draws=100)
        covered += [np.sum((each.low <= TARGET) & (each.high >= TARGET)) for each in found]
    assert (covered >= 54).all(), covered


def test_both_recover_a_large_pool_and_correct_its_answers() -> None:
    validation, pool = both(1, 2000, 2000)
    implied, em, bbse = estimate_both(validation, pool, TRAIN, draws=20)
    np.testing.assert_allclose(em.balance, TARGET, atol=0.05)
    np.testing.assert_allclose(bbse.balance, TARGET, atol=0.05)
    np.testing.assert_allclose(implied, TRAIN, atol=0.05)
    points, grades = drawn(np.random.default_rng(2), 2000, TARGET)
    before, after = said(points), balanced(said(points), implied, em.balance)
    assert (after.argmax(axis=1) == grades).mean() > (before.argmax(axis=1) == grades).mean() + 0.05


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(2, 6))
def test_em_ends_where_its_own_equation_holds(seed: int, calls: int, grades: int) -> None:
    """π_g = mean over calls of p_g π_g / r_g over its sum (Saerens et al. 2002, eq. 2.9)."""
    random = np.random.default_rng(seed)
    pool, implied = random.dirichlet(np.ones(grades), calls), random.dirichlet(5 * np.ones(grades))
    found = em_balance(pool, implied, steps=20_000, tolerance=1e-12)[0]
    assert found.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(balanced(pool, implied, found).mean(axis=0), found, atol=1e-6)


def test_em_finds_the_likeliest_balance_wherever_it_starts() -> None:
    _, pool = both(3)
    ends = [em_balance(pool.probabilities, TRAIN, start=np.array(s))[0] for s in ([0.8, 0.1, 0.1], [0.1, 0.1, 0.8])]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-6)
    moved = [ends[0] + step for step in 0.02 * (np.eye(3) - np.roll(np.eye(3), 1, axis=1))]
    best, *others = (np.log(pool.probabilities @ (b / TRAIN)).sum() for b in (ends[0], *moved))
    assert all(best > other for other in others)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_the_nearest_mixture_is_scipys(seed: int, count: int) -> None:
    """The weights of the point of a convex hull that is nearest to zero, by SciPy's non-negative least squares."""
    points = np.random.default_rng(seed).normal(size=(count + 2, count)) + 0.5
    found = nearest_mixture(points)
    reference = nnls(np.vstack([points, np.ones(count)]), np.append(np.zeros(count + 2), 1.0))[0]
    np.testing.assert_allclose(found, reference / reference.sum(), atol=1e-8)
    assert found.min() >= 0.0


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_bbse_solves_what_can_be_solved(seed: int) -> None:
    random = np.random.default_rng(seed)
    table, balance = random.dirichlet(np.ones(4), 4).T + np.eye(4), random.dirichlet(np.ones(4))
    table = table / table.sum(axis=0)
    np.testing.assert_allclose(bbse_balance(table, table @ balance, np.full(4, 0.25)), balance, atol=1e-5)


def test_no_shift_is_no_shift() -> None:
    found = estimate_shift("ABC", *both(4, 300, 600, TRAIN), TRAIN, draws=60)
    for each in (found.em, found.bbse):
        np.testing.assert_allclose(each.balance, TRAIN, atol=0.08)
    assert found.mixture_p > 0.05
    assert any("no shift is shown" in warning for warning in found.warnings)
    assert not found.advised


def test_class_weights_are_read_off_the_validation_calls() -> None:
    """A model trained with balanced weights says posteriors of an even balance; the estimate is not fooled by it."""
    random = np.random.default_rng(5)
    even = np.full(3, 1 / 3)
    points, grades = drawn(random, 1500, TRAIN)
    validation, pool = Scored(said(points, even), grades), Scored(said(drawn(random, 1500, TARGET)[0], even))
    np.testing.assert_allclose(implied_balance(validation, TRAIN), even, atol=0.05)
    found = estimate_shift("ABC", validation, pool, TRAIN, draws=20)
    np.testing.assert_allclose(found.em.balance, TARGET, atol=0.06)
    assert found.advised
    assert any("class weights" in warning and "'C'" in warning for warning in found.warnings)


def test_few_validation_calls_leave_the_training_balance_as_it_is() -> None:
    one = Scored(np.array([[0.5, 0.3, 0.2]]), np.array([0]))
    np.testing.assert_allclose(implied_balance(one, TRAIN), TRAIN, atol=0.15)


def test_a_grade_that_the_pool_lacks() -> None:
    found = estimate_shift("ABC", *both(6, 300, 600, np.array([0.7, 0.3, 0.0])), TRAIN, draws=60)
    for each in (found.em, found.bbse):
        assert each.balance[2] < 0.06
        assert each.low[2] < 0.01


def test_a_grade_that_validation_lacks() -> None:
    validation, pool = both(7, 300, 300)
    kept = validation.grades != 2
    assert validation.grades is not None
    few = Scored(validation.probabilities[kept], validation.grades[kept])
    table = confusion(few)
    assert table[2].argmax() == 2  # what the model itself thinks such calls look like
    np.testing.assert_allclose(table.sum(axis=0), 1.0)
    found = estimate_shift("ABC", few, pool, TRAIN, draws=20)
    assert any("'C' (0)" in warning for warning in found.warnings)
    assert np.isfinite(found.bbse.balance).all()


def test_a_model_that_says_the_same_of_every_call() -> None:
    """Nothing can be told: EM stays where it starts, BBSE at the validation calls' balance, and a warning says so."""
    same = np.tile(TRAIN, (60, 1))
    grades = np.repeat([0, 1, 2], [36, 18, 6])
    found = estimate_shift("ABC", Scored(same, grades), Scored(same[:40]), TRAIN, draws=20)
    np.testing.assert_allclose(found.em.balance, TRAIN, atol=1e-3)
    np.testing.assert_allclose(found.bbse.balance, TRAIN, atol=1e-3)
    assert any("hardly tells some grades apart" in warning for warning in found.warnings)


def test_calls_that_differ_in_more_than_their_balance() -> None:
    """Points moved by half a deviation are no mixture of the three Gaussians, whatever the balance."""
    validation, pool = both(8, 400, 1000)
    points, _ = drawn(np.random.default_rng(9), 1000, TARGET)
    moved = Scored(said(points * 0.5 + 0.5))
    assert mixture_test(validation, moved) <= 0.01
    assert mixture_test(validation, pool) > 0.05
    found = estimate_shift("ABC", validation, moved, TRAIN, draws=40)
    assert any("no mixture" in warning for warning in found.warnings)


def test_segments_of_a_call_are_drawn_together() -> None:
    validation, pool = both(10, 60, 60)
    assert validation.grades is not None
    twice = Scored(
        np.repeat(validation.probabilities, 4, axis=0),
        np.repeat(validation.grades, 4),
        [str(at // 4) for at in range(240)],
    )
    alone = Scored(twice.probabilities, twice.grades)
    widths = [np.subtract(found.high, found.low).sum() for each in (twice, alone)
              for found in estimate_both(each, pool, TRAIN, draws=100)[2:]]  # fmt: skip
    assert widths[0] > widths[1]
    single = estimate_shift("ABC", validation, pool, TRAIN, draws=20)
    assert estimate_shift("ABC", twice, pool, TRAIN, draws=20).mixture_p == single.mixture_p, "one of each four"


def test_few_groups_are_no_test_of_the_assumption_and_no_advice() -> None:
    validation, pool = both(10, 60, 200)
    speakers = Scored(pool.probabilities, groups=[str(at % 3) for at in range(200)])
    found = estimate_shift("ABC", validation, speakers, TRAIN, draws=20)
    assert found.mixture_p is None
    assert any("fewer than 20 groups" in why for why in found.against)
    assert not found.advised
    said = [Said(f"call-{at}", "one", None, dict.fromkeys("ABC", 1 / 3)) for at in range(3)]
    scheme = LabelScheme(id="abc", grades=["A", "B", "C"], tasks={"grade": {g: [g] for g in "ABC"}})
    assert scored_of(scheme, said).groups == ["call-0", "call-1", "call-2"], "of one group calls are drawn"


def test_a_grade_that_was_never_heard_is_left_out_with_a_note() -> None:
    validation, pool = both(12, 100, 200)
    wider = [Scored(np.hstack([each.probabilities, np.zeros((len(each.probabilities), 1))]), each.grades)
             for each in (validation, pool)]  # fmt: skip
    found = estimate_shift("ABCD", wider[0], wider[1], np.append(TRAIN, 0.0), draws=20)
    alone = estimate_shift("ABC", validation, pool, TRAIN, draws=20)
    for mine, theirs in ((found.em, alone.em), (found.bbse, alone.bbse)):
        np.testing.assert_allclose(mine.balance, np.append(theirs.balance, 0.0), atol=1e-6)
    assert (found.implied[3], found.em.high[3]) == (0.0, 0.0)
    assert any("no call of grade 'D' was in training or validation" in note for note in found.notes)
    assert found.against == alone.against
    graded = np.append(validation.grades if validation.grades is not None else [], [3, 3])
    more = Scored(np.vstack([wider[0].probabilities, [[0.2, 0.3, 0.5, 0.0]] * 2]), graded.astype(np.int64))
    unlearnt = estimate_shift("ABCD", more, wider[1], np.append(TRAIN, 0.0), method="bbse", draws=20)
    assert any("training held no call of grade 'D'" in why for why in unlearnt.against)


def test_the_same_seed_gives_the_same() -> None:
    one, other = (estimate_shift("ABC", *both(11), TRAIN, draws=20).as_json() for _ in range(2))
    assert one == other
    assert sum(one["balance"].values()) == pytest.approx(1.0, abs=1e-5)
    assert all(low <= one["balance"][grade] <= high for grade, (low, high) in one["intervals"].items())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.array([[np.nan, 0.5, 0.5]]), "item 0 are no distribution"),
        (np.array([[0.2, 0.3, 0.5], [0.9, 0.9, 0.9]]), "item 1 are no distribution"),
        (np.array([[1.2, -0.1, -0.1]]), "item 0 are no distribution"),
        (np.zeros((0, 3)), "no scored call"),
    ],
)
def test_what_is_no_distribution_is_refused(wrong: Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Scored(wrong)


def test_grades_must_fit() -> None:
    with pytest.raises(DataError, match="do not belong"):
        Scored(np.array([[0.5, 0.5]]), np.array([2]))
