"""All trainings of a study, in one process or several, each once: a stopped study goes on where it was."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from callsift.errors import CallsiftError
from callsift.files import write_text
from callsift.isolation import Lost, Workers
from callsift.training.studies.answers import Fingerprints
from callsift.training.studies.plan import Job, Study

if TYPE_CHECKING:
    from callsift.training.material import Material


@dataclass(frozen=True, slots=True)
class Outcome:
    """A training that was made now, or why it failed."""

    job: Job
    failed: str | None


Progress = Callable[[Iterable[Outcome], int, str], Iterable[Outcome]]
ERROR = "error.txt"


def run_study(
    study: Study,
    *,
    jobs: int = 1,
    keep_weights: bool = False,
    progress: Progress = lambda found, total, what: found,
) -> dict[str, str]:
    """Make every training of the study. Returns: of those that failed, by name, why; the others go on all the same.

    Raises:
        UsageError, ConfigError, RecordingError: one that is finished was made from something else, or from what is not
            there any more; nothing is trained then, so that no figure of the finished ones is lost.

    Args:
        study: what to train.
        jobs: processes; one works in this process.
        keep_weights: the trained networks stay where they are; else the answers alone do.
        progress: shows how far it is.
    """
    failed: dict[str, str] = {}
    fingerprints = Fingerprints(study)
    left = [at for at, job in enumerate(study.jobs) if not fingerprints.done(job)]
    before = len(study.jobs) - len(left)
    make = partial(_make, study, keep_weights)
    outcomes = _here(make, study, left) if jobs == 1 or len(left) < 2 else _apart(make, study, left, jobs)
    for found in progress(outcomes, len(left), f"trainings ({before} done before)" if before else "trainings"):
        if found.failed is not None:
            failed[found.job.name] = found.failed
    return failed


class _Worker:
    """Makes trainings one after another; calls are prepared once for all rows with the same front end."""

    def __init__(self, study: Study, keep_weights: bool) -> None:
        self.study = study
        self.keep_weights = keep_weights
        self._fingerprints = Fingerprints(study)
        self._front_end = ""
        self._material: Material | None = None

    def __call__(self, at: int) -> str | None:
        """Make training number `at`. Returns: why it failed, None if it did not."""
        from callsift.training.material import Material
        from callsift.training.studies.trial import make_answer

        job = self.study.jobs[at]
        if self._material is None or job.row.config.front_end.sha256 != self._front_end:
            # What another front end made is not asked for again: rows come one after another.
            self._front_end, self._material = job.row.config.front_end.sha256, Material()
        path = self.study.folder_of(job) / ERROR
        path.unlink(missing_ok=True)
        try:
            made_from = self._fingerprints.of(job)
            make_answer(self.study, job, made_from, self._material, keep_weights=self.keep_weights)
        except CallsiftError as error:
            return str(error)
        except Exception as error:  # a mistake in callsift, or in a part of it; the other trainings may be spared it
            with suppress(OSError):
                write_text(path, traceback.format_exc())
            where = path.relative_to(self.study.folder)
            return f"unexpected {type(error).__name__}: {error} (where it happened: {where})"
        return None


Make = Callable[[], tuple[None, _Worker]]


def _make(study: Study, keep_weights: bool) -> tuple[None, _Worker]:
    return None, _Worker(study, keep_weights)


def _here(make: Make, study: Study, left: Sequence[int]) -> Iterator[Outcome]:
    _, worker = make()
    for at in left:
        yield Outcome(study.jobs[at], worker(at))


def _apart(make: Make, study: Study, left: Sequence[int], jobs: int) -> Iterator[Outcome]:
    with Workers[None, int, str | None](make, jobs) as workers:
        for at, found in workers.run(left, lambda _: None):
            yield Outcome(study.jobs[at], f"{found.code}: {found.message}" if isinstance(found, Lost) else found)
