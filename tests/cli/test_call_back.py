"""`callsift thresholds`, and `callsift score` with what it gives: as a user runs them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from callsift.bundle import find_bundle
from callsift.cli import app
from callsift.cli.parts import graded_calls
from callsift.cli.show import print_table
from callsift.config import load_train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.decision import softmax
from callsift.errors import DataError, UsageError
from callsift.evaluation.seen import seen_in_training
from callsift.labels import LabelScheme, load_scheme
from callsift.scoring.batch import ScorerSpec
from callsift.scoring.callback import Balance, BalancedSpec, CallBack, call_back_by, read_balance, read_threshold
from callsift.scoring.output import write_table
from callsift.scoring.scorer import result_row
from callsift.types import CallScore, ModelInfo
from tests.cli.commands import here, rows_of

RUNNER = CliRunner()
SCHEME = load_scheme("marketcalls")
SHARES = {"A": 0.02, "B": 0.08, "C": 0.2, "D": 0.3, "E": 0.4}


def _run(folder: Path, calls: int = 300, groups: int | None = None) -> Path:
    """What a finished run leaves of its validation: grades drawn by the very probabilities that are predicted."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(calls, 5)) * 2
    shares = softmax(logits)
    drawn = (shares.cumsum(axis=1) > random.random((calls, 1))).argmax(axis=1)
    tasks = {task: np.log(shares @ SCHEME.membership(task).T.astype(float)) for task in SCHEME.tasks}
    (folder / "predictions").mkdir(parents=True)
    with (folder / "predictions/val.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        names = [f"logit_{task}_{name}" for task, classes in SCHEME.tasks.items() for name in classes]
        writer.writerow(["call_id", "segment_id", "fold", "seed", "label", *names, *(["group"] if groups else [])])
        for at in range(calls):
            values = [f"{value:.6f}" for task in SCHEME.tasks for value in tasks[task][at]]
            writer.writerow([f"call-{at}", "", "", 1, SCHEME.grades[drawn[at]], *values,
                             *([at % groups] if groups else [])])  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(load_train_config(None).model_dump(mode="json")))
    result = {"temperature": dict.fromkeys(SCHEME.tasks, 1.0), "train_balance": dict.fromkeys(SCHEME.grades, 0.2)}
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "checkpoints/best").mkdir(parents=True)
    (folder / "checkpoints/best/network.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder."""
    return _run(tmp_path_factory.mktemp("thresholds") / "run")


@pytest.fixture(scope="module")
def spoken(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shipped calls with their text alone, quick to score."""
    calls = [replace(c, audio=None) for c in read_manifest(demo / "manifest.jsonl").calls if c.turns][:4]
    path = tmp_path_factory.mktemp("spoken") / "manifest.jsonl"
    write_manifest(path, calls)
    return path


def test_a_threshold_for_a_precision_is_written_for_score(finished: Path, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["thresholds", str(finished), "--precision", "0.6", "-o", str(tmp_path / "t.json")])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "t.json").read_text())
    assert found["precision"]["value"] > found["assured"] >= 0.6
    assert f"{found['above']} of 300 graded calls lie above" in done.stdout
    assert found["model_sha256"] == sha256(b"weights").hexdigest()
    read = read_threshold(str(tmp_path / "t.json"), SCHEME, ["bundle", found["model_sha256"]], None)
    assert read == CallBack("propensity", found["threshold"])


def test_a_threshold_goes_with_its_model_its_balance_and_nothing_else(finished: Path, tmp_path: Path) -> None:
    path, shares = tmp_path / "t.json", "A=0.02,B=0.08,C=0.2,D=0.3,E=0.4"
    done = RUNNER.invoke(app, ["thresholds", str(finished), "--precision", "0.5", "--balance", shares, "-o", str(path)])
    assert done.exit_code == 0, done.output
    model, here = [json.loads(path.read_text())["model_sha256"]], read_balance(shares, SCHEME, [])
    assert read_threshold(str(path), SCHEME, model, here).threshold is not None
    with pytest.raises(UsageError, match="made for another model"):
        read_threshold(str(path), SCHEME, ["another"], here)
    with pytest.raises(UsageError, match="made for label scheme 'marketcalls'; the model has 'donation'"):
        read_threshold(str(path), load_scheme("donation"), model, here)
    with pytest.raises(UsageError, match="found for scores with --balance, and these are without"):
        read_threshold(str(path), SCHEME, model, None)
    with pytest.raises(UsageError, match="found for another --balance"):
        read_threshold(str(path), SCHEME, model, Balance(SHARES, implied=SHARES))
    path.write_text('{"threshold": 0.5, "by": "propensity"}')  # by hand
    assert read_threshold(str(path), SCHEME, ["another"], here) == CallBack("propensity", 0.5)


def test_customers_with_several_validation_calls_are_one_piece_of_evidence(tmp_path: Path) -> None:
    run = _run(tmp_path / "run", groups=5)
    done = RUNNER.invoke(app, ["thresholds", str(run), "--precision", "0.6"])
    assert isinstance(done.exception, UsageError), "300 calls of five customers are no 300 calls"
    assert "no threshold has a precision of 0.6 for certain" in str(done.exception)


def test_training_calls_are_refused_and_a_test_split_is_taken(spoken: Path, tmp_path: Path) -> None:
    calls = read_manifest(spoken).calls
    other = [replace(call, call_id=f"other-{call.call_id}", audio=tmp_path / "heard.wav") for call in calls[:1]]
    (tmp_path / "heard.wav").write_bytes(b"a recording")
    (tmp_path / "again.wav").write_bytes(b"a recording")
    manifest, run = tmp_path / "learnt.jsonl", tmp_path / "run"
    write_manifest(manifest, [*calls[1:2], *other])
    run.mkdir()
    names = [calls[1].call_id, other[0].call_id]
    data = {"manifest": str(manifest), "sha256": sha256(manifest.read_bytes()).hexdigest(), "splits": {"train": names}}
    (run / "data.json").write_text(json.dumps(data))
    copied = replace(calls[2], audio=tmp_path / "again.wav")
    assert seen_in_training(run, [*calls[:2], copied, calls[3]]) == [calls[1].call_id, copied.call_id]
    manifest.unlink()
    assert seen_in_training(run, [*calls[:2], copied]) == [calls[1].call_id]
    scorer = ScorerSpec(find_bundle("starter")).make()
    write_manifest(manifest, [replace(c, split="test" if at else "train") for at, c in enumerate(calls)])
    assert graded_calls(scorer, manifest, None)[1] == "test"
    assert len(graded_calls(scorer, manifest, None)[0]) == len(calls) - 1
    assert len(graded_calls(scorer, manifest, "train")[0]) == 1
    assert graded_calls(scorer, spoken, None) == (list(calls), None)


def test_a_threshold_for_a_team_and_wrong_wishes(finished: Path, tmp_path: Path) -> None:
    per_day = ["--per-day", "50", "--calls-per-day", "500", "--by", "rank_score"]
    done = RUNNER.invoke(app, ["thresholds", str(finished), *per_day])
    assert done.exit_code == 0, done.output
    assert "30 of 300 graded calls lie above" in done.stdout
    assert "expected a day: 50.0 calls to phone back" in done.stdout
    both = RUNNER.invoke(app, ["thresholds", str(finished), *per_day, "--precision", "0.5"])
    assert isinstance(both.exception, UsageError)
    few = RUNNER.invoke(app, ["thresholds", str(_run(tmp_path / "small", calls=12)), "--precision", "0.6"])
    assert isinstance(few.exception, DataError)
    assert "of 12 graded calls are of a positive grade" in str(few.exception)


def test_score_marks_the_calls_to_phone_back_and_corrects_for_the_balance(spoken: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.jsonl"
    given = ("--balance", ",".join(f"{grade}={share}" for grade, share in SHARES.items()))
    marked = here("score", spoken, "-o", output, "--top", "1", *given)
    assert marked.returncode == 0, marked.stderr
    assert "1 to phone back" in marked.stderr
    rows = sorted(rows_of(output), key=lambda row: -row["rank_score"])
    assert [row["call_back"] for row in rows] == [True] + [False] * 3
    plain = here("score", spoken, "-o", output, "--resume", *given)
    assert plain.returncode == 0, plain.stderr
    assert not any("call_back" in row for row in rows_of(output)), "a mark is of the run that was asked for it"
    mixed = here("score", spoken, "-o", output, "--resume")
    assert mixed.returncode == 2
    assert "one file must not mix them" in mixed.stderr
    none = here("score", spoken, "-o", output, "--resume", "--threshold", "1", *given)
    assert "; 0 to phone back" in none.stderr
    again = here("score", spoken, "-o", output, "--resume", "--threshold", "0.0", *given)
    assert "4 calls are scored already" in again.stderr
    assert all(row["call_back"] for row in rows_of(output))


def test_the_balance_is_part_of_the_settings_and_goes_through_as_the_decision_has_it(spoken: Path) -> None:
    folder = find_bundle("starter")
    plain, balanced = ScorerSpec(folder).make(), BalancedSpec(folder, balance=Balance(SHARES)).make()
    other = BalancedSpec(folder, balance=Balance(SHARES | {"A": 0.01, "B": 0.09})).make()
    assert len({plain.settings_sha256, balanced.settings_sha256, other.settings_sha256}) == 3
    assert balanced.calibration == replace(plain.calibration, target_balance=SHARES)
    implied = BalancedSpec(folder, balance=Balance(SHARES, implied=SHARES)).make()
    assert implied.calibration == replace(plain.calibration, train_balance=SHARES, target_balance=SHARES)
    assert implied.settings_sha256 != balanced.settings_sha256
    with pytest.raises(UsageError, match="never heard a call of grade 'E'"):
        BalancedSpec(folder, balance=Balance(SHARES, implied=SHARES | {"D": 0.7, "E": 0.0})).make()
    call = read_manifest(spoken).calls[0]
    assert implied.score(call).propensity == pytest.approx(plain.score(call).propensity), "nothing to correct"
    before, after = plain.score(call).propensity, balanced.score(call).propensity
    assert before is not None
    assert after is not None
    assert after < before, "30 % of buyers rather than more"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("A=0.5,B=0.5", "'C' is missing; the model's grades are A, B, C, D, E"),
        ("A=0.2,B=0.2,C=0.2,D=0.2,E=0.2,F=0", "'F' is no grade"),
        ("A=0.2,B=0.2,C=0.2,D=0.2,E=0.3", "the shares sum to 1.1"),
        ("A=-0.2,B=0.4,C=0.2,D=0.3,E=0.3", "the share of 'A' is -0.2"),
        ("A=nan,B=0.4,C=0.2,D=0.2,E=0.2", "the share of 'A' is nan"),
        ("A=0.2,A=0.2,B=0.2,C=0.2,D=0.2", "'A=0.2' is not like A=0.1"),
        ("mostly E", "'mostly E' is not like A=0.1"),
        ("missing.json", "can't be read"),
    ],
)
def test_a_balance_that_is_none_is_refused_in_one_sentence(given: str, message: str) -> None:
    with pytest.raises(UsageError) as found:
        read_balance(given, SCHEME, [])
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_a_balance_is_read_from_a_file_and_brought_to_one(tmp_path: Path) -> None:
    path = tmp_path / "shift.json"
    path.write_text(json.dumps({"balance": SHARES | {"E": 0.4005}, "method": "em"}))
    found = read_balance(str(path), SCHEME, [])
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert found.shares["A"] == pytest.approx(0.02, abs=1e-4)
    assert (found.implied, found.warning) == (None, "")
    path.write_text(
        json.dumps({"balance": SHARES, "implied_balance": SHARES, "advised": False, "warnings": ["too few calls"]})
    )
    found = read_balance(str(path), SCHEME, [])
    assert (found.implied, found.warning) == (pytest.approx(SHARES), "too few calls")
    path.write_text('{"balance": [0.2]}')
    with pytest.raises(UsageError, match="a file must be like"):
        read_balance(str(path), SCHEME, [])
    path.write_text(json.dumps({"balance": SHARES, "scheme": "marketcalls", "model_sha256": "1234"}))
    assert read_balance(str(path), SCHEME, ["abcd", "1234"]).shares == pytest.approx(SHARES)
    with pytest.raises(UsageError, match=r"made for another model \(1234\) than this one \(abcd\)"):
        read_balance(str(path), SCHEME, ["abcd"])
    with pytest.raises(UsageError, match="is a number and has no grades"):
        read_balance("A=1", LabelScheme(id="stars", kind="number", range=(0, 5)), [])


def _row(name: str, score: float | None, error: Any = None) -> dict[str, Any]:
    return {"call_id": name, "propensity": score, "rank_score": score, "error": error}


def test_marks_follow_the_score_and_leave_what_could_not_be_scored_open() -> None:
    rows = [_row("a", 0.2), _row("b", 0.6), _row("c", None, {"code": "no_speech"}), _row("d", 0.6)]
    assert [r["call_back"] for r in CallBack(threshold=0.6).mark(rows)] == [False, True, None, True]
    assert [r["call_back"] for r in CallBack("rank_score", top=1).mark(rows)] == [False, True, None, False]
    assert "call_back" not in rows[0]
    with pytest.raises(UsageError, match="gives no propensity"):
        CallBack(threshold=0.5).mark([_row("a", None)])
    nothing_sold = SCHEME.model_copy(update={"positive": ()})
    with pytest.raises(UsageError, match="gives no propensity to choose calls by: its label scheme"):
        call_back_by("0.5", None, nothing_sold, [])
    with pytest.raises(UsageError, match="give one of them"):
        call_back_by("0.5", 3, SCHEME, [])
    with pytest.raises(UsageError, match="neither a number such as 0.6"):
        read_threshold("nan", SCHEME, [], None)
    with pytest.raises(UsageError, match=r"--threshold 60: a propensity is from 0 to 1; did you mean 0\.6\?"):
        read_threshold("60", SCHEME, [], None)
    with pytest.raises(UsageError, match="--threshold -0.5: a propensity is from 0 to 1$"):
        read_threshold("-0.5", SCHEME, [], None)
    with pytest.raises(UsageError, match=r"--threshold none\.json: can't be read: no such file or directory$"):
        read_threshold("none.json", SCHEME, [], None)


def test_what_to_hear_before_a_balance_is_used() -> None:
    assert Balance(SHARES).cautions("b.json") == []
    never = Balance({**SHARES, "A": 0.0, "B": 0.1}, warning="too few calls").cautions("b.json")
    assert never == [
        "b.json advises against its own use: too few calls",
        "--balance b.json: a share of 0 means that grade 'A' can never be given",
    ]


def test_too_few_graded_calls_are_refused_before_any_is_scored(spoken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callsift.scoring.scorer.Scorer.score", lambda *_: pytest.fail("scored"))
    done = RUNNER.invoke(app, ["thresholds", "starter", str(spoken), "--precision", "0.6"])
    assert isinstance(done.exception, DataError), done.output
    assert "of 4 graded calls are of a positive grade" in str(done.exception)


def test_the_mark_stands_in_the_table_and_in_the_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scored = result_row(CallScore("a", None, None, None, None, ModelInfo("m", "1", "0"), "s", "A", 0.9, 0.8))
    rows = CallBack(top=1).mark([scored, scored | {"call_id": "b", "propensity": 0.1, "rank_score": 0.1}])
    write_table(tmp_path / "s.csv", rows)
    with (tmp_path / "s.csv").open() as stream:
        assert [row["call_back"] for row in csv.DictReader(stream)] == ["True", "False"]
    print_table(rows)
    assert capsys.readouterr().out.count("●") == 1
    print_table([scored])
    assert "back" not in capsys.readouterr().out
