"""The wording of the practice dialogues: phrase files, their expansion, the check against written ones.

Phrases may hold `{slot}`, filled by name, and `[a|b|c]`, one of the alternatives. Both can be turned into a
pattern as well, so that the check covers every sentence that could be generated, not only those that were.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from recipes.dialogue import Dialogue, Language, plain_text

PHRASES = Path(__file__).parent / "phrases"

_SLOT = re.compile(r"\{(\w+)\}")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SENTENCE_END = re.compile(r"[.!?:。！？：…—]+")
_SENTENCE_SLOTS = ("pitch", "question", "irrelevant")  # their values are sentences themselves
_NOT_WORDING = re.compile(r"[^\w]+")
_PRODUCT_SLOTS = {
    "item": "item",
    "price": "prices",
    "pitch": "pitches",
    "question": "questions",
    "irrelevant": "irrelevant",
}
_ROLE_SLOTS = {"agent": ("agent_f", "agent_m"), "customer": ("customer_f", "customer_m")}


@dataclass(frozen=True, slots=True)
class Wording:
    """One language's phrases: slot values, products, fillers, and the paraphrases of each intent by role."""

    slots: Mapping[str, Sequence[str]]
    products: Sequence[Mapping[str, Any]]
    fillers: Mapping[str, Sequence[str]]
    intents: Mapping[str, Mapping[str, Sequence[str]]]


@lru_cache
def load_wording(language: Language) -> Wording:
    """The phrases of `language`, read once."""
    loaded = yaml.safe_load((PHRASES / f"{language}.yaml").read_text(encoding="utf-8"))
    return Wording(
        slots=loaded["slots"],
        products=loaded["products"],
        fillers={"agent": loaded["agent_fillers"], "customer": loaded["fillers"]},
        intents={"agent": loaded["agent"], "customer": loaded["customer"]},
    )


def pick(values: Sequence[str], rng: np.random.Generator) -> str:
    """One of `values`, each as likely."""
    return values[int(rng.integers(len(values)))]


def expand(phrase: str, slots: Mapping[str, Sequence[str]], rng: np.random.Generator) -> str:
    """`phrase` with every slot filled and every choice made, again in what the slots held."""
    while _SLOT.search(phrase) or _CHOICE.search(phrase):
        phrase = _CHOICE.sub(lambda match: pick(match.group(1).split("|"), rng), phrase)
        phrase = _SLOT.sub(lambda match: pick(slots[match.group(1)], rng), phrase)
    return phrase


def sentences(text: str, language: Language, at_least: int = 3) -> set[str]:
    """The sentences of `text`, lower case and without punctuation.

    Those with fewer words (characters in Mandarin) than `at_least` are left out: nobody can talk without
    "Okay." or "好的。", and they carry no wording of their own.
    """
    found = set()
    for sentence in _SENTENCE_END.split(plain_text(text, language)):
        bare = _bare(sentence, language)
        if (len(bare) if language == "zh" else len(bare.split())) >= at_least:
            found.add(bare)
    return found


def shared_sentences(dialogues: Iterable[Dialogue], at_least: int = 3) -> set[str]:
    """The sentences of `dialogues` that the practice wording could produce; empty if the two are apart.

    Every phrase is compared with all its choices and slot values, with and without a filler before it.
    """
    shared: set[str] = set()
    for dialogue in dialogues:
        pattern = _pattern(dialogue.language)
        for turn in dialogue.turns:
            spoken = sentences(turn.text, dialogue.language, at_least)
            shared |= {sentence for sentence in spoken if pattern.fullmatch(sentence)}
    return shared


def _bare(text: str, language: Language) -> str:
    return _NOT_WORDING.sub("" if language == "zh" else " ", text.lower()).strip()


@lru_cache
def _pattern(language: Language) -> re.Pattern[str]:
    """Matches every sentence that the phrases of `language` can produce, in the form of `sentences`."""
    wording = load_wording(language)
    values = _values(wording)
    phrases = [phrase for intents in wording.intents.values() for each in intents.values() for phrase in each]
    phrases += [phrase for slot in _SENTENCE_SLOTS for phrase in values[slot]]
    # A slot that holds sentences may end one: in front of it, behind it, or both.
    slot = re.compile(rf"\{{({'|'.join(_SENTENCE_SLOTS)})\}}")
    forms = [slot.sub(by, phrase) for phrase in phrases for by in (r"{\1}", r"{\1}.", r".{\1}.", r".{\1}")]
    parts = sorted({part for form in forms for part in _SENTENCE_END.split(form) if part.strip()})
    fillers = [_bare(filler, language) for each in wording.fillers.values() for filler in each]
    space = "" if language == "zh" else " ?"
    start = f"(?:{'|'.join(map(re.escape, fillers))})?{space}"
    return re.compile(f"{start}(?:{'|'.join(_part_pattern(part, values, language) for part in parts)})")


def _part_pattern(part: str, values: Mapping[str, Sequence[str]], language: Language) -> str:
    """`part` of a phrase as a pattern, in which slots and choices are alternatives."""
    pieces = []
    for piece in re.split(r"(\{\w+\}|\[[^\[\]]*\])", part):
        if piece.startswith(("[", "{")):
            options = piece[1:-1].split("|") if piece.startswith("[") else values[piece[1:-1]]
            pieces.append(f"(?:{'|'.join(sorted({_part_pattern(each, values, language) for each in options}))})")
        else:
            pieces.append(re.escape(_bare(piece, language)))
    return ("" if language == "zh" else " ?").join(pieces)


def _values(wording: Wording) -> dict[str, list[str]]:
    """All values of every slot, over all products."""
    values = {name: list(each) for name, each in wording.slots.items()}
    for role, names in _ROLE_SLOTS.items():
        values[role] = [value for name in names for value in wording.slots[name]]
    for slot, key in _PRODUCT_SLOTS.items():
        values[slot] = [value for product in wording.products for value in as_list(product[key])]
    return values


def product_slots(product: Mapping[str, Any]) -> dict[str, list[str]]:
    """The slots that a product fills."""
    return {slot: as_list(product[key]) for slot, key in _PRODUCT_SLOTS.items()}


def as_list(value: str | list[str]) -> list[str]:
    """A single value as a list of one."""
    return [value] if isinstance(value, str) else value
