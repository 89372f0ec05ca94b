"""Studies: fair folds, rows that differ in what they say, trainings made once, tables that say what they show."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
from tests.training.dialogues import SETTINGS, dialogues

from callsift.config import load_train_config
from callsift.data.manifest import read_manifest
from callsift.errors import UsageError
from callsift.files import read_json
from callsift.labels import load_scheme
from callsift.training.studies.ablate import ROWS, ablation, free_row
from callsift.training.studies.answers import Item, read_answer
from callsift.training.studies.compared import Agreement, Measure, measure_of
from callsift.training.studies.learning_curve import learning_curve
from callsift.training.studies.plan import DATA, Design, Study, divided, trimmed
from callsift.training.studies.report import begin, lines_of, write_report
from callsift.training.studies.segment_length import segment_length
from callsift.training.studies.study import run_study
from callsift.training.studies.transfer import transfer, transfer_lines
from callsift.types import Call, Segment, Turn

TWO = Design(folds=3, test_folds=(1, 2), seeds=(1,))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose trainings are done: full, a row without context, one that can't be trained."""
    made = ablation(
        dialogues(), tmp_path_factory.mktemp("study"), TWO, settings=SETTINGS, names=["no-context"],
        free=["broken:network.fusion=audio"], asr="none",
    )  # fmt: skip
    failed = run_study(made)
    assert sorted(failed) == ["broken, fold 1, seed 1", "broken, fold 2, seed 1"]
    return made


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
    from dataclasses import replace

    calls = [replace(call, split="test" if call.group == "group-0" else None) for call in dialogues()]
    parts = divided(calls, Design(0), 1, 1, 0.15)
    assert {call.group for call in parts if call.split == "test"} == {"group-0"}
    assert {call.split for call in parts} == {"train", "val", "test"}
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


def test_every_row_changes_what_it_says(demo: Path) -> None:
    made = ablation(read_manifest(demo / "manifest.jsonl").calls, Path("unused"), Design(3))
    rows = {row.name: row.config for row in made.rows}
    assert set(rows) == set(ROWS) - {"no-augmentation"}
    assert rows["augmentation"].augment.on
    assert rows["silence-removed"].front_end.silence == "remove"
    assert rows["no-bottleneck"].network.bottleneck_layers == 0
    assert rows["no-context"].network.context == "none"
    assert (rows["audio-off"].network.streams, rows["audio-off"].network.fusion) == (("text",), "text")
    assert (rows["text-off"].network.streams, rows["text-off"].network.fusion) == (("audio",), "audio")
    assert list(load_scheme(rows["no-multi-task"].labels).tasks) == ["five"]
    both = rows["no-bottleneck-no-multi-task"]
    assert (both.network.bottleneck_layers, len(load_scheme(both.labels).tasks)) == (0, 1)
    assert made.notes == ("Row no-augmentation is left out: the settings vary no calls.",)


def test_rows_without_sense_are_left_out_in_a_sentence() -> None:
    settings = [*SETTINGS, "augment=paper"]
    made = ablation(dialogues(), Path("unused"), Design(3), settings=settings)
    assert [row.name for row in made.rows] == ["full", "no-augmentation", "no-bottleneck", "no-context"]
    assert "Row silence-removed is left out: no recording is heard, and text has no pauses." in made.notes
    assert "Row no-multi-task is left out: label scheme 'donation' has one task." in made.notes
    assert not next(row for row in made.rows if row.name == "no-augmentation").config.augment.on


def test_rows_of_ones_own() -> None:
    assert free_row("wide:network.width=64,network.streams=[text,audio]") == (
        "wide",
        ["network.width=64", "network.streams=[text,audio]"],
    )
    for wrong in ("wide", "wide:", ":a=1", "../up:a=1", "a b:a=1"):
        with pytest.raises(UsageError, match="NAME:key=value"):
            free_row(wrong)
    with pytest.raises(UsageError, match="row 'full' already"):
        ablation(dialogues(), Path("unused"), Design(3), settings=SETTINGS, free=["full:fit.epochs=1"])
    with pytest.raises(UsageError, match="row 'nothing' is unknown"):
        ablation(dialogues(), Path("unused"), Design(3), settings=SETTINGS, names=["nothing"])
    with pytest.raises(UsageError, match="row 'odd': .*network.width"):
        ablation(dialogues(), Path("unused"), Design(3), settings=SETTINGS, free=["odd:network.width=3"])


def test_a_learning_curve_leaves_out_what_the_data_do_not_have() -> None:
    made = learning_curve(dialogues(), Path("unused"), TWO, [6, 3, 500], settings=SETTINGS)
    assert [(row.name, row.train_calls) for row in made.rows] == [("calls-3", 3), ("calls-6", 6)]
    assert made.reference == "calls-6"
    assert made.notes == ("Left out: 500; a fold has only 12 calls to train on.",)
    with pytest.raises(UsageError, match="fewer than any of --sizes"):
        learning_curve(dialogues(), Path("unused"), TWO, [500], settings=SETTINGS)
    with pytest.raises(UsageError, match="each at least 2"):
        learning_curve(dialogues(), Path("unused"), TWO, [], settings=SETTINGS)


def test_segment_lengths_are_tokens_without_times_and_seconds_with(demo: Path) -> None:
    made = segment_length(dialogues(), Path("unused"), TWO, settings=SETTINGS)
    assert [row.config.front_end.max_segment_tokens for row in made.rows] == [45, 90, 180, 360]
    assert all(row.config.front_end.max_tokens * 0.7 >= row.x - 1 for row in made.rows if row.x)
    assert made.reference == "180-tokens"
    timed = segment_length(read_manifest(demo / "manifest.jsonl").calls, Path("unused"), TWO, [20, 10])
    assert [row.config.front_end.max_segment_s for row in timed.rows] == [10, 20]
    with pytest.raises(UsageError, match="--unit tokens"):
        segment_length(dialogues(), Path("unused"), TWO, unit="seconds", settings=SETTINGS)
    given = [Call("a", label="yes", segments=(Segment("0", (Turn("agent", "hello"),)),))]
    with pytest.raises(UsageError, match="never cut anew"):
        segment_length(given, Path("unused"), TWO, settings=SETTINGS)


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


def test_a_stopped_study_goes_on_and_makes_nothing_twice(study: Study) -> None:
    first, second = study.jobs[:2]
    kept, lost = (study.folder_of(job) / "answer.json" for job in (first, second))
    before, lost_before = kept.stat().st_mtime_ns, read_json(lost)
    lost.unlink()
    run_study(Study(**{**_fields(study), "rows": study.rows[:1]}))
    assert kept.stat().st_mtime_ns == before
    assert read_json(lost)["items"] == lost_before["items"]


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
    failed = run_study(Study(**{**_fields(other), "rows": other.rows[:1]}))
    assert "made with other settings" in failed["full, fold 1, seed 1"]


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


def test_a_coarser_task_is_measured_on_the_same_answers() -> None:
    scheme = load_scheme("marketcalls")
    item = Item("a", "", "g", "C", {"A": 0.3, "B": 0.2, "C": 0.1, "D": 0.4, "E": 0.0})
    five, two = Measure("accuracy", scheme, "five"), Measure("accuracy", scheme, "two")
    assert (five.truth(item), five.said(item)) == (2, 3)
    assert (two.truth(item), two.said(item)) == (0, 0)
    open_label = Item("a", "", "g", "A/B/C", item.said)
    assert (five.truth(open_label), two.truth(open_label)) == (None, 0)
    with pytest.raises(UsageError, match="--task six"):
        measure_of(scheme, None, "six")
    with pytest.raises(UsageError, match="--metric correlation"):
        measure_of(scheme, "correlation", None)


def test_an_order_is_compared_with_the_positive_grades_of_another_scheme() -> None:
    agreement = Agreement(load_scheme("marketcalls"), load_scheme("donation"))
    item = Item("a", "", "g", "yes", {"A": 0.5, "B": 0.0, "C": 0.0, "D": 0.0, "E": 0.5})
    assert (agreement.truth(item), agreement.said(item)) == (1, 0.5)  # worth 1 and 0
    assert agreement.truth(Item("a", "", "g", "yes/no", item.said)) is None
    assert agreement.said(Item("a", "", "g", "no", -1.5)) == -1.5


def test_transfer_never_asks_about_a_group_that_was_learned_from(tmp_path: Path) -> None:
    """The other language has the same groups; the third set has groups and labels of its own."""
    from dataclasses import replace

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


def test_transfer_wants_labels_that_fit() -> None:
    numbers = [Call("a", label=1.0, turns=(Turn("agent", "hello"),))]
    sets = {"en": dialogues(), "other": numbers}
    with pytest.raises(UsageError, match="--map-propensity"):
        transfer(sets, Path("unused"), TWO, settings=SETTINGS)
    with pytest.raises(UsageError, match=r"other: label 1\.0 is not a grade"):
        transfer(sets, Path("unused"), TWO, settings=SETTINGS, outcome=load_scheme("marketcalls"))
    with pytest.raises(UsageError, match="at least one other"):
        transfer({"en": dialogues()}, Path("unused"), TWO, settings=SETTINGS)


def _fields(study: Study) -> dict[str, object]:
    return {name: getattr(study, name) for name in Study.__dataclass_fields__}


def test_the_study_says_how_its_rows_were_made(study: Study) -> None:
    record = begin(study, {"data_sha256": ["x"]})
    assert record["rows"] == {
        "full": [],
        "no-context": ["network.context=none"],
        "broken": ["network.fusion=audio"],
    }
    assert record["configs"]["full"] == load_train_config(None, SETTINGS).model_dump(mode="json")
    assert DATA in study.sets
