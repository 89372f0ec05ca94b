"""What the sentences of the page conclude, and what they must not."""

from __future__ import annotations

from typing import Any

import pytest

from callsift.evaluation.report.figures import balance_of_page, faithfulness_of_page
from callsift.evaluation.report.findings import findings
from callsift.evaluation.report.page import page_of
from callsift.evaluation.report.phoning import phoning, phoning_of_page, points_of
from callsift.evaluation.report.reading import glossary, name_of
from callsift.evaluation.report.words import NO_RANGE, Finding
from tests.evaluation.report_sample import Json, figure, gain, least, numbers, sample


def _first(mine: Json, difference: Json | None, items: int = 173, **data: Any) -> Finding:
    found = sample()
    found["data"] |= data
    five = found["results"]["combined"]["five"]
    five |= {"calls": items, "accuracy": mine}
    five["majority"] |= {"difference": {} if difference is None else {"accuracy": difference}}
    del five["tfidf"]
    return findings(found)[0]


def test_better_and_worse_are_told_by_the_difference() -> None:
    mine = {"value": 0.6, "low": 0.54, "high": 0.66}  # above the commonest answer's 0.53 or not, that decides nothing
    better = _first(mine, {"value": 0.07, "low": 0.01, "high": 0.13})
    assert (better.kind, better.verdict) == ("better", "Better than always saying the commonest grade.")
    unclear = _first(mine, {"value": 0.07, "low": -0.01, "high": 0.15})
    assert unclear.kind == "open"
    assert unclear.verdict.startswith("Not shown to be better than always saying the commonest grade")
    worse = _first(mine, {"value": -0.07, "low": -0.13, "high": -0.01})
    assert (worse.kind, worse.verdict) == ("worse", "Worse than always saying the commonest grade.")


def test_without_a_difference_there_is_no_verdict() -> None:
    finding = _first({"value": 0.9, "low": 0.85, "high": 0.95}, None)
    assert (finding.kind, finding.verdict) == ("open", "")


@pytest.mark.parametrize(("calls", "items"), [(8, 8), (3, 60)])
def test_few_calls_are_never_better_however_narrow_the_interval(calls: int, items: int) -> None:
    alike = {"value": 1.0, "low": 1.0, "high": 1.0}
    finding = _first(alike, {"value": 0.5, "low": 0.5, "high": 0.5}, items, calls=calls)
    assert finding.kind == "open"
    assert finding.verdict == f"Of {calls} calls, hardly anything can be concluded."
    assert NO_RANGE in finding.rest
    assert "100–" not in finding.rest.replace("\u2060", "")


def test_of_a_number_less_is_better() -> None:
    found = numbers()
    difference = found["results"]["combined"]["value"]["majority"]["difference"]
    assert findings(found)[0].kind == "better"
    difference["mean_absolute_error"] = figure(0.3, 0.1)
    assert findings(found)[0].kind == "worse"


def _gain_by_chance(calls: int, buyers: int) -> Json:
    """Of a model that gives all calls the same score: `share` is what was asked for, `calls` are rounded up."""
    points = []
    for share in (0.01, 0.05, 0.1, 0.2, 0.5, 1.0):
        phoned = -int(-share * calls // 1)
        reached = phoned / calls
        points.append({"share": share, "calls": phoned, "reached": reached, "low": reached, "high": reached,
                       "lift": 1.0, "ideal": min(1.0, phoned / buyers)})  # fmt: skip
    return gain(calls, buyers) | {"points": points}


def test_equal_scores_are_no_more_than_chance() -> None:
    finding = phoning(sample() | {"gain": _gain_by_chance(21, 10)})
    assert finding is not None
    assert finding.lead == "Phone the best 24\u00a0% and reach 24\u00a0% of the buyers"  # 5 of 21, not 20 %
    assert "as many calls reach 24\u00a0%" in finding.rest
    assert (finding.kind, finding.verdict) == ("open", "Not shown to be more than chance: the interval includes it.")


def test_a_point_for_every_number_of_calls_at_its_true_share() -> None:
    points = points_of(_gain_by_chance(21, 10))
    assert [point["calls"] for point in points] == [1, 2, 3, 5, 11, 21]
    assert [point["share"] for point in points] == [calls / 21 for calls in (1, 2, 3, 5, 11, 21)]
    assert len(points_of(_gain_by_chance(10, 5))) == 4  # 1, 5 and 10 % are one call


@pytest.mark.parametrize(("calls", "buyers", "few"), [(173, 9, {}), (173, 164, {}), (173, 81, {"few": True})])
def test_with_few_buyers_or_others_phoning_is_not_judged(calls: int, buyers: int, few: Json) -> None:
    finding = phoning(sample() | {"gain": gain(calls, buyers) | few})
    assert finding is not None
    assert finding.kind == "open"
    assert "too few to say" in finding.verdict
    assert phoning(sample() | {"gain": gain(173, 81)}).kind == "better"  # type: ignore[union-attr]


def test_segments_are_not_phoned_and_not_called_calls() -> None:
    found = sample()
    found["data"]["unit"] = "segment"
    assert phoning_of_page(found) is None
    said = findings(found)
    assert said[0].rest.startswith("of 173 segments")
    assert not any(finding.lead.startswith("Phone") for finding in said)


def test_the_calls_to_phone_are_named_with_what_people_said() -> None:
    page = phoning_of_page(sample())
    assert page is not None
    calls = page["calls"]
    assert (calls["count"], len(calls["first"]), len(calls["rest"])) == (50, 20, 30)
    assert calls["first"][1] == {
        "at": 2, "call_id": "en-0037-insurance", "propensity": "0.96", "rank_score": "3.85", "grade": "A", "label": "B",
        "buyer": True, "duration_s": 102.0}  # fmt: skip
    assert "The first 50 to phone" in page_of(sample())
    only = sample() | {"gain": None, "phone": sample()["phone"][:1]}
    assert "The first 1 to phone" in page_of(only)
    assert "to phone</h3>" not in page_of(sample() | {"phone": []})


def test_only_what_is_clearly_worse_is_called_weaker() -> None:
    found = sample()
    for rows in found["breakdowns"].values():
        for row in rows:
            row.pop("clearly_worse", None)
    found["breakdowns"]["language"][1]["figure"] = figure(0.1, 0.01)
    weakest = findings(found)[-1]
    assert weakest.lead == "No part of the data is clearly weaker"
    assert weakest.rest == "than the rest, of the 7 that were looked at."


def test_what_the_model_may_know_of_the_calls_stands_on_top() -> None:
    found = sample()
    found["data"] |= {"learnt": None, "learnt_note": "a bundle keeps no record of its training calls", "related": [],
                      "chosen_by": False}  # fmt: skip
    page = page_of(found)
    assert page.index("a bundle keeps no record of its training calls") < page.index('id="short"')
    assert "customers or recordings" not in page
    assert "used to choose" not in page


def _faithful(calls: int, *differences: tuple[float, float]) -> Json:
    rows = [
        {"remove": remove, "top": figure(0.1 * at), "random": figure(0.05), "p": 0.0002, "bottom": figure(-0.1),
         "bottom_difference": figure(0.15, 0.1), "bottom_p": 0.0002,
         "difference": {"value": (low + high) / 2, "low": low, "high": high}}
        for at, (remove, (low, high)) in enumerate(zip((1, 2, "a fifth"), differences, strict=True))
    ]  # fmt: skip
    return {"calls": calls, "rows": rows, "note": "A note."}


@pytest.mark.parametrize(
    ("calls", "several", "said"),
    [
        (60, (0.1, 0.2), "the evidence holds"),
        (60, (-0.1, 0.2), "It is only in part shown"),
        (60, (-0.2, -0.1), "do not rely"),
        (12, (0.1, 0.2), "Of 12 calls, hardly anything can be concluded."),
    ],
)
def test_evidence_is_judged_by_several_segments_removed(calls: int, several: tuple[float, float], said: str) -> None:
    page = faithfulness_of_page(_faithful(calls, (0.1, 0.2), several, several))
    assert page is not None
    assert said in page["verdict"]
    assert {row["cells"][-1]["value"] for row in page["rows"]} == {"<0.001"}


def test_evidence_must_hold_at_both_ends() -> None:
    found = _faithful(60, (0.1, 0.2), (0.1, 0.2), (0.1, 0.2))
    for row in found["rows"]:
        row["bottom_difference"] = figure(0.0, 0.1)
    assert "only in part" in faithfulness_of_page(found)["verdict"]  # type: ignore[index]
    for row in found["rows"]:
        row["difference"] = figure(0.0, 0.1)
    assert "It is not shown" in faithfulness_of_page(found)["verdict"]  # type: ignore[index]
    found["rows"][1]["bottom_difference"] = figure(-0.2, 0.1)
    assert "do not rely" in faithfulness_of_page(found)["verdict"]  # type: ignore[index]


def test_rows_that_remove_the_same_say_so() -> None:
    found = _faithful(60, (0.1, 0.2), (0.1, 0.2), (0.1, 0.2))
    assert faithfulness_of_page(found)["notes"] == ["A note."]  # type: ignore[index]
    found["rows"][2]["top"] = found["rows"][1]["top"]
    assert "“a fifth” takes out as many segments as 2" in faithfulness_of_page(found)["notes"][1]  # type: ignore[index]


def test_captions_say_what_baselines_know() -> None:
    found = sample()
    assert (
        dict(glossary(found, []))["commonest answer"] == "What always giving the answer commonest in training reaches."
    )
    assert "learned from 690 calls of the training part" in dict(glossary(found, []))["word counts"]
    assert "commonest here" in dict(glossary(least(), []))["commonest answer"]
    assert "word counts" not in dict(glossary(least(), []))
    assert "median of the labels here" in dict(glossary(numbers(), []))["always the median"]
    assert name_of("mean_absolute_error") == "MAE"  # as callsift.evaluation.metrics.METRIC_NAMES has it


def test_the_page_says_what_the_calls_are_ordered_by() -> None:
    found = sample()
    assert "in the order of their rank, the expected worth of their grade, best first" in page_of(found)
    found["gain"]["by"] = "propensity"
    assert "in the order of their propensity, best first" in page_of(found)


def test_a_label_that_leaves_the_grade_open_has_no_share_in_training() -> None:
    found = sample()
    found["balance"]["here"]["A/B"] = 7
    assert balance_of_page(found)[-1] == {"name": "A/B", "count": 7, "share": 7 / 180, "train": None}
    row = page_of(found).split('<th scope="row">A/B</th>')[1].split("</tr>")[0]
    assert row.endswith('<td class="share">–</td>')


def test_a_long_name_of_a_part_leaves_its_count() -> None:
    found = sample()
    found["breakdowns"]["group"][0] |= {"name": "华东大区直销团队" * 4, "calls": 1234}
    assert " · 1,234</text>" in page_of(found)
