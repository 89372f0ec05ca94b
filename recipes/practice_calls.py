"""The calls that the shipped model learns from: real dialogues whose outcome is known, and generated ones.

`persuasionforgood` gives 866 real dialogues in which one side asks the other for a donation; whoever gave
something is labelled [A, B, C], whoever gave nothing [D, E]. The grammar gives sales calls of every grade in
English and Mandarin. The same share of both is voiced and sent down the telephone line, in every split and
grade alike, so that having audio says nothing about where a call comes from or how it ends.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile

from callsift.benchmarks.persuasionforgood import read_dialogues
from callsift.canonical import sha256_of_json
from callsift.data.manifest import write_manifest
from callsift.data.splits import folds, label_key
from callsift.files import write_text
from callsift.types import Call, Role, Turn
from recipes import telephone as line
from recipes import voices
from recipes.build_demo_calls import turn_records
from recipes.dialogue import RATE_HZ, Dialogue, Line, plain_text
from recipes.grammar import generate_dialogues
from recipes.telephone import telephone
from recipes.voices import voice_dialogue, voice_names

REAL, GENERATED = "persuasionforgood", "generated"
GAVE, GAVE_NOTHING = ("A", "B", "C"), ("D", "E")
CHANNELS: dict[int, Role] = {0: "agent", 1: "customer"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How many calls are made, and how many of them are voiced."""

    per_grade: int = 50
    """Generated calls per grade and language."""
    voiced: float = 0.3
    """Share of the calls of each source, split and label that get audio."""
    seed: int = 7


def make_manifest(data: Path, folder: Path, plan: Plan, workers: int = 2) -> Path:
    """Write `manifest.jsonl` and the audio of the voiced calls into `folder`; audio that is there is kept."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    real = [_real(call, usd, plan.seed) for call, usd in read_dialogues(data / REAL)]
    generated = [(dialogue, dialogue.grade) for dialogue in generate_dialogues(plan.seed, plan.per_grade)]
    calls: list[Call] = []
    jobs: list[tuple[Dialogue, Path, int]] = []
    for source, dialogues in ((REAL, real), (GENERATED, generated)):
        drafts = [_draft(source, dialogue, label) for dialogue, label in dialogues]
        drafts = _split(drafts, plan.seed)
        for at in _voiced(drafts, plan):
            path = folder / "audio" / f"{drafts[at].call_id}.wav"
            jobs.append((dialogues[at][0], path, crc32(path.stem.encode())))
            drafts[at] = replace(
                drafts[at], audio=path, channels=CHANNELS, turns=(), transcript=path.with_suffix(".json")
            )
        calls += drafts
    with ProcessPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(_voice, jobs, chunksize=2), start=1):
            if done % 50 == 0 or done == len(jobs):
                print(f"voiced {done} of {len(jobs)} calls", flush=True)
    write_manifest(folder / "manifest.jsonl", calls)
    return folder / "manifest.jsonl"


def source_of(call: Call) -> str:
    """Which of the two sources a call comes from."""
    return REAL if call.call_id.startswith(REAL) else GENERATED


def _real(call: Call, usd: float, seed: int) -> tuple[Dialogue, tuple[str, ...]]:
    """A real dialogue, ready to be voiced by two speakers drawn for it, and the grades its outcome allows."""
    random = np.random.default_rng((seed, crc32(call.call_id.encode())))
    agent, customer = random.choice(voice_names("en"), size=2, replace=False)
    lines = tuple(
        Line("customer" if turn.role == "customer" else "agent", turn.text)
        for turn in call.turns
        if any(map(str.isalnum, turn.text))
    )
    dialogue = Dialogue(call.call_id, "en", "A", str(agent), str(customer), lines)
    return dialogue, GAVE if usd > 0 else GAVE_NOTHING


def _draft(source: str, dialogue: Dialogue, label: str | tuple[str, ...]) -> Call:
    turns = tuple(Turn(line.role, plain_text(line.text, dialogue.language)) for line in dialogue.turns)
    return Call(f"{source}-{dialogue.call_id}", language=dialogue.language, label=label, turns=turns)


def _split(calls: Sequence[Call], seed: int) -> list[Call]:
    """A fifth to test, an eighth of the rest to validate, the same share of every label."""
    test = set(folds(calls, 5, seed)[0])
    rest = [at for at in range(len(calls)) if at not in test]
    validation = {rest[at] for at in folds([calls[at] for at in rest], 8, seed)[0]}
    parts = ["test" if at in test else "val" if at in validation else "train" for at in range(len(calls))]
    return [replace(call, split=part) for call, part in zip(calls, parts, strict=True)]


def _voiced(calls: Sequence[Call], plan: Plan) -> list[int]:
    """Which calls get audio: the same share of every split, label and language."""
    kinds: dict[tuple[str | None, str, str | None], list[int]] = {}
    for at, call in enumerate(calls):
        kinds.setdefault((call.split, label_key(call.label), call.language), []).append(at)
    random = np.random.default_rng(plan.seed)
    chosen: list[int] = []
    for members in kinds.values():
        chosen += random.permutation(members)[: round(plan.voiced * len(members))].tolist()
    return sorted(chosen)


def _voice(job: tuple[Dialogue, Path, int]) -> None:
    """Voice a call, unless that was done from the same dialogue by the same recipe.

    The transcript is written last, so that where it stands the audio is whole.
    """
    dialogue, path, seed = job
    transcript = path.with_suffix(".json")
    made_from = sha256_of_json([repr(dialogue), seed, _recipe_sha256()])
    if transcript.exists() and json.loads(transcript.read_text("utf-8")).get("made_from") == made_from:
        return
    voiced = voice_dialogue(dialogue, seed)
    samples = telephone(voiced.samples, np.random.default_rng(seed))
    soundfile.write(path, samples.T, RATE_HZ, format="WAV", subtype="ULAW")
    write_text(transcript, json.dumps({"made_from": made_from, "turns": turn_records(voiced)}, ensure_ascii=False))


@lru_cache
def _recipe_sha256() -> str:
    """Hash of the code that turns a dialogue into audio."""
    return sha256_of_json([Path(module.__file__ or "").read_text("utf-8") for module in (voices, line)])
