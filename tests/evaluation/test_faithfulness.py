"""Taking out the segments that count most, against random ones, where it is known which count."""

from __future__ import annotations

import json

import pytest

from callsift.evaluation.faithfulness import FIFTH, NOTE, RANDOM_DRAWS, faithfulness
from callsift.labels import LabelScheme
from callsift.types import Call
from tests.evaluation.planted import MOOD, NO_POSITIVE, made, planted

ONE_COUNTS = [made(number, segments=5) for number in (201, 205, 207, 211, 213, 217, 219, 223, 225, 229) if number % 3]
"""Calls in which one segment says "yes", and nothing else counts."""


def test_calls_that_one_segment_decides_pass_the_check() -> None:
    scorer = planted()
    found = faithfulness(scorer, ONE_COUNTS)
    assert found is not None
    assert set(found) == {"calls", "segments", "draws", "note", "rows"}
    assert (found["calls"], found["segments"], found["note"]) == (len(ONE_COUNTS), 5.0, NOTE)
    assert found["draws"] == RANDOM_DRAWS
    assert [row["remove"] for row in found["rows"]] == [1, 2, 3, FIFTH]
    now, without = (scorer.score(call).propensity for call in (ONE_COUNTS[0], made(202, segments=5)))
    assert now is not None
    assert without is not None
    for row, share in zip(found["rows"], (1 / 5, 2 / 5, 3 / 5, 2 / 5), strict=True):
        # Of 5 segments taken k at a time at random, the one that counts is among them k times out of 5.
        assert row["top"]["value"] == pytest.approx(now - without, abs=1e-6)
        assert row["random"]["value"] == pytest.approx(share * (now - without), abs=0.12)
        assert row["difference"]["value"] == pytest.approx(row["top"]["value"] - row["random"]["value"])
        assert row["difference"]["low"] > 0
        assert row["p"] == pytest.approx(2 / 2 ** len(ONE_COUNTS)), "of all exchanges but the two ends none is so large"
    json.dumps(found, allow_nan=False)


def test_the_order_of_the_calls_makes_no_difference() -> None:
    one, other = (faithfulness(planted(), calls, most=4, draws=5) for calls in (ONE_COUNTS, ONE_COUNTS[::-1]))
    assert one is not None
    assert one["calls"] == 4
    assert one == other


@pytest.mark.parametrize("scheme", [NO_POSITIVE, LabelScheme.model_validate(MOOD)], ids=["no positive grade", "number"])
def test_what_has_no_propensity_is_put_to_the_test_too(scheme: LabelScheme) -> None:
    found = faithfulness(planted(scheme), ONE_COUNTS, draws=5)
    assert found is not None
    assert found["rows"][1]["top"]["value"] > found["rows"][1]["random"]["high"]
    if scheme.kind == "number":
        assert found["rows"][0]["top"]["value"] == pytest.approx(2.0), "what a yes adds"


def test_calls_too_short_to_choose_from_or_with_nothing_in_them_are_left_out() -> None:
    assert faithfulness(planted(), [made(101, segments=3), Call("nothing")]) is None
    assert faithfulness(planted(), []) is None
    found = faithfulness(planted(), [made(101, segments=3), made(103, segments=4), Call("nothing")])
    assert found is not None
    assert (found["calls"], found["segments"]) == (1, 4.0)


def test_a_model_of_segments_has_no_evidence_to_test() -> None:
    assert faithfulness(planted(LabelScheme.model_validate(MOOD), "segment"), ONE_COUNTS) is None
