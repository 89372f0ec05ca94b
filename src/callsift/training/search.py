"""A search over settings: trials proposed by a Parzen estimator or a grid, kept in a study that survives its process.

study.json  manifest.jsonl  study.db  trials/NNNN/  trials.csv  best.yaml

The trials see `manifest.jsonl`, which has no test calls and one validation part for all. Points are proposed by
the tree-structured Parzen estimator (Bergstra et al. 2011) of Optuna, or in a shuffled order where every point of
a grid is tried; none is trained twice. What trial n is depends on the seed, n and the figures of the trials before:
a search that was killed goes on with the trials that it would have had, if one trains at a time.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from callsift.config import TrainConfig
from callsift.errors import CallsiftError, ConfigError, UsageError
from callsift.files import exclusive_lock
from callsift.labels import load_scheme
from callsift.training.assemble import with_whole_paths
from callsift.training.examples import Progress
from callsift.training.search_file import check_comparable
from callsift.training.search_proposals import Proposer, count_possible
from callsift.training.search_report import Found, TrialRow, drop_weights, trial_folder, write_best, write_trials
from callsift.training.search_space import Point, refusal
from callsift.training.search_study import Plan, begin, importance, opened
from callsift.training.search_trial import Outcome, Task
from callsift.training.search_trials import Trials
from callsift.training.search_workers import workers

DEFAULT_TRIALS: Final = 50
REFUSED_IN_A_ROW: Final = 200
"""Points that the configuration refuses, one after another, after which the search gives up."""
ATTEMPTS: Final = 3
"""How often a trial may take its process with it before it counts as failed."""
HOPELESS_TRIALS: Final = 3
"""Trials in a row that fail before their first epoch, after which the search gives up."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that ended, how many have ended of how many, the best so far, and the seconds left by estimate."""

    row: TrialRow
    done: int
    wanted: int
    best: TrialRow | None
    left_s: float | None


def search(
    data: Path,
    folder: Path,
    plan: Plan,
    *,
    resume: bool = False,
    progress: Progress = lambda calls, total, what: calls,
    on_trial: Callable[[Ended], None] = lambda ended: None,
) -> Found:
    """Search for the settings with the best validation figure, and return how it went.

    Raises:
        ConfigError: settings or a space that can't be searched, or of which no trial is left.
        DataError: the data are wrong, or the folder holds a study and `resume` is off.
        UsageError: another process is searching in the folder, or no trial comes to an end.
        NoRoomError, DataError, OSError: a disk is full, or another fault of the machine; the trial that met it goes on
            with `resume`.
    """
    config = plan.base.at()
    check_comparable(plan.space, config.fit.monitor)
    possible = count_possible(plan.space, plan.base, config.fit.seed)
    with exclusive_lock(folder / ".lock"):
        calls, has_test = begin(data, folder, plan, resume)
        with opened(folder, config) as study:
            run = _Search(folder, plan, Trials(study, plan.space), possible, calls, has_test, on_trial)
            run.go_on(progress)
            return run.conclude()


@dataclass
class _Search:
    """A search at work: its trials, and what is tried next."""

    folder: Path
    plan: Plan
    trials: Trials
    possible: int | None
    calls: Mapping[str, int]
    has_test: bool
    on_trial: Callable[[Ended], None]
    began_s: float = field(default_factory=time.monotonic)
    _started_s: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config = self.plan.base.at()
        self.monitor = self.config.fit.monitor
        every_point = self.possible is not None and self.wanted >= self.possible
        self._proposer = Proposer(self.trials.study, self.plan.space, self.config.fit.seed, every_point=every_point)

    @property
    def wanted(self) -> int:
        """Trials that the study is to have; points that the configuration refuses are none."""
        if self.plan.trials is None and self.plan.every_point and self.possible is not None:
            return self.possible
        wanted = self.plan.trials or DEFAULT_TRIALS
        return wanted if self.possible is None else min(wanted, self.possible)

    def go_on(self, progress: Progress) -> None:
        """Train until there are as many trials as wanted, no point is left, or the time is over."""
        tasks = [task for trial in self.trials.unfinished if (task := self._again(trial)) is not None]
        left = self.possible is None or self.possible > self.trials.tried
        reached = self.plan.trials is not None and self.trials.done >= self.plan.trials
        if not (tasks or left or reached):
            self.conclude()
            raise ConfigError(
                f"{self.plan.space.where}: no trial is left, all {self.possible} points were tried; the best is in "
                f"{self.folder / 'best.yaml'}. Search a wider space in a new folder"
            )
        with workers(min(self.plan.jobs, max(1, self.wanted)), progress) as at_work:
            while True:
                while at_work.free and (task := tasks.pop(0) if tasks else self._next()) is not None:
                    self._started_s[task.number] = time.monotonic()
                    at_work.start(task)
                if not at_work.busy:
                    return
                try:
                    ended = at_work.step(self._report)
                except (CallsiftError, OSError, KeyboardInterrupt):  # not the trial's fault: it is none of its attempts
                    self.trials.forgive()
                    raise
                for number, outcome in ended:
                    self._end(number, outcome)

    def conclude(self) -> Found:
        """Write the tables a last time, and say how it went.

        Raises:
            UsageError: no trial has completed.
        """
        found = self._write()
        if not found.ranked:
            why = f"; the last: {found.rows[-1].reason}" if found.rows else " in the time given"
            raise UsageError(f"{self.folder}: none of {len(found.rows)} trials was completed{why}")
        return dataclasses.replace(found, importance=importance(self.trials.study))

    def _write(self) -> Found:
        rows = self.trials.rows()
        found = Found(rows, self.monitor, {}, self.calls, self.has_test)
        write_trials(self.folder / "trials.csv", rows, [entry.key for entry in self.plan.space.entries])
        drop_weights(self.folder / "trials", found, self.plan.keep, self.plan.seeds)
        if found.ranked:
            best = found.ranked[0]
            write_best(self.folder / "best.yaml", self._config(self.trials.every()[best.number].params), best, found)
        return found

    def _config(self, point: Point) -> TrainConfig:
        """A point's configuration, to be read from anywhere."""
        config = self.plan.base.at(self.plan.space.settings(point))
        scheme = load_scheme(config.labels).model_dump(mode="json")
        return with_whole_paths(config.model_copy(update={"labels": scheme}))

    def _task(self, trial: Any) -> Task:
        folder = trial_folder(self.folder / "trials", trial.number)
        config = self._config(trial.params)
        manifest, plan = self.folder / "manifest.jsonl", self.plan
        return Task(trial.number, folder, manifest, config, plan.seeds, plan.asr, plan.diarizer)

    def _again(self, trial: Any) -> Task | None:
        """A trial that was running when its process ended goes on, unless it is what ends processes."""
        attempts = self.trials.attempts_of(trial)
        if attempts > ATTEMPTS:
            self._end(trial.number, Outcome("failed", reason=f"its process ended in it {ATTEMPTS} times"))
            return None
        self.trials.begin_again(trial, attempts)
        return self._task(trial)

    def _next(self) -> Task | None:
        """The next trial, written down before it begins; points that the configuration refuses are written, too."""
        over = self.plan.timeout_s is not None and time.monotonic() - self.began_s >= self.plan.timeout_s
        refused = 0
        while not over and self.trials.tried < self.wanted:
            if (point := self._proposer.next()) is None:
                return None
            if (why := refusal(self.plan.space, self.plan.base, point)) is None:
                return self._task(self.trials.begin(point))
            self.trials.refuse(point, why)
            refused += 1
            if refused >= REFUSED_IN_A_ROW and not self.plan.space.listed:
                raise ConfigError(
                    f"{self.plan.space.where}: no trial is left, {refused} points in a row are refused; the last: {why}"
                )
        return None

    def _report(self, number: int, epoch: int, figure: float) -> bool:
        """Write down an epoch's figure. Returns: whether the trial goes on; one in its last epoch does."""
        last = epoch >= self._config(self.trials.every()[number].params).fit.epochs
        return not self.trials.report(number, epoch, figure, prune=self.plan.pruning and not last)

    def _end(self, number: int, outcome: Outcome) -> None:
        started_s = self._started_s.get(number)
        self.trials.end(number, outcome, None if started_s is None else time.monotonic() - started_s)
        found = self._write()
        best = found.ranked[0] if found.ranked else None
        self.on_trial(Ended(found.rows[number], self.trials.done, self.wanted, best, self._left_s()))
        if self.trials.hopeless(HOPELESS_TRIALS):
            raise UsageError(f"the last {HOPELESS_TRIALS} trials all failed; the last: {outcome.reason}")

    def _left_s(self) -> float | None:
        seconds = self.trials.seconds
        if not seconds:
            return None
        left = (self.wanted - self.trials.done) * float(np.mean(seconds)) / self.plan.jobs
        passed = time.monotonic() - self.began_s
        return left if self.plan.timeout_s is None else min(left, max(0.0, self.plan.timeout_s - passed))
