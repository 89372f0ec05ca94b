"""Evaluation of the shipped starter model on the shipped calls, by their transcripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callsift.bundle import find_bundle, load_bundle
from callsift.data.manifest import read_manifest
from callsift.errors import UsageError
from callsift.evaluation.evaluate import Depth, evaluate_calls
from callsift.evaluation.report import page_of
from callsift.evaluation.report.words import drawn_of
from callsift.labels import LabelScheme
from callsift.scoring.scorer import Scorer
from callsift.types import Call
from tests.evaluation.planted import MOOD, planted, said


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.from_bundle(load_bundle(find_bundle("starter")), asr="none", threads=1)


@pytest.fixture(scope="module")
def told(demo: Path) -> list[Call]:
    """Twenty-one calls by their transcripts alone, five of them in one group."""
    calls = [replace(call, audio=None) for call in read_manifest(demo / "manifest.jsonl").calls if call.turns]
    return [replace(call, group="five" if at < 5 else f"g{at}") for at, call in enumerate(calls)]


@pytest.fixture(scope="module")
def found(scorer: Scorer, told: Sequence[Call]) -> dict[str, Any]:
    return evaluate_calls(scorer, told[::2], depth=Depth(told, moments=1, faithful=True), made={"data": "demo"})


def test_everything_is_there_and_strict_json(found: dict[str, Any], told: Sequence[Call]) -> None:
    plain = {key: value for key, value in found.items() if key != "rows"}
    assert json.loads(json.dumps(plain, allow_nan=False)) == json.loads(json.dumps(plain))
    assert found["made"]["data"] == "demo"
    assert found["made"]["model"]["name"] == "starter"
    assert found["data"]["calls"] == found["data"]["items"] == 11
    assert found["data"]["hours"] is None
    assert found["data"]["groups"] == 9  # 11 calls, of which 0, 2 and 4 are of one group
    assert sum(found["balance"]["here"].values()) == 11
    assert (found["data"]["drawn_by"], found["data"]["unit"]) == ("group", "call")
    assert (found["data"]["learnt"], found["data"]["related"], found["data"]["chosen_by"]) == ([], [], False)
    assert found["breakdown_parts"] == sum(map(len, found["breakdowns"].values()))
    assert found["faithfulness"]["calls"] <= 11
    five = found["results"]["combined"]["five"]
    assert sum(map(sum, five["confusion"]["counts"])) == five["calls"] == 11
    assert {"low", "high", "value"} == set(five["tfidf"]["accuracy"]) == set(five["majority"]["accuracy"])
    assert set(found["results"]["raw"]["two"]["tfidf"]) == set(five["majority"])
    for baseline in ("majority", "tfidf"):
        less = five[baseline]["difference"]["accuracy"]
        assert less["value"] == pytest.approx(five["accuracy"]["value"] - five[baseline]["accuracy"]["value"])
        assert less["low"] <= less["value"] <= less["high"]


def test_the_calls_to_phone_are_ranked_as_score_ranks_them(found: dict[str, Any]) -> None:
    ranked = sorted(found["rows"], key=lambda row: -row["rank_score"])
    assert [each["call_id"] for each in found["phone"]] == [row["call_id"] for row in ranked]
    assert set(found["phone"][0]) == {"call_id", "propensity", "rank_score", "grade", "label", "duration_s"}


def test_mistakes_are_wrong_and_the_worst_come_first(found: dict[str, Any]) -> None:
    mistakes = found["mistakes"]
    right = found["results"]["combined"]["five"]["accuracy"]["value"] * 11
    assert len(mistakes) == round(11 - right) > 0
    assert all(each["grade"] != each["label"] for each in mistakes)
    likely = [each["probability_of_label"] for each in mistakes]
    assert likely == sorted(likely)
    for each in mistakes:
        row = each["row"]
        assert each["probability_of_label"] == pytest.approx(row["probabilities"]["five"][each["label"]], abs=1e-5)
        assert row["call_id"] == each["call_id"]
        assert any(segment["text"] for segment in row["segments"])
        assert sum(bool(segment.get("moments")) for segment in row["segments"]) == 1
    by_id = {row["call_id"]: row for row in found["rows"]}
    assert mistakes[0]["row"]["propensity"] == pytest.approx(by_id[mistakes[0]["call_id"]]["propensity"], abs=1e-5)


def test_the_order_of_the_calls_makes_no_difference(
    scorer: Scorer, told: Sequence[Call], found: dict[str, Any]
) -> None:
    depth = Depth(told[::-1], moments=1, faithful=True)
    other = evaluate_calls(scorer, told[::2][::-1], depth=depth, made={"data": "demo"})
    assert [row["call_id"] for row in other.pop("rows")] == [call.call_id for call in told[::2][::-1]]
    mine = {key: value for key, value in found.items() if key != "rows"}
    assert json.dumps(other) == json.dumps(mine)


def test_the_baseline_never_learns_from_relatives(found: dict[str, Any]) -> None:
    """Of ten other calls, those numbered 1 and 3 are of the group of calls 0, 2 and 4."""
    about = found["baselines"]["tfidf"]
    assert (about["calls"], about["left_out"]) == (8, 2)
    assert "2 training calls share a group" in about["note"]


def _note(scorer: Scorer, asked: Sequence[Call], train: Sequence[Call]) -> str:
    found = evaluate_calls(scorer, asked, depth=Depth(train))
    assert all("tfidf" not in task for tasks in found["results"].values() for task in tasks.values())
    assert found["baselines"]["tfidf"]["calls"] == 0
    json.dumps(found, allow_nan=False)
    return str(found["baselines"]["tfidf"]["note"])


def test_a_baseline_that_can_not_be_is_told_in_a_sentence(scorer: Scorer, told: Sequence[Call]) -> None:
    asked, rest = told[16:], told[5:16]
    assert "there is no labelled training call" in _note(scorer, asked, [])
    assert "there is no labelled training call" in _note(scorer, asked, [replace(call, label=None) for call in rest])
    assert "(3 do)" in _note(scorer, told[:2], told[2:5])
    assert "have one label" in _note(scorer, asked, [replace(call, label="A") for call in rest])
    wordless = [replace(call, turns=()) for call in rest]
    assert "none of 11 training calls comes with words" in _note(scorer, asked, wordless)


def test_training_calls_without_words_are_counted_and_not_recognised(scorer: Scorer, told: Sequence[Call]) -> None:
    asked, rest = told[16:], [replace(call, turns=()) if at < 3 else call for at, call in enumerate(told[5:16])]
    about = evaluate_calls(scorer, asked, depth=Depth(rest))["baselines"]["tfidf"]
    assert about["calls"] == 8
    assert "3 training calls come without words" in about["note"]


def test_no_baseline_unless_wanted(scorer: Scorer, told: Sequence[Call]) -> None:
    found = evaluate_calls(scorer, told[:3])
    assert found["baselines"] == {}
    assert found["faithfulness"] is None
    assert not any(segment.get("moments") for each in found["mistakes"] for segment in each["row"]["segments"])


def test_one_class_alone(scorer: Scorer, told: Sequence[Call]) -> None:
    """Nothing can be ranked; everything else is there, and strict JSON."""
    found = evaluate_calls(scorer, [replace(call, label="A") for call in told[:6]])
    assert found["gain"] is None
    assert found["balance"]["here"] == {"A": 6, "B": 0, "C": 0, "D": 0, "E": 0}
    json.dumps(found, allow_nan=False)


def test_coarse_labels_count_where_they_settle_the_answer(scorer: Scorer, told: Sequence[Call]) -> None:
    coarse = [replace(call, label=("A", "B", "C") if at % 2 else ("D", "E")) for at, call in enumerate(told[:8])]
    found = evaluate_calls(scorer, coarse, depth=Depth(told[8:]))
    assert found["results"]["combined"]["five"]["calls"] == 0
    assert found["results"]["combined"]["two"]["calls"] == 8
    assert "tfidf" in found["results"]["combined"]["two"]
    assert found["balance"]["here"]["A/B/C"] == 4
    assert found["breakdowns"] == {}
    assert all(each["grade"] not in each["label"] for each in found["mistakes"])
    assert found["gain"]["buyers"] == 4
    json.dumps(found, allow_nan=False)


def test_calls_that_can_not_be_scored_count_nowhere(scorer: Scorer, told: Sequence[Call], tmp_path: Path) -> None:
    broken = tmp_path / "empty.wav"
    broken.write_bytes(b"")
    bad = Call("bad", audio=broken, label="A")
    found = evaluate_calls(scorer, [bad, *told[:4]])
    assert list(found["data"]["failed"]) == ["bad"]
    assert "empty_file" in found["data"]["failed"]["bad"]
    assert found["data"]["calls"] == 4
    assert found["rows"][0]["call_id"] == "bad"
    with pytest.raises(UsageError, match=r"none of 1 calls could be scored; the first: bad: empty_file"):
        evaluate_calls(scorer, [bad])


def test_the_constant_answer_of_numbers_is_learned_from_the_training_part() -> None:
    """The median of the calls asked about is the best constant for them, which nobody knows beforehand."""
    scorer = planted(LabelScheme.model_validate(MOOD))
    asked = [replace(said("well", "plan", label=-1.0), call_id=f"c{at}") for at in range(8)]
    train = [replace(said("yes", "ten", label=1.0 + at % 3), call_id=f"t{at}") for at in range(9)]
    found = evaluate_calls(scorer, asked, depth=Depth(train), made={"data": "d", "split": None, "date": "2026"})
    assert found["balance"]["train_median"] == 2.0
    assert found["results"]["combined"]["value"]["majority"]["mean_absolute_error"]["value"] == 3.0
    assert "always giving the median of the labels in training" in page_of(found)
    alone = evaluate_calls(scorer, asked, made={"data": "d", "split": None, "date": "2026"})
    assert alone["balance"]["train_median"] is None
    assert alone["results"]["combined"]["value"]["majority"]["mean_absolute_error"]["value"] == 0.0
    foreign = [replace(call, label="A") for call in train]
    assert evaluate_calls(scorer, asked, depth=Depth(foreign))["balance"]["train_median"] is None


def test_it_is_said_what_intervals_draw(found: dict[str, Any]) -> None:
    assert (found["data"]["drawn_by"], found["data"]["drawn"]) == ("group", 9)
    page = page_of({**found, "made": {**found["made"], "split": None, "date": "2026"}})
    assert "from drawing 9 groups of calls anew, each as a whole" in page
    calls = {**found, "data": found["data"] | {"drawn_by": "call", "drawn": 11}}
    assert drawn_of(calls) == "11 calls"
    assert drawn_of({**found, "data": {}}) == "calls (or groups of them)"
