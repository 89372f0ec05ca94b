"""Calls whose grade is how long the customer takes to answer, and nothing else: the planted effect of a benchmark.

Turns of the shipped sample calls, picked at random, are laid on a new clock. The customer's answers come after about
0.3 s (grade A), 0.8 s (B), 1.6 s (C) or 2.6 s (D). All else is drawn alike: what is said and by whom, how long the
agent takes, the line's noise. A round has as much silence in every grade: what the answer doesn't take is given to
pauses inside the agent's and the customer's turns, divided at random. So neither the length of the call nor its
share of silence tells the grade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from callsift.asr.transcripts import read_transcript
from callsift.audio.decode import decode
from callsift.audio.features import resample
from callsift.data.manifest import read_manifest
from callsift.types import Call, Turn
from recipes.dialogue import CHANNEL_OF_ROLE, RATE_HZ, Role

LATENCY_S = {"A": 0.3, "B": 0.8, "C": 1.6, "D": 2.6}
"""Median time until the customer answers, by grade."""
SPREAD = 0.2
"""Standard deviation of the logarithm of a single answer's time."""
ROUND_SILENCE_S = (4.0, 4.6)
"""Silence of a round but for the agent's answer: the customer's answer and the pauses inside both turns."""
AGENT_LATENCY_S = (0.25, 0.9)
ROUNDS = 4
SNIPPET_S = (0.8, 3.8)
"""Shorter and longer turns of the sample calls are not used."""
_LONGEST_ANSWER_S = 3.4
_EDGE_S = 0.4
_NOISE_DBFS = (-62.0, -54.0)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A turn of a sample call: (T,) float32 at `RATE_HZ`, and its words."""

    samples: NDArray[np.float32]
    text: str


def snippets(demo: Path) -> dict[Role, list[Snippet]]:
    """The turns of the English sample calls, by role."""
    found: dict[Role, list[Snippet]] = {"agent": [], "customer": []}
    for call in read_manifest(demo / "manifest.jsonl").calls:
        if call.language != "en" or call.audio is None:
            continue
        waveform = decode(call.audio).waveform
        for turn in call.turns or read_transcript(call.transcript or call.audio):
            start_s, end_s = turn.start_s or 0.0, turn.end_s or 0.0
            if turn.role != "unknown" and SNIPPET_S[0] <= end_s - start_s <= SNIPPET_S[1]:
                first, end = (round(seconds * waveform.rate_hz) for seconds in (start_s, end_s))
                channel = waveform.channel(CHANNEL_OF_ROLE[turn.role])
                found[turn.role].append(Snippet(resample(channel[first:end], waveform.rate_hz, RATE_HZ), turn.text))
    return found


def make_call(
    grade: str, bank: dict[Role, list[Snippet]], random: np.random.Generator
) -> tuple[NDArray[np.float32], tuple[Turn, ...]]:
    """A call (2, T) float32 at `RATE_HZ`, the agent on channel 0, and its turns with times."""
    clock_s = _EDGE_S
    laid: list[tuple[Role, float, Snippet]] = []
    turns: list[Turn] = []
    for _ in range(ROUNDS):
        answer_s = min(LATENCY_S[grade] * float(np.exp(SPREAD * random.standard_normal())), _LONGEST_ANSWER_S)
        rest_s = random.uniform(*ROUND_SILENCE_S) - answer_s
        agent_pause_s = rest_s * random.uniform(0.15, 0.85)
        before: dict[Role, float] = {"agent": random.uniform(*AGENT_LATENCY_S), "customer": answer_s}
        inside: dict[Role, float] = {"agent": agent_pause_s, "customer": rest_s - agent_pause_s}
        for role, pause_s in inside.items():
            clock_s += before[role]
            said = [bank[role][at] for at in random.choice(len(bank[role]), 2, replace=False)]
            start_s = clock_s
            for snippet, then_s in zip(said, (pause_s, 0.0), strict=True):
                laid.append((role, clock_s, snippet))
                clock_s += len(snippet.samples) / RATE_HZ + then_s
            turns.append(Turn(role, " ".join(s.text for s in said), start_s, clock_s, CHANNEL_OF_ROLE[role]))
    noise = 10 ** (random.uniform(*_NOISE_DBFS, size=(2, 1)) / 20)
    samples: NDArray[np.float64] = noise * random.standard_normal((2, round((clock_s + _EDGE_S) * RATE_HZ)))
    for role, start_s, snippet in laid:
        first = round(start_s * RATE_HZ)
        samples[CHANNEL_OF_ROLE[role], first : first + len(snippet.samples)] += snippet.samples
    return samples.astype(np.float32), tuple(turns)


def write_calls(folder: Path, demo: Path, count: int, seed: int) -> list[Call]:
    """`count` calls of the four grades in turn, as μ-law recordings in `folder`; the same seed gives the same calls."""
    bank = snippets(demo)
    folder.mkdir(parents=True, exist_ok=True)
    grades: Sequence[str] = tuple(LATENCY_S)
    calls = []
    for number in range(count):
        grade = grades[number % len(grades)]
        samples, turns = make_call(grade, bank, np.random.default_rng((seed, number)))
        path = folder / f"{number:04d}.wav"
        soundfile.write(path, np.clip(samples.T, -1, 1), RATE_HZ, subtype="ULAW")
        calls.append(
            Call(f"{number:04d}", path, channels={0: "agent", 1: "customer"}, language="en", label=grade, turns=turns)
        )
    return calls
