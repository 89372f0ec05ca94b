"""Run folders become rows: seeds and folds of one training together, anything else apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callsift.errors import DataError, UsageError
from callsift.evaluation.answered import read_rows, runs_in
from callsift.evaluation.seen import learnt_by
from callsift.evaluation.side_by_side import changed_settings
from tests.evaluation.runs import graded_run

CALLS = [("a", "A", "A"), ("b", "B", "D"), ("c", "E", "E")]


def through(items: Iterable[Any], total: int, what: str) -> Iterator[Any]:
    yield from items


def test_runs_that_differ_in_their_seed_alone_are_one_row(tmp_path: Path) -> None:
    runs = [
        graded_run(tmp_path / f"{name}-{seed}", CALLS, settings=[f"fit.seed={seed}", f"fit.epochs={epochs}"])
        for name, epochs in (("long", 20), ("short", 5))
        for seed in (2, 1)
    ]
    rows = read_rows(runs, "test", through)
    assert [(row.name, list(row.seeds), row.folders) for row in rows] == [
        ("long", [1, 2], tuple(runs[:2])),
        ("short", [1, 2], tuple(runs[2:])),
    ]
    answer = rows[0].seeds[1]["b", ""]
    assert (answer.label, answer.said.argmax()) == ("B", 3)
    assert answer.said == pytest.approx([0.05, 0.05, 0.05, 0.8, 0.05], abs=1e-4)


def test_a_run_named_twice_is_two_rows(tmp_path: Path) -> None:
    run = graded_run(tmp_path / "one", CALLS)
    assert [row.name for row in read_rows([run, run], "test", through)] == ["one", "one (2)"]


def test_folds_of_one_training_are_one_row(tmp_path: Path) -> None:
    """Their test calls are apart, and all parts together hold the same calls."""
    first = graded_run(tmp_path / "plain/fold-0", CALLS[:2], train=["c"])
    second = graded_run(tmp_path / "plain/fold-1", CALLS[2:], train=["a", "b"])
    other = graded_run(tmp_path / "other", CALLS, settings=["fit.epochs=3"])
    rows = read_rows([first, second, other], "test", through)
    assert [(row.name, sorted(call for call, _ in row.items)) for row in rows] == [
        ("fold", ["a", "b", "c"]),
        ("other", ["a", "b", "c"]),
    ]
    assert rows[0].leaked == frozenset()


def test_runs_on_other_transcripts_are_no_seeds_of_one_row(tmp_path: Path) -> None:
    """The same ids and settings, but another manifest: the transcripts may be another engine's."""
    runs = [
        graded_run(tmp_path / f"{data}-{seed}", CALLS, settings=[f"fit.seed={seed}"], sha256=data * 64)
        for data, seed in (("a", 1), ("a", 2), ("b", 3))
    ]
    rows = read_rows(runs, "test", through)
    assert [(list(row.seeds), row.data) for row in rows] == [([1, 2], ("a" * 64,)), ([3], ("b" * 64,))]
    assert changed_settings(rows)["data"] == {rows[0].name: "a" * 12, rows[1].name: "b" * 12}


def test_folds_may_have_a_manifest_each(tmp_path: Path) -> None:
    first = graded_run(tmp_path / "plain/fold-0", CALLS[:2], train=["c"], sha256="0")
    second = graded_run(tmp_path / "plain/fold-1", CALLS[2:], train=["a", "b"], sha256="1")
    other = graded_run(tmp_path / "other", CALLS, settings=["fit.epochs=3"])
    assert [len(row.folders) for row in read_rows([first, second, other], "test", through)] == [2, 1]


def test_a_study_is_its_rows(tmp_path: Path) -> None:
    for name, epochs in (("full", 20), ("no-context", 3)):
        for fold, calls in ((1, CALLS[:1]), (2, CALLS[1:])):
            for seed in (1, 2):
                trial = tmp_path / f"trials/{name}/fold-{fold}-seed-{seed}"
                graded_run(trial / "run", calls, settings=[f"fit.seed={seed}", f"fit.epochs={epochs}"],
                           train=[f"{fold}-{seed}"])  # fmt: skip
                (trial / "answer.json").write_text("{}")
    rows = read_rows([tmp_path], "test", through)
    assert [(row.name, list(row.seeds), len(row.folders), len(row.items)) for row in rows] == [
        ("full", [1, 2], 4, 3),
        ("no-context", [1, 2], 4, 3),
    ]
    assert len(runs_in(tmp_path / "trials/full")) == 4
    assert runs_in(tmp_path / "trials/full/fold-1-seed-1") == [tmp_path / "trials/full/fold-1-seed-1/run"]


def _trials(folder: Path, *rows: str) -> None:
    for epochs, row in enumerate(rows, start=3):
        graded_run(folder / f"trials/{row}/all-seed-1/run", CALLS, settings=[f"fit.epochs={epochs}"])
        (folder / f"trials/{row}/all-seed-1/answer.json").write_text("{}")


def test_rows_come_in_the_order_of_the_table(tmp_path: Path) -> None:
    """`results.json` of a benchmark comes first; rows of an earlier command, which it lacks, come last."""
    _trials(tmp_path / "bench", "a", "b", "c", "d")
    (tmp_path / "bench/study.json").write_text('{"reference": "a", "rows": {"a": []}, "configs": {"d": {}, "a": {}}}')
    (tmp_path / "bench/results.json").write_text('{"rows": {"c": {}, "b": {}}}')
    assert [row.name for row in read_rows([tmp_path / "bench"], "test", through)] == ["c", "b", "a", "d"]
    _trials(tmp_path / "study", "alone", "full", "less")
    (tmp_path / "study/study.json").write_text('{"reference": "full", "rows": {"less": [], "full": [], "alone": []}}')
    assert [row.name for row in read_rows([tmp_path / "study"], "test", through)] == ["full", "less", "alone"]


def test_a_training_of_a_study_that_failed_is_left_out(tmp_path: Path) -> None:
    """And it is said by which command it is made again: a study has no --resume."""
    _trials(tmp_path, "full", "less", "other")
    (tmp_path / "study.json").write_text('{"command": "callsift bench mosi -o x"}')
    (tmp_path / "trials/less/all-seed-1/run/result.json").unlink()
    told: list[str] = []
    rows = read_rows([tmp_path], "test", through, told.append)
    assert [row.name for row in rows] == ["full", "other"]
    assert told == [
        f"Left out of {tmp_path.name}, for not finished: 1 of 3 trainings (less/all-seed-1); give the command that "
        "made the study again (callsift bench mosi -o x): it goes on."
    ]
    for alone in ("trials/less", "trials/less/all-seed-1", "trials/less/all-seed-1/run"):
        with pytest.raises(DataError, match=r"no training that finished; give the command .*callsift bench mosi -o x"):
            read_rows([tmp_path / alone, tmp_path / "trials/full"], "test", through)


def test_every_row_has_a_name_of_its_own(tmp_path: Path) -> None:
    """Also where a folder is called as the second of two others would be."""
    runs = [graded_run(tmp_path / path, CALLS) for path in ("x/one (2)", "y/one", "z/one", "z/one two")]
    names = [row.name for row in read_rows(runs, "test", through)]
    assert names == ["one (2)", "one", "one (3)", "one two"]


def test_what_is_learned_before_counts_too_and_a_ring_of_starts_ends(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    graded_run(one, CALLS, train=["x", "a"], started_from=two)
    graded_run(two, CALLS, train=["y"], started_from=one)
    assert learnt_by(two) == {"a", "x", "y"}
    rows = read_rows([two, graded_run(tmp_path / "three", CALLS, settings=["fit.epochs=3"])], "test", through)
    assert [row.leaked for row in rows] == [{"a"}, frozenset()]


def test_unlabelled_calls_are_left_out_and_one_answered_twice_is_refused(tmp_path: Path) -> None:
    run = graded_run(tmp_path / "one", [*CALLS, ("d", "", "A")])
    other = graded_run(tmp_path / "two", [CALLS[0], CALLS[0]])
    rows = read_rows([run, run], "test", through)
    assert rows[0].items == {("a", ""), ("b", ""), ("c", "")}
    with pytest.raises(DataError, match="answers call 'a' twice"):
        read_rows([run, other], "test", through)


def test_what_is_no_finished_run_is_said(tmp_path: Path) -> None:
    run = graded_run(tmp_path / "one", CALLS)
    begun = graded_run(tmp_path / "begun", CALLS)
    (begun / "result.json").unlink()
    (tmp_path / "empty").mkdir()
    unlabelled = graded_run(tmp_path / "unlabelled", [("a", "", "A")])
    for other, why in (
        (tmp_path / "absent", "is not there"),
        (tmp_path / "empty", "is not a run, and holds none"),
        (begun, "did not finish"),
        (unlabelled, "holds no labelled test calls"),
        (
            graded_run(tmp_path / "val", CALLS, split="val"),
            "holds no predictions on the test split; compare by --split val",
        ),
    ):
        with pytest.raises(DataError, match=why):
            read_rows([run, other], "test", through)


def test_one_row_is_no_comparison(tmp_path: Path) -> None:
    runs = [graded_run(tmp_path / f"one-{seed}", CALLS, settings=[f"fit.seed={seed}"]) for seed in (1, 2)]
    with pytest.raises(UsageError, match="at least two rows, and one run was given"):
        read_rows(runs[:1], "test", through)
    with pytest.raises(UsageError, match="no two of them differ in more than their seed"):
        read_rows(runs, "test", through)
