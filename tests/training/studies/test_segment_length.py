"""The rows of `callsift segment-length`."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsift.data.manifest import read_manifest
from callsift.errors import UsageError
from callsift.training.studies.segment_length import segment_length
from callsift.types import Call, Segment, Turn
from tests.training.dialogues import SETTINGS, dialogues
from tests.training.studies.designs import TWO


def test_segment_lengths_are_tokens_without_times_and_seconds_with(demo: Path) -> None:
    made = segment_length(dialogues(), Path("unused"), TWO, settings=SETTINGS)
    assert [row.config.front_end.max_segment_tokens for row in made.rows] == [45, 90, 180, 360]
    assert {row.config.front_end.max_tokens for row in made.rows} == {480}  # 360, and a third for the roles
    assert made.reference == "180-tokens"
    timed = segment_length(read_manifest(demo / "manifest.jsonl").calls, Path("unused"), TWO, [20, 10])
    assert [row.config.front_end.max_segment_s for row in timed.rows] == [10, 20]
    assert {row.config.front_end.max_tokens for row in timed.rows} == {256}  # the settings' own is enough for 20 s
    with pytest.raises(UsageError, match="--unit tokens"):
        segment_length(dialogues(), Path("unused"), TWO, unit="seconds", settings=SETTINGS)
    given = [Call("a", label="yes", segments=(Segment("0", (Turn("agent", "hello"),)),))]
    with pytest.raises(UsageError, match="never cut anew"):
        segment_length(given, Path("unused"), TWO, settings=SETTINGS)


def test_no_row_of_segment_lengths_loses_text_to_its_own_length() -> None:
    """Mandarin at five characters a second: 80 s are over 400 tokens, beyond the 256 of the settings."""
    from callsift.pipeline import Pipeline
    from callsift.training.assemble import make_tokenizer

    said = "您好我们这里是银行的客户经理今天给您打电话是想了解一下您最近有没有资金方面的需要"
    turns = tuple(Turn(("agent", "customer")[at % 2], said, start_s=8.0 * at, end_s=8.0 * at + 7.8) for at in range(12))
    calls = [Call(f"c{at}", label=("yes", "no")[at % 2], turns=turns, language="zh") for at in range(4)]
    made = segment_length(calls, Path("unused"), TWO, settings=SETTINGS)
    assert "front_end.max_tokens is 512 in every row" in made.notes[1]
    for row in made.rows:
        pipeline = Pipeline(row.config.front_end, make_tokenizer(row.config), None, None)
        inputs, notes = pipeline.inputs(pipeline.prepare(calls[0]), ("text",))
        assert notes == ()
    texts = [segment["text"] for segment in inputs.segments]
    assert max(len(text.values) for text in texts if text is not None) > 400
