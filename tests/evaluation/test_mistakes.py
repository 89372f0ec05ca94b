"""The worst mistakes, with what counts in them: of calls and segments, by grades, numbers and without positives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from callsift.evaluation.desk import InProcess, Task
from callsift.evaluation.evaluate import Depth, evaluate_calls
from callsift.evaluation.graded import hear
from callsift.evaluation.mistakes import mistakes_of
from callsift.labels import LabelScheme
from callsift.scoring.scorer import Scorer
from callsift.types import Call
from tests.evaluation.planted import MOOD, NO_POSITIVE, Network, made, planted, said

NUMBER = LabelScheme.model_validate(MOOD)


def found_by(scorer: Scorer, calls: Iterable[Call]) -> dict[str, Any]:
    found = evaluate_calls(scorer, calls, depth=Depth(moments=1))
    json.dumps(found, allow_nan=False)
    return found


def test_a_number_is_explained_by_weights() -> None:
    """A "never" takes 1, a "yes" adds 2, and the worst mistake is the number that is furthest off."""
    calls = [replace(made(number, 3), label=0.0) for number in range(1, 8)]
    found = found_by(planted(NUMBER), calls)
    assert found["gain"] is None
    assert found["results"]["combined"]["value"]["mean_absolute_error"]["value"] > 0
    errors = [each["error"] for each in found["mistakes"]]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == 2.0
    for each in found["mistakes"]:
        row = each["row"]
        assert (row["explained"], row["evidence"]) == ("value", 1)
        assert row["streams"] == {"text": each["value"]}
        for segment in row["segments"]:
            words = segment["text"].split()
            assert segment["contribution"] is None
            assert segment["weight"] == pytest.approx(2.0 * words.count("yes") - words.count("never"), abs=1e-6)
        (looked,) = [segment for segment in row["segments"] if "moments" in segment]
        assert abs(looked["weight"]) == max(abs(segment["weight"]) for segment in row["segments"])
        assert looked["moments"][0]["text"] in ("yes", "never")


def test_without_positive_grades_it_is_the_probability_of_the_grade() -> None:
    calls = [replace(made(number, 3), label="no" if number % 2 else "yes") for number in range(1, 9)]
    found = found_by(planted(NO_POSITIVE), calls)
    assert found["gain"] is None
    assert len(found["mistakes"]) == len(calls)
    for each in found["mistakes"]:
        row = each["row"]
        assert row["propensity"] is None
        assert row["explained"] == f"probability of {each['grade']}"
        for segment in row["segments"]:
            assert segment["contribution"] is None
            words = segment["text"].split()
            for_it = (words.count("yes") - words.count("never")) * (1 if each["grade"] == "yes" else -1)
            assert (segment["weight"] > 0) == (for_it > 0)
            assert (segment["weight"] < 0) == (for_it < 0)


def moody() -> list[Call]:
    """Three calls of four segments, of which two or three are graded wrongly."""
    texts = ["the plan", "well yes", "never a month", "yes yes"]
    labels = [(0.0, 0.0, 0.0, 4.0), (1.0, 2.0, 0.5, 1.0), (0.0, 1.0, 0.0, 4.0)]
    calls = []
    for number, own in enumerate(labels):
        call = said(*texts)
        segments = tuple(replace(one, label=label) for one, label in zip(call.segments, own, strict=True))
        calls.append(replace(call, call_id=f"c{number}", segments=segments))
    return calls


def test_the_mistaken_segment_is_the_one_that_is_looked_into() -> None:
    found = found_by(planted(NUMBER, "segment"), moody())
    assert len(found["mistakes"]) == 2 + 3 + 2
    for each in found["mistakes"]:
        (segment,) = each["row"]["segments"]
        assert segment["segment_id"] == each["segment_id"]
        assert segment["value"] == each["value"]
        words = segment["text"].removeprefix("customer: ").split()
        assert sorted(moment["text"] for moment in segment["moments"]) == sorted(words)
        assert "streams" not in each["row"], "they are of the whole call"
        first = segment["moments"][0]
        assert first["contribution"] == pytest.approx({"yes": 2.0, "never": -1.0}.get(first["text"], 0.0), abs=1e-6)


def test_a_call_is_scored_once_more_for_all_its_mistakes() -> None:
    scorer = planted(NUMBER, "segment")
    heard = hear(InProcess(scorer), moody())
    seen: list[Task] = []

    def watched(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        seen.extend(items := list(items))
        assert total == len(items)
        return items

    assert len(mistakes_of(scorer, heard.items, moments=1, progress=watched)) == 7
    assert sorted(task.call.call_id for task in seen) == ["c0", "c1", "c2"]
    assert isinstance(scorer.runtime, Network)
    before = scorer.runtime.calls
    plain = mistakes_of(scorer, heard.items)
    assert scorer.runtime.calls == before, "what is not asked for costs nothing"
    assert not any("evidence" in each["row"] for each in plain)
