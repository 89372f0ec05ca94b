"""What is put among the results: targets that were named rightly, each shown, and rows that say what they learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench import figures_of, main
from benchmarks.results_page import page_of
from callsift.files import write_json


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def finished(benchmark: str = "made", row: str = "text", **about: Any) -> dict[str, Any]:
    """`results.json` of a run with a row."""
    figures = {"accuracy": figure(0.7), "mean_absolute_error": figure(0.6)}
    return {
        "benchmark": benchmark, "title": "Made calls", "not_a_result": None, "command": "callsift bench made",
        "commit": "1" * 40, "date": "2026-01-02", "packages": {}, "data": {"sha256": "f" * 64, "absent": []},
        "design": {"seeds": [1]}, "metrics": list(figures), "baselines": {}, "tested_on": "5 folds", "licence": "none",
        "left_out": {}, "rows": {row: {"figures": figures, "seconds": 1.0, **about}},
    }  # fmt: skip


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `main` records of the run in the working folder's `out`."""
    kept: list[dict[str, Any]] = []
    (tmp_path / "docs").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/chart.svg").write_text("<svg/>")
    write_json(tmp_path / "out/results.json", finished())
    monkeypatch.setattr("benchmarks.bench.PAGE", tmp_path / "docs/results.md")
    monkeypatch.setattr(
        "benchmarks.bench.record",
        lambda title, figures, **about: kept.append({"experiment": title, "figures": figures, **about}),
    )
    return kept


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("accuracy", "is not of the form METRIC=NUMBER"),
        ("accuracy=high", "is not of the form METRIC=NUMBER"),
        ("accuracy=0,83", "is not of the form METRIC=NUMBER"),
        ("accuracy=nan", "is not of the form METRIC=NUMBER"),
        ("=0.6", "is not of the form METRIC=NUMBER"),
        ("acc2=0.83", "--target acc2: the metrics of .* are accuracy, mean_absolute_error"),
    ],
)
def test_a_target_of_nothing_is_refused(
    target: str, words: str, recorded: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    import re

    monkeypatch.setattr("sys.argv", ["bench", str(tmp_path / "out"), "--target", target])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert re.search(words, capsys.readouterr().err)
    assert not recorded


def test_every_target_has_a_line_in_the_summary(
    recorded: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--target", "mean_absolute_error=0.65", "--target", "accuracy=0.8"]
    monkeypatch.setattr("sys.argv", ["bench", str(tmp_path / "out"), *arguments])
    main()
    assert recorded[0]["target"] == {"mean_absolute_error": 0.65, "accuracy": 0.8}
    page = page_of([{"machine": None, **recorded[0], "commit": "1111111, 2222222"}])
    name = "| made: Made calls |"
    assert f"{name} accuracy | text | 0.700 [0.600, 0.800] | – | – | ≥ 0.8 | no |" in page
    assert f"{name} mean_absolute_error | text | 0.600 [0.500, 0.700] | – | – | ≤ 0.65 | yes |" in page
    assert "- Trained at commits 1111111, 2222222: the code had changed between these trainings." in page


def test_a_row_that_does_not_say_what_it_learned_first_is_refused() -> None:
    with pytest.raises(SystemExit, match="row 'pretrain' does not say what it learned first"):
        figures_of(finished("nemo", "pretrain"))
    before = {"calls": 9, "groups": 3, "sha256": "f" * 64, "settings": ["fit.epochs=1"]}
    found = figures_of(finished("nemo", "pretrain", before=before))
    assert found["pretrain"]["accuracy"]["value"] == 0.7
    page = page_of([{**finished(), "experiment": "bench nemo", "figures": found, "before": {"pretrain": before}}])
    assert f"data {'f' * 12}; settings for that: fit.epochs=1." in page
