"""Figures per task: which items count, which metrics are given, and what a terminal is shown."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from sklearn.metrics import classification_report, cohen_kappa_score

from callsift.benchmarks.written import figure_text
from callsift.decision import Verdict
from callsift.evaluation import side_by_side_words
from callsift.evaluation.metrics import CLASS_METRICS, Interval
from callsift.evaluation.report.cells import cell
from callsift.evaluation.tasks import figures_by_task, figures_of, figures_of_numbers, metrics_of, table_of
from callsift.labels import LabelScheme, load_scheme
from callsift.training.studies import report

MARKET = load_scheme("marketcalls")
MOOD = load_scheme({"id": "m", "kind": "classes", "grades": ["a", "b", "c"],
                    "tasks": {"mood": {"a": ["a"], "b": ["b"], "c": ["c"]}}})  # fmt: skip


def _range(low: float, high: float) -> LabelScheme:
    return load_scheme({"id": "n", "kind": "number", "range": [low, high]})


def test_figures_count_only_what_a_label_settles() -> None:
    scheme = MARKET
    even = {task: dict.fromkeys(classes, 1 / len(classes)) for task, classes in scheme.tasks.items()}
    sure = {task: {name: float("A" in members) for name, members in c.items()} for task, c in scheme.tasks.items()}
    found = figures_by_task(scheme, ["A", ("A", "B", "C"), ("D", "E")], [sure, sure, even], draws=50)
    # "A" alone settles task five, "A" and "D or E" the next two: of one class only, five says nothing.
    assert [found[task]["calls"] for task in scheme.tasks] == [0, 2, 2, 3]
    assert found["two"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["two"]["majority"]["accuracy"]["value"] == pytest.approx(2 / 3)
    mostly_de = {"A": 0.1, "B": 0.1, "C": 0.1, "D": 0.3, "E": 0.4}
    found = figures_by_task(scheme, ["A", "A", "E"], [sure, sure, even], train_balance=mostly_de, draws=50)
    assert found["two"]["majority"]["accuracy"]["value"] == pytest.approx(1 / 3)
    head, rows = table_of(found)
    assert head[:3] == ("task", "calls", "accuracy")
    assert [row[0] for row in rows] == list(scheme.tasks)
    assert set(CLASS_METRICS) <= set(found["two"])


def test_figures_of_every_class_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels = list(random.choice(list("ABCE"), 40))  # no D
    said = random.random((40, 5))
    found = figures_by_task(MARKET, labels, [{"five": dict(zip("ABCDE", row, strict=True)), **_coarse(row)}
                                             for row in said], draws=10)["five"]  # fmt: skip
    answers = ["ABCDE"[at] for at in said.argmax(axis=1)]
    known = classification_report(labels, answers, labels=list("ABCDE"), output_dict=True, zero_division=0)
    for grade in "ABCDE":
        mine = found["per_class"][grade]
        assert mine == {
            "precision": pytest.approx(known[grade]["precision"]),
            "recall": pytest.approx(known[grade]["recall"]),
            "f1": pytest.approx(known[grade]["f1-score"]),
            "support": known[grade]["support"],
        }
    assert found["confusion"]["classes"] == list("ABCDE")
    counts = np.array(found["confusion"]["counts"])
    assert counts.sum(axis=1).tolist() == [labels.count(grade) for grade in "ABCDE"]
    assert counts.sum(axis=0).tolist() == [answers.count(grade) for grade in "ABCDE"]
    kappa = cohen_kappa_score(labels, answers, labels=list("ABCDE"), weights="quadratic")
    assert found["quadratic_kappa"]["value"] == pytest.approx(kappa)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def _coarse(row: np.ndarray) -> dict[str, dict[str, float]]:
    """The other tasks' answers, all the same: only the finest is looked at."""
    return {task: dict.fromkeys(classes, 0.0) for task, classes in MARKET.tasks.items() if task != "five"}


def test_only_metrics_that_say_something_are_given() -> None:
    assert "quadratic_kappa" in metrics_of(MARKET)
    assert "quadratic_kappa" not in metrics_of(MOOD)
    plain = ["mean_absolute_error", "correlation"]
    two = ["acc2_has0", "f1_has0", "acc2_non0", "f1_non0"]
    for (low, high), expected in (
        ((-3, 3), [*plain, *two, "acc5", "acc7"]),
        ((-2, 2), [*plain, *two, "acc5"]),
        ((-1, 1), [*plain, *two]),
        ((0, 5), plain),
        ((-1, 3), plain),
    ):
        assert list(metrics_of(_range(low, high))) == expected


def test_what_has_no_answer_is_left_out_and_shown_as_a_dash() -> None:
    """Calls that are all D, and all taken for D: no kappa. Numbers that are all 0: no Acc2 without zeros."""
    sure = {"mood": {"a": 0.0, "b": 1.0, "c": 0.0}}
    alike = {task: {name: float("D" in members) for name, members in c.items()} for task, c in MARKET.tasks.items()}
    found = figures_by_task(MARKET, ["D", "D"], [alike, alike], draws=10)
    assert "quadratic_kappa" not in found["five"]
    assert found["five"]["uar"]["value"] == 1.0
    numbers = figures_of_numbers(_range(-3, 3), [0.0, 0.0], [0.5, -0.5], draws=10)
    assert "acc2_non0" not in numbers["value"]
    assert numbers["value"]["acc2_has0"]["value"] == 0.5
    json.dumps([found, numbers], allow_nan=False)
    head, rows = table_of(
        {"mood": figures_by_task(MOOD, ["b", "b"], [sure, sure], draws=10)["mood"], "x": {"calls": 0}}
    )
    assert rows[1] == ("x", "0", *["–"] * (len(head) - 2))


def test_one_number_alone_has_no_interval() -> None:
    """Drawn anew it is always the same: bounds would promise what nobody knows. A share of one has Wilson's."""
    found = figures_of_numbers(_range(-3, 3), [1.0], [0.591])
    _, (row,) = table_of(found)
    assert row[:3] == ("value", "1", "0.409")
    assert "[" in row[4]
    figure = found["value"]["mean_absolute_error"]
    assert cell(figure) == {"value": "0.409", "interval": ""}
    assert figure_text(figure) == "0.409"
    assert side_by_side_words.shown(Interval(**figure)) == report.shown(Interval(**figure)) == "0.409"
    wide = Interval(0.409, 0.3, 0.5)
    assert side_by_side_words.shown(wide) == report.shown(wide) == figure_text(asdict(wide)) == "0.409 [0.300, 0.500]"


def test_a_table_fits_a_terminal() -> None:
    """Five columns of figures at most: four metrics, and the first one of a constant answer."""
    verdicts = [Verdict(None, None, value, {}, {}, value) for value in (0.5, -1.0, 2.0)]
    numbers = figures_of(_range(-3, 3), [1.0, -1.0, 3.0], verdicts)
    head, rows = table_of(numbers["combined"])
    assert head == ("task", "calls", "MAE", "correlation", "Acc2 non0", "Acc7", "majority MAE")
    assert rows[0][:3] == ("value", "3", "0.500 [0.000, 1.000]")
    even = {"mood": {"a": 0.4, "b": 0.3, "c": 0.3}}
    head, rows = table_of(figures_by_task(MOOD, ["a", "b"], [even, even], draws=10))
    assert head == ("task", "calls", "accuracy", "macro F1", "weighted F1", "UAR", "majority accuracy")
    assert {len(row) for row in rows} == {7}
