"""A manifest that is written anew keeps its own paths right and other tools' keys as they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from callsift.data.carry import rewrite_manifest
from callsift.data.manifest import read_manifest


def test_unknown_keys_are_kept_and_paths_follow_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    turns = [{"role": "agent", "text": "hi", "mood": "fine"}, {"role": "customer", "text": "no"}]
    segments = [{"segment_id": "0", "turns": turns, "sure": float("nan")}, {"segment_id": "1", "text": "so", "n": 2}]
    rows = [
        {"call_id": "a", "audio": "a.wav", "label": "A", "paid": {"sum": 3, "at": None}},
        {"call_id": "b", "segments": segments, "split": "val"},
    ]
    source, target = tmp_path / "manifest.jsonl", tmp_path / "deep" / "new.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    calls = [replace(call, split="test") for call in read_manifest(source).calls]
    rewrite_manifest(target, calls[::-1], source)
    second, first = (json.loads(line) for line in target.read_text("utf-8").splitlines())
    assert (first["audio"], first["paid"], first["split"]) == ("../a.wav", {"sum": 3, "at": None}, "test")
    assert second["segments"][0]["sure"] is None
    assert second["segments"][1]["n"] == 2
    assert [turn.get("mood") for turn in second["segments"][0]["turns"]] == ["fine", None]
    assert [replace(call, audio=None) for call in read_manifest(target).calls[::-1]] == [
        replace(call, audio=None) for call in calls
    ]
