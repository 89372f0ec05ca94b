"""Charts are well-formed pictures that say in words what they show, and draw values where they belong."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from callsift.charts import Answers, Bar, Point, bar_chart, dot_chart, gain_chart, line_chart, reliability_chart
from callsift.charts.marks import LETTER_PX, NARROW, letters, short, spread, ticks

SVG = "{http://www.w3.org/2000/svg}"
BARS = [Bar("full", 0.5, 0.4, 0.6), Bar("no <bottleneck> & more", 0.25, 0.2, 0.3), Bar("a" * 60, -0.1)]


def test_bars_are_as_long_as_their_values() -> None:
    root = ET.fromstring(bar_chart("Rows", "Three rows.", BARS, axis="accuracy"))
    full, half, below = [float(r.attrib["width"]) for r in root.iter(f"{SVG}rect") if r.attrib.get("rx")]
    assert full == pytest.approx(2 * half, abs=0.3)
    assert full == pytest.approx(5 * below, abs=0.6)


def test_a_chart_names_itself_for_those_who_do_not_see_it() -> None:
    for text in (bar_chart("Rows", "Three rows.", BARS), line_chart("Rows", "Three rows.", {"a": [Point(1, 2)]})):
        root = ET.fromstring(text)
        assert root.attrib["role"] == "img"
        assert root.findtext(f"{SVG}title") == "Rows"
        assert root.findtext(f"{SVG}desc") == "Three rows."


def test_names_are_text_and_long_ones_are_cut() -> None:
    text = bar_chart("Rows", "Three rows.", BARS)
    shown = [each.text for each in ET.fromstring(text).iter(f"{SVG}text")]
    assert "no <bottleneck> & more" in shown
    assert "a" * 35 + "…" in shown


def test_nothing_is_fetched_and_both_modes_have_colours() -> None:
    text = line_chart("Curve", "A curve.", {"accuracy": [Point(50, 0.3, 0.2, 0.4), Point(100, 0.4, 0.3, 0.5)]})
    assert "prefers-color-scheme:dark" in text
    assert "@import" not in text
    assert text.count("http") == 1  # the name of SVG itself


def test_a_higher_point_is_drawn_higher_and_has_its_band() -> None:
    points = [Point(100, 0.4, 0.3, 0.5), Point(50, 0.3, 0.2, 0.4)]
    root = ET.fromstring(line_chart("Curve", "A curve.", {"accuracy": points}, reference=0.35))
    first, second = root.iter(f"{SVG}circle")
    assert float(first.attrib["cx"]) < float(second.attrib["cx"])
    assert float(first.attrib["cy"]) > float(second.attrib["cy"])
    polygon = root.find(f"{SVG}polygon")
    assert polygon is not None
    assert len(polygon.attrib["points"].split()) == 4


def test_several_lines_have_a_legend() -> None:
    root = ET.fromstring(line_chart("Two", "Two.", {"one": [Point(1, 1)], "other": [Point(1, 2)]}))
    assert {"one", "other"} <= {each.text for each in root.iter(f"{SVG}text")}


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-9, 1e9])
def test_any_finite_value_can_be_drawn(value: float) -> None:
    ET.fromstring(bar_chart("One", "One.", [Bar("x", value, value, value)]))
    ET.fromstring(line_chart("One", "One.", {"x": [Point(value, value)]}))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_without_a_figure_is_left_out_with_a_note(value: float) -> None:
    whole = bar_chart("One", "One.", [Bar("x", 1.0, 0.5, 1.5)])
    for drawn in (
        bar_chart("One", "One.", [Bar("x", 1.0, 0.5, 1.5), Bar("nothing", value, value, value)], reference=value),
        line_chart("One", "One.", {"x": [Point(1, 1.0, value, 2.0)], "nothing": [Point(2, value)]}),
    ):
        root = ET.fromstring(drawn)
        notes = [each.text for each in root.iter(f"{SVG}text") if each.text and "left out" in each.text]
        assert len(notes) == 1
        assert "nothing" in notes[0]
        assert "left out: nothing" in (root.find(f"{SVG}desc").text or "")  # type: ignore[union-attr]
        assert "nan" not in drawn
        assert "inf" not in drawn.replace("sans-serif", "")
    assert "left out" not in whole


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_chart_of_nothing_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        bar_chart("One", "One.", [Bar("x", value)])


def _reliability(answers: list[Answers]) -> str:
    return reliability_chart("R", "R.", answers, x_axis="stated", y_axis="true", counted="calls")


def _gain(points: list[Point], ideal: list[Point]) -> str:
    return gain_chart("G", "G.", points, ideal, x_axis="phoned", y_axis="reached")


def test_dots_lie_on_one_scale_with_their_whiskers() -> None:
    root = ET.fromstring(
        dot_chart("Dots", "Dots.", [Bar("a", 0.4, 0.3, 0.5), Bar("b", 0.6)], share=True, reference=0.5)
    )
    low, high = root.iter(f"{SVG}circle")
    assert float(low.attrib["cx"]) < float(high.attrib["cx"])
    assert len([path for path in root.iter(f"{SVG}path") if path.attrib.get("class") == "mark"]) == 1
    marks = [each.text for each in root.iter(f"{SVG}text") if each.text and each.text.endswith("\u00a0%")]
    assert marks[0] == "30\u00a0%"
    assert marks[-1] == "60\u00a0%"


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_scale_of_shares_ends_at_nothing_and_all(value: float) -> None:
    root = ET.fromstring(dot_chart("One", "One.", [Bar("x", value, value, value)], share=True))
    marks = [each.text for each in root.iter(f"{SVG}text") if each.text and each.text.endswith("\u00a0%")]
    assert all(0 <= float(mark.split("\u00a0")[0]) <= 100 for mark in marks)


def test_answers_that_came_true_as_stated_lie_on_the_diagonal() -> None:
    root = ET.fromstring(_reliability([Answers(0.2, 0.4, 0.3, 0.3, 10, 0.2, 0.4), Answers(0.8, 1.0, 0.9, 0.5, 30)]))
    honest, sure = root.iter(f"{SVG}circle")
    diagonal = next(line for line in root.iter(f"{SVG}line") if line.attrib["class"] == "reference")
    (x1, y1), (x2, y2) = ((float(diagonal.attrib[f"x{end}"]), float(diagonal.attrib[f"y{end}"])) for end in "12")
    for dot, share, right in ((honest, 0.3, 0.3), (sure, 0.9, 0.5)):
        assert float(dot.attrib["cx"]) == pytest.approx(x1 + share * (x2 - x1), abs=0.1)
        assert float(dot.attrib["cy"]) == pytest.approx(y1 + right * (y2 - y1), abs=0.1)
    few, many = [float(r.attrib["height"]) for r in root.iter(f"{SVG}rect") if r.attrib.get("opacity")]
    assert many == pytest.approx(3 * few, abs=0.1)


def test_a_bin_of_equal_answers_can_still_be_seen() -> None:
    root = ET.fromstring(_reliability([Answers(0.5, 0.5, 0.5, 1.0, 4)]))
    assert [float(r.attrib["width"]) for r in root.iter(f"{SVG}rect") if r.attrib.get("opacity")] == [1.5]


def test_gain_has_its_band_the_diagonal_and_the_ideal() -> None:
    points = [Point(0.2, 0.4, 0.3, 0.5), Point(1.0, 1.0, 1.0, 1.0)]
    root = ET.fromstring(_gain(points, [Point(0.0, 0.0), Point(0.5, 1.0)]))
    ideal, line = root.iter(f"{SVG}polyline")
    assert "stroke-dasharray" in ideal.attrib
    assert len(line.attrib["points"].split()) == 2
    assert root.find(f"{SVG}polygon") is not None
    assert "ideal" in [each.text for each in root.iter(f"{SVG}text")]
    assert "ideal" not in [each.text for each in ET.fromstring(_gain(points, [])).iter(f"{SVG}text")]


def test_a_picture_of_shares_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one bin"):
        _reliability([Answers(0.0, 0.1, float("nan"), 0.0, 0)])
    with pytest.raises(ValueError, match="at least one point"):
        _gain([Point(0.2, float("nan"))], [])
    with pytest.raises(ValueError, match="at least one dot"):
        dot_chart("D", "D.", [])


def test_charts_for_phones_are_narrow() -> None:
    dots = dot_chart("D", "D.", [Bar("a" * 80, 0.5, text="50 % (40–60 %)")])
    for text in (dots, _reliability([Answers(0, 1, 0.5, 0.5, 1)]), _gain([Point(0.2, 0.3)], [])):
        assert ET.fromstring(text).attrib["width"] == "360"
    assert any((each.text or "").endswith("…") for each in ET.fromstring(dots).iter(f"{SVG}text"))


@pytest.mark.parametrize(
    ("one", "other"),
    [(0.1, 0.1 + 2e-17), (0.1, 0.10000000000000002), (1e-13, 2e-13), (5e9, 5e9 + 1e-6), (0.0, 5e-324), (-3e-9, 2e-9)],
)
def test_values_that_are_nearly_one_can_be_drawn(one: float, other: float) -> None:
    for drawn in (dot_chart, bar_chart):
        root = ET.fromstring(drawn("Two", "Two.", [Bar("x", one, one, one), Bar("y", other, one, other)]))
        places = [float(each.attrib["cx"]) for each in root.iter(f"{SVG}circle")]
        assert all(0 <= place <= 360 for place in places)
    marks = ticks(*spread([one, other]))
    assert len(set(marks)) == len(marks)
    assert 3 <= len(marks) <= 9
    assert marks[0] <= min(one, other)
    assert marks[-1] >= max(one, other)


LONG = [
    "客户服务中心第三营业部华东大区直销团队一组二组三组四组",
    "Vertriebsgebiet Nordrhein-Westfalen und Niedersachsen",
]


@pytest.mark.parametrize("label", LONG)
def test_wide_letters_take_twice_the_room_and_a_count_is_never_cut(label: str) -> None:
    """13 px are the width of a Chinese character, about twice LETTER_PX: name and figure lie apart."""
    bar = Bar(label, 0.5, 0.4, 0.6, "50 % (40–60 %)", tail=" · 1,234")
    dots = ET.fromstring(dot_chart("Parts", "Parts.", [bar, Bar("en", 0.4, tail=" · 3")], share=True))
    shown = [each.text or "" for each in dots.iter(f"{SVG}text")]
    (name,) = [each for each in shown if each.endswith(" · 1,234")]
    assert name.startswith(label[:6])
    assert "…" in name
    assert (letters(name) + letters("50 % (40–60 %)")) * LETTER_PX <= NARROW - 32
    assert "en · 3" in shown
    bars = ET.fromstring(bar_chart("Parts", "Parts.", [bar]))
    (said,) = [each for each in bars.iter(f"{SVG}text") if (each.text or "").endswith(" · 1,234")]
    assert float(said.attrib["x"]) - letters(said.text or "") * LETTER_PX >= 0, "it begins within the picture"


def test_how_wide_texts_are() -> None:
    assert [letters(each) for each in ("", "abc", "中文ab", "（全）", "ｆｕｌｌ", "e\u0301")] == [0, 3, 6, 6, 8, 1]
    assert [short(each, 5) for each in ("abcde", "abcdef", "中文", "中文字", "ab中文")] == [
        "abcde",
        "abcd…",
        "中文",
        "中文…",
        "ab中…",
    ]
