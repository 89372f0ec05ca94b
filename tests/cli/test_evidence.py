"""`callsift score --evidence`, as a user runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from callsift.bundle import find_bundle, load_bundle
from callsift.data.manifest import write_manifest
from callsift.scoring.batch import BatchScorer, default_limit_s, time_limit
from callsift.scoring.callback import Balance, BalancedSpec
from callsift.scoring.output import ResultFile, write_table
from callsift.scoring.scorer import Scorer, result_row
from callsift.types import Call, Segment, Turn
from tests.cli.commands import callsift, rows_of


def _calls() -> list[Call]:
    segments = [
        Segment(str(at), (Turn("agent", "do you like it"), Turn("customer", said)))
        for at, said in enumerate(("yes please", "no, never", "perhaps later"))
    ]
    return [Call(f"c{count}", language="en", segments=tuple(segments[:count])) for count in (3, 1)]


def test_evidence_goes_to_the_workers_and_a_file_without_it_is_scored_again(tmp_path: Path) -> None:
    manifest, output = tmp_path / "m.jsonl", tmp_path / "scores.jsonl"
    write_manifest(manifest, _calls())
    command = ("score", manifest, "--asr", "none", "-o", output)
    assert callsift(*command).returncode == 0
    plain = {row["call_id"]: row for row in rows_of(output)}
    page = tmp_path / "report.html"
    done = callsift(*command, "--resume", "--evidence", "2", "--workers", "2", "--report", page)
    assert done.returncode == 0, done.stderr
    assert "scored already" not in done.stderr
    assert "“please”" in page.read_text("utf-8")
    assert ">please</mark>" in page.read_text("utf-8")
    asked = {row["call_id"]: row for row in rows_of(output)}
    assert [sum("moments" in segment for segment in asked[name]["segments"]) for name in ("c3", "c1")] == [2, 1]
    for name, row in asked.items():
        assert row.pop("streams")["audio"] == 0.0
        assert (row.pop("evidence"), row.pop("explained")) == (2, "propensity")
        for segment in row["segments"]:
            assert segment.pop("weight", None) == segment["contribution"]
            for moment in segment.pop("moments", []):
                assert set(moment) == {"stream", "kind", "text", "start_s", "end_s", "turn", "at", "contribution"}
        assert row == plain[name]
    again = callsift(*command, "--resume", "--evidence", "2")
    assert "2 calls are scored already" in again.stderr


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.from_bundle(load_bundle(find_bundle("starter")), asr="none", threads=1)


def _taken_up(path: Path, scorer: Scorer, evidence: int) -> set[str]:
    """The calls that `--resume --evidence N` need not score again."""
    file = ResultFile(
        path, model=scorer.info, settings_sha256=scorer.settings_sha256, calls=_calls(), resume=path.exists(),
        evidence=evidence,
    )  # fmt: skip
    file.close()
    return set(file.done)


def test_a_row_with_less_evidence_than_is_asked_for_is_scored_again(scorer: Scorer, tmp_path: Path) -> None:
    """How much was asked for stands in the row: of many streams a call has no shares however often it is scored."""
    path = tmp_path / "scores.jsonl"
    rows = [result_row(scorer.score(call, asked)) for call, asked in zip(_calls(), (5, 1), strict=True)]
    for row in rows:
        del row["streams"]
    for asked, done in ((0, {"c3", "c1"}), (1, {"c3", "c1"}), (2, {"c3"}), (5, {"c3"}), (6, set())):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        assert _taken_up(path, scorer, asked) == done, asked


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_has_the_shares_of_the_streams(suffix: str, scorer: Scorer, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    rows = [result_row(scorer.score(call, 1)) for call in _calls()]
    table = tmp_path / f"scores{suffix}"
    write_table(table, rows)
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        found = pq.read_table(table).to_pylist()
    else:
        with table.open(encoding="utf-8", newline="") as lines:
            found = list(csv.DictReader(lines))
    for row, each in zip(rows, found, strict=True):
        assert {name: float(each[f"share_{name}"]) for name in ("text", "audio")} == row["streams"]


def test_what_a_table_has_no_room_for_is_told(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", _calls()[1:])
    done = callsift("score", tmp_path / "m.jsonl", "--asr", "none", "--evidence", "1", "-o", tmp_path / "scores.csv")
    assert done.returncode == 0, done.stderr
    assert "stands in .jsonl and --report only" in done.stderr
    assert ",share_text,share_audio" in (tmp_path / "scores.csv").read_text("utf-8").splitlines()[0]


def test_a_corrected_balance_has_evidence_too() -> None:
    shares = {"A": 0.1, "B": 0.1, "C": 0.1, "D": 0.3, "E": 0.4}
    spec = BalancedSpec(find_bundle("starter"), asr="none", balance=Balance(shares))
    with BatchScorer(spec, moments=1) as scorer:
        (score,) = scorer.score_all(_calls()[1:])
    assert score.error is None
    assert score.segments[0].moments


def test_every_segment_looked_into_may_take_as_long_as_the_call() -> None:
    call = _calls()[0]
    assert time_limit(None, 3)(call) == 4 * default_limit_s(call)
    assert time_limit(7.0, 3)(call) == 7.0
    assert time_limit(0.0, 3)(call) is None
