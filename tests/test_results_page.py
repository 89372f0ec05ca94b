"""docs/results.md is what the recorded results give, and its summary of the benchmarks is taken from the records."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmarks.results import PAGE, RESULTS, rows_of
from benchmarks.results_page import about_of, page_of, shown, subject_of


def _figure(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "sd": 0.01, "seeds": {"1": value, "2": value}}


def _bench(**about: Any) -> dict[str, Any]:
    return {
        "experiment": "bench mosi",
        "command": "callsift bench mosi --data mosi",
        "commit": "abc1234",
        "date": "2026-01-02",
        "seeds": [1, 2],
        "data_sha256": "0123456789abcdef0123",
        "machine": {"cpu": "a processor", "cores": 2},
        "metrics": ["acc2_non0", "mean_absolute_error"],
        "figures": {
            "text": {"acc2_non0": _figure(0.8), "mean_absolute_error": _figure(0.9)},
            "msmt-fn": {"acc2_non0": _figure(0.84), "mean_absolute_error": _figure(0.95)},
        },
        "baselines": {"majority": {"acc2_non0": _figure(0.5)}, "tfidf": {"figures": {"acc2_non0": _figure(0.7)}}},
        "paper": {"msmt-fn": {"acc2_non0": 0.886}},
        "target": {"acc2_non0": 0.83},
        **about,
    }


def test_the_page_is_what_the_records_give() -> None:
    assert PAGE.read_text("utf-8") == page_of(rows_of(RESULTS)), "python -m benchmarks.results writes it anew"


def test_every_line_of_the_contents_leads_to_a_heading() -> None:
    page = PAGE.read_text("utf-8")
    headings = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
                for title in re.findall(r"^##+ (.*)$", page, re.MULTILINE)]  # fmt: skip
    anchors = re.findall(r"^ *- \[.*\]\(#([^)]*)\)$", page, re.MULTILINE)
    assert len(anchors) > 40
    assert set(anchors) <= set(headings)


def test_every_command_has_its_commit() -> None:
    page = PAGE.read_text("utf-8")
    latest = {row["experiment"]: row for row in rows_of(RESULTS)}  # one without figures takes the earlier ones back
    for row in (row for row in latest.values() if row["figures"]):
        assert f"`{row['command']}`\n\ncommit {row['commit']}; {row['date']}" in page


def test_a_record_has_a_subject_by_what_made_it() -> None:
    assert subject_of(_bench()) == "Benchmarks"
    assert subject_of({"experiment": "x", "command": "python -m benchmarks.asr_wer --all"}) == "Hearing"
    assert subject_of({"experiment": "x", "command": "python -m recipes.unheard_of"}) == "Other"
    assert subject_of({"experiment": "x", "command": "python -m benchmarks.faithfulness --calls 1"}) == "Robustness"
    assert subject_of({"experiment": "x", "command": "python -m benchmarks.long_sequences"}) == "Cost"


def test_a_record_of_a_script_that_is_there_no_more_says_so() -> None:
    gone = {"commit": "a", "date": "b", "command": "python -m benchmarks.no_such_thing --all"}
    assert about_of(gone) == "commit a; b; recorded by a command since replaced by `callsift bench`"
    for command in ("python -m benchmarks.asr_wer", "python -m recipes.gone", "callsift bench mosi"):
        assert about_of({**gone, "command": command}) == "commit a; b"


def test_what_was_learned_first_is_said() -> None:
    before = {"pretrain": {"calls": 1440, "groups": 24, "sha256": "0123456789abcdef"}}
    assert (
        "- pretrain learned 1,440 calls of 24 groups first, less those of the groups that it was validated or tested "
        "on; data 0123456789ab."
    ) in page_of([_bench(before=before)])


def test_a_benchmark_is_summed_up_in_a_line() -> None:
    old = _bench(date="2026-01-01", target={"acc2_non0": 0.9})
    page = page_of([old, {**_bench(), "experiment": "bench empty", "figures": {}}, _bench()])
    assert (
        "| mosi | acc2_non0 | msmt-fn | 0.840 [0.740, 0.940] ± 0.010 | 0.700 [0.600, 0.800] ± 0.010 (tfidf) | 0.886 "
        "| ≥ 0.83 | yes |"
    ) in page
    assert page.count("| mosi |") == 1
    assert "empty" not in page
    assert "- [Benchmarks](#benchmarks)\n  - [bench mosi](#bench-mosi)" in page


@pytest.mark.parametrize(
    ("about", "end"),
    [
        ({"target": {"acc2_non0": 0.85}}, "| 0.886 | ≥ 0.85 | no |"),
        ({"target": {}, "paper": {"text": {"acc2_non0": 0.8}}}, "| 0.800 (text) | – | – |"),
        ({"metrics": ["mean_absolute_error"], "target": {"mean_absolute_error": 0.92}, "baselines": {}},
         "| text | 0.900 [0.800, 1.000] ± 0.010 | – | – | ≤ 0.92 | yes |"),
        ({"metrics": ["acc7"]}, "| mosi | acc7 | – | – | – | – | – | – |"),
    ],
)  # fmt: skip
def test_what_is_missing_from_a_record_is_a_dash(about: dict[str, Any], end: str) -> None:
    line = next(line for line in page_of([_bench(**about)]).splitlines() if line.startswith("| mosi |"))
    assert line.endswith(end)


def test_what_was_published_stands_below_its_row_and_what_was_not_run_below_the_table() -> None:
    figures = {"text": {"acc7": {**_figure(0.4), "published": 0.475}, "p by call": "<0.001"}}
    page = page_of([_bench(figures=figures, metrics=["acc7"], paper={}, tested_on="the published test part",
                           left_out={"agt": "no audio"}, absent=["the clips"])])  # fmt: skip
    assert "| text | 0.400 [0.300, 0.500] ± 0.010 | <0.001 |\n| text, published | 0.475 |  |\n" in page
    assert "- Tested on the published test part.\n- Not run: agt; no audio.\n- Not there: the clips\n" in page
    assert "| mosi | acc7 | text | 0.400 [0.300, 0.500] ± 0.010 | – | 0.475 | – | – |" in page


def test_what_a_result_is_from() -> None:
    assert about_of(_bench()) == "commit abc1234; 2026-01-02; seeds 1, 2; data 0123456789ab; 2 cores of a processor"
    assert about_of({"commit": "a", "date": "b", "data_sha256": None, "seed": 3}) == "commit a; b; seed 3"


def test_figures_for_people() -> None:
    assert shown({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.500 [0.250, 0.750]"
    assert shown([0.5, 3, "x"]) == "0.500, 3, x"


def test_a_p_value_is_never_zero() -> None:
    assert [shown(0.0001, name) for name in ("p", "p by call", "part")] == ["<0.001", "<0.001", "0.000"]
    assert shown(0.001, "p") == "0.001"
    page = page_of([_bench(figures={"2 removed": {"p": 1e-4, "d": _figure(0.5)}, "3 removed": {"p": 0.5, "d": 0.0}})])
    assert "| 2 removed | <0.001 |" in page
    assert "| 3 removed | 0.500 | 0.000 |" in page
