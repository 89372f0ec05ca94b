"""Where a text can be varied, and the draw of what is: shared by Mandarin and English."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Place:
    """Characters `[start, end)` of a text that may become one of `others`, none of which is what stands there.

    `bounds`: where each of `others` ends on the scale from 0 to 1, so that a likelier one has more of it.
    """

    start: int
    end: int
    others: tuple[str, ...]
    bounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """A text, how many characters or words it has, and which of them can be replaced, from left to right."""

    text: str
    units: int
    places: tuple[Place, ...]


def redrawn(found: Sequence[Places], chance: float, random: np.random.Generator) -> tuple[str, ...]:
    """The texts with `chance` of all their units replaced.

    Units that nothing sounds like are made up for by those that can be replaced, over all the texts together:
    with n units of which m are replaceable, each of the m has the chance `min(1, chance · n / m)`.
    """
    units = sum(one.units for one in found)
    replaceable = sum(len(one.places) for one in found)
    if chance <= 0 or replaceable == 0:
        return tuple(one.text for one in found)
    raised = min(1.0, chance * units / replaceable)
    return tuple(_redrawn(one, raised, random) for one in found)


def _redrawn(found: Places, chance: float, random: np.random.Generator) -> str:
    draws = random.random((len(found.places), 2))
    parts, at = [], 0
    for place, (whether, which) in zip(found.places, draws.tolist(), strict=True):
        if whether < chance:
            # Rounding may leave the last bound a little below 1
            other = place.others[min(bisect_right(place.bounds, which), len(place.others) - 1)]
            parts += [found.text[at : place.start], other]
            at = place.end
    return "".join([*parts, found.text[at:]])
