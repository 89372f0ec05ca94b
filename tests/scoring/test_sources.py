"""What the command line names, as calls."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from callsift.errors import UsageError
from callsift.scoring.sources import find_calls


def test_transcripts_of_recordings_are_not_among_the_files_skipped(demo: Path, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    for name in ("one", "two.2"):
        shutil.copy(demo / "calls/en-01-broadband.ogg", inside / f"{name}.ogg")
    for name in ("one.json", "one.txt", "two.2.srt", "two.vtt", "one.pdf", "notes.txt"):
        (inside / name).write_text("x", encoding="utf-8")
    found = find_calls([str(tmp_path)])
    assert [call.call_id for call in found.calls] == ["inside/one.ogg", "inside/two.2.ogg"]
    assert [path.name for path in found.skipped] == ["notes.txt", "one.pdf", "two.vtt"]


def test_a_folder_without_recordings_is_refused_whatever_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match=r"^no recordings found in .* \(1 other file skipped\)"):
        find_calls([str(tmp_path)])
