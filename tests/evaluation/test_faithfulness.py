"""Taking out the segments that count most, against random ones, where it is known which count."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from callsift.evaluation.faithfulness import FIFTH, NOTE, RANDOM_DRAWS, faithfulness
from callsift.evaluation.report.figures import faithfulness_of_page
from callsift.labels import LabelScheme
from callsift.types import Call
from tests.evaluation.planted import MOOD, NO_POSITIVE, made, planted, said

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
        assert row["random"]["value"] == pytest.approx(share * (now - without), abs=1e-6)
        assert row["bottom"]["value"] == pytest.approx(0.0, abs=1e-6)
        assert row["difference"]["value"] == pytest.approx(row["top"]["value"] - row["random"]["value"])
        assert row["difference"]["low"] > 0
        assert row["bottom_difference"]["value"] == pytest.approx(row["random"]["value"] - row["bottom"]["value"])
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


def test_right_evidence_of_what_adds_up_passes_though_parts_speak_against_each_other() -> None:
    """+2, −2, −1 and three times nothing: without the two of largest size nothing would have changed."""
    texts = ("yes", "never never", "never", "well", "plan", "ten pounds")
    calls = [replace(said(*(texts[(at + turn) % 6] for at in range(6))), call_id=f"c{turn}") for turn in range(6)]
    found = faithfulness(planted(LabelScheme.model_validate(MOOD)), calls)
    assert found is not None
    for row, top, bottom in zip(found["rows"], (2, 2, 2, 2), (-2, -3, -3, -3), strict=True):
        size = 2 if row["remove"] == FIFTH else row["remove"]
        assert row["top"]["value"] == pytest.approx(top)
        assert row["bottom"]["value"] == pytest.approx(bottom)
        # Of all choices of so many: each segment is in size / 6 of them, and all together are worth -1.
        assert row["random"]["value"] == pytest.approx(-size / 6)
        assert row["difference"]["low"] > 0
        assert row["bottom_difference"]["low"] > 0
    page = faithfulness_of_page({**found, "calls": 60})
    assert page is not None
    assert "the evidence holds" in page["verdict"]


def test_a_call_whose_answer_is_no_number_is_left_out() -> None:
    scorer = planted()
    real = scorer.runtime.call
    scorer.runtime.call = lambda rows, mask: {  # type: ignore[method-assign]
        task: found + (float("nan") if rows.shape[1] == 5 else 0.0) for task, found in real(rows, mask).items()
    }
    found = faithfulness(scorer, [made(103, segments=4), *ONE_COUNTS])
    assert found is not None
    assert found["calls"] == 1
