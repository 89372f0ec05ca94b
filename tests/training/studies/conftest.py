"""A study whose trainings are done."""

from __future__ import annotations

import pytest

from callsift.training.studies.ablate import ablation
from callsift.training.studies.plan import Study
from callsift.training.studies.study import run_study
from tests.training.dialogues import SETTINGS, dialogues
from tests.training.studies.designs import TWO


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose trainings are done: full, a row without context, one that can't be trained.

    Whoever takes an answer away has it made again.
    """
    made = ablation(
        dialogues(), tmp_path_factory.mktemp("study"), TWO, settings=SETTINGS, names=["no-context"],
        free=["broken:network.fusion=audio"], asr="none",
    )  # fmt: skip
    failed = run_study(made)
    assert sorted(failed) == ["broken, fold 1, seed 1", "broken, fold 2, seed 1"]
    return made
