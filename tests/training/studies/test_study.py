"""The trainings of a study: made once, gone on with, and named where they fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from callsift.files import read_json
from callsift.training.studies.answers import read_answer
from callsift.training.studies.plan import Design, Study, divided
from callsift.training.studies.study import run_study
from tests.training.dialogues import dialogues
from tests.training.studies.designs import TWO


def test_answers_are_those_of_the_run_itself(study: Study) -> None:
    for job in study.jobs:
        answer = read_answer(study.folder_of(job))
        if job.row.name == "broken":
            assert answer is None
            continue
        assert answer is not None
        parts = divided(dialogues(), TWO, job.fold, job.seed, job.row.config.fit.validation)
        assert sorted(item.call_id for item in answer.items) == sorted(c.call_id for c in parts if c.split == "test")
        right = [max(item.said, key=item.said.__getitem__) == item.label for item in answer.items]  # type: ignore
        figures = read_json(study.folder_of(job) / "run/result.json")["figures"]["test"]["combined"]["donated"]
        assert sum(right) / len(right) == pytest.approx(figures["accuracy"]["value"])
        assert all(sum(item.said.values()) == pytest.approx(1, abs=1e-5) for item in answer.items)  # type: ignore
        assert {item.group for item in answer.items} == {call.group for call in parts if call.split == "test"}
        assert not (study.folder_of(job) / "run/checkpoints").exists()


def test_a_stopped_study_goes_on_and_makes_nothing_twice(study: Study) -> None:
    first, second = study.jobs[:2]
    kept, lost = (study.folder_of(job) / "answer.json" for job in (first, second))
    before, lost_before = kept.stat().st_mtime_ns, read_json(lost)
    lost.unlink()
    (lost.parent / "run/result.json").unlink()
    (lost.parent / "error.txt").write_text("of an earlier attempt")
    run_study(replace(study, rows=study.rows[:1]), keep_weights=True)
    assert kept.stat().st_mtime_ns == before
    assert read_json(lost)["items"] == lost_before["items"]
    assert [path.name for path in (lost.parent / "run/checkpoints").iterdir()] == ["best"]
    assert not (lost.parent / "error.txt").exists()


def test_a_mistake_in_the_code_leaves_its_traceback(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr("callsift.training.studies.trial.make_answer", broken)
    failed = run_study(replace(study, folder=tmp_path, rows=study.rows[:1], design=Design(3, (1,), (1,))))
    where = "trials/full/fold-1-seed-1/error.txt"
    assert failed == {"full, fold 1, seed 1": f"unexpected ZeroDivisionError: by nought (where it happened: {where})"}
    assert "in broken" in (tmp_path / where).read_text()
