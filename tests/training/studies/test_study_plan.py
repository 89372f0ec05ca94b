"""Fair folds: the same calls for every row, no group in two parts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from callsift.errors import DataError, UsageError
from callsift.training.studies.ablate import ablation
from callsift.training.studies.plan import Design, check_divisible, divided, trimmed
from tests.training.dialogues import SETTINGS, dialogues
from tests.training.studies.designs import TWO


def test_folds_share_no_group_and_are_the_same_for_every_row() -> None:
    calls = dialogues()
    tested: Counter[str] = Counter()
    for fold in (1, 2, 3):
        parts = divided(calls, Design(3), fold, 1, 0.15)
        homes = {(call.group, call.split) for call in parts}
        assert len(homes) == 6  # each group in one part
        assert {split for _, split in homes} == {"train", "val", "test"}
        assert parts == divided(calls, Design(3), fold, 1, 0.15)
        tested.update(call.call_id for call in parts if call.split == "test")
    assert tested == Counter(call.call_id for call in calls)
    inner = {
        tuple(call.call_id for call in divided(calls, Design(3), 1, seed, 0.15) if call.split == "val")
        for seed in range(8)
    }
    assert len(inner) > 1  # another seed, another validation part


def test_the_manifests_own_splits_are_one_fold() -> None:
    calls = [replace(call, split="test" if call.group == "group-0" else None) for call in dialogues()]
    parts = divided(calls, Design(0), 1, 1, 0.15)
    assert {call.group for call in parts if call.split == "test"} == {"group-0"}
    assert {call.split for call in parts} == {"train", "val", "test"}
    assert {call.group for call in divided(calls, Design(0), 0, 1, 0.15)} == {f"group-{at}" for at in range(1, 6)}
    named = [replace(call, split="val" if call.group == "group-3" else call.split) for call in calls]
    for fold, splits in ((0, {"train", "val"}), (1, {"train", "val", "test"})):  # of all calls, and of the one fold
        parts = divided(named, Design(0), fold, 1, 0.15)
        assert {call.split for call in parts} == splits
        assert {call.group for call in parts if call.split == "val"} == {"group-3"}
    with pytest.raises(UsageError, match="no call there is of split 'test'"):
        divided(dialogues(), Design(0), 1, 1, 0.15)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"folds": 1}, "--folds 1"),
        ({"folds": 3, "test_folds": (4,)}, "fold 4, and the folds are 1 to 3"),
        ({"seeds": (1, 1)}, "different numbers"),
        ({"seeds": ()}, "at least one"),
    ],
)
def test_a_design_without_sense_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Design(**wrong)  # type: ignore[arg-type]


def test_a_larger_part_holds_the_smaller_one_in_the_same_balance() -> None:
    calls = divided(dialogues(240, 12), Design(4), 1, 1, 0.15)
    parts = [trimmed(calls, count, 1, 1) for count in (15, 30, 90)]
    ids = [{call.call_id for call in part if call.split == "train"} for part in parts]
    assert ids[0] < ids[1] < ids[2]
    assert [len(each) for each in ids] == [15, 30, 90]
    graded = [call.label for call in calls if call.split == "train"]
    for part, count in zip(parts, (15, 30, 90), strict=True):
        yes = sum(call.split == "train" and call.label == "yes" for call in part)
        assert abs(yes - count * graded.count("yes") / len(graded)) <= 1
        assert [call for call in part if call.split != "train"] == [call for call in calls if call.split != "train"]
    with pytest.raises(UsageError, match="1000 calls are asked for"):
        trimmed(calls, 1000, 1, 1)


def test_a_grade_of_a_single_call_is_refused_before_anything_is_trained() -> None:
    calls = tuple(replace(call, label="no") for call in dialogues())
    study = ablation((*calls[1:], replace(calls[0], label="yes")), Path("unused"), TWO, settings=SETTINGS)
    with pytest.raises(DataError, match="grade 'yes' has a single call"):
        check_divisible(study)
