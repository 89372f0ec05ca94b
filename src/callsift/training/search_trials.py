"""The trials of a search as its study in Optuna keeps them: begun, reported, ended, and read as rows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from callsift.training.search_report import State, TrialRow
from callsift.training.search_space import Point, Space
from callsift.training.search_study import distribution
from callsift.training.search_trial import OUT_OF_MEMORY, REFUSED, Outcome

_STATES: Mapping[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


class Trials:
    """The trials of one study. What is said of one is written at once, so that the study survives its process."""

    def __init__(self, study: Any, space: Space) -> None:
        self.study = study
        self.space = space

    def every(self) -> list[Any]:
        """Every trial as Optuna has it, by number; points that the configuration refuses are among them."""
        return list(self.study.get_trials(deepcopy=False))

    @property
    def tried(self) -> int:
        """Trials that were begun."""
        return sum(not _refused(trial) for trial in self.every())

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return sum(trial.state.is_finished() for trial in self.every() if not _refused(trial))

    @property
    def unfinished(self) -> list[Any]:
        """Trials that run, or were running when their process ended."""
        return [trial for trial in self.every() if not trial.state.is_finished()]

    @property
    def seconds(self) -> list[float]:
        """How long those took that ended in a process that lived to say so."""
        return [trial.user_attrs["seconds"] for trial in self.every() if "seconds" in trial.user_attrs]

    def rows(self) -> tuple[TrialRow, ...]:
        """All of them as they stand in `trials.csv`."""
        return tuple(self._row(trial) for trial in self.every())

    def begin(self, point: Point) -> Any:
        """Write down a trial that is about to begin."""
        return self._add(point, "RUNNING", attempts=1, reported=0)

    def refuse(self, point: Point, why: str) -> None:
        """Write down a point that the configuration refuses."""
        self._add(point, "PRUNED", refused=True, reason=f"refused: {why}")

    def attempts_of(self, trial: Any) -> int:
        """How often a trial will have been begun, once more included, since it last came farther than before."""
        attrs = trial.user_attrs
        farther = len(trial.intermediate_values) > attrs.get("reported", 0)
        return 1 if farther else int(attrs.get("attempts", 1)) + 1

    def begin_again(self, trial: Any, attempts: int) -> None:
        """Write down that a trial is begun once more."""
        handle = self._handle(trial)
        handle.set_user_attr("attempts", attempts)
        handle.set_user_attr("reported", len(trial.intermediate_values))

    def forgive(self) -> None:
        """Take the attempt back from trials that are interrupted, as far as a disk that may be full allows."""
        with suppress(Exception):
            for trial in self.unfinished:
                self._handle(trial).set_user_attr("attempts", trial.user_attrs["attempts"] - 1)

    def report(self, number: int, epoch: int, figure: float, *, prune: bool) -> bool:
        """Write down an epoch's figure. Returns: whether the trial is to be pruned; False unless `prune`."""
        trial = self.every()[number]
        handle = self._handle(trial)
        if epoch not in trial.intermediate_values:
            handle.report(figure, epoch)
        return prune and bool(handle.should_prune())

    def end(self, number: int, outcome: Outcome, seconds: float | None) -> None:
        """Write down how a trial ended, and how long it took if that is known."""
        from optuna.trial import TrialState

        handle = self._handle(self.every()[number])
        if seconds is not None:
            handle.set_user_attr("seconds", seconds)
        handle.set_user_attr("reason", outcome.reason)
        state = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}[outcome.state]
        self.study.tell(number, outcome.value, state=state)

    def hopeless(self, count: int) -> bool:
        """Whether the last `count` that ended show that no other will come to anything."""
        ended = [trial for trial in self.every() if trial.state.is_finished() and not _refused(trial)]
        last = ended[-count:]
        return len(last) == count and (not any(map(_promising, ended)) or all(map(_hopeless, last)))

    def _add(self, point: Point, state: str, **attrs: Any) -> Any:
        import optuna

        distributions = {entry.key: distribution(entry) for entry in self.space.entries}
        self.study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[state], params=dict(point), distributions=distributions, user_attrs=attrs
            )
        )
        return self.every()[-1]

    def _handle(self, trial: Any) -> Any:
        import optuna

        return optuna.trial.Trial(self.study, trial._trial_id)

    def _row(self, trial: Any) -> TrialRow:
        state = _STATES.get(trial.state.name, "running")
        settings = {entry.key: entry.value(trial.params[entry.key]) for entry in self.space.entries}
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
