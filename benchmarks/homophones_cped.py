"""Are the characters that text augmentation puts in homophones, and are they as many as asked for? Over all of CPED.

    python -m benchmarks.homophones_cped [--seed 0] [--dry]

Every dialogue of both parts (Mandarin television, 38,575 utterances) is varied as a call is, and every utterance as a
call of its own. Which characters changed is counted from the two texts. A change is a homophone if the readings that
pypinyin lists for the new character by itself hold the one that the old character has in its utterance, tone included,
in another notation than the augmentation uses. Polyphones are characters with several listed readings; "read
otherwise" are those among them that are not read there as they usually are, such as 行 in 银行. `replaceable`: what
changes at the probability 1, at which a character that was replaced by itself would show as one that stayed.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np
from pypinyin import Style, pinyin

from benchmarks.data_folder import data_folder
from benchmarks.results import record
from callsift.augment.homophones import homophone_places
from callsift.augment.text import vary_turns
from callsift.canonical import sha256_of_json
from callsift.config.augment import TextAugment
from callsift.files import sha256_of_file
from callsift.text.normalise import is_chinese
from callsift.types import Turn

CHANCES = (0.05, 0.1, 0.2)
PARTS = ("valid_split.csv", "test_split.csv")


@dataclass
class Tally:
    """Characters, those that changed, and those of them that became a homophone."""

    characters: int = 0
    changed: int = 0
    homophones: int = 0

    def add(self, changed: bool, homophone: bool) -> None:
        self.characters += 1
        self.changed += changed
        self.homophones += changed and homophone

    @property
    def share_changed(self) -> float:
        return self.changed / self.characters

    @property
    def share_homophones(self) -> float:
        return self.homophones / self.changed


@dataclass(frozen=True)
class Tallies:
    """Of all characters, of those with several readings, and of those that are read otherwise than usually."""

    all: Tally
    polyphones: Tally
    read_otherwise: Tally


def main() -> None:
    """Vary, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry", action="store_true", help="print the figures, keep none")
    arguments = parser.parse_args()
    folder = data_folder() / "cped"
    dialogues = read_dialogues(folder)
    alone = [[utterance] for dialogue in dialogues for utterance in dialogue]
    rows: dict[str, dict[str, float | int]] = {}
    for kind, calls in (("dialogues", dialogues), ("single utterances", alone)):
        for chance in CHANCES:
            rows[f"{chance:g}, {kind}"] = figures(compare(calls, varied(calls, chance, arguments.seed)))
    rows["replaceable"] = figures(compare(dialogues, varied(dialogues, 1.0, arguments.seed)))
    rows["replaceable"]["changed to itself"] = to_itself(dialogues, varied(dialogues, 1.0, arguments.seed))
    for name, row in rows.items():
        print(name, {key: round(value, 4) for key, value in row.items()})
    if not arguments.dry:
        digest = sha256_of_json([sha256_of_file(folder / part) for part in PARTS])
        record("homophones on cped", rows, data_sha256=digest, seed=arguments.seed)


def read_dialogues(folder: Path) -> list[list[str]]:
    """The utterances of every dialogue, in order."""
    rows: list[dict[str, str]] = []
    for part in PARTS:
        with (folder / part).open(newline="", encoding="utf-8-sig") as stream:
            rows += csv.DictReader(stream)
    return [[row["Utterance"] for row in dialogue] for _, dialogue in groupby(rows, lambda row: row["Dialogue_ID"])]


def varied(calls: Sequence[Sequence[str]], chance: float, seed: int) -> list[list[str]]:
    """Every call by the augmentation's entry, each call with numbers of its own."""
    config = TextAugment(homophones=chance)
    return [
        [
            turn.text
            for turn in vary_turns(
                [Turn("unknown", text) for text in call], config, np.random.default_rng([seed, number]), "zh"
            )
        ]
        for number, call in enumerate(calls)
    ]


def compare(before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> Tallies:
    """Count the characters that differ, and check the sound of each."""
    tallies = Tallies(Tally(), Tally(), Tally())
    for old_call, new_call in zip(before, after, strict=True):
        for old_text, new_text in zip(old_call, new_call, strict=True):
            for old, new, reading in zip(old_text, new_text, readings(old_text), strict=True):
                if not is_chinese(old):
                    assert old == new, f"{old} is no Chinese character and became {new}"
                    continue
                listed = all_readings(old)
                outcome = (new != old, reading in all_readings(new))
                tallies.all.add(*outcome)
                if len(listed) > 1:
                    tallies.polyphones.add(*outcome)
                if reading != listed[0]:
                    tallies.read_otherwise.add(*outcome)
    return tallies


def to_itself(before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> int:
    """Characters that have homophones, had to be replaced at the probability 1, and stayed."""
    return sum(
        old_text[place.start] == new_text[place.start]
        for old_call, new_call in zip(before, after, strict=True)
        for old_text, new_text in zip(old_call, new_call, strict=True)
        for place in homophone_places(old_text, False).places
    )


@cache
def readings(text: str) -> tuple[str, ...]:
    """The syllable of every character with its tone as a digit, in the whole utterance."""
    found = pinyin(text, style=Style.TONE3, neutral_tone_with_five=True, errors=list)  # type: ignore[arg-type]
    return tuple(reading[0] for reading in found)


@cache
def all_readings(character: str) -> tuple[str, ...]:
    """What pypinyin lists for a character by itself, the most usual first."""
    return tuple(pinyin(character, style=Style.TONE3, neutral_tone_with_five=True, heteronym=True)[0])


def figures(tallies: Tallies) -> dict[str, float | int]:
    """The table's row."""
    row: dict[str, float | int] = {"characters": tallies.all.characters}
    for field in fields(tallies):
        tally: Tally = getattr(tallies, field.name)
        name = field.name.replace("_", " ")
        row |= {f"{name}: changed": tally.share_changed, f"{name}: homophones": tally.share_homophones}
    return row


if __name__ == "__main__":
    main()
