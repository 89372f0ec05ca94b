"""Short dialogues of text alone, and a network small enough to learn them in a second."""

from __future__ import annotations

import random

from callsift.types import Call, Turn
from tests.training.sizes import SIZES

SETTINGS = [
    "labels=donation",
    "network.streams=[text]",
    *SIZES,
    "fit.epochs=2",
]


def dialogues(count: int = 24, groups: int = 6, name: str = "call") -> tuple[Call, ...]:
    """Short dialogues of text alone, whose words tell the outcome."""
    choose = random.Random(1)
    words = {"yes": "gladly sure happy", "no": "sorry never busy"}
    return tuple(
        Call(
            f"{name}-{at}",
            language="en",
            group=f"group-{at % groups}",
            label=label,
            turns=tuple(
                Turn(role, " ".join(choose.choices(said.split(), k=3)))
                for _ in range(2)
                for role, said in (("agent", "will you give"), ("customer", words[label]))
            ),
        )
        for at, label in enumerate(("yes", "no", "no")[at // groups % 3] for at in range(count))
    )
