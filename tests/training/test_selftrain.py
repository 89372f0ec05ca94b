"""Self-training on a few calls of made words: what each round learns from, and that stopping it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from callsift.config import TrainConfig, load_train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import ConfigError, DataError
from callsift.files import read_json, read_jsonl
from callsift.training.material import Material
from callsift.training.pseudo_labels import AcceptRules
from callsift.training.selftrain import SelfTraining
from callsift.training.selftrain_rounds import Round, best_of
from tests.training.words import SETTINGS, made

RULES = AcceptRules(threshold=0.3)


@pytest.fixture(scope="module")
def config() -> TrainConfig:
    return load_train_config(None, SETTINGS)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Graded calls with fixed splits, and a pool that knows the grades of half of its calls."""
    folder = tmp_path_factory.mktemp("sources")
    graded = [*made(10, "train", split="train"), *made(5, "val", split="val"), *made(5, "test", split="test")]
    write_manifest(folder / "data.jsonl", graded)
    pool = [replace(call, label=call.label if at % 2 else None) for at, call in enumerate(made(15, "pool"))]
    write_manifest(folder / "pool.jsonl", pool)
    return folder / "data.jsonl", folder / "pool.jsonl"


@pytest.fixture(scope="module")
def whole(sources: tuple[Path, Path], config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-training that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    SelfTraining(*sources, folder, config, rounds=1, rules=RULES, asr="none").run()
    return folder


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_jsonl(path)]


def test_every_round_learns_from_labels_and_the_ledger(whole: Path) -> None:
    result, ledger = read_json(whole / "result.json"), rows_of(whole / "ledger.jsonl")
    assert len(result["rounds"]) == 2
    graded = {f"train{at}": "ABCDE"[at % 5] for at in range(10)}
    for each in result["rounds"]:
        calls = read_manifest(whole / f"round-{each['number']}.jsonl").calls
        learnt = {call.call_id: call.label for call in calls if call.split == "train"}
        mine = [row for row in ledger if row["round"] == each["number"] and row["status"] != "dropped"]
        assert learnt == graded | {row["call_id"]: row["label"] for row in mine}
        assert sum(each["accepted"].values()) == len(mine)
        assert each["known"] == sum(row["true"] is not None for row in mine)
        assert each["right"] == sum(row["true"] == row["label"] for row in mine)
        assert [call.call_id for call in calls if call.split == "val"] == [f"val{at}" for at in range(5)]
        assert not any(call.call_id.startswith("test") for call in calls)
    assert ledger
    for row in ledger:
        assert row["call_id"].startswith("pool")
        assert row["confidence"] >= row["threshold"] - 1e-6


def test_validation_alone_chooses_and_test_is_asked_once(whole: Path) -> None:
    result = read_json(whole / "result.json")
    figures = [each["monitor"] for each in result["rounds"]]
    assert result["best_round"] == figures.index(max(figures))
    assert result["run"] == f"round-{result['best_round']}"
    assert [row["call_id"] for row in rows_of(whole / "test.jsonl")] == [f"test{at}" for at in range(5)]
    assert result["test"]["combined"]["five"]["calls"] == 5
    for each in result["rounds"]:
        run = whole / f"round-{each['number']}"
        assert not (run / "predictions/test.csv").exists()
        assert read_json(run / "result.json")["figures"].keys() == {"val"}
    assert result["labelled_balance"] == dict.fromkeys("ABCDE", 0.2)


class StoppedHereError(Exception):
    """Stands for whatever ends a process."""


def test_stopped_anywhere_it_ends_the_same(
    whole: Path, sources: tuple[Path, Path], config: TrainConfig, tmp_path: Path
) -> None:
    """Stopped within a training, before and after a round; tables are compared to the byte, weights to the bit."""
    folder, material = tmp_path / "out", Material()
    seen = 0

    def stop_in_epoch(_: Mapping[str, float]) -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            raise StoppedHereError

    def stop_after(done: Round) -> None:
        if done.number == 1:
            raise StoppedHereError

    def again() -> SelfTraining:
        return SelfTraining(*sources, folder, config, rounds=1, rules=RULES, asr="none")

    with pytest.raises(StoppedHereError):
        again().run(on_epoch=stop_in_epoch, material=material)
    with pytest.raises(StoppedHereError):
        again().run(resume=True, on_round=stop_after, material=material)
    again().run(resume=True, material=material)
    for name in ("ledger.jsonl", "result.json", "test.jsonl", "round-1.jsonl"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    for number in range(2):
        one, other = (
            load_file(each / f"round-{number}/checkpoints/best/network.safetensors") for each in (folder, whole)
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_folder_is_gone_on_with_by_the_same_command_alone(
    whole: Path, sources: tuple[Path, Path], config: TrainConfig, tmp_path: Path
) -> None:
    before = (whole / "result.json").read_bytes()
    with pytest.raises(DataError, match="holds a self-training already; go on with --resume"):
        SelfTraining(*sources, whole, config, rounds=1, rules=RULES, asr="none").run()
    with pytest.raises(DataError, match="was begun with another threshold; go on with the same"):
        SelfTraining(*sources, whole, config, rounds=1, rules=AcceptRules(0.4), asr="none").run(resume=True)
    finished = SelfTraining(*sources, whole, config, rounds=1, rules=RULES, asr="none").run(resume=True)
    assert finished == read_json(whole / "result.json")
    assert (whole / "result.json").read_bytes() == before
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(DataError, match="is not empty and holds no self-training"):
        SelfTraining(*sources, tmp_path, config, rounds=1, rules=RULES, asr="none").run(resume=True)


def test_a_pool_graded_too_unsurely_leaves_the_labels_alone(
    sources: tuple[Path, Path], config: TrainConfig, tmp_path: Path
) -> None:
    work = SelfTraining(*sources, tmp_path / "out", config, rules=AcceptRules(1.0, floor=1.0), asr="none")
    result = work.run()
    assert (result["best_round"], len(result["rounds"])) == (0, 1)
    assert "no call of the pool was graded surely enough" in result["stopped"]
    assert rows_of(tmp_path / "out/ledger.jsonl") == []


def test_the_earliest_round_wins_a_tie() -> None:
    done = [Round(at, {}, 0, 0, monitor, {}) for at, monitor in enumerate([0.4, 0.6, 0.6])]
    assert best_of(done).number == 1


def test_what_has_no_grade_for_a_call_is_refused(
    sources: tuple[Path, Path], config: TrainConfig, tmp_path: Path
) -> None:
    number = config.model_copy(update={"labels": {"id": "n", "kind": "number", "range": [0, 1]}})
    segments = config.model_copy(update={"target": "segment"})
    for wrong, what in ((number, "a number"), (segments, "segments")):
        with pytest.raises(ConfigError, match=f"one grade for each call, and the labels are of {what}"):
            SelfTraining(*sources, tmp_path / "out", wrong)
    with pytest.raises(ConfigError, match="--rounds 0"):
        SelfTraining(*sources, tmp_path / "out", config, rounds=0)
    assert not (tmp_path / "out").exists()
