"""What a run or a bundle knows of the calls that it is asked about."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from callsift.bundle import find_bundle, load_bundle
from callsift.data.manifest import read_manifest, write_manifest
from callsift.evaluation.seen import seen_by_bundle, seen_by_run
from callsift.files import sha256_of_file
from callsift.types import Call, Turn


@pytest.fixture
def calls(tmp_path: Path) -> list[Call]:
    """Two calls of customer x, one to learn from; one each of y and z, the latter to choose by."""
    about = (("a", "x", "train"), ("b", "x", "test"), ("c", "y", "test"), ("d", "z", "val"))
    made = [Call(name, turns=(Turn("agent", "hello"),), label="A", group=group, split=part)
            for name, group, part in about]  # fmt: skip
    write_manifest(tmp_path / "set.jsonl", made)
    return list(read_manifest(tmp_path / "set.jsonl").calls)


def _run(folder: Path, manifest: Path) -> Path:
    folder.mkdir()
    splits = {"train": ["a"], "val": ["d"], "test": ["b", "c"]}
    data = {"manifest": str(manifest), "sha256": sha256_of_file(manifest), "splits": splits}
    (folder / "data.json").write_text(json.dumps(data))
    return folder


def test_new_calls_of_known_customers_are_related(calls: list[Call], tmp_path: Path) -> None:
    run = _run(tmp_path / "run", tmp_path / "set.jsonl")
    found = seen_by_run(run, calls[1:3])
    assert (found.learnt, found.related, found.chosen_by) == ((), ("b",), False)
    assert [text[:30] for text in found.warnings(2)] == ["WARNING: 1 of these 2 calls ('"]
    assert seen_by_run(run, calls[2:3]).related == ()


def test_validation_calls_chose_the_run_and_training_calls_are_no_relatives(calls: list[Call], tmp_path: Path) -> None:
    found = seen_by_run(_run(tmp_path / "run", tmp_path / "set.jsonl"), [calls[0], calls[3]])
    assert (found.learnt, found.related, found.chosen_by) == (("a",), (), True)
    assert len(list(found.warnings(2))) == 2


def test_a_bundle_keeps_no_record_but_knows_its_data(calls: list[Call], tmp_path: Path) -> None:
    manifest = tmp_path / "set.jsonl"
    bundle = load_bundle(find_bundle("starter"))
    other = seen_by_bundle(bundle, manifest, calls)
    assert (other.learnt, other.same_data) == (None, None)
    assert "no record" in str(other.note)
    mine = replace(bundle, provenance={**bundle.provenance, "data_sha256": sha256_of_file(manifest)})
    same = seen_by_bundle(mine, manifest, calls)
    assert (same.learnt, same.same_data) == (None, 1)
    assert next(same.warnings(4)).startswith("WARNING: these are the very data that the bundle was trained on; 1 of")
