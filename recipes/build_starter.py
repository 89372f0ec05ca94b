"""Train the shipped `starter` model from nothing: `python -m recipes.build_starter` (also `make starter`).

Needs flite, espeak-ng and `CALLSIFT_DATA`; takes about half an hour on two cores. A stopped build goes on where it
was. Test calls are seen once, after everything is chosen; the 24 sample calls are never seen at all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data_folder import data_folder
from benchmarks.results import record
from benchmarks.results_page import shown
from callsift.asr.transcripts import read_transcript
from callsift.config import load_train_config
from callsift.data.manifest import Manifest, read_manifest
from callsift.evaluation.baselines import tfidf_predictions
from callsift.evaluation.compare import clustered_difference
from callsift.evaluation.evaluate import evaluate_calls
from callsift.evaluation.metrics import accuracy, bootstrap, majority
from callsift.files import sha256_of_file
from callsift.labels import LabelScheme
from callsift.training.export import export, figure_table
from callsift.training.run import Run, load_run, train
from callsift.types import Call
from recipes.practice_calls import GENERATED, REAL, Plan, make_manifest, source_of

ROOT = Path(__file__).resolve().parents[1]
CONFIG = Path(__file__).with_name("starter.yaml")
TARGET = ROOT / "src/callsift/data/starter"
MAX_BYTES = 12_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "build/starter", help="folder of calls and run")
    parser.add_argument("--out", type=Path, default=TARGET, help="the bundle")
    options = parser.parse_args()
    started = time.monotonic()
    data = data_folder()
    manifest = read_manifest(make_manifest(data, options.work, Plan()))
    print(f"{len(manifest.calls)} calls ready after {time.monotonic() - started:.0f} s", flush=True)
    config = load_train_config(CONFIG)
    folder = options.work / "run"
    train(manifest.path, folder, config, asr="none", resume=True, on_epoch=_say)
    run = load_run(folder)
    print(f"trained after {time.monotonic() - started:.0f} s", flush=True)
    figures = {source: figures_of(run, manifest, source) for source in (REAL, GENERATED)}
    bundle = export(
        run,
        options.out,
        card=model_card(run, manifest, figures),
        provenance={"sources": [REAL, GENERATED], "attribution": ATTRIBUTION},
    )
    size = sum(path.stat().st_size for path in bundle.path.iterdir())
    if size > MAX_BYTES:
        raise SystemExit(f"{bundle.path} has {size:,} bytes, more than {MAX_BYTES:,}")
    summary = {
        f"{source}, {name}": value for source, found in figures.items() for name, value in found["summary"].items()
    }
    record(
        "starter model, test calls by source",
        summary | {"bundle, bytes": size, "build, seconds": round(time.monotonic() - started)},
        data_sha256=sha256_of_file(data / "persuasionforgood/full_dialog.csv"),
        seed=config.fit.seed,
    )
    print(f"{bundle.path}: {size:,} bytes, {time.monotonic() - started:.0f} s in all")


def figures_of(run: Run, manifest: Manifest, source: str) -> dict[str, Any]:
    """Figures per task on the source's test calls, beside majority and TF-IDF trained on the same calls."""
    test = [call for call in manifest.calls if call.split == "test" and source_of(call) == source]
    learnt = [call for call in manifest.calls if call.split != "test" and source_of(call) == source]
    found = evaluate_calls(run.scorer(asr="none"), test)
    found["summary"] = {"test calls": len(test), "of them with audio": sum(call.audio is not None for call in test)}
    for task in run.scheme.tasks:
        if found["results"]["combined"][task]["calls"] == len(test):
            found["summary"] |= _against_baselines(run.scheme, task, learnt, test, found["rows"])
    return found


def _against_baselines(
    scheme: LabelScheme, task: str, learnt: Sequence[Call], test: Sequence[Call], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    names = list(scheme.tasks[task])
    known, known_at = _classes(scheme, task, learnt)
    truth, truth_at = _classes(scheme, task, test)
    answers = [rows[at]["probabilities"][task] for at in truth_at]
    ours = np.array([int(np.argmax([answer[name] for name in names])) for answer in answers], dtype=np.int64)
    texts = [[text_of(calls[at]) for at in where] for calls, where in ((learnt, known_at), (test, truth_at))]
    simple = tfidf_predictions(texts[0], known, texts[1])
    figures = {
        "starter": bootstrap(accuracy, truth, ours),
        "TF-IDF + logistic regression": bootstrap(accuracy, truth, simple),
        "majority": bootstrap(accuracy, truth, majority(truth, known)),
        "starter − TF-IDF (paired)": clustered_difference(accuracy, truth, [ours], [simple], range(len(truth))),
    }
    return {
        f"task {task}, accuracy, {name}": {"value": f.value, "low": f.low, "high": f.high}
        for name, f in figures.items()
    }


def _classes(
    scheme: LabelScheme, task: str, calls: Sequence[Call]
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[int]]:
    """Class of every call whose label settles the task, and which calls these are."""
    names = list(scheme.tasks[task])
    found = [(at, scheme.class_of(task, call.label)) for at, call in enumerate(calls) if call.label is not None]
    settled = [(at, names.index(name)) for at, name in found if name is not None]
    return np.array([k for _, k in settled], dtype=np.int64), [at for at, _ in settled]


def text_of(call: Call) -> str:
    """All that is said in a call."""
    turns = call.turns or (read_transcript(call.transcript) if call.transcript else ())
    return " ".join(turn.text for turn in turns)


LABELS = {
    REAL: "what the person asked really gave: something [A, B, C], nothing [D, E]",
    GENERATED: "A–E, as generated",
}
ATTRIBUTION = (
    "Trained in part on PersuasionForGood (Wang, Shi, Kim, Oh, Yang, Zhang, Yu: Persuasion for Good: Towards a "
    "Personalized Persuasive Dialogue System for Social Good, ACL 2019), Apache License 2.0."
)


def model_card(run: Run, manifest: Manifest, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The card that ships with the model; every number in it is measured above."""
    used = [call for call in manifest.calls if call.split != "test"]
    lines = [
        f"# {run.config.name} {run.config.version}",
        "",
        "**A model to try callsift with, not to run a business on.** Its voices were synthetic and its sales calls "
        "were made up by a grammar; what real people did it knows from one kind of dialogue only, and that in writing. "
        "For real use, train on your own graded calls: `callsift train`.",
        "",
        f"Grades calls as {', '.join(run.scheme.grades)} from {' and '.join(run.network.streams)}, in English and "
        f"Mandarin. {run.result['parameters']:,} parameters, trained from nothing; best epoch "
        f"{run.result['best_epoch']} of {run.result['epochs']}.",
        "",
        "## What it was trained on",
        "",
        "| source | calls | with audio | labels |",
        "| --- | --- | --- | --- |",
    ]
    for source, what in LABELS.items():
        mine = [call for call in used if source_of(call) == source]
        spoken = sum(call.audio is not None for call in mine)
        lines.append(f"| {source} | {len(mine)} | {spoken} | {what} |")
    lines += [
        "",
        "`persuasionforgood` are real dialogues between two people, written, in which one asks the other for a "
        "donation. `generated` are sales calls in both languages from a grammar of phrases written for this project. "
        "The same share of both was voiced by flite and espeak-ng and sent through a telephone line (8 kHz, mu-law, "
        "noise), in every split and grade alike, so that having audio says nothing about the source. No call of "
        "`callsift demo` was used.",
        "",
        "## Accuracy on dialogues it never saw",
        "",
        "Brackets are 95 % bootstrap intervals over calls. TF-IDF + logistic regression was trained on the same calls "
        "of that source alone.",
    ]
    for source, found in figures.items():
        lines += ["", f"### {source}", "", "| figure | value |", "| --- | --- |"]
        for name, value in found["summary"].items():
            lines.append(f"| {name} | {shown(value)} |")
        settled = {task: f for task, f in found["results"]["combined"].items() if f["calls"]}
        lines += ["", *figure_table(settled)]
    lines += ["", "## Attribution", "", ATTRIBUTION, ""]
    return "\n".join(lines)


def _say(row: Mapping[str, float]) -> None:
    print(
        f"epoch {row['epoch']:.0f}: train {row['train_loss']:.4f}, validation {row['val_loss']:.4f}, "
        f"{row['seconds']:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
