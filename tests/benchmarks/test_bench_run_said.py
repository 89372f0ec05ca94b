"""What a run says of itself: what was drawn anew, which code trained it, what was learned first, and how few calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callsift.benchmarks.benchmark import Row
from callsift.benchmarks.plan import Wanted, plan
from callsift.benchmarks.written import notes_of
from callsift.data.manifest import read_manifest
from tests.benchmarks.clips_made import make_nemo
from tests.benchmarks.test_bench_run import earlier, made_benchmark, read
from tests.cli.commands import refusal


def results(groups: int, commit: str = "a") -> dict[str, Any]:
    """Of twenty test items of so many groups, as `results.json` holds them."""
    settings = ["fit.epochs=1", f"labels={'x' * 99}"]
    before = {"calls": 9, "groups": 3, "sha256": "f" * 64, "settings": settings}
    row = {"groups": groups, "items": 20, "figures": {}, "before": before}
    return {
        "rows": {"text": row}, "design": {"seeds": [1, 2]}, "metrics": ["accuracy"], "tested_on": "5 folds",
        "commit": commit, "left_out": {}, "data": {"absent": []}, "baseline_notes": [], "notes": [],
    }  # fmt: skip


@pytest.mark.parametrize(("groups", "drawn"), [(1, "calls"), (5, "calls"), (6, "groups"), (20, "calls")])
def test_groups_are_drawn_anew_where_there_are_six_and_fewer_than_items(groups: int, drawn: str) -> None:
    """As `evaluation.metrics.draws_groups` draws them."""
    notes = "\n".join(notes_of(results(groups)))
    assert f"95 % intervals, {drawn} and seeds drawn anew" in notes
    assert ("too few for a test by group" in notes) == (groups < 6)


def test_several_commits_and_the_settings_of_what_was_learned_first_are_said() -> None:
    notes = "\n".join(notes_of(results(6, "1111111, 2222222+")))
    assert "Trained at commits 1111111, 2222222+: the code had changed between these trainings." in notes
    assert f"(data {'f' * 12}), with fit.epochs=1, another labels." in notes
    assert "Trained at commits" not in "\n".join(notes_of(results(6)))


def test_a_try_learns_few_calls_first(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    made_here = made_benchmark(rows=(Row("first", "after other calls", pretrain=earlier),))
    planned = plan(made_here, read(tmp_path, tmp_path), tmp_path, tmp_path / "out", Wanted(few=15))
    before = planned.study.rows[0].before
    assert before is not None
    found = before.calls(frozenset({"g0"}))
    assert len(found) == 15
    assert {call.group for call in found} == {"g1", "g2", "g3"}


def test_a_manifest_alone_takes_few_and_refuses_what_says_how_to_train(tmp_path: Path) -> None:
    given = ["bench", "nemo", "--data", make_nemo(tmp_path / "in"), "-o", tmp_path / "out", "--manifest"]
    for option, value in {"--rows": "text", "--seeds": "1", "--folds": "1", "--set": "fit.epochs=1"}.items():
        refused = refusal(*given, option, value)
        assert refused.returncode == 2
        assert f"--manifest trains nothing, and {option} says how to train" in refused.stderr
    assert not (tmp_path / "out").exists()
    sizes = []
    for few in ([], ["--few", "9"]):
        assert refusal(*given, *few).returncode == 0
        manifest = read_manifest(tmp_path / "out/manifest.jsonl")
        sizes.append(len(manifest.calls))
    assert sizes == [18, 9]  # of six emotions by three speakers
