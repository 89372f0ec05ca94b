"""What came of a self-training: `result.json`, with the one look at the test calls by the best round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from callsift.data.splits import label_key
from callsift.decision import Verdict
from callsift.errors import DataError
from callsift.evaluation.metrics import drawn_by
from callsift.evaluation.tasks import figures_of
from callsift.files import write_jsonl
from callsift.labels import LabelScheme
from callsift.training.run import load_run
from callsift.training.selftrain_given import SCHEMA_VERSION
from callsift.training.selftrain_rounds import Round, Rounds, best_of
from callsift.types import Call, Label


def result_of(rounds: Rounds, done: Sequence[Round], stopped: str, not_scored: Mapping[str, str]) -> dict[str, Any]:
    """What `result.json` holds. `stopped`: why there is no further round; `not_scored`: calls of the pool, and why."""
    given, best = rounds.given, best_of(done)
    run = load_run(rounds.folder / f"round-{best.number}")
    return {
        "schema_version": SCHEMA_VERSION,
        "best_round": best.number,
        "run": f"round-{best.number}",
        "stopped": stopped,
        "rounds": [asdict(each) for each in done],
        "labelled_balance": _shares(given.scheme, given.parts["train"]),
        "train_balance": run.result["train_balance"],
        "notes": list(given.pool.notes),
        "pool_not_scored": not_scored,
        "test": _test(rounds, best.number),
    }


def _test(rounds: Rounds, number: int) -> dict[str, Any] | None:
    """The one look at the test calls; their answers are kept for comparisons."""
    given = rounds.given
    calls = given.parts["test"]
    if not calls:
        return None
    found = rounds.verdicts(number, calls, "test")
    said = [(call, verdict) for call in calls if isinstance(verdict := found[call.call_id], Verdict)]
    if not said:
        raise DataError("no test call could be scored", given.data.path)
    write_jsonl(
        rounds.folder / "test.jsonl",
        (
            {"call_id": call.call_id, "label": label_key(call.label), "probabilities": verdict.probabilities}
            for call, verdict in said
        ),
    )
    labels: list[Label] = [call.label for call, _ in said if call.label is not None]
    graded = [call for call, _ in said if call.label is not None]
    drawn = drawn_by([call.group or call.call_id for call in graded], [call.call_id for call in graded])
    balance = _shares(given.scheme, given.parts["train"])
    verdicts = [verdict for call, verdict in said if call.label is not None]
    return figures_of(given.scheme, labels, verdicts, groups=drawn, train_balance=balance)


def _shares(scheme: LabelScheme, calls: Sequence[Call]) -> dict[str, float]:
    """Share of every grade among labels given by people; one that leaves several open counts for each in part."""
    allowed = [scheme.grade_set(call.label) for call in calls if call.label is not None]
    return {grade: sum((grade in some) / len(some) for some in allowed) / len(allowed) for grade in scheme.grades}
