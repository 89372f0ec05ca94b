"""Rows of runs side by side: the figures, the tests, and what can't be compared."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callsift.errors import DataError, UsageError
from callsift.evaluation.answered import read_rows
from callsift.evaluation.side_by_side import SideBySide, side_by_side
from callsift.evaluation.side_by_side_notes import paired
from callsift.evaluation.side_by_side_page import as_html, findings
from callsift.evaluation.side_by_side_report import as_csv, as_json, as_markdown
from tests.evaluation.runs import SCHEME, graded_run, number_run
from tests.evaluation.test_answered import through

MADE = {"callsift": "0", "date": "2026-01-01", "command": "callsift compare <a> b"}


def _answers(right: Sequence[int], calls: int = 40, seed: int = 0) -> list[tuple[str, str, str]]:
    """Calls whose grade is said rightly where their number is in `right`, else the one after it."""
    grades = [SCHEME.grades[at] for at in np.random.default_rng(seed).integers(0, 5, calls)]
    after = dict(zip(SCHEME.grades, (*SCHEME.grades[1:], SCHEME.grades[0]), strict=True))
    return [(f"call-{at:02}", grade, grade if at in right else after[grade]) for at, grade in enumerate(grades)]


def _compared(*runs: Path, **options: Any) -> SideBySide:
    return side_by_side(read_rows(runs, "test", through), "test", through, **{"draws": 100, **options})


def test_a_run_beside_itself_differs_by_nothing(tmp_path: Path) -> None:
    run = graded_run(tmp_path / "run", _answers(range(20)))
    found = _compared(run, run)
    assert {figure.metric for figure in found.figures} == {"accuracy", "macro_f1", "auroc", "ece", "brier"}
    for figure in found.figures:
        one, other = figure.cells
        assert (one.difference, one.tested) == (None, None)
        assert one.figure == other.figure
        assert other.difference is not None
        assert (other.difference.value, other.difference.low, other.difference.high) == (0, 0, 0)
        assert other.tested is None or (other.tested.p, other.p_adjusted) == (1, 1)
    assert found.settings == {}


def test_figures_are_means_over_seeds_and_a_difference_is_tested(tmp_path: Path) -> None:
    """20 and 24 of 40 right with one row's seeds, 36 with the other's: accuracies 0.55 ± 0.0707 (the standard deviation
    of 0.5 and 0.6) and 0.9. Of the 16 or 12 calls that differ all favour one row."""
    runs = [graded_run(tmp_path / f"weak-{seed}", _answers(range(20 + 4 * (seed - 1))), settings=[f"fit.seed={seed}"])
            for seed in (1, 2)]  # fmt: skip
    runs += [graded_run(tmp_path / f"good-{seed}", _answers(range(36)), settings=[f"fit.seed={seed}", "fit.epochs=7"])
             for seed in (1, 2)]  # fmt: skip
    found = _compared(*runs, metrics=["accuracy", "uar"], task="five")
    accuracy, uar = found.figures
    weak, good = accuracy.cells
    assert (weak.row, good.row, found.reference) == ("weak", "good", "weak")
    assert weak.figure.value == pytest.approx(0.55)
    assert weak.sd == pytest.approx(np.std([0.5, 0.6], ddof=1))
    assert weak.seeds == pytest.approx({1: 0.5, 2: 0.6})
    assert good.difference is not None
    assert good.difference.value == pytest.approx(0.35)
    assert good.difference.low > 0.15
    assert good.tested is not None
    assert good.tested.p < 0.001
    assert (good.pairs, uar.task) == (2, "five")
    assert found.settings == {"fit.epochs": {"weak": 20, "good": 7}}
    turned = _compared(*runs, metrics=["accuracy"], task="five", reference="good").figures[0].cells[0]
    assert turned.difference is not None
    assert turned.difference.value == pytest.approx(-0.35)


def test_holm_corrects_over_the_rows(tmp_path: Path) -> None:
    runs = [graded_run(tmp_path / f"r{right}", _answers(range(right)), settings=[f"fit.epochs={right}"])
            for right in (20, 30, 26)]  # fmt: skip
    _, one, other = _compared(*runs, metrics=["accuracy"], task="five").figures[0].cells
    assert one.tested is not None
    assert other.tested is not None
    assert one.tested.p < other.tested.p
    assert one.p_adjusted == pytest.approx(2 * one.tested.p)
    assert other.p_adjusted == pytest.approx(max(2 * one.tested.p, other.tested.p))


def test_groups_are_drawn_where_there_are_enough_of_them(tmp_path: Path) -> None:
    answers = _answers(range(20))
    for count, drawn in ((10, "group"), (5, "call")):
        groups = {call: f"g{at % count}" for at, (call, *_) in enumerate(answers)}
        run = graded_run(tmp_path / f"in-{count}", answers, groups=groups)
        found = _compared(run, run, metrics=["accuracy"], task="five")
        assert (found.drawn, found.groups) == (drawn, count)
        units = found.figures[0].cells[1].tested
        assert units is not None
        assert units.units == (count if drawn == "group" else 40)
        assert any("too few to draw" in note for note in found.notes) == (drawn == "call")


def test_other_items_are_refused_and_the_shared_ones_compared_on_demand(tmp_path: Path) -> None:
    answers = _answers(range(20))
    one = graded_run(tmp_path / "one", answers)
    other = graded_run(tmp_path / "other", answers[3:], settings=["fit.epochs=3"], train=["call-00"])
    with pytest.raises(
        DataError, match=r"row 'other' has no answer to call 'call-00', which it learned from; 37 of 40 .*--shared"
    ):
        _compared(one, other)
    found = _compared(one, other, shared=True, metrics=["accuracy"], task="two")
    assert (found.items, found.figures[0].items) == (37, 37)
    strange = graded_run(tmp_path / "strange", [("else", "A", "A")], settings=["fit.epochs=3"])
    with pytest.raises(DataError, match="no item in common"):
        _compared(one, strange, shared=True)


def test_other_labels_or_another_scheme_are_refused(tmp_path: Path) -> None:
    one = graded_run(tmp_path / "one", [("a", "A", "A"), ("b", "B", "B")])
    other = graded_run(tmp_path / "other", [("a", "A", "A"), ("b", "C", "B")], settings=["fit.epochs=3"])
    with pytest.raises(DataError, match="call 'b' has label 'B' in row 'one' and 'C' in 'other'"):
        _compared(one, other)
    number = number_run(tmp_path / "number", [("a", 1.0, 1.0), ("b", 2.0, 1.0)])
    with pytest.raises(DataError, match=r"row 'number' answers by label scheme 'mood' \(numbers -3 to 3\)"):
        _compared(one, number)


def test_a_row_that_learned_other_tasks_is_judged_by_its_grades(tmp_path: Path) -> None:
    answers = _answers(range(20))
    tasks = {"five": {grade: [grade] for grade in SCHEME.grades}}
    alone = {**SCHEME.model_dump(mode="json"), "tasks": tasks}
    one, other = graded_run(tmp_path / "one", answers), tmp_path / "alone"
    graded_run(other, answers, settings=[f"labels={json.dumps(alone)}"])
    found = _compared(one, other, metrics=["accuracy"])
    assert [figure.task for figure in found.figures] == list(SCHEME.tasks)
    assert all(figure.cells[0].figure.value == figure.cells[1].figure.value for figure in found.figures)
    assert "Row 'alone' learned other tasks; its grades answer those of 'one'." in found.notes
    assert list(found.settings) == ["labels"]


def test_unequal_seeds_are_paired_where_they_can_be_and_that_is_said(tmp_path: Path) -> None:
    assert paired([1, 2, 3], [3, 2]) == [(2, 2), (3, 3)]
    assert paired([4, 5], [1, 2, 3]) == [(4, 1), (5, 2)]
    answers = _answers(range(20))
    runs = [graded_run(tmp_path / f"one-{seed}", answers, settings=[f"fit.seed={seed}"]) for seed in (1, 2)]
    other = graded_run(tmp_path / "other", answers, settings=["fit.seed=5", "fit.epochs=3"])
    found = _compared(*runs, other, metrics=["accuracy"], task="five")
    assert found.figures[0].cells[1].pairs == 1
    assert [note.partition(":")[0] for note in found.notes] == [
        "Row 'other' has seeds 5 and 'one' 1, 2",
        "Rows 'other' and 'one' have no seed in common",
    ]


def test_a_run_that_learned_from_what_it_is_asked_is_warned_of(tmp_path: Path) -> None:
    answers = _answers(range(20))
    first = graded_run(tmp_path / "first", answers, train=["call-03"])
    one = graded_run(tmp_path / "one", answers, settings=["fit.epochs=2"], started_from=first)
    clean = graded_run(tmp_path / "clean", answers)
    notes = _compared(clean, one, metrics=["accuracy"], task="five").notes
    assert len(notes) == 1
    assert notes[0].startswith("Warning: row 'one' learned from 1 of these calls ('call-03' is the first)")


def test_what_few_calls_show_is_no_difference(tmp_path: Path) -> None:
    """Five of forty calls tell two rows apart, all for one: p is 2 / 2⁵ = 0.0625, so the interval must hold 0; of six
    it is 0.03. Of one call alone nothing can be said, and that is said."""
    for better, holds in ((5, True), (6, False)):
        weak = graded_run(tmp_path / f"weak-{better}", _answers(range(20)))
        good = graded_run(tmp_path / f"good-{better}", _answers(range(20 + better)), settings=["fit.epochs=3"])
        cell = _compared(weak, good, metrics=["accuracy"], task="five", draws=1000).figures[0].cells[1]
        assert cell.difference is not None
        assert cell.tested is not None
        assert (cell.difference.low <= 0, cell.tested.p >= 0.05) == (holds, holds)
    one = graded_run(tmp_path / "one", [("a", "A", "A")])
    other = graded_run(tmp_path / "other", [("a", "A", "E")], settings=["fit.epochs=3"])
    found = _compared(one, other, metrics=["accuracy"], task="five")
    cell = found.figures[0].cells[1]
    assert cell.difference is not None
    assert cell.tested is not None
    assert (cell.difference.value, cell.difference.low, cell.difference.high, cell.tested.p) == (-1, -1, 0, 1)
    assert any(note.startswith("Of 1 call nothing can be shown") for note in found.notes)
    assert as_markdown(found, MADE).splitlines()[4].startswith("1 call, split test.")


def test_rows_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    right = {"x/one (2)": 10, "y/one": 20, "z/one": 30}
    runs = [graded_run(tmp_path / path, _answers(range(count))) for path, count in right.items()]
    cells = _compared(*runs, metrics=["accuracy"], task="five").figures[0].cells
    assert [cell.figure.value for cell in cells] == [0.25, 0.5, 0.75]


def test_why_rows_share_nothing_is_said(tmp_path: Path) -> None:
    other = graded_run(tmp_path / "other", [("c", "A", "A")], settings=["fit.epochs=3"])
    seeds = [graded_run(tmp_path / f"one-{seed}", [(call, "A", "A")], settings=[f"fit.seed={seed}"], train=[train])
             for seed, call, train in ((1, "a", "b"), (2, "b", "a"))]  # fmt: skip
    with pytest.raises(DataError, match="the seeds of row 'one' were themselves tested on different calls"):
        _compared(*seeds, other, shared=True)
    by_segment = graded_run(tmp_path / "by-segment", [("c", "A", "A")])
    path = by_segment / "predictions/test.csv"
    path.write_text(path.read_text().replace("c,,,", "c,s1,,"))
    with pytest.raises(DataError, match="row 'other' answers for calls, row 'by-segment' answers for segments"):
        _compared(other, by_segment)


def test_why_a_metric_says_nothing_is_said(tmp_path: Path) -> None:
    run = graded_run(tmp_path / "run", _answers(range(20)))
    with pytest.raises(DataError, match="AUROC of buyers: it is asked of task 'five' alone"):
        _compared(run, run, metrics=["auroc"], task="two")
    no_buyer = graded_run(tmp_path / "no-buyer", [(f"c{at}", "E", "D") for at in range(8)])
    with pytest.raises(DataError, match="AUROC of buyers: it needs a label that is a buyer's, and one that is not"):
        _compared(no_buyer, no_buyer, metrics=["auroc"])
    notes = _compared(no_buyer, no_buyer).notes
    assert "No AUROC of buyers: it needs a label that is a buyer's, and one that is not." in notes


def test_a_task_that_few_groups_settle_is_tested_by_call(tmp_path: Path) -> None:
    """Of 40 calls in ten groups only the eight of two groups have a label that settles the finest task."""
    answers = _answers(range(20))
    groups = {call: f"g{at // 4}" for at, (call, *_) in enumerate(answers)}
    coarse = [(call, label if at < 8 else "A/B/C" if label in "ABC" else "D/E", said)
              for at, (call, label, said) in enumerate(answers)]  # fmt: skip
    run = graded_run(tmp_path / "run", coarse, groups=groups)
    found = _compared(run, run, metrics=["accuracy"])
    units = {figure.task: figure.cells[1].tested.units for figure in found.figures if figure.cells[1].tested}
    assert (found.drawn, units["five"], units["two"]) == ("group", 8, 10)
    assert any(note.startswith("Labels settle five for 2 groups alone") for note in found.notes)


def test_what_is_left_out_and_other_buyers_are_said(tmp_path: Path) -> None:
    answers = _answers(range(20))
    one = graded_run(tmp_path / "one", answers)
    more = {**SCHEME.model_dump(mode="json"), "positive": ["A"]}
    other = graded_run(tmp_path / "other", answers[3:], settings=[f"labels={json.dumps(more)}"])
    notes = _compared(one, other, shared=True, metrics=["accuracy"], task="two").notes
    assert notes == (
        "Row 'other' calls other grades buyers; those of 'one' count.",
        "3 of 40 items are left out: not every row answered them.",
    )


def test_what_the_page_says_in_short(tmp_path: Path) -> None:
    runs = [graded_run(tmp_path / name, _answers(range(right)), settings=[f"fit.epochs={right}"])
            for name, right in (("weak", 20), ("good", 36), ("alike", 19))]  # fmt: skip
    first, good, alike = findings(_compared(*runs, metrics=["accuracy"], task="five"))
    assert first.rest.endswith("which the others are compared with.")
    assert (good.kind, good.verdict) == ("better", "Better than weak, and hardly by chance.")
    assert (alike.kind, alike.verdict) == ("open", "Not shown to differ from weak.")
    brier = list(findings(_compared(*runs, metrics=["brier"], reference="good")))
    assert [each.kind for each in brier] == ["worse", "open", "worse"]
    assert list(findings(_compared(*runs, metrics=["ece"])))[1].verdict == "Not tested."


def test_numbers_have_their_own_metrics(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).uniform(-3, 3, 30)
    near = number_run(tmp_path / "near", [(f"c{at}", y, y + 0.1) for at, y in enumerate(labels)])
    far = number_run(tmp_path / "far", [(f"c{at}", y, -y) for at, y in enumerate(labels)], settings=["fit.epochs=3"])
    found = {figure.metric: figure for figure in _compared(near, far).figures}
    assert list(found) == ["mean_absolute_error", "correlation", "acc2_non0"]
    error, agreement = found["mean_absolute_error"], found["correlation"]
    assert error.less_is_better
    assert not agreement.less_is_better
    assert error.cells[0].figure.value == pytest.approx(np.mean(np.minimum(labels + 0.1, 3) - labels), abs=1e-6)
    assert agreement.cells[1].figure.value == pytest.approx(-1)


def test_what_is_undefined_is_left_out_and_said(tmp_path: Path) -> None:
    """Labels that are all 0 have no sign, and nothing to correlate with."""
    run = number_run(tmp_path / "run", [(f"c{at}", 0.0, 0.5) for at in range(8)])
    found = _compared(run, run)
    assert "acc2_non0" not in {figure.metric for figure in found.figures}
    assert any(note.startswith("No Acc2 non0 of value: ") for note in found.notes)


def test_unknown_names_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    run = graded_run(tmp_path / "one", _answers(range(20)))
    for options, why in (
        ({"metrics": ["speed"]}, r"--metrics speed: .* compared by accuracy, macro_f1, .*quadratic_kappa, auroc"),
        ({"task": "six"}, "--task six: label scheme 'marketcalls' has five, four, three, two"),
        ({"reference": "walk"}, r"--reference walk: the rows are one, one \(2\)"),
    ):
        with pytest.raises(UsageError, match=why):
            _compared(run, run, **options)


def test_what_is_written(tmp_path: Path) -> None:
    answers = _answers(range(20))
    runs = [graded_run(tmp_path / "one", answers), graded_run(tmp_path / "<b>", answers, settings=["fit.epochs=3"])]
    found = _compared(*runs, metrics=["accuracy", "ece"], task="five")
    plain = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert plain["figures"][0]["rows"]["<b>"]["test"]["p"] == 1
    assert plain["figures"][0]["rows"]["one"]["seeds"] == {"1": 0.5}
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [(row["metric"], row["row"], row["value"] != "", row["p"]) for row in rows] == [
        ("accuracy", "one", True, ""),
        ("accuracy", "<b>", True, "1.0"),
        ("ece", "one", True, ""),
        ("ece", "<b>", True, ""),
    ]
    text = as_markdown(found, MADE)
    assert re.search(r"\| five \| accuracy \| one \| 1 \| 0\.500 \[0\.\d+, 0\.\d+\] \| – \| – \| – \|", text)
    assert "| fit.epochs | 20 | 3 |" in text
    page = as_html(found, MADE)
    assert page.count("<svg") == 2
    assert "default-src 'none'" in page
    assert "<b>" not in page
    assert "callsift compare &lt;a&gt; b" in page
    assert not re.search(r"<script|(?:src|href)=", page)
