"""Which point of a space is tried next: one that the trials so far make likely to be good, and that was not tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from callsift.errors import ConfigError
from callsift.training.search_space import Base, Point, Space, draw, possible_points, refusal
from callsift.training.search_study import distribution

DRAWS: Final = 20
"""Proposals that may repeat earlier points before points are drawn evenly."""
EVEN_DRAWS: Final = 200


def count_possible(space: Space, base: Base, seed: int) -> int | None:
    """How many points of a space the configuration takes; None where they are too many to be listed.

    Raises:
        ConfigError: none; of a space that is not listed, none of many drawn evenly.
    """
    if space.listed:
        return len(possible_points(space, base)[0])
    generator = np.random.default_rng(seed)
    for _ in range(EVEN_DRAWS):
        if (why := refusal(space, base, draw(space, generator))) is None:
            return None
    raise ConfigError(f"{space.where}: no trial is left, {EVEN_DRAWS} points drawn evenly are refused; the last: {why}")


class Proposer:
    """Proposes points by Optuna's tree-structured Parzen estimator, or in a shuffled order where all are wanted."""

    def __init__(self, study: Any, space: Space, seed: int, *, every_point: bool) -> None:
        self._study = study
        self._space = space
        self._seed = seed
        self._every_point = every_point
        self._order: list[Point] = []
        if space.listed:
            points = list(space.points())
            self._order = [points[at] for at in np.random.default_rng(seed).permutation(len(points))]

    def next(self) -> Point | None:
        """A point that was not tried; None where there is none."""
        keys = [entry.key for entry in self._space.entries]
        trials = self._study.get_trials(deepcopy=False)
        tried = {tuple(trial.params[key] for key in keys) for trial in trials}
        for point in self._candidates(len(trials)):
            if tuple(point[key] for key in keys) not in tried:
                return point
        return None

    def _candidates(self, number: int) -> Iterator[Point]:
        """Points for trial `number`, the preferred first."""
        if not self._every_point:
            for at in range(DRAWS):
                yield self._sampled([self._seed, number, at])
        if self._space.listed:
            yield from self._order
            return
        generator = np.random.default_rng([self._seed, number])
        yield from (draw(self._space, generator) for _ in range(EVEN_DRAWS))

    def _sampled(self, seed: list[int]) -> Point:
        """A point by Optuna's estimator from the trials so far."""
        import optuna

        sampler = optuna.samplers.TPESampler(seed=int(np.random.SeedSequence(seed).generate_state(1)[0]))
        trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
        point = {}
        for entry in self._space.entries:
            found = sampler.sample_independent(self._study, trial, entry.key, distribution(entry))
            point[entry.key] = entry.nearest(found)
        return point
