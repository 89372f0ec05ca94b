"""`callsift score --evidence`, as a user runs it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.commands import callsift, rows_of

from callsift.bundle import find_bundle
from callsift.data.manifest import write_manifest
from callsift.scoring.batch import BatchScorer, default_limit_s, time_limit
from callsift.scoring.callback import Balance, BalancedSpec
from callsift.types import Call, Segment, Turn


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
    asked = {row["call_id"]: row for row in rows_of(output)}
    assert [sum("moments" in segment for segment in asked[name]["segments"]) for name in ("c3", "c1")] == [2, 1]
    for name, row in asked.items():
        assert row.pop("streams")["audio"] == 0.0
        for segment in row["segments"]:
            for moment in segment.pop("moments", []):
                assert set(moment) == {"stream", "kind", "text", "start_s", "end_s", "contribution"}
        assert row == plain[name]
    again = callsift(*command, "--resume", "--evidence", "2")
    assert "2 calls are scored already" in again.stderr


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
