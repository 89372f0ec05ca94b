"""The HTML report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callsift.labels import load_scheme
from callsift.scoring.report import write_report


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
