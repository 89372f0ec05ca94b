"""The rows of `callsift learning-curve`."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsift.errors import UsageError
from callsift.training.studies.learning_curve import learning_curve
from tests.training.dialogues import SETTINGS, dialogues
from tests.training.studies.designs import TWO


def test_a_learning_curve_leaves_out_what_the_data_do_not_have() -> None:
    made = learning_curve(dialogues(), Path("unused"), TWO, [6, 3, 500], settings=SETTINGS)
    assert [(row.name, row.train_calls) for row in made.rows] == [("calls-3", 3), ("calls-6", 6)]
    assert made.reference == "calls-6"
    assert made.notes == ("Left out: 500; a fold has only 12 calls to train on.",)
    with pytest.raises(UsageError, match="12 calls to train on: fewer than any of --sizes of 500.* --sizes 3,6,12$"):
        learning_curve(dialogues(), Path("unused"), TWO, [500], settings=SETTINGS)
    with pytest.raises(UsageError, match="nothing is left to compare with calls-6"):
        learning_curve(dialogues(), Path("unused"), TWO, [6, 500], settings=SETTINGS)
    with pytest.raises(UsageError, match="each at least 2"):
        learning_curve(dialogues(), Path("unused"), TWO, [], settings=SETTINGS)
