"""The record and the tables of a study: they say what was trained and what it shows."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from callsift.config import load_train_config
from callsift.errors import UsageError
from callsift.files import read_json
from callsift.labels import load_scheme
from callsift.training.studies.ablate import ablation
from callsift.training.studies.compared import Agreement, measure_of
from callsift.training.studies.plan import DATA, Study
from callsift.training.studies.report import begin, line_of, lines_of, write_report
from callsift.training.studies.study import run_study
from tests.training.dialogues import SETTINGS, dialogues
from tests.training.studies.designs import TWO


def test_other_settings_are_refused_by_name(study: Study) -> None:
    begun = begin(study, {"data_sha256": ["x"]})
    assert begin(study, {"data_sha256": ["x"]})["configs"] == begun["configs"]
    other = ablation(
        dialogues(), study.folder, TWO, settings=[*SETTINGS, "fit.epochs=3"], names=["no-context"], asr="none"
    )
    with pytest.raises(UsageError, match="row full, row no-context"):
        begin(other, {"data_sha256": ["x"]})
    with pytest.raises(UsageError, match="data_sha256"):
        begin(study, {"data_sha256": ["y"]})
    with pytest.raises(UsageError, match="fold-1-seed-1 was made with other settings"):
        run_study(replace(other, rows=other.rows[:1]))


def test_the_table_names_what_failed_and_compares_the_rest(study: Study) -> None:
    measure = measure_of(load_scheme("donation"), None, None)
    failed = {"broken, fold 1, seed 1": "no audio", "broken, fold 2, seed 1": "no audio"}
    lines = lines_of(study, measure, failed)
    full, bare, broken = lines
    assert [line.name for line in lines] == ["full", "no-context", "broken"]
    assert full.figure is not None
    assert full.by_call is None
    assert bare.by_call is not None
    assert bare.by_call.units == bare.items == 16
    assert bare.by_group is None  # four groups are too few
    assert bare.figure is not None
    assert bare.difference is not None
    assert bare.difference.value == pytest.approx(bare.figure.value - full.figure.value)
    assert broken.figure is None
    assert len(broken.failed) == 2
    write_report(study, measure, lines, begin(study, {"data_sha256": ["x"]}))
    text = (study.folder / "table.md").read_text("utf-8")
    assert "| broken | failed |" in text
    assert "Failed: broken, fold 1, seed 1: no audio" in text
    assert "hold only 4 groups, too few for a test by group" in text
    rows = list(csv.DictReader((study.folder / "table.csv").read_text("utf-8").splitlines()))
    assert float(rows[1]["value"]) == bare.figure.value
    assert rows[2]["failed"] == "2"
    ET.fromstring((study.folder / "chart.svg").read_text("utf-8"))
    assert read_json(study.folder / "study.json")["table"]["no-context"]["items"] == 16


def test_a_metric_that_says_nothing_is_named_in_its_row(study: Study) -> None:
    """An AUROC of outcomes that all count as positive."""
    every = load_scheme("donation").model_copy(update={"positive": ("yes", "no")})
    line, seeds = line_of(study, Agreement(load_scheme("donation"), every), study.rows[0], {})
    assert (line.figure, seeds) == (None, {})
    assert "full: auroc says nothing of these items: all 16 are 1" in line.failed[0]


def test_the_study_says_how_its_rows_were_made(study: Study) -> None:
    record = begin(study, {"data_sha256": ["x"]})
    assert record["rows"] == {
        "full": [],
        "no-context": ["network.context=none"],
        "broken": ["network.fusion=audio"],
    }
    assert record["configs"]["full"] == load_train_config(None, SETTINGS).model_dump(mode="json")
    assert DATA in study.sets
