"""Studies: fair folds, rows that differ in what they say, trainings made once, tables that say what they show."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callsift.config import load_train_config
from callsift.data.manifest import read_manifest
from callsift.errors import DataError, UsageError
from callsift.files import read_json, write_json, write_text
from callsift.labels import load_scheme
from callsift.training.studies.ablate import ROWS, ablation, free_row
from callsift.training.studies.answers import ANSWER, Fingerprints, Item, asked_of, calls_of, read_answer
from callsift.training.studies.compared import Agreement, Line, Measure, compare, measure_of
from callsift.training.studies.learning_curve import learning_curve
from callsift.training.studies.plan import DATA, Design, Study, check_divisible, divided, trimmed
from callsift.training.studies.report import begin, line_of, lines_of, write_report
from callsift.training.studies.segment_length import segment_length
from callsift.training.studies.study import run_study
from callsift.training.studies.transfer import transfer, transfer_lines
from callsift.types import Call, Segment, Turn
from tests.training.dialogues import SETTINGS, dialogues

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
    with pytest.raises(UsageError, match="12 calls to train on: fewer than any of --sizes of 500.* --sizes 3,6,12$"):
        learning_curve(dialogues(), Path("unused"), TWO, [500], settings=SETTINGS)
    with pytest.raises(UsageError, match="nothing is left to compare with calls-6"):
        learning_curve(dialogues(), Path("unused"), TWO, [6, 500], settings=SETTINGS)
    with pytest.raises(UsageError, match="each at least 2"):
        learning_curve(dialogues(), Path("unused"), TWO, [], settings=SETTINGS)


def test_segment_lengths_are_tokens_without_times_and_seconds_with(demo: Path) -> None:
    made = segment_length(dialogues(), Path("unused"), TWO, settings=SETTINGS)
    assert [row.config.front_end.max_segment_tokens for row in made.rows] == [45, 90, 180, 360]
    assert {row.config.front_end.max_tokens for row in made.rows} == {480}  # 360, and a third for the roles
    assert made.reference == "180-tokens"
    timed = segment_length(read_manifest(demo / "manifest.jsonl").calls, Path("unused"), TWO, [20, 10])
    assert [row.config.front_end.max_segment_s for row in timed.rows] == [10, 20]
    assert {row.config.front_end.max_tokens for row in timed.rows} == {256}  # the settings' own is enough for 20 s
    with pytest.raises(UsageError, match="--unit tokens"):
        segment_length(dialogues(), Path("unused"), TWO, unit="seconds", settings=SETTINGS)
    given = [Call("a", label="yes", segments=(Segment("0", (Turn("agent", "hello"),)),))]
    with pytest.raises(UsageError, match="never cut anew"):
        segment_length(given, Path("unused"), TWO, settings=SETTINGS)


def test_no_row_of_segment_lengths_loses_text_to_its_own_length() -> None:
    """Mandarin at five characters a second: 80 s are over 400 tokens, beyond the 256 of the settings."""
    from callsift.pipeline import Pipeline
    from callsift.training.assemble import make_tokenizer

    said = "您好我们这里是银行的客户经理今天给您打电话是想了解一下您最近有没有资金方面的需要"
    turns = tuple(Turn(("agent", "customer")[at % 2], said, start_s=8.0 * at, end_s=8.0 * at + 7.8) for at in range(12))
    calls = [Call(f"c{at}", label=("yes", "no")[at % 2], turns=turns, language="zh") for at in range(4)]
    made = segment_length(calls, Path("unused"), TWO, settings=SETTINGS)
    assert "front_end.max_tokens is 512 in every row" in made.notes[1]
    for row in made.rows:
        pipeline = Pipeline(row.config.front_end, make_tokenizer(row.config), None, None)
        inputs, notes = pipeline.inputs(pipeline.prepare(calls[0]), ("text",))
        assert notes == ()
    texts = [segment["text"] for segment in inputs.segments]
    assert max(len(text.values) for text in texts if text is not None) > 400


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
        assert {item.group for item in answer.items} == {call.group for call in parts if call.split == "test"}
        assert not (study.folder_of(job) / "run/checkpoints").exists()


def test_a_stopped_study_goes_on_and_makes_nothing_twice(study: Study) -> None:
    first, second = study.jobs[:2]
    kept, lost = (study.folder_of(job) / "answer.json" for job in (first, second))
    before, lost_before = kept.stat().st_mtime_ns, read_json(lost)
    lost.unlink()
    (lost.parent / "run/result.json").unlink()
    (lost.parent / "error.txt").write_text("of an earlier attempt")
    run_study(replace(study, rows=study.rows[:1]), keep_weights=True)
    assert kept.stat().st_mtime_ns == before
    assert read_json(lost)["items"] == lost_before["items"]
    assert [path.name for path in (lost.parent / "run/checkpoints").iterdir()] == ["best"]
    assert not (lost.parent / "error.txt").exists()


def test_a_mistake_in_the_code_leaves_its_traceback(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr("callsift.training.studies.trial.make_answer", broken)
    failed = run_study(replace(study, folder=tmp_path, rows=study.rows[:1], design=Design(3, (1,), (1,))))
    where = "trials/full/fold-1-seed-1/error.txt"
    assert failed == {"full, fold 1, seed 1": f"unexpected ZeroDivisionError: by nought (where it happened: {where})"}
    assert "in broken" in (tmp_path / where).read_text()


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
    failed = run_study(replace(other, rows=other.rows[:1]))
    assert "made with other settings" in failed["full, fold 1, seed 1"]


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


def test_a_coarser_task_is_measured_on_the_same_answers() -> None:
    scheme = load_scheme("marketcalls")
    item = Item("a", "", "g", "C", {"A": 0.3, "B": 0.2, "C": 0.1, "D": 0.4, "E": 0.0})
    five, two = Measure("accuracy", scheme, "five"), Measure("accuracy", scheme, "two")
    assert (five.truth(item), five.said(item)) == (2, 3)
    assert (two.truth(item), two.said(item)) == (0, 0)
    open_label = Item("a", "", "g", ("A", "B", "C"), item.said)
    assert (five.truth(open_label), two.truth(open_label)) == (None, 0)
    with pytest.raises(UsageError, match="--task six"):
        measure_of(scheme, None, "six")
    with pytest.raises(UsageError, match="--metric correlation"):
        measure_of(scheme, "correlation", None)


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


def test_a_metric_that_says_nothing_of_the_items_makes_no_difference() -> None:
    """An AUROC of positive calls alone."""
    said = {"yes": 0.5, "no": 0.5}
    seeds = {1: {(name, ""): Item(name, "", name, "yes", said) for name in "abc"}}
    line = Line("row")
    assert compare(Agreement(load_scheme("donation"), load_scheme("donation")), line, seeds, seeds) == line


def test_a_grade_of_a_single_call_is_refused_before_anything_is_trained() -> None:
    calls = tuple(replace(call, label="no") for call in dialogues())
    study = ablation((*calls[1:], replace(calls[0], label="yes")), Path("unused"), TWO, settings=SETTINGS)
    with pytest.raises(DataError, match="grade 'yes' has a single call"):
        check_divisible(study)


def test_an_order_is_compared_with_the_positive_grades_of_another_scheme() -> None:
    agreement = Agreement(load_scheme("marketcalls"), load_scheme("donation"))
    item = Item("a", "", "g", "yes", {"A": 0.5, "B": 0.0, "C": 0.0, "D": 0.0, "E": 0.5})
    assert (agreement.truth(item), agreement.said(item)) == (1, 0.5)  # worth 1 and 0
    assert agreement.truth(Item("a", "", "g", ("yes", "no"), item.said)) is None
    assert agreement.said(Item("a", "", "g", "no", -1.5)) == -1.5


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


def test_the_study_says_how_its_rows_were_made(study: Study) -> None:
    record = begin(study, {"data_sha256": ["x"]})
    assert record["rows"] == {
        "full": [],
        "no-context": ["network.context=none"],
        "broken": ["network.fusion=audio"],
    }
    assert record["configs"]["full"] == load_train_config(None, SETTINGS).model_dump(mode="json")
    assert DATA in study.sets
