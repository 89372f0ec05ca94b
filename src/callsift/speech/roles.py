"""Who of the speakers is the agent, from what is said: the greeting, the name, the company, the questions.

Agents introduce themselves, name a firm, offer, verify and take leave in set phrases; customers ask who is calling,
what it costs, or say that they are busy. Each cue adds to the log-odds that its speaker is the agent; a speaker's first
long turn adds some more (an outbound agent introduces herself after the customer's "hello?", an inbound one answers
with the firm's name), and so does talking more. The phrases and their weights are in `role_cues.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import exp, log
from typing import Final

import yaml

from callsift.types import Turn

MOST_OF_ONE_CUE: Final = 2
"""A cue counts at most so often for a speaker: "how can I help" ten times is no ten-fold proof."""

LONG_TURN_UNITS: Final = 7
"""Words (or Chinese characters) from which a turn is more than a "hello, who is it?"."""

FIRST_LONG_TURN: Final = 1.0
MOST_FOR_TALKING: Final = 1.0
SURENESS: Final = 0.6
"""Cues are not independent of one another: their sum is taken for less than it says. Chosen on charity dialogues
(persuasionforgood), which are no sales calls: right in 0.61 of the guesses that claim 0.5 to 0.6, 0.74 of those that
claim 0.7 to 0.8, 0.85 of those above 0.95."""

MOST_LOG_ODDS: Final = 6.0
"""However many cues agree, a machine's transcript is never surer than 0.998."""

_UNIT = re.compile(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+(?:['’]\w+)?")


@dataclass(frozen=True, slots=True)
class RoleGuess:
    """Which speaker is the agent, how sure that is (0.5 to 1), and what this speaker said that agents say."""

    agent: int
    confidence: float
    reasons: tuple[str, ...]


@lru_cache(maxsize=1)
def _cues() -> tuple[tuple[float, re.Pattern[str]], ...]:
    """(weight, phrases) of `role_cues.yaml`."""
    text = files("callsift.speech").joinpath("role_cues.yaml").read_text(encoding="utf-8")
    return tuple(
        (float(row["weight"]), re.compile("|".join(f"(?:{phrase})" for phrase in row["phrases"])))
        for row in yaml.safe_load(text)
    )


def guess_agent(said: Sequence[tuple[int, Turn]]) -> RoleGuess | None:
    """The agent among the speakers of a call.

    `said`: (speaker, turn with its text) in order. None where fewer than two speakers say anything.
    The confidence is that of the best speaker against the second best.
    """
    spoken = [(speaker, _plain(turn.text)) for speaker, turn in said if turn.text.strip()]
    speakers = sorted({speaker for speaker, _ in spoken})
    if len(speakers) < 2:
        return None
    scores: dict[int, float] = dict.fromkeys(speakers, 0.0)
    reasons: list[tuple[float, int, str]] = []
    for speaker in speakers:
        own = " \n ".join(text for who, text in spoken if who == speaker)
        for weight, cue in _cues():
            found = [match.group(0).strip() for match in cue.finditer(own)][:MOST_OF_ONE_CUE]
            scores[speaker] += weight * len(found)
            reasons += [(weight, speaker, phrase) for phrase in found[:1] if weight > 0]
    for speaker, bonus in _by_talking(spoken).items():
        scores[speaker] += bonus
    best, second = sorted(speakers, key=lambda speaker: -scores[speaker])[:2]
    odds = min(SURENESS * (scores[best] - scores[second]), MOST_LOG_ODDS)
    own_reasons = [(weight, phrase) for weight, speaker, phrase in reasons if speaker == best]
    strongest = sorted(own_reasons, key=lambda reason: -reason[0])[:2]
    return RoleGuess(best, 1 / (1 + exp(-odds)), tuple(f'"{phrase}"' for _, phrase in strongest))


def _plain(text: str) -> str:
    return text.lower().replace("’", "'")


def _by_talking(spoken: Sequence[tuple[int, str]]) -> dict[int, float]:
    """Log-odds from who has the first long turn, and from who says more."""
    units: dict[int, int] = {speaker: 1 for speaker, _ in spoken}
    first: int | None = None
    for speaker, text in spoken:
        count = len(_UNIT.findall(text))
        units[speaker] += count
        if first is None and count >= LONG_TURN_UNITS:
            first = speaker
    mean = sum(log(count) for count in units.values()) / len(units)
    return {
        speaker: max(-MOST_FOR_TALKING, min(MOST_FOR_TALKING, log(count) - mean))
        + (FIRST_LONG_TURN if speaker == first else 0.0)
        for speaker, count in units.items()
    }
