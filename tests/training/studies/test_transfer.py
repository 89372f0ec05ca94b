"""The rows of `callsift transfer`: no group or recording is asked about that was learned from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from callsift.errors import UsageError
from callsift.labels import load_scheme
from callsift.training.studies.answers import asked_of, calls_of, read_answer
from callsift.training.studies.compared import measure_of
from callsift.training.studies.plan import Design
from callsift.training.studies.study import run_study
from callsift.training.studies.transfer import transfer, transfer_lines
from callsift.types import Call, Turn
from tests.training.dialogues import SETTINGS, dialogues
from tests.training.studies.designs import TWO


def test_transfer_never_asks_about_a_group_that_was_learned_from(tmp_path: Path) -> None:
    """The other language has the same groups; the third set has groups and labels of its own."""
    graded = tuple(
        Call(
            f"c{at}",
            group=f"o{at}",
            label="AE"[at % 2],
            turns=(Turn("customer", "gladly sure" if at % 2 else "never"),),
        )
        for at in range(6)
    )
    here, there = dialogues(), tuple(replace(call, language="zh") for call in dialogues())
    made = transfer(
        {"en": here, "zh": there, "graded": graded}, tmp_path, Design(3, (1,), (1,)),
        outcome=load_scheme("marketcalls"), settings=SETTINGS, asr="none",
    )  # fmt: skip
    assert [(row.name, row.asks, row.whole) for row in made.study.rows] == [
        ("own-en", ("zh",), False),
        ("all-en", ("graded",), True),
        ("own-zh", (), False),
    ]
    assert run_study(made.study) == {}
    own = read_answer(tmp_path / "trials/own-en/fold-1-seed-1")
    assert own is not None
    assert {item.group for item in own.asked["zh"]} == {item.group for item in own.items}
    assert len({item.group for item in own.items}) == 2
    lines = transfer_lines(made, measure_of(load_scheme("donation"), None, None), {})
    assert [(line.name, line.items) for line in lines] == [
        ("en → en", 8),
        ("en → zh", 8),
        ("zh → zh", 8),
        ("en → graded, AUROC", 6),
    ]
    assert lines[1].difference is not None
    assert lines[3].difference is None
    assert any("no propensities" in note for note in made.study.notes)


def test_transfer_never_asks_about_a_recording_that_was_learned_from(tmp_path: Path) -> None:
    """The other set has the same recordings, half of them under other names, and neither has groups."""
    sets: dict[str, list[Call]] = {"one": [], "two": []}
    for at, call in enumerate(dialogues()):
        for name, calls in sets.items():
            file = tmp_path / (f"{at}.wav" if at % 2 else f"{at}-{name}.wav")
            file.write_bytes(f"recording {at}".encode())
            calls.append(replace(call, call_id=f"{name}-{at}", group=None, audio=file))
    made = transfer(sets, tmp_path / "study", Design(3, (), (1,)), settings=SETTINGS)
    assert [(row.name, row.asks) for row in made.study.rows] == [("own-one", ("two",)), ("own-two", ())]
    asked = []
    for job in made.study.jobs[:3]:
        own = calls_of(made.study, job)
        tested = {call.call_id.replace("one", "two") for call in own if call.split == "test"}
        asked += [call.call_id for call in asked_of(made.study, job, own)["two"]]
        assert tested == set(asked[-len(tested) :])
    assert sorted(asked) == sorted(call.call_id for call in sets["two"])


def test_transfer_wants_labels_that_fit() -> None:
    numbers = [Call("a", label=1.0, turns=(Turn("agent", "hello"),))]
    sets = {"en": dialogues(), "other": numbers}
    with pytest.raises(UsageError, match="--map-propensity"):
        transfer(sets, Path("unused"), TWO, settings=SETTINGS)
    with pytest.raises(UsageError, match=r"other: label 1\.0 is not a grade"):
        transfer(sets, Path("unused"), TWO, settings=SETTINGS, outcome=load_scheme("marketcalls"))
    with pytest.raises(UsageError, match="at least one other"):
        transfer({"en": dialogues()}, Path("unused"), TWO, settings=SETTINGS)
