"""Searches over real trainings: of texts alone, on a network small enough for a test."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from callsift.config import load_train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import ConfigError, DataError, UsageError
from callsift.files import exclusive_lock
from callsift.training.run import train
from callsift.training.search import Ended, search
from callsift.training.search_file import space_of
from callsift.training.search_report import Found
from callsift.training.search_space import Base
from callsift.training.search_study import Plan, opened
from callsift.training.search_trial import Outcome, Task
from callsift.training.search_workers import _Processes, workers
from callsift.types import Call, Turn

pytest.importorskip("optuna")

SETTINGS = {
    "labels": "donation",
    "network": {
        "streams": ["text"], "width": 16, "heads": 2, "feed_forward": 16, "embedding_width": 8, "hidden": 8,
        "cross_layers": 0, "own_layers": 0, "bottleneck_layers": 0, "modality_dropout": 0.0,
    },
    "front_end": {"tokens": {"buckets": 64}},
    "fit": {"epochs": 3, "batch_calls": 8, "threads": 1, "calibration": "none"},
}  # fmt: skip
RATES = {"fit.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "network.dropout": {"values": [0.1, 0.3]}}


def calls_of(count: int, split: str | None, prefix: str) -> list[Call]:
    words = {"yes": "yes gladly please send it", "no": "no stop calling me"}
    return [
        Call(f"{prefix}{at}", label=label, split=split, turns=(Turn("customer", f"{words[label]} {at % 5}"),))
        for at, label in zip(range(count), ["yes", "no"] * count, strict=False)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve calls to train on, four to validate, four to test."""
    path = tmp_path_factory.mktemp("data") / "manifest.jsonl"
    write_manifest(path, [*calls_of(12, "train", "a"), *calls_of(4, "val", "b"), *calls_of(4, "test", "c")])
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "c.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    return path


def plan_of(config: Path, space: dict[str, Any], *settings: str, **options: Any) -> Plan:
    base = Base(config, settings)
    return Plan(space_of(space, "space s.yaml", base), base, **options)


def rows_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def told(folder: Path) -> list[tuple[str, ...]]:
    """What `trials.csv` says, but for the times."""
    rows = list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))
    return [tuple(value for key, value in row.items() if key != "seconds") for row in rows]


@pytest.fixture(scope="module")
def studied(data: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Found]:
    """A finished search of three trials."""
    folder = tmp_path_factory.mktemp("studied") / "study"
    return folder, search(data, folder, plan_of(config, RATES, trials=3, keep=1))


def test_no_trial_sees_a_test_call(studied: tuple[Path, Found], data: Path) -> None:
    folder, found = studied
    seen = read_manifest(folder / "manifest.jsonl").calls
    assert sorted(call.call_id for call in seen if call.split == "train") == sorted(f"a{at}" for at in range(12))
    assert sorted(call.call_id for call in seen if call.split == "val") == [f"b{at}" for at in range(4)]
    assert len(seen) == 16
    assert found.calls == {"train": 12, "val": 4}
    for number in range(3):
        run = folder / f"trials/{number:04d}"
        assert list(json.loads((run / "result.json").read_text())["figures"]) == ["val"]
        assert [file.name for file in (run / "predictions").iterdir()] == ["val.csv"]
    for file in folder.rglob("*"):
        if file.suffix in (".json", ".jsonl", ".csv", ".yaml"):
            assert '"c1"' not in file.read_text(), file


def test_what_a_search_leaves(studied: tuple[Path, Found], data: Path, config: Path, tmp_path: Path) -> None:
    """The value is the best epoch's figure in the trial's own log, and best.yaml trains to the same again."""
    folder, found = studied
    for row in found.rows:
        log = rows_of(folder / f"trials/{row.number:04d}/log.jsonl")
        assert row.value == min(epoch["val_loss"] for epoch in log)
    best = min(found.rows, key=lambda row: row.value or 0)
    assert found.ranked[0] == best
    kept = [file.parent.parent.parent.name for file in folder.glob("trials/*/checkpoints/best/network.safetensors")]
    assert kept == [f"{best.number:04d}"]
    chosen = load_train_config(folder / "best.yaml")
    assert chosen.fit.learning_rate == best.settings["fit.learning_rate"]
    assert chosen.network.dropout == best.settings["network.dropout"]
    assert "optimistic" in (folder / "best.yaml").read_text().splitlines()[0]
    train(data, tmp_path / "run", chosen)
    again = rows_of(tmp_path / "run/log.jsonl")
    assert min(epoch["val_loss"] for epoch in again) == best.value
    assert "test" in json.loads((tmp_path / "run/result.json").read_text())["figures"]
    assert found.warning.startswith("The best of 3 trials, chosen on 4 validation calls: its figure is optimistic")


def test_a_search_is_killed_and_goes_on_as_if_it_had_not_been(
    studied: tuple[Path, Found], data: Path, config: Path, tmp_path: Path
) -> None:
    """kill -9 in the middle of the second trial; then the same trials, to the last digit."""
    space = tmp_path / "s.yaml"
    space.write_text(yaml.safe_dump(RATES))
    folder = tmp_path / "study"
    command = [sys.executable, "-m", "callsift.cli", "tune", str(data), "-o", str(folder), "-c", str(config)]
    command += ["--space", str(space), "--trials", "3", "--keep", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (folder / "trials/0001/log.jsonl").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "trials/0002").exists()
    with pytest.raises(DataError, match="holds a study already; go on with it by --resume"):
        search(data, folder, plan_of(config, RATES, trials=3, keep=1))
    found = search(data, folder, plan_of(config, RATES, trials=3, keep=1), resume=True)
    assert [row.state for row in found.rows] == ["complete"] * 3
    assert told(folder) == told(studied[0])


def test_more_trials_and_other_settings_on_resume(data: Path, config: Path, tmp_path: Path) -> None:
    space = {"network.dropout": {"values": [0.1, 0.2, 0.3]}}
    heard: list[Ended] = []
    first = search(data, tmp_path, plan_of(config, space, trials=1), on_trial=heard.append)
    found = search(data, tmp_path, plan_of(config, space, trials=2), resume=True, on_trial=heard.append)
    assert found.rows[:1] == first.rows
    assert [(ended.done, ended.wanted) for ended in heard] == [(1, 1), (2, 2)]
    again = search(data, tmp_path, plan_of(config, space, trials=2), resume=True, on_trial=heard.append)
    assert (again.rows, len(heard)) == (found.rows, 2)
    with pytest.raises(DataError, match="begun with other config"):
        search(data, tmp_path, plan_of(config, space, "fit.epochs=2"), resume=True)
    with pytest.raises(DataError, match="begun with other space"):
        search(data, tmp_path, plan_of(config, {"network.dropout": {"values": [0.1, 0.2]}}), resume=True)
    with exclusive_lock(tmp_path / ".lock"):
        with pytest.raises(UsageError, match="another callsift is writing"):
            search(data, tmp_path, plan_of(config, space), resume=True)


def test_a_grid_is_tried_once_each_and_then_there_is_no_trial_left(data: Path, config: Path, tmp_path: Path) -> None:
    """Of four combinations one contradicts itself: it is written down as such, and the other three are trained."""
    space = {"network.width": {"values": [16, 18]}, "network.heads": {"values": [2, 8]}}
    plan = plan_of(config, space, "fit.epochs=1", "fit.seed=2", every_point=True)
    found = search(data, tmp_path, plan)
    tried = sorted((row.settings["network.width"], row.settings["network.heads"]) for row in found.rows)
    assert tried == [(16, 2), (16, 8), (18, 2), (18, 8)]
    (refused,) = [row for row in found.rows if row.refused]
    assert (refused.state, refused.value) == ("pruned", None)
    assert refused.reason == "refused: network: width 18 is not a multiple of heads 8"
    assert sum(row.state == "complete" for row in found.rows) == 3
    (tmp_path / "best.yaml").unlink()
    with pytest.raises(ConfigError, match="no trial is left, all 3 points were tried; the best is in .*best.yaml"):
        search(data, tmp_path, plan, resume=True)
    assert (tmp_path / "best.yaml").is_file()


def test_sampled_points_never_repeat(data: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine of ten points of a small space: proposals that repeat are drawn again. The training itself is left out."""
    monkeypatch.setattr("callsift.training.search_workers.run_task", lambda *_: Outcome("complete", 1.0))
    space = {"fit.epochs": {"values": [1, 2, 3, 4, 5]}, "network.dropout": {"values": [0.1, 0.2]}}
    found = search(data, tmp_path, plan_of(config, space, trials=9))
    assert len({tuple(row.settings.values()) for row in found.rows}) == len(found.rows) == 9


@pytest.mark.slow
def test_trials_that_fall_behind_are_pruned(data: Path, config: Path, tmp_path: Path) -> None:
    """Five trials first; the sixth and later are held against the median, and rates too small to learn fall behind."""
    space = {"fit.learning_rate": {"values": [0.02, 0.021, 0.022, 0.023, 0.024, 1e-7, 2e-7]}}
    found = search(data, tmp_path / "a", plan_of(config, space, "fit.epochs=2", "fit.warmup=0", "fit.seed=4"))
    pruned = [row for row in found.rows if row.state == "pruned"]
    small = [row for row in found.rows if row.settings["fit.learning_rate"] < 1e-6]
    late = [row for row in small if row.number >= 5]
    assert late  # else this seed's order shows nothing
    assert [row.number for row in pruned if row in small] == [row.number for row in late]
    assert {row.reason for row in pruned} == {"behind the others after epoch 1"}
    for row in pruned:
        assert len((tmp_path / f"a/trials/{row.number:04d}/log.jsonl").read_text().splitlines()) == 1
    assert found.ranked[0] not in pruned


def test_several_seeds_count_as_one_trial_on_one_validation_part(config: Path, tmp_path: Path) -> None:
    """Without a split of its own the data has its validation part held out once, not by each seed."""
    write_manifest(tmp_path / "m.jsonl", calls_of(12, None, "a"))
    space = {"network.dropout": {"values": [0.1, 0.3]}}
    plan = plan_of(config, space, "fit.monitor=accuracy", "fit.epochs=1", trials=1, seeds=2)
    found = search(tmp_path / "m.jsonl", tmp_path / "s", plan)
    values, splits = [], []
    for seed in (1, 2):
        run = tmp_path / f"s/trials/0000/seed-{seed}"
        assert load_train_config(run / "config.yaml").fit.seed == seed
        values.append(rows_of(run / "log.jsonl")[0]["monitor"])
        splits.append(json.loads((run / "data.json").read_text())["splits"])
    assert found.rows[0].value == sum(values) / 2
    assert splits[0] == splits[1]
    assert len(splits[0]["val"]) == found.calls["val"] == 2
    assert "keep some calls aside" in found.warning


@pytest.mark.slow
def test_two_processes_train_at_once(data: Path, config: Path, tmp_path: Path) -> None:
    found = search(data, tmp_path, plan_of(config, RATES, "fit.epochs=1", trials=2, jobs=2))
    assert [row.state for row in found.rows] == ["complete"] * 2
    assert len({row.value for row in found.rows}) == 2


def test_a_trial_that_always_ends_its_process_is_given_up(
    data: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    def fall(*_: Any) -> Outcome:
        raise PowerCut

    plan = plan_of(config, RATES, trials=1)
    with monkeypatch.context() as broken:
        broken.setattr("callsift.training.search_workers.run_task", fall)
        for at in range(3):
            with pytest.raises(PowerCut):
                search(data, tmp_path, plan, resume=at > 0)
    with pytest.raises(UsageError, match="none of 1 trials was completed; the last: its process ended in it 3 times"):
        search(data, tmp_path, plan, resume=True)
    assert told(tmp_path)[0][1] == "failed"


def test_data_that_fail_every_trial_end_the_search(data: Path, config: Path, tmp_path: Path) -> None:
    """Three are enough to know."""
    with pytest.raises(UsageError, match="the last 3 trials all failed; the last: no call of split 'train'"):
        search(data, tmp_path, plan_of(config, RATES, "network.streams=[audio]"))


def test_data_that_go_bad_later_end_the_search_too(
    data: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last three count, not those before; what is too large by itself is no sign. The training is left out."""
    ends = [Outcome("complete", 1.0), *[Outcome("failed", reason="out of memory: 9 GB")] * 3]
    ends += [Outcome("failed", reason="gone")] * 9
    monkeypatch.setattr("callsift.training.search_workers.run_task", lambda *_: ends.pop(0))
    with pytest.raises(UsageError, match="the last 3 trials all failed; the last: gone"):
        search(data, tmp_path, plan_of(config, RATES, trials=20))
    assert len(ends) == 6


def test_a_full_disk_costs_no_trial(data: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the search is tried again before there is room: the trial is none of those that end processes."""
    import errno

    from sqlalchemy.exc import OperationalError

    plan = plan_of(config, RATES, "fit.epochs=1", trials=1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("callsift.training.search.ATTEMPTS", 1)
    with monkeypatch.context() as patched:
        patched.setattr("callsift.training.checkpoint.save_file", full)
        for at in range(2):
            with pytest.raises(DataError, match="No space left on device"):
                search(data, tmp_path, plan, resume=at > 0)
    found = search(data, tmp_path, plan, resume=True)
    assert [row.state for row in found.rows] == ["complete"]
    with pytest.raises(DataError, match=r"study\.db: can't be written; make room"):
        with opened(tmp_path, plan.base.at()):
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))


@pytest.mark.slow
def test_a_process_that_was_killed_while_idle_is_replaced(data: Path, config: Path, tmp_path: Path) -> None:
    with workers(2, lambda calls, total, what: calls) as at_work:
        assert isinstance(at_work, _Processes)
        for process, _ in at_work._idle:
            process.kill()
            process.join()
        at_work.start(Task(0, tmp_path / "0000", data, load_train_config(config, ["fit.epochs=1"])))
        ended: list[tuple[int, Outcome]] = []
        while not ended:
            ended = at_work.step(lambda *_: True)
    assert [(number, outcome.state) for number, outcome in ended] == [(0, "complete")]


def test_a_study_that_is_none_and_a_space_of_contradictions(
    data: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.db").write_bytes(b"not a database" * 100)
    with pytest.raises(DataError, match=r"study\.db: can't be read as a study"):
        search(data, tmp_path, plan_of(config, RATES))
    odd = {"network.width": {"low": 17, "high": 19, "step": 2}, "network.dropout": {"low": 0, "high": 0.5}}
    with pytest.raises(ConfigError, match="no trial is left, 200 points drawn evenly are refused; the last: network: "):
        search(data, tmp_path / "b", plan_of(config, odd))
    assert not (tmp_path / "b").exists()
    monkeypatch.setattr("callsift.training.search.REFUSED_IN_A_ROW", 3)
    monkeypatch.setattr("callsift.training.search_workers.run_task", lambda *_: Outcome("complete", 1.0))
    odd = {"network.width": {"values": [16, *range(17, 99, 2)]}, "network.dropout": {"low": 0, "high": 0.5}}
    with pytest.raises(ConfigError, match="no trial is left, 3 points in a row are refused; the last: network: width"):
        search(data, tmp_path / "b", plan_of(config, odd))
    with pytest.raises(UsageError, match="none of 0 trials was completed in the time given"):
        search(data, tmp_path / "c", plan_of(config, RATES, timeout_s=0.0))
