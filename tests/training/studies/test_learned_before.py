"""What is learned first holds nothing that is asked about, whatever it is called there."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsift.config import TrainConfig
from callsift.errors import DataError
from callsift.training.studies.plan import Before, learned_before
from callsift.types import Call, Segment


def recording(path: Path, content: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_recording_of_an_asked_call_is_refused_under_any_name_and_group(split: str, tmp_path: Path) -> None:
    """Speakers are spelt otherwise in the one table than in the other, and a clip is a copy."""
    calls = [
        Call("a", audio=recording(tmp_path / "calls/a.wav", "one"), group="s1", split="train"),
        Call("b", segments=(Segment("0", audio=recording(tmp_path / "calls/b.wav", "two")),), group="s2", split=split),
    ]
    clips = [
        Call("clip-1", audio=recording(tmp_path / "clips/1.wav", "one"), group="speaker-1"),
        Call("clip-2", audio=recording(tmp_path / "clips/2.wav", "two"), group="speaker-2"),
    ]
    before = Before(TrainConfig(), lambda unheard: clips)
    with pytest.raises(DataError, match=r"call 'clip-2' .* has the recording 2.wav of call 'b'"):
        learned_before(before, calls)
    assert learned_before(Before(TrainConfig(), lambda unheard: clips[:1]), calls) == (clips[0],)
