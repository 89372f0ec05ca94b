"""Calls whose words give their grades away, and a network small enough to learn them in a second."""

from __future__ import annotations

from typing import Any

import numpy as np

from callsift.types import Call, Turn
from tests.training.sizes import SIZES

SETTINGS = [
    "labels={id: words, grades: [A, B, C, D, E], tasks: {five: {A: [A], B: [B], C: [C], D: [D], E: [E]}}}",
    "network.streams=[text]",
    "network.fusion=text",
    *SIZES,
    "fit.epochs=3",
    "fit.batch_calls=4",
    "fit.learning_rate=0.01",
    "fit.threads=1",
]
WORDS = {"A": "yes please sign me up", "B": "sounds nice tell me more", "C": "hm busy now perhaps later",
         "D": "no never stop calling me", "E": "wrong number who are you"}  # fmt: skip


def made(count: int, name: str, **about: Any) -> list[Call]:
    """Calls of all grades in turn, whose words give the grade away."""
    random = np.random.default_rng(len(name))
    calls = []
    for at in range(count):
        grade = "ABCDE"[at % 5]
        words = " ".join(random.permutation([*WORDS[grade].split(), "the", "plan", "today", f"{name}{at}"]))
        calls.append(Call(f"{name}{at}", turns=(Turn("customer", words),), label=grade, **about))
    return calls
