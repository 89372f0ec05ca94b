"""The rounds of a self-training: each trains a network and has it grade the pool; what is there already is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from callsift.data.manifest import write_manifest
from callsift.decision import Verdict
from callsift.errors import DataError
from callsift.evaluation.scored import by_grade
from callsift.files import read_json, read_jsonl, write_jsonl
from callsift.training.examples import Progress
from callsift.training.material import Material
from callsift.training.predicting import verdicts_of
from callsift.training.pseudo_labels import Accepted, Array
from callsift.training.run import load_run, train
from callsift.training.selftrain_given import Given
from callsift.types import Call


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


def best_of(done: Sequence[Round]) -> Round:
    """The round with the best validation; the earliest on a tie."""
    return max(done, key=lambda each: each.monitor)


@dataclass(frozen=True, slots=True)
class PoolAnswers:
    """What a round's network says of the pool. `shares`: (calls, grades); `not_scored`: call → why."""

    call_ids: Sequence[str]
    shares: Array
    not_scored: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds of one self-training, in its folder."""

    folder: Path
    given: Given
    progress: Progress
    material: Material

    def made(self, number: int, taken: Sequence[Accepted], on_epoch: Callable[[Mapping[str, float]], None]) -> Round:
        """Train on the labelled calls and the accepted ones, or read what an earlier run of this command trained."""
        given, manifest, folder = self.given, self.folder / f"round-{number}.jsonl", self.folder / f"round-{number}"
        if (folder / "result.json").is_file():
            result = read_json(folder / "result.json")
        else:
            labels = {each.call_id: each.label for each in taken}
            learnt = [replace(call, label=labels[call.call_id]) for call in given.pool.calls if call.call_id in labels]
            calls = [replace(call, split="train") for call in (*given.parts["train"], *learnt)]
            write_manifest(manifest, [*calls, *(replace(call, split="val") for call in given.parts["val"])])
            result = train(
                manifest, folder, given.config, asr=given.asr, diarizer=given.diarizer, resume=True,
                progress=self.progress, on_epoch=on_epoch, material=self.material, single_grades=True,
            )  # fmt: skip
        epochs = [row for _, row in read_jsonl(folder / "log.jsonl")]
        truth = given.truth
        known = [(each.label, truth[each.call_id]) for each in taken if truth[each.call_id] is not None]
        return Round(
            number,
            {grade: sum(each.label == grade for each in taken) for grade in given.scheme.grades},
            len(known),
            sum(label == true or label in str(true).split("/") for label, true in known),
            float(epochs[result["best_epoch"] - 1]["monitor"]),
            result["figures"]["val"]["combined"][given.scheme.finest_task],
        )

    def pool_answers(self, number: int) -> PoolAnswers:
        """What a round's network says of the pool, asked once.

        Raises:
            DataError: it can score no call of the pool.
        """
        path = self.folder / f"round-{number}.pool.jsonl"
        if not path.is_file():
            said = self.verdicts(number, self.given.pool.calls, "the pool")
            write_jsonl(path, (self._pool_row(call, said[call.call_id]) for call in self.given.pool.calls))
        every = [row for _, row in read_jsonl(path)]
        rows = [row for row in every if "probabilities" in row]
        if not rows:
            raise DataError("no call of the pool could be scored", path)
        return PoolAnswers(
            [row["call_id"] for row in rows],
            np.array([[row["probabilities"][grade] for grade in self.given.scheme.grades] for row in rows]),
            {row["call_id"]: row["error"] for row in every if "error" in row},
        )

    def verdicts(self, number: int, calls: Sequence[Call], what: str) -> dict[str, Verdict | str]:
        """What a round's network says of calls, or why it says nothing."""
        run = load_run(self.folder / f"round-{number}")
        return verdicts_of(
            run, calls, self.progress, what, asr=self.given.asr, diarizer=self.given.diarizer, material=self.material
        )

    def _pool_row(self, call: Call, said: Verdict | str) -> dict[str, Any]:
        if isinstance(said, str):
            return {"call_id": call.call_id, "error": said}
        shares = by_grade(self.given.scheme, said.probabilities)
        return {"call_id": call.call_id, "probabilities": {grade: round(share, 6) for grade, share in shares.items()}}
