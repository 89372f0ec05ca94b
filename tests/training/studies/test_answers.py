"""What a study's trainings answered, as it lies on disk, and what it was made from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callsift.files import write_json, write_text
from callsift.labels import load_scheme
from callsift.training.studies.ablate import ablation
from callsift.training.studies.answers import ANSWER, Fingerprints, read_answer
from callsift.training.studies.compared import Measure
from callsift.training.studies.plan import DATA
from tests.training.dialogues import SETTINGS, dialogues
from tests.training.studies.designs import TWO


def test_other_files_behind_the_same_manifest_are_other_data(tmp_path: Path) -> None:
    """A transcript that was put in the place of another, or a group that another set's recording makes."""
    calls = []
    for call in dialogues():
        file = tmp_path / f"{call.call_id}.json"
        write_json(file, [{"role": turn.role, "text": turn.text} for turn in call.turns])
        calls.append(replace(call, turns=(), transcript=file))
    study = ablation(calls, tmp_path / "study", TWO, settings=SETTINGS, names=["no-context"])
    before = Fingerprints(study).of(study.jobs[0])
    assert Fingerprints(study).of(study.jobs[0]) == before
    assert Fingerprints(study).of(study.jobs[-1]) != before
    write_text(tmp_path / "call-3.json", '[{"role": "agent", "text": "something else"}]')
    assert Fingerprints(study).of(study.jobs[0]) != before
    after = Fingerprints(study).of(study.jobs[0])
    linked = replace(study, owners={DATA: dict.fromkeys(study.owners[DATA], "all")})
    assert Fingerprints(linked).of(study.jobs[0]) != after


def test_other_weights_of_an_encoder_are_other_parts(
    pretrained_pair: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    model = tmp_path / "bert"
    shutil.copytree(pretrained_pair["text"], model)
    encoder = f"network.encoders={{text: {{model: {model}}}}}"
    study = ablation(
        dialogues(), tmp_path / "study", TWO, settings=[*SETTINGS, encoder, "front_end.tokens=null"],
        names=["no-context"],
    )  # fmt: skip
    before = Fingerprints(study).of(study.jobs[0])
    assert Fingerprints(study).of(study.jobs[0]) == before
    weights = load_file(model / "model.safetensors")
    save_file({name: weight + 1 for name, weight in weights.items()}, model / "model.safetensors", {"format": "pt"})
    assert Fingerprints(study).of(study.jobs[0]) != before


def test_a_grade_may_have_a_slash_in_its_name(tmp_path: Path) -> None:
    scheme = load_scheme(
        {"id": "x", "kind": "classes", "grades": ["yes", "n/a"], "tasks": {"two": {"yes": ["yes"], "none": ["n/a"]}}}
    )
    rows: list[Any] = [["a", "", "g", "n/a", {"yes": 0.2, "n/a": 0.8}], ["b", "", "g", ["yes", "n/a"], {}]]
    write_json(tmp_path / ANSWER, {"items": rows, "asked": {}})
    answer = read_answer(tmp_path)
    assert answer is not None
    measure = Measure("accuracy", scheme, "two")
    assert [measure.truth(item) for item in answer.items] == [1, None]
    assert measure.said(answer.items[0]) == 1
