"""persuasionforgood, donated or not, 5-fold: `tiny` and frozen MiniLM against TF-IDF + logistic regression.

    python -m benchmarks.persuasion_folds [--work DIR] [--rows tiny,minilm] [--seeds 1,2,3] [--set key=value]...

The folds are the same for all. Each holds out an inner part of its training calls for early stopping and calibration;
the fold's test calls are seen once. A fold that is done is kept in the working folder, so a stopped run goes on where
it was, and several processes may each do a row.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.intervals import clustered
from benchmarks.mosi import minilm
from benchmarks.persuasion import data_folder, labelled, read_dialogues
from benchmarks.results import record
from benchmarks.text_baseline import tfidf_predictions
from callsift.canonical import sha256_of_json
from callsift.config import TrainConfig, load_train_config
from callsift.data.manifest import write_manifest
from callsift.data.splits import folds
from callsift.decision import Calibration, decide
from callsift.evaluation.metrics import accuracy, macro_f1, majority
from callsift.evaluation.reliability import reliability_of
from callsift.files import read_json, sha256_of_file, write_json
from callsift.labels import load_scheme
from callsift.training.material import Material
from callsift.training.run import load_run, train
from callsift.types import Call

FOLDS = 5
SPLIT_SEED = 1
ROWS = {
    "tiny": Path(__file__).with_name("persuasion.yaml"),
    "minilm": Path(__file__).with_name("persuasion_minilm.yaml"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/persuasion"), help="folder of the folds' runs")
    parser.add_argument("--rows", default=",".join(ROWS), help="which networks")
    parser.add_argument("--seeds", default="1,2,3", help="seeds of the weights; the folds are always the same")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="one setting, key=value")
    options = parser.parse_args()
    folder = data_folder()
    calls = [labelled(call, usd) for call, usd in read_dialogues(folder)]
    truth = np.array([call.label == "yes" for call in calls], dtype=np.int64)
    parts = folds(calls, FOLDS, SPLIT_SEED)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    baselines = _baselines(calls, truth, parts)
    table = {name: _figures(truth, [predicted]) for name, predicted in baselines.items()}
    for row in options.rows.split(","):
        material = Material()
        runs = [_all_folds(options.work, row, calls, parts, seed, options.settings, material) for seed in seeds]
        table[row] = _row(truth, runs, baselines["TF-IDF + logistic regression"])
    print(json.dumps(table, ensure_ascii=False, indent=2))
    if not options.settings:
        record(
            f"persuasionforgood, donated or not, 5-fold, mean of seeds {options.seeds}",
            table,
            data_sha256=sha256_of_file(folder / "persuasionforgood/full_dialog.csv"),
        )


def _baselines(
    calls: Sequence[Call], truth: NDArray[np.int64], parts: Sequence[Sequence[int]]
) -> dict[str, NDArray[np.int64]]:
    """What simple methods answer for every call, each fold by the others."""
    found = {
        name: np.zeros_like(truth)
        for name in ("majority", "plain TF-IDF + logistic regression", "TF-IDF + logistic regression")
    }
    for test in parts:
        rest = np.setdiff1d(np.arange(len(calls)), test)
        texts = [_text(calls[at]) for at in rest], truth[rest], [_text(calls[at]) for at in test]
        found["majority"][test] = majority(truth[test], truth[rest])
        found["plain TF-IDF + logistic regression"][test] = tfidf_predictions(*texts, plain=True)
        found["TF-IDF + logistic regression"][test] = tfidf_predictions(*texts)
    return found


def _figures(truth: NDArray[np.int64], predicted: Sequence[NDArray[np.int64]]) -> dict[str, Any]:
    calls = [str(at) for at in range(len(truth))]
    return {
        "accuracy": clustered(accuracy, truth, predicted, calls),
        "macro F1": clustered(macro_f1, truth, predicted, calls),
    }


def _row(truth: NDArray[np.int64], runs: Sequence[Mapping[str, Any]], baseline: NDArray[np.int64]) -> dict[str, Any]:
    """A network's figures over the seeds, beside the baseline on the same calls, and its calibration."""
    calls = [str(at) for at in range(len(truth))]
    right = [np.stack([run["predicted"] == truth, baseline == truth], axis=1) for run in runs]
    figures = _figures(truth, [run["predicted"] for run in runs])
    figures["accuracy − TF-IDF's"] = clustered(_gain, truth, right, calls)
    for when in ("before", "after"):
        for name in ("ece_mass", "brier", "nll"):
            figures[f"{name}, {when}"] = float(np.mean([run[when][name]["value"] for run in runs]))
    figures["ece_mass by chance"] = float(np.mean([run["after"]["ece_mass_chance"] for run in runs]))
    figures["seconds a fold"] = round(float(np.mean([run["seconds"] for run in runs])))
    return figures


def _gain(_: NDArray[Any], right: NDArray[Any]) -> float:
    return float(right[:, 0].mean() - right[:, 1].mean())


def _all_folds(
    work: Path,
    row: str,
    calls: Sequence[Call],
    parts: Sequence[Sequence[int]],
    seed: int,
    settings: Sequence[str],
    material: Material,
) -> dict[str, Any]:
    """The answers of one seed for all calls, and how far its probabilities can be believed."""
    chosen = [*settings, f"fit.seed={seed}"]
    if row == "minilm":
        chosen.append(f"network.encoders.text.model={minilm()}")
    config = load_train_config(ROWS[row], chosen)
    scheme = load_scheme(config.labels)
    predicted = np.zeros(len(calls), dtype=np.int64)
    said: dict[str, list[Any]] = {"before": [None] * len(calls), "after": [None] * len(calls)}
    seconds = []
    for number, test in enumerate(parts):
        found = _fold(work / row / f"seed{seed}-fold{number}", calls, test, config, material)
        logits = {"donated": np.array(found["logits"])}
        seconds.append(found["seconds"])
        calibration = load_run(work / row / f"seed{seed}-fold{number}/run").calibration
        for when, applied in (("before", Calibration()), ("after", calibration)):
            for at, verdict in zip(test, decide(logits, scheme, applied), strict=True):
                said[when][at] = verdict
        predicted[test] = [int(said["after"][at].grade == "yes") for at in test]
        print(f"{row}, seed {seed}, fold {number}: {found['seconds']:.0f} s", flush=True)
    labels = [str(call.label) for call in calls]
    reliability = {when: reliability_of(scheme, labels, verdicts)["donated"] for when, verdicts in said.items()}
    return {"predicted": predicted, "seconds": float(np.mean(seconds)), **reliability}


def _fold(
    folder: Path, calls: Sequence[Call], test: Sequence[int], config: TrainConfig, material: Material
) -> dict[str, Any]:
    """Train on all but the test calls and keep the logits (calls, 2) of these, in the order of `test`."""
    done = folder / "fold.json"
    made_from = sha256_of_json([config.model_dump(mode="json"), [calls[at].call_id for at in test]])
    if done.is_file():
        found: dict[str, Any] = read_json(done)
        if found["made_from"] == made_from:
            return found
        raise SystemExit(f"{folder} holds a fold made with other settings; name another --work, or remove it")
    outside = set(test)
    split = [replace(call, split="test" if at in outside else "train") for at, call in enumerate(calls)]
    write_manifest(folder / "manifest.jsonl", split)
    started = time.monotonic()
    train(folder / "manifest.jsonl", folder / "run", config, asr="none", resume=True, material=material)
    head, *rows = (folder / "run/predictions/test.csv").read_text("utf-8").splitlines()
    columns = [head.split(",").index(f"logit_donated_{name}") for name in ("yes", "no")]
    by_id = {cells[0]: [float(cells[at]) for at in columns] for cells in (row.split(",") for row in rows)}
    result = {
        "made_from": made_from,
        "logits": [by_id[calls[at].call_id] for at in test],
        "seconds": time.monotonic() - started,
    }
    write_json(done, result)
    return result


def _text(call: Call) -> str:
    return " ".join(turn.text for turn in call.turns)


if __name__ == "__main__":
    main()
