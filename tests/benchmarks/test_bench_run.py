"""The runner: what is left out and said, what a try is, going on, folds by groups, and wrong use in a sentence."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bench import figures_of, main, portable
from benchmarks.results import PAGE
from callsift.benchmarks.benchmark import Benchmark, Contents, Count, Row
from callsift.benchmarks.few import few_of
from callsift.benchmarks.names import BENCHMARKS, load_benchmark
from callsift.benchmarks.plan import Wanted, plan
from callsift.benchmarks.run import run_benchmark
from callsift.config import train_config
from callsift.data.manifest import read_manifest
from callsift.errors import DataError, UsageError
from callsift.files import read_json, sha256_of_file, write_json
from callsift.labels import load_scheme
from callsift.training.studies.answers import calls_of
from callsift.training.studies.plan import Job
from callsift.types import Call
from tests.benchmarks.mosi_made import make_table
from tests.cli.commands import callsift
from tests.training.words import SETTINGS, made

WORDS = dict(setting.split("=", 1) for setting in SETTINGS)
GROUPS = 4


def graded(group: str = "", count: int = 10) -> list[Call]:
    return [replace(call, group=f"g{at % GROUPS}") for at, call in enumerate(made(4 * count, f"w{group}"))]


def read(folder: Path, scratch: Path) -> Contents:
    if not (folder / "there").exists():
        raise FileNotFoundError(2, "no such file", str(folder / "there"))
    calls = graded()
    return Contents(tuple(calls), (Count("calls", 41, len(calls)),), frozenset({"text"}), ("the recordings",))


def earlier(source: Path, unheard: frozenset[str], *, wrong: bool = False) -> list[Call]:
    """Other calls of the same speakers, without those that are asked about."""
    assert (source / "there").exists()
    return [call for call in graded("first") if wrong or call.group not in unheard]


def config() -> dict[str, Any]:
    return train_config({}, [*SETTINGS, "fit.epochs=2"]).model_dump(mode="json")


def made_benchmark(**changes: Any) -> Benchmark:
    rows = (
        Row("text", "the words", paper={"accuracy": 0.5}, source="a paper"),
        Row("wider", "more of them", ("network.width=32",)),
        Row("sound", "the sound", needs=frozenset({"audio"})),
        Row("large", "a published model", encoders={"text": "someone/a-model"}),
        Row("unasked", "not by default", default=False),
    )
    usual = Benchmark(
        "made", "Made calls", "nobody, 2026", "none", "there    a file", read, config(), rows,
        ("accuracy", "macro_f1 (five)"), division="leave-one-group-out", seeds=(1, 2),
    )  # fmt: skip
    return replace(usual, **changes)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/there").touch()
    return tmp_path / "in"


def test_a_whole_run_says_what_is_left_out_and_sets_figures_side_by_side(source: Path, tmp_path: Path) -> None:
    said: list[str] = []
    out = tmp_path / "out"
    found = run_benchmark(made_benchmark(), source, out, Wanted(folds=(2,)), say=said.append)
    assert found == read_json(out / "results.json")
    assert "  calls: 40; WARNING: 41 are published, so this is not the whole published set" in said
    assert "  not there: the recordings" in said
    assert found["left_out"]["sound"] == "it needs audio, and the data here have text"
    assert "hf download someone/a-model" in found["left_out"]["large"]
    assert found["not_a_result"] is None
    assert list(found["rows"]) == ["text", "wider"]
    row = found["rows"]["text"]
    assert (row["items"], row["groups"], row["trainings"]) == (10, 1, 2)
    accuracy = row["figures"]["accuracy"]
    assert accuracy["value"] == pytest.approx(np.mean(list(accuracy["seeds"].values())))
    assert accuracy["sd"] == pytest.approx(np.std(list(accuracy["seeds"].values()), ddof=1))
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert accuracy["difference_to_published"] == pytest.approx(accuracy["value"] - 0.5)
    assert "published" not in found["rows"]["wider"]["figures"]["accuracy"]
    assert {"difference", "by_call", "by_call_adjusted"} <= set(found["rows"]["wider"])
    assert found["baselines"]["tfidf"]["figures"]["accuracy"]["value"] > 0.9  # the words give the grade away
    page = (out / "results.md").read_text("utf-8")
    for words in (
        "| text, published | 0.5 (ours",
        "Not run: sound; it needs audio",
        "Tested on 4 groups, each left out in turn, only numbers 2.",
    ):
        assert words in page
    with (out / "results.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert Counter(line["row"] for line in lines) == {"text": 2, "wider": 2, "majority": 2, "tfidf": 2}
    assert (out / "chart.svg").read_text("utf-8").startswith("<svg")
    assert len(read_manifest(out / "manifest.jsonl").calls) == 40
    assert load_scheme(out / "labels.yaml") == load_scheme(config()["labels"])


def test_going_on_makes_nothing_twice_and_refuses_other_data(source: Path, tmp_path: Path) -> None:
    out, made_here = tmp_path / "out", made_benchmark(seeds=(1,))
    run_benchmark(made_here, source, out, Wanted(rows=("text",), folds=(1,)))
    answer = next(out.glob("trials/text/*/answer.json"))
    before = answer.stat().st_mtime_ns
    found = run_benchmark(made_here, source, out, Wanted(folds=(1,)))  # one more row
    assert answer.stat().st_mtime_ns == before
    assert list(found["rows"]) == ["text", "wider"]
    with pytest.raises(UsageError, match="begun with other settings"):
        run_benchmark(made_here, source, out, Wanted(folds=(1,), few=20))
    with pytest.raises(UsageError, match="begun with other settings .*row text"):
        run_benchmark(made_here, source, out, Wanted(folds=(1,), settings=("fit.epochs=1",)))


def test_a_group_left_out_is_heard_by_nothing_and_another_one_validates(source: Path, tmp_path: Path) -> None:
    planned = plan(made_benchmark(), read(source, source), source, tmp_path, Wanted(rows=("text",)))
    tested = set()
    for fold in planned.study.design.asked:
        calls = calls_of(planned.study, Job(planned.study.rows[0], fold, 1))
        groups = {split: {call.group for call in calls if call.split == split} for split in ("train", "val", "test")}
        assert [len(groups[split]) for split in ("train", "val", "test")] == [GROUPS - 2, 1, 1]
        assert not groups["train"] & (groups["val"] | groups["test"])
        tested |= groups["test"]
    assert len(tested) == GROUPS


def test_a_row_can_learn_something_before_and_never_from_what_it_is_asked_about(source: Path, tmp_path: Path) -> None:
    pretrained = Row("first", "after other calls", pretrain=earlier, pretrain_settings=("fit.epochs=1",))
    wanted = Wanted(folds=(1,), seeds=(1,))
    out = tmp_path / "out"
    found = run_benchmark(made_benchmark(rows=(pretrained,)), source, out, wanted)
    assert not found["rows"]["first"].get("failed")
    folder = next(out.glob("trials/first/*"))
    before = read_manifest(folder / "before/manifest.jsonl").calls
    own = read_manifest(folder / "manifest.jsonl").calls
    assert {call.group for call in before} == {call.group for call in own if call.split == "train"}
    started = read_json(folder / "run/data.json")["started_from"]
    assert started["run"] == str((folder / "before/run").resolve())
    learned = read_json(folder / "answer.json")["before"]
    assert (learned["calls"], learned["groups"]) == (20, 2)  # of four groups, one is tested on and one validates
    assert learned["sha256"] == sha256_of_file(folder / "before/manifest.jsonl")
    assert (found["rows"]["first"]["before"]["calls"], found["rows"]["first"]["before"]["groups"]) == (40, 4)
    assert found["rows"]["first"]["before"]["settings"] == ["fit.epochs=1"]
    assert "first learns 40 calls of 4 groups first, less those of" in (out / "results.md").read_text("utf-8")
    leaking = replace(pretrained, name="leak", pretrain=partial(earlier, wrong=True))
    found = run_benchmark(made_benchmark(rows=(leaking,)), source, tmp_path / "leak", wanted)
    assert "which the training validates or is tested on" in found["rows"]["leak"]["failed"][0]


def nothing(source: Path, unheard: frozenset[str]) -> list[Call]:
    return []


def test_a_row_whose_first_calls_are_not_there_is_left_out(source: Path, tmp_path: Path) -> None:
    def lacking(folder: Path, unheard: frozenset[str]) -> list[Call]:
        raise DataError("does not exist", folder / "data.tsv")

    rows = (made_benchmark().rows[0], Row("none", "", pretrain=nothing), Row("lacking", "", pretrain=lacking))
    planned = plan(made_benchmark(rows=rows), read(source, source), source, tmp_path, Wanted())
    assert [row.name for row in planned.rows] == ["text"]
    assert planned.left_out["none"].startswith("what it learns first is not there")
    assert "what it learns first can't be read" in planned.left_out["lacking"]
    assert "data.tsv: does not exist" in planned.left_out["lacking"]


def test_results_inside_the_data_are_refused(source: Path) -> None:
    for out in (source, source / "out"):
        with pytest.raises(UsageError, match="lies in the data's folder"):
            run_benchmark(made_benchmark(), source, out, Wanted())
    assert [path.name for path in source.iterdir()] == ["there"]


def test_the_test_part_is_what_the_data_say_it_is(source: Path, tmp_path: Path) -> None:
    splits = ["train", "train", "val", "test"]

    def split(folder: Path, scratch: Path) -> Contents:
        calls = tuple(replace(call, split=splits[at % 4], group=None) for at, call in enumerate(graded()))
        return Contents(calls, (), frozenset({"text"}), tested_on="a part of our own")

    made_here = made_benchmark(read=split, division="published", seeds=(1,))
    for _ in range(2):  # read, and as it was kept
        found = run_benchmark(made_here, source, tmp_path / "out", Wanted(rows=("text",)))
        assert found["tested_on"] == "a part of our own"


def test_failed_trainings_are_named_and_the_others_go_on(source: Path, tmp_path: Path) -> None:
    rows = (made_benchmark().rows[0], Row("broken", "no such fusion of text", ("network.fusion=audio",)))
    found = run_benchmark(made_benchmark(rows=rows), source, tmp_path / "out", Wanted(seeds=(1,), folds=(1,)))
    assert "broken, fold 1, seed 1: network" in found["rows"]["broken"]["failed"][0]
    assert found["rows"]["text"]["figures"]["accuracy"]["value"] >= 0
    assert "| broken | failed |" in (tmp_path / "out/results.md").read_text("utf-8")
    with pytest.raises(SystemExit, match="row 'broken' has trainings that failed"):
        figures_of(found)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(rows=("nothing",)), "--rows nothing: benchmark made has text, wider"),
        (Wanted(rows=("sound",)), "no row of benchmark made can be run here. sound: it needs audio"),
        (Wanted(folds=(5,)), "fold 5, and the folds are 1 to 4"),
        (Wanted(encoders=("someone/a-model",)), "not of the form HUB_ID=FOLDER"),
        (Wanted(encoders=("someone/other=x",)), "no row of this benchmark has it; they are meant with someone/a-model"),
        (Wanted(encoders=("someone/a-model=nowhere",)), "no model lies there"),
        (Wanted(settings=("fit.epoch=1",)), "row 'text' of benchmark made: .*unknown key 'fit.epoch'"),
    ],
)
def test_wrong_use_is_one_sentence(wanted: Wanted, words: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        run_benchmark(made_benchmark(), source, tmp_path / "out", wanted)


def test_what_is_not_the_layout_shows_the_layout(source: Path, tmp_path: Path) -> None:
    (source / "there").unlink()
    layout = "callsift bench made reads:\nthere    a file"
    for folder, words in ((source, f"lacks .*there. {layout}"), (tmp_path / "no", f"is no folder. {layout}")):
        with pytest.raises(UsageError, match=words):
            run_benchmark(made_benchmark(), folder, tmp_path / "out", Wanted())
    with pytest.raises(UsageError, match="holds nothing of Made calls"):
        empty = made_benchmark(read=lambda folder, scratch: Contents((), (), frozenset()))
        run_benchmark(empty, source, tmp_path / "out", Wanted())


def test_damage_in_a_file_that_is_there_is_said_without_the_layout(source: Path, tmp_path: Path) -> None:
    def damaged(folder: Path, scratch: Path) -> Contents:
        raise DataError("has no column 'x'", folder / "there", 1)

    with pytest.raises(DataError, match=r"there, line 1: has no column 'x'$"):
        run_benchmark(made_benchmark(read=damaged), source, tmp_path / "out", Wanted())


@pytest.mark.parametrize("division", ["published", "folds", "leave-one-group-out"])
def test_a_few_calls_are_of_every_split_label_and_group(division: Any) -> None:
    splits = ["train"] * 6 + ["val"] + ["test"] * 3
    calls = [replace(call, split=splits[at // 4 % 10]) for at, call in enumerate(graded(count=20))]
    few = few_of(calls, 20, division, "call")
    assert len(few) == 20
    assert few == few_of(calls, 20, division, "call")
    assert set(Counter(call.label for call in few).values()) <= {3, 4, 5}
    assert {call.group for call in few} == {"g0", "g1", "g2", "g3"}
    if division == "published":
        assert Counter(call.split for call in few) == {"train": 12, "val": 2, "test": 6}
    assert few_of(calls, 500, division, "call") == tuple(calls)


def test_a_try_is_never_taken_for_a_result(source: Path, tmp_path: Path) -> None:
    found = run_benchmark(made_benchmark(), source, tmp_path / "out", Wanted(rows=("text",), few=15, seeds=(1,)))
    assert found["not_a_result"] == "only about 15 calls were used"
    assert found["data"]["calls"] == 15
    assert "**A try, not a result: only about 15 calls were used.**" in (tmp_path / "out/results.md").read_text("utf-8")
    with pytest.raises(SystemExit, match="a try is no result"):
        figures_of(found)


def test_recorded_commands_name_no_folder_of_this_machine(data_folder: Path) -> None:
    argv = ["callsift", "bench", "mosi", f"--data={data_folder}/my set", "-o", "/tmp/a b/out", "--encoder"]
    argv += ["a/b-c=/opt/some models/m", "--seeds", "1,2", "--set", 'network.encoders.text.model="/opt/x"']
    assert portable(argv) == (
        'callsift bench mosi "--data=$CALLSIFT_DATA/my set" -o out --encoder a/b-c=m --seeds 1,2 '
        r'--set "network.encoders.text.model=\"x\""'
    )
    beside = data_folder.resolve().with_name(f"{data_folder.resolve().name}base")
    assert portable(["--data", f"{data_folder}/mosi", "-o", f"{beside}/x"]) == "--data $CALLSIFT_DATA/mosi -o x"
    assert portable(["-o", str(PAGE.parents[1] / "build/bench/mosi")]) == "-o build/bench/mosi"


def test_a_result_is_recorded_with_or_without_its_arguments(
    source: Path, tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["callsift", "bench", "made", "--data", str(tmp_path / "a b")])
    results = run_benchmark(made_benchmark(), source, tmp_path / "out", Wanted(rows=("text",), seeds=(1,), folds=(1,)))
    assert results["argv"] == ["callsift", "bench", "made", "--data", str(tmp_path / "a b")]
    (tmp_path / "docs").mkdir()
    kept: list[dict[str, Any]] = []
    monkeypatch.setattr("benchmarks.bench.PAGE", tmp_path / "docs/results.md")
    monkeypatch.setattr("benchmarks.bench.record", lambda title, figures, **about: kept.append(about))
    monkeypatch.setattr("sys.argv", ["bench", str(tmp_path / "out")])
    old = {key: value for key, value in results.items() if key != "argv"}
    for each in (results, {**old, "command": "callsift bench made --data /x/y", "commit": f"{'0' * 40}+, {'1' * 40}"}):
        write_json(tmp_path / "out/results.json", each)
        main()
    assert [each["command"] for each in kept] == ['callsift bench made --data "a b"', "callsift bench made --data y"]
    assert kept[1]["commit"] == "0000000+, 1111111"


def test_the_verb_lists_helps_and_writes_a_manifest_only(tmp_path: Path) -> None:
    listed = callsift("bench")
    assert listed.returncode == 0, listed.stderr
    for name in BENCHMARKS:
        assert load_benchmark(name).licence in listed.stdout
    asked = callsift("bench", "mosi")
    assert asked.returncode == 2
    assert "needs --data FOLDER and -o FOLDER" in asked.stderr
    assert "label.csv" in asked.stderr
    folder, out = make_table(tmp_path / "in"), tmp_path / "out"
    done = callsift("bench", "mosi", "--data", folder, "-o", out, "--manifest")
    assert done.returncode == 0, done.stderr
    assert len(read_manifest(out / "manifest.jsonl").calls) == 6
    assert not (out / "results.json").exists()
    assert "callsift train" in done.stdout
    wrong = callsift("bench", "mosy", "--data", folder, "-o", out)
    assert (wrong.returncode, "no benchmark is called 'mosy'" in wrong.stderr) == (2, True)
