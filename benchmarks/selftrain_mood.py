"""Self-training on nEMO's mood calls: a fifth of the labels, the rest as pool, against the same fifth and all labels.

    python -m benchmarks.selftrain_mood [--work DIR] [--speakers A,B,C] [--seeds 1,2,3] [--share 0.2]
        [--threshold 0.5] [--cap 0.1] [--set key=value]... [--dry]

By audio alone (the text of these calls says nothing). One speaker is tested, the next by name decides when to stop and
calibrates; of the other five a share keeps its labels, drawn by grade, and the rest is the pool. The network never saw
the tested speaker, nor does the pool hold any call of the two. What is done is kept in the working folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data_folder import data_folder
from benchmarks.intervals import clustered
from benchmarks.results import record
from callsift.benchmarks.mood_calls import BENCHMARK, BY_AUDIO, CALLS, read_calls
from callsift.canonical import sha256_of_json
from callsift.config import TrainConfig, train_config
from callsift.data.manifest import write_manifest
from callsift.decision import Verdict
from callsift.evaluation.metrics import accuracy
from callsift.files import read_json, read_jsonl, sha256_of_file, write_json
from callsift.training.material import Material
from callsift.training.predicting import verdicts_of
from callsift.training.pseudo_labels import AcceptRules
from callsift.training.run import load_run, train
from callsift.training.selftrain import SelfTraining
from callsift.types import Call

ROWS = ("share alone", "self-trained", "all labels")
FEW = 3


@dataclass(frozen=True, slots=True)
class MoodCalls:
    """The calls, their speakers by name, and the hash of the file that names them."""

    calls: tuple[Call, ...]
    speakers: tuple[str, ...]
    sha256: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/selftrain_mood"), help="folder of what is done")
    parser.add_argument("--speakers", default="", help="speakers to be asked about; empty: three, evenly spaced")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--share", type=float, default=0.2, help="share of the training calls that keep their labels")
    parser.add_argument("--threshold", type=float, default=0.5, help="see callsift self-train")
    parser.add_argument("--cap", type=float, default=0.1, help="see callsift self-train")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="one setting, key=value")
    parser.add_argument("--dry", action="store_true", help="record nothing")
    options = parser.parse_args()
    data = read_data()
    speakers = options.speakers.split(",") if options.speakers else some(data.speakers)
    rules = AcceptRules(threshold=options.threshold, cap=options.cap)
    runs: list[dict[str, Any]] = []
    for seed in (int(each) for each in options.seeds.split(",")):
        material = Material()
        config = train_config(BENCHMARK.config, [*BY_AUDIO, *options.settings, f"fit.seed={seed}"])
        parts = [
            _speaker(options.work / f"{speaker}-{seed}", data, speaker, config, options.share, rules, material)
            for speaker in speakers
        ]
        runs.append({row: {call: said for part in parts for call, said in part[row].items()} for row in ROWS})
        runs[-1]["rounds"] = [part["rounds"] for part in parts]
    figures = _table(data.calls, runs)
    print(json.dumps(figures, ensure_ascii=False, indent=2))
    if not options.dry and not options.settings:
        record(
            f"nEMO mood calls, self-training with {options.share:.0%} of the labels, threshold {rules.threshold:g}, "
            f"cap {rules.cap:g}, audio alone, speakers {', '.join(speakers)}, seeds {options.seeds}",
            figures,
            data_sha256=data.sha256,
        )


def read_data() -> MoodCalls:
    """The calls as the benchmark `mood-calls` reads them."""
    calls = read_calls(data_folder() / "nemo")
    speakers = tuple(sorted({str(call.group) for call in calls}))
    return MoodCalls(calls, speakers, sha256_of_file(data_folder() / "nemo" / CALLS))


def some(speakers: Sequence[str]) -> list[str]:
    """Three speakers, evenly spaced."""
    return list(speakers[:: -(-len(speakers) // FEW)])


def _speaker(
    folder: Path,
    data: MoodCalls,
    speaker: str,
    config: TrainConfig,
    share: float,
    rules: AcceptRules,
    material: Material,
) -> dict[str, Any]:
    """The grades that each row gives the tested speaker's calls, and how the self-training went."""
    done = folder / "answers.json"
    made_from = sha256_of_json([config.model_dump(mode="json"), share, asdict(rules), data.sha256])
    if done.is_file():
        found: dict[str, Any] = read_json(done)
        if found["made_from"] == made_from:
            return found
        raise SystemExit(f"{folder} holds a self-training with other settings; name another --work, or remove it")
    split = divided(data.calls, data.speakers, speaker)
    kept = labelled_share([call for call in split if call.split == "train"], share, config.fit.seed)
    fifth = [call if call.split != "train" or call.call_id in kept else replace(call, label=None) for call in split]
    write_manifest(folder / "share.jsonl", fifth)
    write_manifest(folder / "all.jsonl", split)
    training = SelfTraining(folder / "share.jsonl", None, folder / "self", config, rules=rules, asr="none")
    result = training.run(resume=True, material=material)
    train(folder / "all.jsonl", folder / "all", config, asr="none", resume=True, material=material)
    best = result["best_round"]
    tested = [call for call in split if call.split == "test"]
    answers: dict[str, Any] = {
        row: _grades(folder / name, tested, material)
        for row, name in zip(ROWS, ("self/round-0", f"self/round-{best}", "all"), strict=True)
    }
    answers["made_from"] = made_from
    truth = {call.call_id: call.label for call in split}
    accepted = [row for _, row in read_jsonl(folder / "self/ledger.jsonl") if row["round"] == 1]
    answers["rounds"] = {
        "best": best,
        "accepted": len(accepted),
        "right": sum(row["label"] == truth[row["call_id"]] for row in accepted),
    }
    write_json(done, answers)
    print(f"{speaker}, seed {config.fit.seed}: best round {best}", flush=True)
    return answers


def divided(calls: Sequence[Call], speakers: Sequence[str], speaker: str) -> list[Call]:
    """The calls with their parts: `speaker` is tested, the next one by name validates, the others train."""
    inner = speakers[(speakers.index(speaker) + 1) % len(speakers)]
    part = {speaker: "test", inner: "val"}
    return [replace(call, split=part.get(str(call.group), "train")) for call in calls]


def labelled_share(calls: Sequence[Call], share: float, seed: int) -> set[str]:
    """Ids of a share of every grade's calls, drawn evenly."""
    random = np.random.default_rng(seed)
    kept: set[str] = set()
    for grade in sorted({str(call.label) for call in calls}):
        ids = [call.call_id for call in calls if call.label == grade]
        kept |= set(random.choice(ids, round(share * len(ids)), replace=False).tolist())
    return kept


def _grades(run: Path, calls: Sequence[Call], material: Material) -> dict[str, str]:
    """The grades that a run gives calls: call → grade."""
    said = verdicts_of(load_run(run), calls, _unseen, "test", asr="none", diarizer=None, material=material)
    return {call: str(verdict.grade) for call, verdict in said.items() if isinstance(verdict, Verdict)}


def _unseen(calls: Iterable[Call], _: int, __: str) -> Iterable[Call]:
    return calls


def _table(calls: Sequence[Call], runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    truths = {call.call_id: (str(call.label), str(call.group)) for call in calls}
    names = sorted(runs[0][ROWS[0]])
    truth = np.array([truths[name][0] for name in names])
    groups = [truths[name][1] for name in names]
    said = {row: [np.array([run[row][name] for name in names]) for run in runs] for row in ROWS}
    figures: dict[str, Any] = {}
    for row in ROWS:
        pairs = [
            np.stack([mine == truth, base == truth], axis=1)
            for mine, base in zip(said[row], said["share alone"], strict=True)
        ]
        figures[row] = {
            "accuracy": clustered(accuracy, truth, said[row], groups),
            "less that of the share alone": clustered(_gain, truth, pairs, groups),
        }
    rounds = [each for run in runs for each in run["rounds"]]
    accepted = sum(each["accepted"] for each in rounds)
    figures["self-trained"]["best rounds"] = ", ".join(str(each["best"]) for each in rounds)
    figures["self-trained"]["accepted in round 1"] = accepted
    figures["self-trained"]["of these right"] = sum(each["right"] for each in rounds) / max(accepted, 1)
    return figures


def _gain(_: Any, right: Any) -> float:
    return float(right[:, 0].mean() - right[:, 1].mean())


if __name__ == "__main__":
    main()
