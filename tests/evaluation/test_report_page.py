"""The page of an evaluation says what was found, with what certainty, bears anything, and runs and fetches nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from callsift.evaluation.report import page_of, write_report
from callsift.evaluation.report.calls import MOST_MISTAKES, MOST_SEGMENTS, Piece, calls_of, marked
from callsift.evaluation.report.cells import cell
from callsift.evaluation.report.findings import findings
from tests.evaluation.report_sample import (
    HOSTILE,
    SAMPLES,
    least,
    mistake,
    moment,
    numbers,
    one_call,
    sample,
    segment,
)

_VOID = {"meta", "br", "img", "link", "input", "hr"}


class Parsed(HTMLParser):
    """Elements in order with their attributes, what was left open, and all text outside of the style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_page_is_whole_and_safe(name: str) -> None:
    page = page_of(SAMPLES[name]())
    parsed = Parsed(page)
    assert parsed.wrong == parsed.open == []
    assert not {"script", "link", "img", "iframe", "object", "form"} & {tag for tag, _ in parsed.elements}
    assert not any(key.startswith("on") or key == "src" for _, given in parsed.elements for key in given)
    assert all(str(given["href"]).startswith("#") for given in parsed.of("a"))
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", page)
    policy = next(each["content"] for each in parsed.of("meta") if each.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert parsed.of("html") == [{"lang": "en"}]
    assert not re.search(r"\b(nan|None|inf)\b", parsed.text)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_page_can_be_found_through_without_seeing_it(name: str) -> None:
    page = page_of(SAMPLES[name]())
    parsed = Parsed(page)
    anchors = [str(each["href"])[1:] for each in parsed.of("a")]
    places = [each["id"] for each in parsed.of("section")]
    assert places == ["short", *anchors]
    assert next(tag for tag, _ in parsed.elements if tag in ("h1", "h2")) == "h1"
    assert page.count("<caption>") == page.count("<table")
    assert all(each.get("scope") in ("col", "row") for each in parsed.of("th"))
    assert page.count("<svg") == page.count("<desc>") == page.count('role="img"')


def test_texts_that_want_to_be_code_are_text() -> None:
    found = sample()
    found["made"]["model"]["name"] = HOSTILE
    found["made"]["data"] = HOSTILE
    found["data"]["failed"] = {HOSTILE: HOSTILE}
    found["breakdowns"]["group"][0]["name"] = HOSTILE
    found["balance"]["here"] = {HOSTILE: 3}
    found["results"]["combined"][HOSTILE] = found["results"]["combined"].pop("two")
    page = page_of(found)
    page.encode("utf-8")
    parsed = Parsed(page)
    assert parsed.wrong == parsed.open == []
    assert not {"script", "img"} & {tag for tag, _ in parsed.elements}
    assert "{{ 7 * 7 }}" in parsed.text
    assert "\x00" not in page


def test_the_page_says_what_was_found() -> None:
    text = re.sub(r"\s+", " ", Parsed(page_of(sample())).text.replace("\u2060", ""))
    for said in (
        "Grades right in 61 % of 173 calls (54–68 %); always saying the commonest grade: 53 %; word counts: 63 %.",
        "Better than always saying the commonest grade. Not shown to be better than word counts",
        "Phone the best 20 % and reach 35 % of the buyers (27–43 %), phoning 35 of 173 calls; 81 are buyers.",
        "Stated propensities are off by 8 points on average (5–11).",
        "on the whole they are too high by 8 points",
        "Weakest where language is “zh”: 40 % (30–50 %) of 53 calls, clearly below the rest; 7 parts were looked at. "
        "Also clearly weaker: length “over 3:00”.",
        "The model learned from 2 calls of these.",
        "1 call of these is of customers or recordings that the model learned from.",
        "These calls were used to choose the model.",
        "1 call could not be scored.",
        "en-0003: unreadable: the file is empty",
        "0.610 [0.540, 0.680]",
        "learned from 690 calls of the training part that are no relatives of these. Of the word counts: 3 training "
        "calls share a group with these.",
        "Of 173 calls the 60 with at least four segments.",
        "5f3c" * 16,
        "callsift evaluate starter calls/manifest.jsonl --split test --report out",
    ):
        assert said in text


def test_of_few_calls_nothing_is_concluded() -> None:
    for finding in findings(one_call()):
        assert finding.kind == "open"
        assert "hardly anything can be concluded" in finding.verdict


def test_a_number_that_is_less_off_is_better() -> None:
    first, weakest = findings(numbers())
    assert (first.lead, first.kind) == ("Off by 0.78 on average", "better")
    assert "686 segments" in first.rest
    assert "“es”" in weakest.lead


def test_gain_no_better_than_chance_says_so() -> None:
    found = sample()
    for point in found["gain"]["points"]:
        point |= {"reached": point["share"], "low": point["share"] - 0.01, "high": point["share"] + 0.01}
    phoning = next(each for each in findings(found) if each.lead.startswith("Phone"))
    assert phoning.kind == "open"
    assert phoning.verdict == "Not shown to be more than chance: the interval includes it."


def test_probabilities_no_further_off_than_chance_may_be_believed() -> None:
    found = sample()
    found["reliability"]["propensity"]["ece_mass"] = {"value": 0.05, "low": 0.03, "high": 0.08}
    honesty = next(each for each in findings(found) if each.lead.startswith("Stated"))
    assert honesty.kind == "better"
    found["reliability"]["propensity"]["ece_mass_chance"] = 0.12
    honesty = next(each for each in findings(found) if each.lead.startswith("Stated"))
    assert (honesty.kind, honesty.verdict) == ("open", "These are too few to tell whether they may be believed.")


def test_what_there_is_nothing_of_is_left_out() -> None:
    parsed = Parsed(page_of(least()))
    assert [each["id"] for each in parsed.of("section")] == ["short", "data", "results", "reading", "made"]
    assert "No label settles this task." in parsed.text


def test_words_are_marked_where_they_stand() -> None:
    words = [moment("word", "no", -0.2, 3.0), moment("word", "no", 0.1, 1.0), moment("word", "not here", 0.3)]
    assert marked("no, I know; no!", words, 0.2) == [
        Piece("no", 0.1, 2), Piece(", I know; "), Piece("no", -0.2, 3), Piece("!")]  # fmt: skip
    assert marked("好的，再见", [moment("word", "再见", 0.01)], 1.0) == [Piece("好的，"), Piece("再见", 0.01, 0)]
    both = marked("yes. agent: no", [moment("word", "yes. / no", 0.5)], 0.5)
    assert [piece.text for piece in both if piece.strength == 3] == ["yes.", "no"]
    assert marked("", [], 0.0) == []


def test_of_a_long_call_the_weightiest_segments_are_shown_in_their_order() -> None:
    segments = [segment(at, "x" * 2000, 0.9 if at in (70, 3) else 0.001 * at) for at in range(80)]
    (call,) = calls_of([mistake("long", "en", segments)])
    shown = [int(each["segment_id"]) for each in call["segments"]]
    assert shown == sorted(shown)
    assert len(shown) == MOST_SEGMENTS
    assert {3, 70} <= set(shown)
    assert sum(each["left_out"] for each in call["segments"]) + call["left_out_after"] == call["left_out"] == 68
    assert call["segments"][0]["letters_left_out"] == 1300


def test_a_page_stays_small() -> None:
    found = sample()
    segments = [segment(at, "word " * 5000, 0.1, [moment("word", "word", 0.1)] * 24) for at in range(495)]
    found["mistakes"] = [mistake(f"call-{at}", "en", segments) for at in range(MOST_MISTAKES + 5)]
    page = page_of(found)
    assert len(page) < 1_500_000
    assert "5 more mistakes are in the JSON file" in page


def test_the_file_is_written_whole(tmp_path: Path) -> None:
    write_report(tmp_path / "out" / "report.html", sample())
    assert (tmp_path / "out" / "report.html").read_text("utf-8") == page_of(sample())
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["report.html"]


def test_figures_that_cannot_be_computed_are_a_dash() -> None:
    assert cell(None) == cell({"value": None}) == {"value": "–", "interval": ""}
    assert cell({"value": -0.25, "low": float("nan"), "high": 0.1}) == {"value": "−0.250", "interval": ""}
    assert cell(12_345) == {"value": "12,345", "interval": ""}
    found = sample()
    found["results"]["combined"]["five"]["quadratic_kappa"] = {"value": None, "low": None, "high": None}
    found["breakdowns"]["language"][0]["figure"] = None
    assert "<td" in page_of(found)
