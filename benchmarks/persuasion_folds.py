"""`tiny` on persuasionforgood, donated or not, 5-fold, against TF-IDF + logistic regression on the same folds.

    python -m benchmarks.persuasion_folds [--work DIR] [--set key=value]...

Each fold holds out an inner part of its training calls for early stopping; the fold's test calls are seen once.
A fold that is done is kept in the working folder, so a stopped run goes on where it was. About 5 minutes a fold.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.persuasion import data_folder, labelled, read_dialogues
from benchmarks.results import record
from benchmarks.text_baseline import tfidf_predictions
from callsift.canonical import sha256_of_json
from callsift.config import load_train_config
from callsift.data.manifest import write_manifest
from callsift.data.splits import folds
from callsift.evaluation.metrics import Interval, accuracy, bootstrap, macro_f1, majority, paired_difference
from callsift.files import read_json, sha256_of_file, write_json
from callsift.training.run import train
from callsift.types import Call

FOLDS = 5
CONFIG = Path(__file__).with_name("persuasion.yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/persuasion"), help="folder of the folds' runs")
    parser.add_argument("--seed", type=int, default=1, help="seed of folds and weights")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="one setting, key=value")
    options = parser.parse_args()
    folder = data_folder()
    calls = [labelled(call, usd) for call, usd in read_dialogues(folder)]
    truth = np.array([call.label == "yes" for call in calls], dtype=np.int64)
    network, baseline, plain, often = (np.zeros_like(truth) for _ in range(4))
    seconds: list[float] = []
    settings = [*options.settings, f"fit.seed={options.seed}"]
    for number, test in enumerate(folds(calls, FOLDS, options.seed)):
        rest = np.setdiff1d(np.arange(len(calls)), test)
        found = _fold(options.work / f"seed{options.seed}-fold{number}", calls, test, settings)
        network[test] = found["predicted"]
        seconds.append(found["seconds"])
        texts = [_text(calls[at]) for at in rest], truth[rest], [_text(calls[at]) for at in test]
        baseline[test] = tfidf_predictions(*texts)
        plain[test] = tfidf_predictions(*texts, plain=True)
        often[test] = majority(truth[test], truth[rest])
        print(
            f"fold {number}: tiny {accuracy(truth[test], network[test]):.3f}, "
            f"TF-IDF {accuracy(truth[test], baseline[test]):.3f}, {found['seconds']:.0f} s",
            flush=True,
        )
    figures = {
        "calls": len(calls),
        "accuracy, tiny": _shown(bootstrap(accuracy, truth, network)),
        "accuracy, TF-IDF + logistic regression": _shown(bootstrap(accuracy, truth, baseline)),
        "accuracy, plain TF-IDF + logistic regression (defaults, single words)": _shown(
            bootstrap(accuracy, truth, plain)
        ),
        "accuracy, majority": _shown(bootstrap(accuracy, truth, often)),
        "macro F1, tiny": _shown(bootstrap(macro_f1, truth, network)),
        "macro F1, TF-IDF + logistic regression": _shown(bootstrap(macro_f1, truth, baseline)),
        "accuracy, tiny − TF-IDF (paired)": _shown(paired_difference(accuracy, truth, network, baseline)),
        "accuracy, tiny − plain TF-IDF (paired)": _shown(paired_difference(accuracy, truth, network, plain)),
        "macro F1, tiny − TF-IDF (paired)": _shown(paired_difference(macro_f1, truth, network, baseline)),
        "seconds a fold": [round(value) for value in seconds],
    }
    print(json.dumps(figures, ensure_ascii=False, indent=2))
    record(
        f"persuasionforgood, donated or not, 5-fold, seed {options.seed}",
        figures,
        data_sha256=sha256_of_file(folder / "persuasionforgood/full_dialog.csv"),
        seed=options.seed,
    )


def _fold(folder: Path, calls: Sequence[Call], test: Sequence[int], settings: Sequence[str]) -> dict[str, Any]:
    """Train on all but the test calls and predict these: 1 for "yes"."""
    done = folder / "fold.json"
    config = load_train_config(CONFIG, settings)
    made_from = sha256_of_json(config.model_dump(mode="json"))
    if done.is_file():
        found: dict[str, Any] = read_json(done)
        if found["made_from"] == made_from:
            return found
        raise SystemExit(f"{folder} holds a fold made with other settings; name another --work, or remove it")
    outside = set(test)
    split = [replace(call, split="test" if at in outside else "train") for at, call in enumerate(calls)]
    write_manifest(folder / "manifest.jsonl", split)
    started = time.monotonic()
    train(folder / "manifest.jsonl", folder / "run", config, asr="none", resume=True)
    rows = (folder / "run/predictions/test.csv").read_text("utf-8").splitlines()
    yes, no = (rows[0].split(",").index(f"logit_donated_{name}") for name in ("yes", "no"))
    by_id = {cells[0]: int(float(cells[yes]) > float(cells[no])) for cells in (row.split(",") for row in rows[1:])}
    result = {
        "made_from": made_from,
        "predicted": [by_id[calls[at].call_id] for at in test],
        "seconds": time.monotonic() - started,
    }
    write_json(done, result)
    return result


def _text(call: Call) -> str:
    return " ".join(turn.text for turn in call.turns)


def _shown(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


if __name__ == "__main__":
    main()
