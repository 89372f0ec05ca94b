"""Who speaks when in a mono call, and who of the two is the agent: SpokenWOZ summed to mono, and twenty sales calls.

    python -m benchmarks.mono_speakers [--diarizer clustering] [--work build/mono] [--dry]

SpokenWOZ (8 kHz, human word times): both channels are summed, speech is detected and told apart; then the same with the
words themselves as the speech, and each channel alone, where one speaker is to be found. The sales calls (16 kHz, one
channel, most likely synthetic voices) have turns without times: these are laid over the recording by recognised words
(`benchmarks.aligned_turns`; the words are kept in the working folder). Time is compared in steps of 10 ms, where
exactly one person truly speaks, under the better of both assignments of speakers.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.aligned_turns import Heard, lay, words_heard
from benchmarks.results import ROOT, record
from callsift.asr.pocketsphinx import PocketsphinxEngine
from callsift.audio.decode import decode
from callsift.canonical import sha256_of_json
from callsift.files import read_json, sha256_of_file, write_json
from callsift.plugins import Diarization, Diarizer, make
from callsift.speech.roles import guess_agent
from callsift.speech.spans import joined, total_s
from callsift.speech.turns import turns_from_speech
from callsift.speech.vad import detect_speech
from callsift.types import FloatArray, IntArray, Span, Turn

STEP_S = 0.01
NOBODY, SEVERAL = -1, -2
TURN_GAP_S = 0.3
"""Words of one person closer than this are one stretch of speech."""

AGENT = "Sales Rep"


@dataclass(frozen=True, slots=True)
class MonoCall:
    """A call on one channel (T,), and the spans in which each of two persons truly speaks."""

    name: str
    samples: FloatArray
    rate_hz: int
    truth: tuple[tuple[Span, ...], ...]
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a diarizer made of a call. `right`: share of the truly spoken time that it gives to the right person;
    `right_of_heard`: of the part of it in which it hears anyone; `turns`: share of true turns whose greater part is
    given to the right person; `first`: whether its first speaker is the first person.
    """

    found: Diarization
    seconds: float
    right: float
    right_of_heard: float
    turns: float
    first: bool


def data_folder() -> Path:
    """`CALLSIFT_DATA`, or `../shared/data` from the project's root."""
    return Path(os.environ.get("CALLSIFT_DATA") or ROOT / "../shared/data")


def spokenwoz(folder: Path) -> Iterator[tuple[MonoCall, tuple[MonoCall, ...]]]:
    """Every call with audio as the sum of its channels, and each channel by itself."""
    for path in sorted((folder / "calls/spokenwoz/audio").glob("*.wav")):
        waveform = decode(path).waveform
        words = json.loads((folder / f"calls/spokenwoz/text/{path.stem}.json").read_text("utf-8"))
        truth = tuple(
            joined([Span(word["start"], word["end"]) for word in words if word["speaker"] == speaker], TURN_GAP_S)
            for speaker in "AB"
        )
        sides = [waveform.channel(number)[0 : waveform.length] for number in (0, 1)]
        alone = tuple(
            MonoCall(f"{path.stem}.{number}", sides[number], waveform.rate_hz, (truth[number],)) for number in (0, 1)
        )
        yield MonoCall(path.stem, sides[0] + sides[1], waveform.rate_hz, truth), alone


def sales_calls(folder: Path, work: Path) -> Iterator[tuple[MonoCall, float]]:
    """Every sales call, its turns laid over it, and the share of the turns' words that were heard."""
    with (folder / "ai-sales-calls/turns.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["text"].strip() and row["speaker"] != "speaker"]
    for path in sorted((folder / "ai-sales-calls").glob("*.flac")):
        waveform = decode(path).waveform
        samples = waveform.channel(0)[0 : waveform.length]
        written = [
            Turn("agent" if row["speaker"] == AGENT else "customer", row["text"])
            for row in rows
            if Path(row["filename"]).stem == path.stem
        ]
        turns, share = lay(written, _words(path, samples, waveform.rate_hz, work), samples, waveform.rate_hz)
        yield MonoCall(path.stem, samples, waveform.rate_hz, _by_role(turns), tuple(turns)), share


def _words(path: Path, samples: FloatArray, rate_hz: int, work: Path) -> list[Heard]:
    kept = work / f"words-{path.stem}-{sha256_of_file(path)[:12]}.json"
    if not kept.is_file():
        heard = words_heard(samples, rate_hz)
        write_json(kept, [[each.word, each.start_s, each.end_s] for each in heard])
    rows: list[Any] = read_json(kept)
    return [Heard(*row) for row in rows]


def _by_role(turns: Sequence[Turn]) -> tuple[tuple[Span, ...], ...]:
    return tuple(
        tuple(Span(turn.start_s or 0.0, turn.end_s or 0.0) for turn in turns if turn.role == role)
        for role in ("agent", "customer")
    )


def judge(call: MonoCall, speech: Sequence[Span], diarizer: Diarizer) -> Outcome:
    """Tell the speakers of a call apart, and compare. True turns count only where there is speech, if laid by us."""
    begin = time.process_time()
    found = diarizer.diarize(call.samples, call.rate_hz, speech)
    seconds = time.process_time() - begin
    steps = int(call.samples.size / call.rate_hz / STEP_S)
    truth, said = owners(call.truth, steps), owners(found.speakers, steps)
    if call.turns:
        truth[owners([speech], steps) == NOBODY] = NOBODY
    spoken, heard = truth >= 0, (truth >= 0) & (said >= 0)
    swap = bool((said[heard] == truth[heard]).mean() < 0.5) if heard.any() and len(call.truth) == 2 else False
    right = spoken & ((1 - said if swap else said) == truth) & (said >= 0)
    parts = (
        [(round((t.start_s or 0.0) / STEP_S), round((t.end_s or 0.0) / STEP_S)) for t in call.turns]
        if call.turns
        else [(round(s.start_s / STEP_S), round(s.end_s / STEP_S)) for spans in call.truth for s in spans]
    )
    shares = [right[a:b].sum() / spoken[a:b].sum() for a, b in parts if spoken[a:b].any()]
    return Outcome(
        found,
        seconds,
        float(right.sum() / max(1, spoken.sum())),
        float(right.sum() / max(1, heard.sum())),
        float(np.mean([share > 0.5 for share in shares])),
        not swap,
    )


def owners(speakers: Sequence[Sequence[Span]], steps: int) -> IntArray:
    """Per step of `STEP_S` (F,): the number of the one who speaks, `NOBODY` or `SEVERAL`."""
    owner = np.full(steps, NOBODY, dtype=np.int64)
    for number, spans in enumerate(speakers):
        for span in spans:
            part = owner[round(span.start_s / STEP_S) : round(span.end_s / STEP_S)]
            part[:] = np.where((part == NOBODY) | (part == number), number, SEVERAL)
    return owner


def agent_by_asr(call: MonoCall, outcome: Outcome, engine: PocketsphinxEngine, work: Path) -> bool:
    """Whether the agent is found in what the recogniser hears of the diarised turns."""
    turns = turns_from_speech(outcome.found.speakers, {})
    spans = [Span(turn.start_s or 0.0, turn.end_s or 0.0) for turn in turns]
    key = sha256_of_json([[span.start_s, span.end_s] for span in spans])[:12]
    kept = work / f"turns-{call.name}-{key}.json"
    if not kept.is_file():
        write_json(kept, [text.text for text in engine.transcribe(call.samples, call.rate_hz, spans, "en")])
    texts: list[str] = read_json(kept)
    said = [(turn.channel or 0, Turn("unknown", text)) for turn, text in zip(turns, texts, strict=True)]
    return _finds_agent(said, outcome)


def agent_by_text(call: MonoCall, outcome: Outcome) -> bool:
    """Whether the agent is found in the true words, each given to whom the diarizer hears at its time."""
    spans = sorted(
        (span.start_s, span.end_s, number) for number, own in enumerate(outcome.found.speakers) for span in own
    )
    said: list[tuple[int, list[str]]] = []
    for turn in call.turns:
        words, start_s, end_s = turn.text.split(), turn.start_s or 0.0, turn.end_s or 0.0
        for at, word in enumerate(words):
            time_s = start_s + (at + 0.5) / len(words) * (end_s - start_s)
            _, _, speaker = min(spans, key=lambda span: max(span[0] - time_s, time_s - span[1], 0.0))
            if not said or said[-1][0] != speaker:
                said.append((speaker, []))
            said[-1][1].append(word)
    return _finds_agent([(speaker, Turn("unknown", " ".join(words))) for speaker, words in said], outcome)


def _finds_agent(said: Sequence[tuple[int, Turn]], outcome: Outcome) -> bool:
    """The agent is the first of the two persons in `MonoCall.truth`."""
    guess = guess_agent(said)
    return guess is not None and guess.agent == (0 if outcome.first else 1)


def spokenwoz_figures(diarizer: Diarizer, folder: Path) -> dict[str, Any]:
    """One row per call, and what they come to."""
    rows: dict[str, Any] = {}
    singles: list[int] = []
    for call, alone in spokenwoz(folder):
        outcome = judge(call, detect_speech(call.samples, call.rate_hz), diarizer)
        oracle = judge(call, joined([span for spans in call.truth for span in spans]), diarizer)
        rows[call.name] = {**_row(call, outcome), "right share, true speech given": oracle.right}
        singles += [
            len(diarizer.diarize(side.samples, side.rate_hz, detect_speech(side.samples, side.rate_hz)).speakers)
            for side in alone
        ]
    return {
        **rows,
        "all": {**_means(rows), "channels alone with one speaker": f"{singles.count(1)} of {len(singles)}"},
    }


def sales_figures(diarizer: Diarizer, folder: Path, work: Path, *, roles: bool = True) -> dict[str, Any]:
    """One row per call, and what they come to; with `roles`, whether the agent is found, too."""
    engine, rows = PocketsphinxEngine(), {}
    for call, aligned in sales_calls(folder, work):
        outcome = judge(call, detect_speech(call.samples, call.rate_hz), diarizer)
        rows[call.name] = {**_row(call, outcome), "words aligned": aligned}
        if roles:
            rows[call.name]["agent found, recognised text"] = float(agent_by_asr(call, outcome, engine, work))
            rows[call.name]["agent found, true text"] = float(agent_by_text(call, outcome))
    return {**rows, "all": _means(rows)}


def _row(call: MonoCall, outcome: Outcome) -> dict[str, Any]:
    spoken_s = sum(total_s(spans) for spans in outcome.found.speakers)
    return {
        "right share": outcome.right,
        "right share of what is heard": outcome.right_of_heard,
        "turns right": outcome.turns,
        "speakers": float(len(outcome.found.speakers)),
        "confidence": outcome.found.confidence,
        "seconds of speech": round(spoken_s, 1),
        "time per second of audio": round(outcome.seconds * call.rate_hz / call.samples.size, 5),
    }


def _means(rows: dict[str, Any]) -> dict[str, float]:
    return {key: float(np.mean([row[key] for row in rows.values()])) for key in next(iter(rows.values()))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--diarizer", default="clustering", help="NAME or NAME,key=value")
    parser.add_argument("--work", type=Path, default=ROOT / "build/mono", help="folder of recognised words")
    parser.add_argument("--dry", action="store_true", help="print only")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    diarizer: Diarizer = make("diarizer", options.diarizer)
    folder = data_folder()
    tables = {
        "SpokenWOZ as mono, who speaks when": spokenwoz_figures(diarizer, folder),
        "mono sales calls, who speaks when and who is the agent": sales_figures(diarizer, folder, options.work),
    }
    print(json.dumps(tables, indent=2))
    if not options.dry:
        for name, figures in tables.items():
            record(f"{name}, {diarizer.name}", figures)


if __name__ == "__main__":
    main()
