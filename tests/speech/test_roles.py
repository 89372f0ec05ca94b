"""Who is the agent, from what is said."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from callsift.data.manifest import read_manifest
from callsift.speech.roles import guess_agent
from callsift.types import Turn


def _said(*lines: tuple[int, str]) -> list[tuple[int, Turn]]:
    return [(speaker, Turn("unknown", text)) for speaker, text in lines]


ENGLISH = _said(
    (0, "Hello?"),
    (1, "Good morning, this is Anna from Northlight Insurance, am I speaking with Mr. Brown?"),
    (0, "Yes, what's this about?"),
    (1, "We have a new plan, and I wanted to ask whether you'd be interested."),
    (0, "I'm not interested, thanks."),
)
MANDARIN = _said(
    (1, "喂？"),
    (0, "您好，我是新华教育的课程顾问，请问是王女士吗？"),
    (1, "你是哪位？"),
    (0, "打扰您了，我们平台现在有优惠活动。"),
    (1, "不需要，我在开车。"),
)


@pytest.mark.parametrize(("said", "agent"), [(ENGLISH, 1), (MANDARIN, 0)], ids=["en", "zh"])
def test_the_one_who_introduces_herself_is_the_agent(said: Sequence[tuple[int, Turn]], agent: int) -> None:
    found = guess_agent(said)
    assert found is not None
    assert found.agent == agent
    assert found.confidence > 0.9
    assert found.reasons


@pytest.mark.parametrize("said", [ENGLISH, MANDARIN], ids=["en", "zh"])
def test_numbering_speakers_otherwise_changes_nothing(said: Sequence[tuple[int, Turn]]) -> None:
    found = guess_agent(said)
    swapped = guess_agent([(1 - speaker, turn) for speaker, turn in said])
    assert found is not None
    assert swapped is not None
    assert swapped.agent == 1 - found.agent
    assert swapped.confidence == found.confidence


@pytest.mark.parametrize("said", [[], _said((0, "hello")), _said((0, "hello"), (1, "  "))])
def test_one_speaker_is_nobody_to_tell_apart(said: list[tuple[int, Turn]]) -> None:
    assert guess_agent(said) is None


def test_small_talk_is_no_proof() -> None:
    found = guess_agent(_said((0, "hi there"), (1, "hi"), (0, "nice weather"), (1, "yes it is")))
    assert found is not None
    assert 0.5 <= found.confidence < 0.7


def test_a_phrase_said_ten_times_is_no_ten_fold_proof() -> None:
    twice = guess_agent(_said((0, "how can I help? how can I help?"), (1, "my car broke down")))
    often = guess_agent(_said((0, "how can I help? " * 10), (1, "my car broke down")))
    assert twice is not None
    assert often is not None
    assert often.confidence - twice.confidence < 0.1


def test_the_shipped_calls_agents_are_found(demo: Path) -> None:
    """Their roles were written by hand (recipes/demo_calls)."""
    calls = [
        call
        for call in read_manifest(demo / "manifest.jsonl").calls
        if {t.role for t in call.turns} >= {"agent", "customer"}
    ]
    found = [guess_agent([(int(turn.role == "customer"), turn) for turn in call.turns]) for call in calls]
    assert len(calls) >= 20
    assert all(guess is not None and guess.agent == 0 for guess in found)


@pytest.mark.data
def test_agents_of_sales_calls_are_found(data_folder: Path) -> None:
    """By their true text: 30 of 31 when this was written."""
    with (data_folder / "ai-sales-calls/turns.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["filename"] and row["speaker"]]
    calls: dict[str, list[tuple[int, Turn]]] = defaultdict(list)
    for row in rows:
        calls[row["filename"]].append((int(row["speaker"] == "Customer"), Turn("unknown", row["text"])))
    found = [guess_agent(said) for said in calls.values()]
    assert len(found) >= 30
    assert sum(guess is not None and guess.agent == 0 for guess in found) >= 0.95 * len(found)
