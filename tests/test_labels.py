"""Label schemes: what a label allows, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsift.errors import ConfigError, DataError
from callsift.labels import SHIPPED, load_scheme

SCHEME = load_scheme("marketcalls")


def test_the_papers_four_tasks() -> None:
    assert SCHEME.class_counts == {"five": 5, "four": 4, "three": 3, "two": 2}
    assert [SCHEME.class_of(task, "D") for task in SCHEME.tasks] == ["D", "DE", "DE", "DE"]
    assert [SCHEME.class_of(task, "B") for task in SCHEME.tasks] == ["B", "B", "BC", "ABC"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_schemes_load(name: str) -> None:
    scheme = load_scheme(name)
    assert scheme.id == name
    assert set(scheme.descriptions) == set(scheme.grades)


@given(st.sets(st.sampled_from(SCHEME.grades), min_size=1))
def test_a_set_allows_exactly_the_classes_that_hold_one_of_it(grades: set[str]) -> None:
    allowed = SCHEME.allowed(tuple(grades))
    for task, classes in SCHEME.tasks.items():
        expected = [bool(grades & set(members)) for members in classes.values()]
        assert allowed[task].tolist() == expected


def test_a_coarse_label_settles_the_coarse_task_alone() -> None:
    label = ("A", "B", "C")
    assert SCHEME.class_of("two", label) == "ABC"
    assert SCHEME.class_of("five", label) is None


@pytest.mark.parametrize("label", ["F", ("A", "F"), 1.5])
def test_a_label_outside_the_scheme_is_named(label: object) -> None:
    with pytest.raises(DataError, match="is not a grade of scheme 'marketcalls'"):
        SCHEME.grade_set(label)  # type: ignore[arg-type]


def _scheme(**changes: object) -> dict[str, object]:
    return {"id": "s", "grades": ["x", "y"], "tasks": {"t": {"x": ["x"], "y": ["y"]}}, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grades": ["x"]}, "at least two"),
        ({"tasks": {"t": {"x": ["x"]}}}, "exactly one class"),
        ({"tasks": {"t": {"both": ["x", "y"]}}}, "tell all of"),
        ({"positive": ["z"]}, "unknown grades"),
        ({"worth": {"x": 1.0}}, "missing"),
        ({"colour": "red"}, "Extra inputs"),
        ({"tasks": {"t": {"x": ["x", "y"], "y": []}}}, "no class may be empty"),
        ({"positive": ["x", "x"]}, "twice"),
        ({"kind": "classes", "worth": {"x": 1.0, "y": 0.0}}, "no order"),
        ({"tasks": {"a.b": {"x": ["x"], "y": ["y"]}}}, "plain words"),
        ({"tasks": {"items": {"x": ["x"], "y": ["y"]}}}, "plain words"),
    ],
)
def test_inconsistent_schemes_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_scheme(_scheme(**changes))


def test_a_scheme_of_ones_own_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("id: mine\ngrades: [hot, cold]\ntasks: {t: {hot: [hot], cold: [cold]}}\n")
    scheme = load_scheme(str(path))
    assert scheme.grades == ("hot", "cold")
    assert np.array_equal(scheme.membership("t"), np.eye(2, dtype=bool))
    with pytest.raises(ConfigError, match="neither one of"):
        load_scheme(str(tmp_path / "absent.yaml"))
