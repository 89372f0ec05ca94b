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
from contextlib import suppress
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
from callsift.training.search_report import Found, State, TrialRow, drop_weights, trial_folder, write_best, write_trials
from callsift.training.search_space import Point, refusal
from callsift.training.search_study import Plan, begin, distribution, importance, opened
from callsift.training.search_trial import OUT_OF_MEMORY, REFUSED, Outcome, Task
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
            run = _Search(folder, plan, study, possible, calls, has_test, on_trial)
            run.go_on(progress)
            return run.conclude()


@dataclass
class _Search:
    """A search at work: the study, and what is proposed from it."""

    folder: Path
    plan: Plan
    study: Any
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
        self._proposer = Proposer(self.study, self.plan.space, self.config.fit.seed, every_point=every_point)

    @property
    def wanted(self) -> int:
        """Trials that the study is to have; points that the configuration refuses are none."""
        if self.plan.trials is None and self.plan.every_point and self.possible is not None:
            return self.possible
        wanted = self.plan.trials or DEFAULT_TRIALS
        return wanted if self.possible is None else min(wanted, self.possible)

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return sum(trial.state.is_finished() for trial in self._trials() if not _refused(trial))

    def go_on(self, progress: Progress) -> None:
        """Train until there are as many trials as wanted, no point is left, or the time is over."""
        interrupted = [trial for trial in self._trials() if not trial.state.is_finished()]
        tasks = [task for trial in interrupted if (task := self._again(trial)) is not None]
        left = self.possible is None or self.possible > sum(not _refused(trial) for trial in self._trials())
        reached = self.plan.trials is not None and self.done >= self.plan.trials
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
                    self._forgive()
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
        return dataclasses.replace(found, importance=importance(self.study))

    def _write(self) -> Found:
        rows = tuple(self._row(trial) for trial in self._trials())
        found = Found(rows, self.monitor, {}, self.calls, self.has_test)
        write_trials(self.folder / "trials.csv", rows, [entry.key for entry in self.plan.space.entries])
        drop_weights(self.folder / "trials", found, self.plan.keep, self.plan.seeds)
        if found.ranked:
            best = found.ranked[0]
            write_best(self.folder / "best.yaml", self._config(self._trials()[best.number].params), best, found)
        return found

    def _trials(self) -> list[Any]:
        return list(self.study.get_trials(deepcopy=False))

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
        attrs, reported = trial.user_attrs, len(trial.intermediate_values)
        attempts = 1 if reported > attrs.get("reported", 0) else attrs.get("attempts", 1) + 1
        handle = self._handle(trial)
        if attempts > ATTEMPTS:
            self._end(trial.number, Outcome("failed", reason=f"its process ended in it {ATTEMPTS} times"))
            return None
        handle.set_user_attr("attempts", attempts)
        handle.set_user_attr("reported", reported)
        return self._task(trial)

    def _forgive(self) -> None:
        """Take the attempt back from trials that are interrupted, as far as a disk that may be full allows."""
        with suppress(Exception):
            for trial in self._trials():
                if not trial.state.is_finished():
                    self._handle(trial).set_user_attr("attempts", trial.user_attrs["attempts"] - 1)

    def _next(self) -> Task | None:
        """The next trial, written down before it begins; points that the configuration refuses are written, too."""
        over = self.plan.timeout_s is not None and time.monotonic() - self.began_s >= self.plan.timeout_s
        refused = 0
        while not over and sum(not _refused(trial) for trial in self._trials()) < self.wanted:
            if (point := self._proposer.next()) is None:
                return None
            if (why := refusal(self.plan.space, self.plan.base, point)) is None:
                return self._task(self._add(point, "RUNNING", attempts=1, reported=0))
            self._add(point, "PRUNED", refused=True, reason=f"refused: {why}")
            refused += 1
            if refused >= REFUSED_IN_A_ROW and not self.plan.space.listed:
                raise ConfigError(
                    f"{self.plan.space.where}: no trial is left, {refused} points in a row are refused; the last: {why}"
                )
        return None

    def _add(self, point: Point, state: str, **attrs: Any) -> Any:
        import optuna

        distributions = {entry.key: distribution(entry) for entry in self.plan.space.entries}
        self.study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[state], params=dict(point), distributions=distributions, user_attrs=attrs
            )
        )
        return self._trials()[-1]

    def _handle(self, trial: Any) -> Any:
        import optuna

        return optuna.trial.Trial(self.study, trial._trial_id)

    def _report(self, number: int, epoch: int, figure: float) -> bool:
        trial = self._trials()[number]
        handle = self._handle(trial)
        if epoch not in trial.intermediate_values:
            handle.report(figure, epoch)
        last = epoch >= self._config(trial.params).fit.epochs
        return last or not (self.plan.pruning and handle.should_prune())

    def _end(self, number: int, outcome: Outcome) -> None:
        from optuna.trial import TrialState

        trial = self._trials()[number]
        handle = self._handle(trial)
        if number in self._started_s:
            handle.set_user_attr("seconds", time.monotonic() - self._started_s[number])
        handle.set_user_attr("reason", outcome.reason)
        state = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}[outcome.state]
        self.study.tell(number, outcome.value, state=state)
        found = self._write()
        best = found.ranked[0] if found.ranked else None
        self.on_trial(Ended(found.rows[number], self.done, self.wanted, best, self._left_s()))
        ended = [trial for trial in self._trials() if trial.state.is_finished() and not _refused(trial)]
        last = ended[-HOPELESS_TRIALS:]
        if len(last) == HOPELESS_TRIALS and (not any(map(_promising, ended)) or all(map(_hopeless, last))):
            raise UsageError(f"the last {len(last)} trials all failed; the last: {outcome.reason}")

    def _left_s(self) -> float | None:
        seconds = [trial.user_attrs["seconds"] for trial in self._trials() if "seconds" in trial.user_attrs]
        if not seconds:
            return None
        left = (self.wanted - self.done) * float(np.mean(seconds)) / self.plan.jobs
        passed = time.monotonic() - self.began_s
        return left if self.plan.timeout_s is None else min(left, max(0.0, self.plan.timeout_s - passed))

    def _row(self, trial: Any) -> TrialRow:
        states: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        state = states.get(trial.state.name, "running")
        settings = {entry.key: entry.value(trial.params[entry.key]) for entry in self.plan.space.entries}
        attrs = trial.user_attrs
        value = trial.value if state == "complete" else None
        return TrialRow(
            trial.number, state, value, settings, attrs.get("seconds"), attrs.get("reason", ""), _refused(trial)
        )


def _promising(trial: Any) -> bool:
    """Whether the trial had at least an epoch."""
    return bool(trial.intermediate_values) or trial.state.name == "COMPLETE"


def _hopeless(trial: Any) -> bool:
    """Whether the trial failed without an epoch, and not by its own settings, which the next one need not have."""
    return not _promising(trial) and not trial.user_attrs.get("reason", "").startswith((OUT_OF_MEMORY, REFUSED))


def _refused(trial: Any) -> bool:
    return bool(trial.user_attrs.get("refused"))
