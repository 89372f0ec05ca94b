"""Figures by length, language, group and confidence; the gain of an evaluation; the worst mistakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from callsift.decision import Verdict
from callsift.evaluation.breakdowns import breakdowns_of, worse_by_chance
from callsift.evaluation.gain import gain_of, phone_list
from callsift.evaluation.graded import Graded
from callsift.evaluation.mistakes import worst_of
from callsift.labels import LabelScheme, load_scheme
from callsift.types import Call, Label

SCHEME = load_scheme("donation")
MOOD = LabelScheme(id="mood", kind="number", range=(-3.0, 3.0))


def item(at: int, label: Label = "yes", said: str = "yes", likely: float = 0.5, **about: Any) -> Graded:
    """A call that was said to be of a grade; `about`: seconds, language, group, confidence, segments."""
    row = {"duration_s": about.get("seconds"), "language": about.get("language"), "segments": [0] * about.get("cut", 1),
           "propensity": likely, "rank_score": about.get("rank")}  # fmt: skip
    shares = {"donated": {"yes": likely, "no": 1 - likely}}
    verdict = Verdict(said, likely, None, shares, shares)
    call = Call(f"c{at:02d}", group=about.get("group"))
    return Graded(call, "", label, verdict, "", about.get("confidence"), row)


def tables(items: list[Graded]) -> dict[str, list[dict[str, Any]]]:
    return breakdowns_of(SCHEME, items, [each.group for each in items])


def test_quarters_of_the_length() -> None:
    items = [item(at, said="yes" if at < 10 else "no", seconds=60.0 * at) for at in range(20)]
    rows = tables(items)["length"]
    assert [row["name"] for row in rows] == ["0:00–4:00", "5:00–9:00", "10:00–14:00", "15:00–19:00"]
    assert [row["calls"] for row in rows] == [5, 5, 5, 5]
    assert [row["figure"]["value"] for row in rows] == [1.0, 1.0, 0.0, 0.0]
    assert all(row["few"] for row in rows)
    # Wilson's interval of 5 of 5: 5 / (5 + 1.96²) to 1
    assert rows[0]["figure"]["low"] == pytest.approx(5 / (5 + 1.959964**2), abs=1e-6)


def test_clips_are_told_apart_by_tenths_of_a_second() -> None:
    rows = tables([item(at, seconds=3.0 + at / 50) for at in range(40)])["length"]
    assert [row["name"] for row in rows] == ["3.0–3.2 s", "3.2–3.4 s", "3.4–3.6 s", "3.6–3.8 s"]
    assert [row["name"] for row in tables([item(at, seconds=59.0 + at % 2) for at in range(8)])["length"]] == [
        "59.0 s", "1:00",
    ]  # fmt: skip


def test_without_recordings_the_segments_are_the_length() -> None:
    rows = tables([item(at, cut=1 + at // 10) for at in range(40)])["length"]
    assert [row["name"] for row in rows] == ["1 segment", "2 segments", "3 segments", "4 segments"]
    assert not any(row["few"] for row in rows)


def test_some_have_no_recording() -> None:
    items = [item(at, seconds=None if at < 3 else 60.0) for at in range(8)]
    assert [(row["name"], row["calls"]) for row in tables(items)["length"]] == [("1:00", 5), ("no recording", 3)]


def test_languages_by_how_many_calls_there_are() -> None:
    items = [item(at, language="zh" if at % 3 else None if at == 0 else "en") for at in range(12)]
    rows = tables(items)["language"]
    assert [(row["name"], row["calls"], row["few"]) for row in rows] == [
        ("zh", 8, True), ("en", 3, True), ("unknown", 1, True),
    ]  # fmt: skip


def test_a_table_of_one_row_is_none() -> None:
    assert tables([item(at, language="zh", seconds=60.0) for at in range(12)]) == {}


def test_ten_groups_and_the_rest() -> None:
    items = [item(at, group=f"g{min(at // 2, 14):02d}") for at in range(32)]
    rows = tables(items)["group"]
    assert len(rows) == 11
    assert (rows[0]["name"], rows[0]["calls"]) == ("g14", 4)
    assert (rows[-1]["name"], rows[-1]["calls"]) == ("5 other groups", 10)
    assert "group" not in tables([item(at, group=f"g{at}") for at in range(32)])


def test_thirds_of_the_confidence_and_given_text() -> None:
    items = [item(at, confidence=None if at == 9 else at / 10) for at in range(10)]
    rows = tables(items)["asr_confidence"]
    assert [(row["name"], row["calls"]) for row in rows] == [
        ("0.00–0.20", 3), ("0.30–0.50", 3), ("0.60–0.80", 3), ("not known", 1),
    ]  # fmt: skip


def test_calls_of_one_group_have_no_interval() -> None:
    """Neither have the errors of numbers; but a row of the table of groups draws its own calls."""
    items = [item(at, seconds=1.0 if at < 6 else 60.0, group="one" if at < 6 else f"g{at}") for at in range(12)]
    short, long = tables(items)["length"]
    assert short["figure"] == {"value": 1.0, "low": None, "high": None}
    assert long["figure"]["low"] > 0.5
    one = next(row for row in tables(items)["group"] if row["name"] == "one")
    assert one["figure"]["low"] == pytest.approx(6 / (6 + 1.959964**2), abs=1e-6)  # Wilson's of 6 of 6


def test_a_part_that_is_clearly_worse() -> None:
    """Twenty calls all wrong beside sixty right ones; of three wrong ones of eleven nobody can tell."""
    wrong = [item(at, said="no" if at < 20 else "yes", language="zh" if at < 20 else "en") for at in range(80)]
    assert [row["clearly_worse"] for row in tables(wrong)["language"]] == [False, True]
    some = [item(at, said="no" if at % 5 == 0 else "yes", language="zh" if at < 11 else "en") for at in range(80)]
    assert not any(row["clearly_worse"] for row in tables(some)["language"])


def test_how_often_a_part_is_called_worse_by_chance() -> None:
    """Groups of five calls alike, four parts of as many groups: in at most 5 % of the tables any, give or take."""
    random = np.random.default_rng(0)
    owners = np.repeat(np.arange(80), 5).astype(str)
    called = 0
    for _ in range(300):
        right = np.repeat(random.random(80) < 0.7, 5) * 1.0
        parts = [np.repeat(np.arange(80) % 4 == at, 5) for at in range(4)]
        called += any(worse_by_chance(right, part, owners, more_is_worse=False) < 0.05 / 4 for part in parts)
    assert called <= 0.08 * 300


def test_the_error_of_numbers() -> None:
    items = [
        Graded(Call(f"c{at}"), "", float(at % 3), Verdict(None, None, None, {}, {}, 0.0), "", None,
               {"duration_s": None, "language": "en" if at % 3 else "zh", "segments": []})
        for at in range(9)
    ]  # fmt: skip
    rows = breakdowns_of(MOOD, items, [each.group for each in items])["language"]
    assert [(row["name"], row["figure"]["value"]) for row in rows] == [("en", 1.5), ("zh", 0.0)]
    assert [each.call.call_id for each in worst_of(MOOD, items)] == ["c2", "c5", "c8", "c1", "c4", "c7"]


def test_worst_mistakes_first_and_no_right_answers() -> None:
    items = [
        item(1, "yes", "no", 0.4),
        item(2, "no", "yes", 0.9),
        item(3, "yes", "yes", 0.6),
        item(4, "yes", "no", 0.1),
    ]
    assert [each.call.call_id for each in worst_of(SCHEME, items)] == ["c02", "c04", "c01"]
    assert [each.call.call_id for each in worst_of(SCHEME, items, most=1)] == ["c02"]


def _gain(items: list[Graded], scheme: LabelScheme = SCHEME) -> dict[str, Any] | None:
    return gain_of(scheme, items, [each.group for each in items])


def test_gain_by_propensity() -> None:
    """Ten calls: the three buyers are first, third, and one of five with the same propensity."""
    likely = [0.9, 0.8, 0.7, 0.5, 0.5, 0.5, 0.5, 0.5, 0.2, 0.1]
    items = [item(at, "yes" if at in (0, 2, 5) else "no", likely=each) for at, each in enumerate(likely)]
    found = _gain(items)
    assert found is not None
    assert (found["calls"], found["buyers"]) == (10, 3)
    reached = {point["share"]: point["reached"] for point in found["points"]}
    assert reached[0.1] == pytest.approx(1 / 3)
    assert reached[0.3] == pytest.approx(2 / 3)
    assert reached[0.4] == pytest.approx((2 + 1 / 5) / 3)  # one of five alike, of which one is a buyer
    assert reached[1.0] == 1.0
    assert all(point["low"] <= point["reached"] <= point["high"] for point in found["points"])
    ideal = {point["share"]: point["ideal"] for point in found["points"]}
    assert ideal[0.2] == pytest.approx(2 / 3)
    assert ideal[0.3] == 1.0
    assert [point["calls"] for point in found["points"]] == list(range(1, 11)), "each number of calls once"
    assert all(point["share"] == point["calls"] / 10 for point in found["points"])
    assert found["few"]
    assert found["by"] == "propensity"


def test_gain_is_of_the_order_in_which_calls_are_phoned() -> None:
    """By worth the buyers come first, by propensity last."""
    items = [item(at, "yes" if at < 2 else "no", likely=0.1 * at, rank=9.0 - at) for at in range(10)]
    found, listed = _gain(items), phone_list(SCHEME, items)
    assert found is not None
    assert found["by"] == "rank_score"
    assert found["auroc"]["value"] == 1.0
    first = [row["label"] for row in listed[: found["points"][1]["calls"]]]
    assert found["points"][1]["reached"] == first.count("yes") / 2 == 1.0
    without = _gain([*items[:9], replace(items[9], row={**items[9].row, "rank_score": None})])
    assert without is not None
    assert (without["by"], without["auroc"]["value"]) == ("propensity", 0.0)


def test_gain_of_segments_is_by_their_own_propensity() -> None:
    items = [
        replace(item(at, "yes" if at < 2 else "no", likely=1 - at / 10, rank=5.0), segment_id="0") for at in range(9)
    ]
    found = _gain(items)
    assert found is not None
    assert (found["by"], found["auroc"]["value"]) == ("propensity", 1.0)


def test_no_gain_without_both_kinds() -> None:
    assert _gain([item(at, "no") for at in range(5)]) is None
    assert _gain([item(at, "yes") for at in range(5)]) is None
    assert _gain([item(at, ("yes", "no")) for at in range(5)]) is None
    plain = SCHEME.model_copy(update={"positive": ()})
    assert _gain([item(0, "yes"), item(1, "no")], plain) is None


@pytest.mark.parametrize("error", [0.1, 0.3, 0.7])
@pytest.mark.parametrize("count", [20, 56, 104])
def test_parts_of_equal_errors_are_never_worse(error: float, count: int) -> None:
    """Their means differ in the last digit, or not at all."""
    each, owners = np.full(count, error), np.arange(count).astype(str)
    each[::2] += 1e-17
    for size in (10, 13):
        assert worse_by_chance(each, np.arange(count) < size, owners, more_is_worse=True) == 1.0
    assert worse_by_chance(-each, np.arange(count) < 10, owners, more_is_worse=False) == 1.0


def test_parts_have_names_of_their_own() -> None:
    """What people can't tell apart is one part: clips of 3 s, calls of a minute, confidences of nearly 1."""
    clips = tables([item(at, seconds=2.0 if at < 10 else 3.0 + at / 5000) for at in range(40)])["length"]
    assert [(row["name"], row["calls"]) for row in clips] == [("2.0 s", 10), ("3.0 s", 30)]
    calls = tables([item(at, seconds=60.0 + at / 50 if at < 30 else 90.0) for at in range(40)])["length"]
    assert [(row["name"], row["calls"]) for row in calls] == [("1:00", 30), ("1:30", 10)]
    sure = tables([item(at, confidence=0.5 if at < 4 else 1 - at / 10000) for at in range(40)])["asr_confidence"]
    assert [(row["name"], row["calls"]) for row in sure] == [("0.50–1.00", 14), ("1.00", 26)]
    named = tables([item(at, group=f"g{at // 2}" if at < 28 else "5 other groups") for at in range(40)])["group"]
    assert len({row["name"] for row in named}) == len(named) == 11
