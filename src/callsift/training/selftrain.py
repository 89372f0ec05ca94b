"""Self-training: train, grade the pool, take the surest of these grades as labels, train anew on both, and so on.

As in AGT (arXiv 2409.05007), with thresholds and caps per grade (`callsift.training.pseudo_labels`). Every round starts
from scratch, and every pseudo-label is decided anew by the latest model: a call may change its label or lose it, so
that an early mistake is not learnt for good. Which round is best, validation alone decides: graded by people, chosen
before the first round, the same in all. Round 0 knows labels alone and may win. Test calls are looked at once,
by the best round, when all is done.

selftrain.json  ledger.jsonl  result.json  test.jsonl  round-N.jsonl (manifest)  round-N/ (run)  round-N.pool.jsonl
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from callsift.config import TrainConfig
from callsift.data.manifest import Manifest, manifest_file, read_manifest, write_manifest
from callsift.data.splits import check_classes, label_key
from callsift.decision import Verdict
from callsift.errors import ConfigError, DataError
from callsift.evaluation.metrics import drawn_by
from callsift.evaluation.scored import by_grade
from callsift.evaluation.tasks import figures_of
from callsift.files import exclusive_lock, read_json, read_jsonl, sha256_of_file, write_json, write_jsonl
from callsift.labels import LabelScheme, load_scheme
from callsift.pipeline import check_prepared
from callsift.training.examples import Progress, split_calls
from callsift.training.material import Material
from callsift.training.pool import checked_pool, read_pool
from callsift.training.predicting import verdicts_of
from callsift.training.pseudo_labels import Accepted, AcceptRules, Array, accept, ledger_rows, running_mean
from callsift.training.run import load_run, train
from callsift.types import Call, Label

SCHEMA_VERSION = 1
_SET_FILE = "front_end.json"


@dataclass(frozen=True, slots=True)
class Round:
    """How a round went. `accepted`: pseudo-labels by grade that it learnt from; `right`: how many are as the pool says.

    `known`: accepted calls to which the pool itself gives a label. `monitor`: figure `fit.monitor` on validation,
    higher is better. `figures`: of validation, finest task.
    """

    number: int
    accepted: Mapping[str, int]
    known: int
    right: int
    monitor: float
    figures: Mapping[str, Any]


class SelfTraining:
    """One self-training in one folder."""

    def __init__(
        self,
        data: Path,
        pool: Path | None,
        folder: Path,
        config: TrainConfig,
        *,
        rounds: int = 5,
        rules: AcceptRules | None = None,
        asr: str | None = None,
        diarizer: str | None = None,
    ) -> None:
        """Read DATA and the pool, and check them against each other. `pool` None: the calls of DATA without a label.

        Raises:
            ConfigError: settings that do not fit.
            DataError: wrong data, or a pool that overlaps with the validation or test calls.
        """
        if rounds < 1:
            raise ConfigError(f"--rounds {rounds}: at least one round with pseudo-labels is needed")
        self.folder, self.config, self.rounds = folder, config, rounds
        self.rules = rules or AcceptRules()
        self.asr, self.diarizer = asr, diarizer
        self.scheme = load_scheme(config.labels)
        if self.scheme.kind == "number" or config.target == "segment":
            what = "a number" if self.scheme.kind == "number" else "segments (target: segment)"
            raise ConfigError(f"self-training needs one grade for each call, and the labels are of {what}")
        self.data = read_manifest(manifest_file(data))
        self.data.check_labels(self.scheme)
        self.parts = split_calls(self.data, config)
        check_classes([call for calls in self.parts.values() for call in calls], self.scheme)
        self.pool = checked_pool(read_pool(pool, self.data), self.parts, chosen_here=not _names_validation(self.data))
        self.not_scored: dict[str, str] = {}
        for source in (self.data.path, self.pool.source):
            check_prepared(source.parent if source.is_file() else source, config.front_end.sha256)

    def run(
        self,
        *,
        resume: bool = False,
        progress: Progress = lambda calls, total, what: calls,
        on_epoch: Callable[[Mapping[str, float]], None] = lambda _: None,
        on_round: Callable[[Round], None] = lambda _: None,
        material: Material | None = None,
    ) -> dict[str, Any]:
        """All rounds; returns what `result.json` holds. Resumed, it ends as if it had never been stopped.

        Raises:
            DataError: the folder is not empty and `resume` is off, or was begun with other data or settings.
            UsageError: another process writes in the folder.
        """
        material = material or Material()
        with exclusive_lock(self.folder / ".lock"):
            self._begin(resume)
            if (self.folder / "result.json").is_file():
                finished: dict[str, Any] = read_json(self.folder / "result.json")
                return finished
            done: list[Round] = []
            taken: list[Accepted] = []
            ledger: list[dict[str, Any]] = []
            mean: Array | None = None
            while True:
                done.append(self._round(len(done), taken, progress, on_epoch, material))
                on_round(done[-1])
                if stopped := self._stopped(done):
                    break
                mean, following = self._accepted(len(done) - 1, mean, progress, material)
                ledger += ledger_rows(len(done), following, taken, self._truth())
                write_jsonl(self.folder / "ledger.jsonl", ledger)
                if stopped := _nothing_new(following, taken):
                    break
                taken = following
            result = self._result(done, stopped, progress, material)
            write_json(self.folder / "result.json", result)
        return result

    def _begin(self, resume: bool) -> None:
        """Write what the self-training is made from; a resumed one must be made from the same."""
        path = self.folder / "selftrain.json"
        made_from = {
            "schema_version": SCHEMA_VERSION,
            "data": str(self.data.path.resolve()),
            "data_sha256": sha256_of_file(self.data.path),
            "pool": str(self.pool.source.resolve()),
            "pool_calls": len(self.pool.calls),
            "pool_sha256": self.pool.sha256,
            "rounds": self.rounds,
            **asdict(self.rules),
            "asr": self.asr,
            "diarizer": self.diarizer,
            "splits": {name: [call.call_id for call in calls] for name, calls in self.parts.items()},
            "config": self.config.model_dump(mode="json"),
        }
        if path.is_file():
            if not resume:
                raise DataError("holds a self-training already; go on with --resume, or name another", self.folder)
            before = read_json(path)
            if changed := [key for key in made_from if before.get(key) != made_from[key]]:
                raise DataError(f"was begun with another {', '.join(changed)}; go on with the same", self.folder)
            return
        if any(not each.name.startswith(".") and each.name != _SET_FILE for each in self.folder.iterdir()):
            raise DataError("is not empty and holds no self-training; name another folder", self.folder)
        if (prepared := self.data.path.parent / _SET_FILE).is_file():  # the rounds' manifests are prepared, too
            shutil.copyfile(prepared, self.folder / _SET_FILE)
        write_json(path, made_from)

    def _round(
        self, number: int, taken: Sequence[Accepted], progress: Progress, on_epoch: Any, material: Material
    ) -> Round:
        """Train on the labelled calls and the accepted ones, or read what an earlier run of this command trained."""
        manifest, folder = self.folder / f"round-{number}.jsonl", self.folder / f"round-{number}"
        if (folder / "result.json").is_file():
            result = read_json(folder / "result.json")
        else:
            labels = {each.call_id: each.label for each in taken}
            learnt = [replace(call, label=labels[call.call_id]) for call in self.pool.calls if call.call_id in labels]
            calls = [replace(call, split="train") for call in (*self.parts["train"], *learnt)]
            write_manifest(manifest, [*calls, *(replace(call, split="val") for call in self.parts["val"])])
            result = train(
                manifest, folder, self.config, asr=self.asr, diarizer=self.diarizer, resume=True, progress=progress,
                on_epoch=on_epoch, material=material, single_grades=True,
            )  # fmt: skip
        epochs = [row for _, row in read_jsonl(folder / "log.jsonl")]
        truth = self._truth()
        known = [(each.label, truth[each.call_id]) for each in taken if truth[each.call_id] is not None]
        return Round(
            number,
            {grade: sum(each.label == grade for each in taken) for grade in self.scheme.grades},
            len(known),
            sum(label == true or label in str(true).split("/") for label, true in known),
            float(epochs[result["best_epoch"] - 1]["monitor"]),
            result["figures"]["val"]["combined"][self.scheme.finest_task],
        )

    def _stopped(self, done: Sequence[Round]) -> str:
        """Why no further round follows; empty where one does."""
        if best_of(done).number < done[-1].number:
            return f"validation ({self.config.fit.monitor}) did not improve in round {done[-1].number}"
        return f"all {self.rounds} rounds are done" if len(done) > self.rounds else ""

    def _accepted(
        self, number: int, mean: Array | None, progress: Progress, material: Material
    ) -> tuple[Array, list[Accepted]]:
        """The running mean and the pseudo-labels after a round, from what its model says of the pool."""
        path = self.folder / f"round-{number}.pool.jsonl"
        if not path.is_file():
            said = self._verdicts(number, self.pool.calls, progress, "the pool", material)
            write_jsonl(path, (self._pool_row(call, said[call.call_id]) for call in self.pool.calls))
        every = [row for _, row in read_jsonl(path)]
        rows = [row for row in every if "probabilities" in row]
        self.not_scored = {row["call_id"]: row["error"] for row in every if "error" in row}
        if not rows:
            raise DataError("no call of the pool could be scored", path)
        shares = np.array([[row["probabilities"][grade] for grade in self.scheme.grades] for row in rows])
        mean = running_mean(mean, shares, self.rules.momentum)
        return mean, accept([row["call_id"] for row in rows], shares, self.scheme.grades, mean, self.rules)

    def _pool_row(self, call: Call, said: Verdict | str) -> dict[str, Any]:
        if isinstance(said, str):
            return {"call_id": call.call_id, "error": said}
        shares = by_grade(self.scheme, said.probabilities)
        return {"call_id": call.call_id, "probabilities": {grade: round(share, 6) for grade, share in shares.items()}}

    def _verdicts(
        self, number: int, calls: Sequence[Call], progress: Progress, what: str, material: Material
    ) -> dict[str, Verdict | str]:
        run = load_run(self.folder / f"round-{number}")
        return verdicts_of(run, calls, progress, what, asr=self.asr, diarizer=self.diarizer, material=material)

    def _result(self, done: Sequence[Round], stopped: str, progress: Progress, material: Material) -> dict[str, Any]:
        best = best_of(done)
        run = load_run(self.folder / f"round-{best.number}")
        return {
            "schema_version": SCHEMA_VERSION,
            "best_round": best.number,
            "run": f"round-{best.number}",
            "stopped": stopped,
            "rounds": [asdict(each) for each in done],
            "labelled_balance": _shares(self.scheme, self.parts["train"]),
            "train_balance": run.result["train_balance"],
            "notes": list(self.pool.notes),
            "pool_not_scored": self.not_scored,
            "test": self._test(best.number, progress, material),
        }

    def _test(self, number: int, progress: Progress, material: Material) -> dict[str, Any] | None:
        """The one look at the test calls; their answers are kept for comparisons."""
        calls = self.parts["test"]
        if not calls:
            return None
        found = self._verdicts(number, calls, progress, "test", material)
        said = [(call, verdict) for call in calls if isinstance(verdict := found[call.call_id], Verdict)]
        if not said:
            raise DataError("no test call could be scored", self.data.path)
        write_jsonl(
            self.folder / "test.jsonl",
            (
                {"call_id": call.call_id, "label": label_key(call.label), "probabilities": verdict.probabilities}
                for call, verdict in said
            ),
        )
        labels: list[Label] = [call.label for call, _ in said if call.label is not None]
        graded = [call for call, _ in said if call.label is not None]
        drawn = drawn_by([call.group or call.call_id for call in graded], [call.call_id for call in graded])
        balance = _shares(self.scheme, self.parts["train"])
        verdicts = [verdict for call, verdict in said if call.label is not None]
        return figures_of(self.scheme, labels, verdicts, groups=drawn, train_balance=balance)

    def _truth(self) -> dict[str, str | None]:
        """What the pool itself says of its calls, which only reports see."""
        given = self.pool.truth
        return {
            call.call_id: label_key(given[call.call_id]) if call.call_id in given else None for call in self.pool.calls
        }


def best_of(done: Sequence[Round]) -> Round:
    """The round with the best validation; the earliest on a tie."""
    return max(done, key=lambda each: each.monitor)


def _nothing_new(following: Sequence[Accepted], taken: Sequence[Accepted]) -> str:
    """Why another training would be in vain; empty where it would not."""
    if not following:
        return "no call of the pool was graded surely enough; lower --threshold, or grade more calls"
    labels = [[(each.call_id, each.label) for each in some] for some in (following, taken)]
    return "the pseudo-labels are the same as in the round before" if labels[0] == labels[1] else ""


def _names_validation(data: Manifest) -> bool:
    """Whether the data itself says which labelled calls are for validation."""
    return any(call.split == "val" and call.label is not None for call in data.calls)


def _shares(scheme: LabelScheme, calls: Sequence[Call]) -> dict[str, float]:
    """Share of every grade among labels given by people; one that leaves several open counts for each in part."""
    allowed = [scheme.grade_set(call.label) for call in calls if call.label is not None]
    return {grade: sum((grade in some) / len(some) for some in allowed) / len(allowed) for grade in scheme.grades}
