"""Self-training: train, grade the pool, take the surest of these grades as labels, train anew on both, and so on.

As in AGT (arXiv 2409.05007), with thresholds and caps per grade (`callsift.training.pseudo_labels`). Every round starts
from scratch, and every pseudo-label is decided anew by the latest model: a call may change its label or lose it, so
that an early mistake is not learnt for good. Which round is best, validation alone decides: graded by people, chosen
before the first round, the same in all. Round 0 knows labels alone and may win. Test calls are looked at once,
by the best round, when all is done.

selftrain.json  ledger.jsonl  result.json  test.jsonl  round-N.jsonl (manifest)  round-N/ (run)  round-N.pool.jsonl
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from callsift.config import TrainConfig
from callsift.files import exclusive_lock, read_json, write_json, write_jsonl
from callsift.training.examples import Progress
from callsift.training.material import Material
from callsift.training.pseudo_labels import Accepted, AcceptRules, Array, accept, ledger_rows, running_mean
from callsift.training.selftrain_given import begin, read_given
from callsift.training.selftrain_result import result_of
from callsift.training.selftrain_rounds import Round, Rounds, best_of


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
        self.folder = folder
        self.given = read_given(
            data, pool, config, rounds=rounds, rules=rules or AcceptRules(), asr=asr, diarizer=diarizer
        )

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
        rules, rounds = self.given.rules, Rounds(self.folder, self.given, progress, material or Material())
        with exclusive_lock(self.folder / ".lock"):
            begin(self.folder, self.given, resume)
            if (self.folder / "result.json").is_file():
                finished: dict[str, Any] = read_json(self.folder / "result.json")
                return finished
            done: list[Round] = []
            taken: list[Accepted] = []
            ledger: list[dict[str, Any]] = []
            mean: Array | None = None
            not_scored: Mapping[str, str] = {}
            while True:
                done.append(rounds.made(len(done), taken, on_epoch))
                on_round(done[-1])
                if stopped := self._stopped(done):
                    break
                said = rounds.pool_answers(len(done) - 1)
                not_scored, mean = said.not_scored, running_mean(mean, said.shares, rules.momentum)
                following = accept(said.call_ids, said.shares, self.given.scheme.grades, mean, rules)
                ledger += ledger_rows(len(done), following, taken, self.given.truth)
                write_jsonl(self.folder / "ledger.jsonl", ledger)
                if stopped := _nothing_new(following, taken):
                    break
                taken = following
            result = result_of(rounds, done, stopped, not_scored)
            write_json(self.folder / "result.json", result)
        return result

    def _stopped(self, done: Sequence[Round]) -> str:
        """Why no further round follows; empty where one does."""
        if best_of(done).number < done[-1].number:
            return f"validation ({self.given.config.fit.monitor}) did not improve in round {done[-1].number}"
        return f"all {self.given.rounds} rounds are done" if len(done) > self.given.rounds else ""


def _nothing_new(following: Sequence[Accepted], taken: Sequence[Accepted]) -> str:
    """Why another training would be in vain; empty where it would not."""
    if not following:
        return "no call of the pool was graded surely enough; lower --threshold, or grade more calls"
    labels = [[(each.call_id, each.label) for each in some] for some in (following, taken)]
    return "the pseudo-labels are the same as in the round before" if labels[0] == labels[1] else ""
