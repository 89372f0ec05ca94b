"""nEMO's mood calls, one speaker left out at a time: every part of the network against clip statistics.

    python -m benchmarks.mood_calls [--work DIR] [--rows msmt-fn,audio] [--seeds 1,2,3] [--speakers EB0,KS0]
        [--jobs-part 1/2] [--set key=value]...

700 calls of 3–6 acted clips by one of seven speakers; the grade is the course of the mood (A neutral to happy, B
happy to neutral, C to sad, D to angry, E neutral throughout), and the sentences are the same in every mood. So the
text says nothing, the voice everything, and A differs from B in its order alone. The network is trained on five
speakers, stops early and is calibrated on a sixth, and is asked about the seventh once. A training that is done is
kept in the working folder, so a stopped run goes on where it was; several processes may share it by `--jobs-part`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.intervals import clustered
from benchmarks.persuasion import data_folder
from benchmarks.results import record
from callsift.canonical import sha256_of_json
from callsift.config import TrainConfig, load_train_config
from callsift.decision import Calibration, decide
from callsift.evaluation.calibration import fit_temperatures
from callsift.evaluation.metrics import accuracy
from callsift.files import read_json, sha256_of_file, write_json
from callsift.labels import LabelScheme, load_scheme
from callsift.pipeline import Pipeline
from callsift.training.assemble import make_network, make_tokenizer
from callsift.training.batches import Example, make_example, stacked
from callsift.training.fit import fit, predict
from callsift.training.objective import Objective
from callsift.training.start import start_from_data
from callsift.types import Call, Segment, Turn

Array = NDArray[Any]

CONFIG = Path(__file__).with_name("mood_calls.yaml")
FULL: dict[str, list[str]] = {
    "msmt-fn": [],
    "audio": ["network.streams=[audio]", "network.fusion=audio"],
    "text": ["network.streams=[text]", "network.fusion=text"],
    "context-none": ["network.context=none"],
}
"""The rows that carry a claim, with their settings: all speakers, all seeds."""
PART: dict[str, list[str]] = {
    "agt": ["network.fusion=agt"],
    "mmml": ["network.fusion=mmml"],
    "concat": ["network.fusion=concat"],
    "context-transformer": ["network.context=transformer"],
    "cross-off": ["network.cross_layers=0"],
    "bottleneck-off": ["network.bottleneck_layers=0"],
    "readout-text": ["network.readout=text"],
    "tokens-2": ["network.tokens=2"],
    "tokens-8": ["network.tokens=8"],
    "shared-weights": ["network.shared_weights=true"],
}
"""The rest: three speakers, one seed."""
STATISTICS: dict[str, bool] = {"logistic": False, "logistic-relative": True}
"""Without a network: logistic regression on statistics of the audio stream, as they are or less the call's mean."""
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 1.0)
"""Inverse regularisation of the logistic regression; the inner validation speaker chooses."""
FEW = 3


@dataclass(frozen=True, slots=True)
class Job:
    """One training: a row of the tables, the speaker it is asked about, a seed."""

    row: str
    speaker: str
    seed: int

    def folder(self, work: Path) -> Path:
        """Where the training and its answers are kept."""
        return work / self.row / f"{self.speaker}-{self.seed}"


class MoodCalls:
    """The calls, prepared once for each front end."""

    def __init__(self) -> None:
        self.source = data_folder() / "nemo"
        lines = (self.source / "mood_calls.jsonl").read_text("utf-8").splitlines()
        self.calls = [self._call(json.loads(line)) for line in lines]
        self.speakers = sorted({str(call.group) for call in self.calls})
        self.sha256 = sha256_of_file(self.source / "mood_calls.jsonl")
        self._examples: dict[str, list[Example]] = {}

    def parts(self, config: TrainConfig, scheme: LabelScheme, speaker: str) -> list[list[Example]]:
        """Examples to train on, to validate on (the next speaker by name), and to test on (`speaker`)."""
        inner = self.speakers[(self.speakers.index(speaker) + 1) % len(self.speakers)]
        homes = [0 if call.group not in (inner, speaker) else 1 + (call.group == speaker) for call in self.calls]
        examples = self._prepared(config, scheme)
        return [[e for e, home in zip(examples, homes, strict=True) if home == part] for part in range(3)]

    def _prepared(self, config: TrainConfig, scheme: LabelScheme) -> list[Example]:
        key = config.front_end.sha256
        if key not in self._examples:
            pipeline = Pipeline(config.front_end, make_tokenizer(config), None)
            prepared = (pipeline.prepare(call) for call in self.calls)
            self._examples[key] = [
                make_example(pipeline.inputs(each, ("text", "audio"))[0], each, scheme, "call") for each in prepared
            ]
        return self._examples[key]

    def _call(self, row: Mapping[str, Any]) -> Call:
        segments = tuple(
            Segment(str(number), (Turn("customer", clip["text"]),), audio=self.source / clip["file"])
            for number, clip in enumerate(row["segments"])
        )
        return Call(row["call_id"], group=row["speaker"], label=row["grade"], language="pl", segments=segments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/mood_calls"), help="folder of what is done")
    parser.add_argument("--rows", default=",".join([*STATISTICS, *FULL, *PART]))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--speakers", default="", help="speakers to be asked about; empty: all")
    parser.add_argument("--jobs-part", default="1/1", help="do this share of the trainings: 2/3 is the second of three")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="one setting, key=value")
    options = parser.parse_args()
    data = MoodCalls()
    rows = options.rows.split(",")
    if unknown := sorted(set(rows) - {*STATISTICS, *FULL, *PART}):
        raise SystemExit(f"row '{unknown[0]}' is unknown; there are {', '.join([*STATISTICS, *FULL, *PART])}")
    speakers = options.speakers.split(",") if options.speakers else data.speakers
    jobs = plan(rows, speakers, [int(seed) for seed in options.seeds.split(",")])
    part, parts = (int(number) for number in options.jobs_part.split("/"))
    for job in jobs[part - 1 :: parts]:
        found = answer(job, data, options.work, options.settings)
        print(f"{job.row} {job.speaker} {job.seed}: {found['accuracy']:.3f}, {found['seconds']:.0f} s", flush=True)
    if missing := sum(not (job.folder(options.work) / "answers.json").is_file() for job in jobs):
        print(f"{missing} of {len(jobs)} trainings are not done yet: no table")
        return
    done: dict[Job, Any] = {job: read_json(job.folder(options.work) / "answers.json") for job in jobs}
    few, seed = some(speakers), jobs[0].seed
    tables = {
        f"{len(speakers)} speakers, seeds {options.seeds}": table(done, [r for r in rows if r not in PART], speakers)
    }
    if any(row in PART for row in rows):
        first = {job: each for job, each in done.items() if job.seed == seed}
        tables[f"the parts of the network, {len(few)} speakers, seed {seed}"] = table(first, rows, few)
    print(json.dumps(tables, ensure_ascii=False, indent=2))
    if options.settings or options.speakers:
        return  # a trial, not a result
    for name, figures in tables.items():
        record(f"nEMO mood calls, unseen voices, {name}", figures, data_sha256=data.sha256)


def some(speakers: Sequence[str]) -> list[str]:
    """Three speakers, evenly spaced: the fixed folds of the rows in `PART`."""
    return list(speakers[:: -(-len(speakers) // FEW)])


def plan(rows: Sequence[str], speakers: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """The trainings of the rows; clip statistics have no seed."""
    jobs = []
    for row in rows:
        for speaker in some(speakers) if row in PART else speakers:
            jobs += [Job(row, speaker, seed) for seed in (seeds if row in FULL else seeds[:1])]
    return jobs


def answer(job: Job, data: MoodCalls, work: Path, settings: Sequence[str]) -> dict[str, Any]:
    """Train and ask about the test speaker's calls, or read what an earlier run was told."""
    done = job.folder(work) / "answers.json"
    config = load_train_config(CONFIG, [*FULL.get(job.row, PART.get(job.row, [])), *settings, f"fit.seed={job.seed}"])
    made_from = sha256_of_json([config.model_dump(mode="json"), data.sha256])
    if done.is_file():
        found: dict[str, Any] = read_json(done)
        if found["made_from"] == made_from:
            return found
        raise SystemExit(f"{done.parent} holds a training with other settings; name another --work, or remove it")
    scheme = load_scheme(config.labels)
    train, inner, test = data.parts(config, scheme, job.speaker)
    started = time.monotonic()
    if job.row in STATISTICS:
        found = _by_statistics(train, inner, test, config, relative=STATISTICS[job.row])
    else:
        found = _by_network(train, inner, test, config, scheme, done.parent)
    right = [_best(found["combined"][e.inputs.call_id]["five"]) == e.labels[0] for e in test]
    found["grades"] = {e.inputs.call_id: str(e.labels[0]) for e in test}
    found |= {"made_from": made_from, "seconds": time.monotonic() - started, "accuracy": float(np.mean(right))}
    write_json(done, found)
    return found


def _by_network(
    train: list[Example], inner: list[Example], test: list[Example], config: TrainConfig, scheme: LabelScheme, run: Path
) -> dict[str, Any]:
    """Probabilities of every task for the test calls, combined and as the heads give them."""
    torch.manual_seed(config.fit.seed)
    network = make_network(config, scheme)
    start_from_data(network, train)
    fitted = fit(network, train, inner, Objective(scheme, config.fit), config.fit, run, resume=True)
    calibration = Calibration(fit_temperatures(predict(network, inner), stacked(inner)))
    verdicts = decide(predict(network, test), scheme, calibration)
    return {
        "combined": {e.inputs.call_id: v.probabilities for e, v in zip(test, verdicts, strict=True)},
        "raw": {e.inputs.call_id: v.raw for e, v in zip(test, verdicts, strict=True)},
        "inner_accuracy": _inner_accuracy(decide(predict(network, inner), scheme, calibration), inner),
        "parameters": sum(p.numel() for p in network.parameters()),
        "epochs": [fitted.best_epoch, fitted.epochs],
    }


def _inner_accuracy(verdicts: Sequence[Any], inner: Sequence[Example]) -> float:
    return float(np.mean([v.grade == e.labels[0] for v, e in zip(verdicts, inner, strict=True)]))


def _by_statistics(
    train: list[Example], inner: list[Example], test: list[Example], config: TrainConfig, *, relative: bool
) -> dict[str, Any]:
    """Logistic regression on the course of the clip statistics; the inner speaker chooses its strength."""
    inputs = [np.stack([course(e, config, relative=relative) for e in part]) for part in (train, inner, test)]
    grades = [np.array([e.labels[0] for e in part]) for part in (train, inner, test)]
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(inputs[0], grades[0])
        for strength in STRENGTHS
    ]
    best = max(models, key=lambda model: float(model.score(inputs[1], grades[1])))
    rows = [{"five": dict(zip(best.classes_, row.tolist(), strict=True))} for row in best.predict_proba(inputs[2])]
    answers = {e.inputs.call_id: row for e, row in zip(test, rows, strict=True)}
    return {
        "combined": answers,
        "raw": answers,
        "inner_accuracy": float(best.score(inputs[1], grades[1])),
        "parameters": int(best[-1].coef_.size + best[-1].intercept_.size),
    }


def course(example: Example, config: TrainConfig, *, relative: bool) -> Array:
    """How the clip statistics go over a call: first, last, their difference, mean and spread."""
    heard = [segment["audio"] for segment in example.inputs.segments]
    clips = np.stack([clip_statistics(each.values.astype(np.float64), config) for each in heard if each is not None])
    if relative:
        clips = clips - clips.mean(axis=0)
    return np.concatenate([clips[0], clips[-1], clips[-1] - clips[0], clips.mean(axis=0), clips.std(axis=0)])


def clip_statistics(values: Array, config: TrainConfig) -> Array:
    """Of a clip's frames (F, M): mean, spread, mean change and percentiles of every column, and the length."""
    change = np.abs(np.diff(values, axis=0)).mean(axis=0) if len(values) > 1 else np.zeros(values.shape[1])
    percentiles = np.percentile(values, [10, 50, 90], axis=0).ravel()
    return np.concatenate([values.mean(axis=0), values.std(axis=0), change, percentiles, [np.log(len(values))]])


def table(found: Mapping[Job, Mapping[str, Any]], rows: Sequence[str], speakers: Sequence[str]) -> dict[str, Any]:
    """What every row reaches on the calls of these speakers: row and figure → value."""
    figures: dict[str, Any] = {}
    for row in rows:
        jobs = [job for job in found if job.row == row and job.speaker in speakers]
        runs = [
            _together([found[job] for job in jobs if job.seed == seed]) for seed in sorted({job.seed for job in jobs})
        ]
        by_speaker = {name: _mean(found, [job for job in jobs if job.speaker == name], "accuracy") for name in speakers}
        figures[row] = {
            **_figures(runs),
            "accuracy by speaker": ", ".join(f"{name} {each:.2f}" for name, each in by_speaker.items()),
            "accuracy on the inner speakers": _mean(found, jobs, "inner_accuracy"),
            "parameters": max(found[job]["parameters"] for job in jobs),
            "seconds a training": round(_mean(found, jobs, "seconds")),
        }
    return figures


def _together(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The answers of one seed for all speakers, each left out once."""
    return {
        "grades": {call: grade for run in runs for call, grade in run["grades"].items()},
        **{kind: {call: each for run in runs for call, each in run[kind].items()} for kind in ("combined", "raw")},
    }


def _figures(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracies over the seeds; the intervals draw whole speakers, and seeds, anew."""
    grades = runs[0]["grades"]
    calls = sorted(grades)
    speakers = [call.split("_")[0] for call in calls]
    truth = np.array([grades[call] for call in calls])
    figures: dict[str, Any] = {}
    for kind in ("combined", "raw"):
        said = [np.array([_best(run[kind][call]["five"]) for call in calls]) for run in runs]
        name = "accuracy" if kind == "combined" else "accuracy, the five-class head alone"
        figures[name] = clustered(accuracy, truth, said, speakers)
    for task in runs[0]["raw"][calls[0]]:
        right = [
            np.array([[grades[c] in _best(run[kind][c][task]) for kind in ("combined", "raw")] for c in calls])
            for run in runs
        ]
        figures[f"accuracy of task {task}, combined"] = float(np.mean([each[:, 0].mean() for each in right]))
        figures[f"accuracy of task {task}, combined − raw"] = clustered(_gain, truth, right, speakers)
    ordered = [call for call in calls if grades[call] in "AB"]
    a_first = np.array([grades[call] == "A" for call in ordered])
    said = [np.array([_a_before_b(run["combined"][call]["five"]) for call in ordered]) for run in runs]
    figures["A against B"] = clustered(accuracy, a_first, said, [call.split("_")[0] for call in ordered])
    return figures


def _gain(_: Array, right: Array) -> float:
    """right (calls, 2): whether the combined and the raw answers are right → how much more often the combined are."""
    return float(right[:, 0].mean() - right[:, 1].mean())


def _a_before_b(five: Mapping[str, float]) -> bool:
    """Of the two grades that differ in order alone, whether A is the likelier."""
    return five["A"] > five["B"]


def _best(probabilities: Mapping[str, float]) -> str:
    """The likeliest class, the first one on a tie; a class of several grades is named by their letters."""
    return max(probabilities, key=lambda name: probabilities[name])


def _mean(found: Mapping[Job, Mapping[str, Any]], jobs: Sequence[Job], figure: str) -> float:
    return float(np.mean([found[job][figure] for job in jobs]))


if __name__ == "__main__":
    main()
