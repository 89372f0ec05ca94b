"""Damaged recordings through the real command line. `benchmarks/fuzz_audio.py` runs thousands more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzzing.run import SUSPICIOUS, Damaged, damaged, score_folder, speech_bases, write_damaged

REGRESSIONS = (
    # The header names a coding that FFmpeg does not know: the track has no codec.
    Damaged("mulaw.caf", 69),
    Damaged("float.wav", 100),
    Damaged("mulaw.wav", 246),
    Damaged("alaw.wav", 357),
)
"""What once broke a run, or ended in `internal`."""


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What soundfile and PyAV write, so that nothing else need be installed."""
    found = speech_bases(tmp_path_factory.mktemp("bases"))
    assert len(found) > 30
    return found


@pytest.mark.parametrize("first", [0, 100])
def test_a_hundred_damaged_recordings(bases: dict[str, bytes], first: int, tmp_path: Path) -> None:
    _check(damaged(first, 100, sorted(bases)), bases, tmp_path)


def test_what_once_went_wrong(bases: dict[str, bytes], tmp_path: Path) -> None:
    _check([file for file in REGRESSIONS if file.name in bases], bases, tmp_path)


def test_undamaged_recordings_are_scored(bases: dict[str, bytes], tmp_path: Path) -> None:
    """Or the others would tell nothing."""
    folder = tmp_path / "calls"
    folder.mkdir()
    for name, content in bases.items():
        (folder / Damaged(name, 0).file_name).write_bytes(content)
    outcome = score_folder(folder, tmp_path / "scores.jsonl")
    assert not outcome.broken
    assert not outcome.messages


def _check(files: list[Damaged], bases: dict[str, bytes], folder: Path) -> None:
    (folder / "calls").mkdir()
    write_damaged(folder / "calls", files, bases)
    outcome = score_folder(folder / "calls", folder / "scores.jsonl")
    assert not outcome.broken
    assert not {name: outcome.messages[name] for name, code in outcome.codes.items() if code in SUSPICIOUS}
