"""`callsift ablate` and the other studies as a user gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from callsift.data.manifest import write_manifest
from tests.cli.commands import callsift, refusal
from tests.training.dialogues import SETTINGS, dialogues

SMALL = [part for setting in SETTINGS for part in ("--set", setting)]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Graded dialogues; one is the exam's."""
    path = tmp_path_factory.mktemp("data") / "manifest.jsonl"
    exam = replace(dialogues(3, 1, "exam")[0], group="exam", split="test")
    write_manifest(path, [*dialogues(), exam])
    return path


def test_a_study_by_two_processes_names_what_failed_and_makes_nothing_twice(manifest: Path, tmp_path: Path) -> None:
    asked = ["--folds", "3", "--test-folds", "1", "--seeds", "1", "--asr", "none", "--rows", "full", *SMALL]
    done = callsift("ablate", manifest, "-o", tmp_path, "--row", "odd:network.fusion=audio", "--jobs", "2", *asked)
    assert done.returncode == 1, done.stderr
    assert "Calls of split 'test' stay out of the folds: 1." in done.stderr
    assert "Failed: odd, fold 1, seed 1: network:" in done.stderr
    assert "failed" in done.stdout
    answer = tmp_path / "trials/full/fold-1-seed-1/answer.json"
    before = answer.stat().st_mtime_ns
    again = callsift("ablate", manifest, "-o", tmp_path, *asked)
    assert again.returncode == 0, again.stderr
    assert answer.stat().st_mtime_ns == before
    study = json.loads((tmp_path / "study.json").read_text("utf-8"))
    assert study["seeds"] == [1]
    assert list(study["table"]) == ["full"]
    assert {path.name for path in tmp_path.iterdir()} >= {"table.md", "table.csv", "chart.svg", "trials"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ablate", "--folds", "99", *SMALL], "can't be split into 99 parts"),
        (["learning-curve", "--sizes", "ten", *SMALL], "--sizes 'ten' is not a list of whole numbers"),
        (["learning-curve", *SMALL], "as in --sizes"),
        (
            ["ablate", "--rows", "augmentation", "--set", "augment=paper", *SMALL],
            "nothing is left to compare with full",
        ),
        (["segment-length", "--lengths", "3", "--unit", "tokens", *SMALL], "max_segment_tokens"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: list[str], words: str, manifest: Path, tmp_path: Path) -> None:
    verb, *options = arguments
    done = refusal(verb, manifest, "-o", tmp_path / "out", "--test-folds", "1", "--seeds", "1", *options)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_labels_outside_the_scheme_are_named_before_anything_is_trained(manifest: Path, tmp_path: Path) -> None:
    done = callsift("ablate", manifest, "-o", tmp_path / "out", *SMALL[2:])  # without labels=donation
    assert done.returncode == 2
    assert "is not a grade of scheme 'marketcalls'" in done.stderr
    assert not (tmp_path / "out/trials").exists()
