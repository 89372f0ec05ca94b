"""The HTML report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callsift.labels import load_scheme
from callsift.scoring.report import marked, places_of, write_report


def row(call_id: str, propensity: float, rank: float | None) -> dict[str, Any]:
    model = {"name": "m", "version": "1", "sha256": "0" * 64}
    numbers = {"propensity": propensity, "rank_score": rank, "value": None, "probabilities": {}}
    return {
        "call_id": call_id, "grade": "B", "duration_s": 5.0, "language": "en", "model": model, "segments": [],
        "warnings": [], "error": None, **numbers,
    }  # fmt: skip


def test_the_report_shows_the_rank_that_it_is_ordered_by(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    rows = [row("low", 0.9, 0.31), row("high", 0.8, 0.62)]
    write_report(page, rows, load_scheme("marketcalls"), title="calls")
    text = page.read_text("utf-8")
    assert text.index("high</span>") < text.index("low</span>")
    assert ">rank</span>" in text
    assert text.index(">0.62</span>") < text.index(">0.31</span>")
    assert "ordered by rank, the expected worth of the grade" in text


def test_a_model_without_ranks_has_no_column_of_them(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, [row("a", 0.9, None)], load_scheme("marketcalls"), title="calls")
    assert ">rank</span>" not in page.read_text("utf-8")
    assert "ordered by propensity" in page.read_text("utf-8")


def test_the_report_shows_what_counts_where_it_was_asked_for(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    about = {"segment_id": "0", "start_s": 0.0, "end_s": 9.0, "speech_s": {}, "text": "customer: <yes>"}
    words = [
        {
            "stream": "text",
            "kind": "word",
            "text": f"<w{at}>",
            "start_s": None,
            "end_s": None,
            "contribution": 0.5 / 9**at,
        }
        for at in range(9)
    ]
    pause = {"stream": "audio", "kind": "pause", "text": None, "start_s": 61.0, "end_s": 62.0, "contribution": -0.25}
    asked = row("a", 0.9, 0.5) | {
        "streams": {"text": 0.4, "audio": -0.125},
        "segments": [
            {**about, "contribution": 0.3, "moments": [*words, pause]},
            {**about, "contribution": 0.1, "moments": [words[-1]]},
            {**about, "contribution": 0.1},
        ],
    }
    write_report(page, [asked, row("b", 0.9, 0.4)], load_scheme("marketcalls"), title="calls")
    text = page.read_text("utf-8")
    assert text.count('class="moments"') == 2
    assert "&lt;w0&gt;" in text
    assert "<yes>" not in text
    assert "+0.056" in text
    assert "&lt;w4&gt;" not in text, "0.00008 tells nothing"
    assert "pause 1:01–1:02" in text
    assert "-0.250" in text
    assert "no part of it moves the answer by itself" in text
    assert text.count("added by") == 1
    assert "-0.125" in text


def test_words_are_marked_where_they_stand() -> None:
    text = "agent: yes, yes; customer: <no> / yes; agent: bye"
    word = {"stream": "text", "kind": "word", "start_s": None, "end_s": None}
    moments = [
        {**word, "text": "yes", "turn": 0, "at": 5, "contribution": 0.5},
        {**word, "text": "yes / bye", "turn": 1, "at": 7, "contribution": -0.25},
        {**word, "text": "<no>", "turn": 1, "at": 0, "contribution": 0.0},
        {**word, "text": "gone", "turn": 5, "at": 0, "contribution": 0.1},
        {**word, "text": "other", "turn": 0, "at": 0, "contribution": 0.1},
    ]
    pieces = marked({"text": text, "moments": moments})
    assert "".join(piece.text for piece in pieces) == text
    assert [(piece.text, piece.contribution) for piece in pieces if piece.contribution is not None] == [
        ("yes", 0.5), ("yes", -0.25), ("bye", -0.25),
    ]  # fmt: skip
    assert pieces[0].text == "agent: yes, "
    whole = {**word, "text": "<no> / yes", "turn": 1, "at": 0, "contribution": 0.1}
    assert places_of(text, whole) == [(text.index("<no>"), text.index("; agent: bye"))], "a stroke of the speaker's own"
    assert marked({"text": ""}) == []


def test_a_number_is_shown_by_weights_and_named(tmp_path: Path) -> None:
    about = {"segment_id": "0", "start_s": 0.0, "end_s": 9.0, "speech_s": {}, "text": "customer: yes"}
    segments = [{**about, "contribution": None, "weight": 1.25}]
    write_report(
        tmp_path / "r.html", [row("a", 0.9, None) | {"explained": "value", "evidence": 1, "segments": segments}],
        load_scheme("marketcalls"), title="calls",
    )  # fmt: skip
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "+1.250" in text
    assert "how much the value would fall" in text


def test_nothing_is_said_of_moments_where_none_were_asked_for(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", [row("a", 0.9, None)], load_scheme("marketcalls"), title="calls")
    assert "moments" not in (tmp_path / "r.html").read_text("utf-8").split("</style>")[1]


def _page(tmp_path: Path, rows: list[dict[str, Any]]) -> str:
    write_report(tmp_path / "r.html", rows, load_scheme("marketcalls"), title="calls")
    return (tmp_path / "r.html").read_text("utf-8").split("</style>")[1]


def test_numbers_are_headed_by_what_they_are(tmp_path: Path) -> None:
    number = row("a", 0.0, 1.5) | {"propensity": None, "value": 1.5, "grade": None}
    plain = row("a", 0.0, None) | {"propensity": None}
    assert "<span>propensity</span>" in _page(tmp_path, [row("a", 0.9, None)])
    assert "<span>value</span>" in _page(tmp_path, [number])
    for page in (_page(tmp_path, [number]), _page(tmp_path, [plain])):
        assert "propensity" not in page


def test_what_there_is_none_of_is_not_explained(tmp_path: Path) -> None:
    about = {"segment_id": "0", "start_s": 0.0, "end_s": 9.0, "speech_s": {}, "text": "yes", "contribution": None}
    answered = row("a", 0.9, None) | {"segments": [{**about, "grade": "B", "probabilities": {}}]}
    page = _page(tmp_path, [answered])
    assert "contribution" not in page
    assert "1 call, ordered by" in page
    counted = row("a", 0.9, None) | {"segments": [{**about, "contribution": 0.25}]}
    page = _page(tmp_path, [counted, answered])
    assert "contribution is how much the propensity would fall" in page
    assert "2 calls, ordered by" in page
