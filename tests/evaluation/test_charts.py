"""Charts are well-formed pictures that say in words what they show, and draw values where they belong."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from callsift.evaluation.charts import Bar, Point, bar_chart, line_chart

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
