"""Can a network learn from silence alone? Calls whose grade is how long the customer takes to answer, nothing else.

    python -m benchmarks.silence_effect [--calls 280] [--work DIR] [--rows msmt-fn,alone] [--seeds 1,2,3] [--dry]
        [--set key=value]...

The calls are made by `recipes.silence_calls` from turns of the sample calls; their texts, voices, lengths and shares of
silence are drawn alike in every grade. A quarter of them is asked about once, a sixth decides when to stop. Four
grades, so 0.25 is chance. A training that is done is kept in the working folder; `--dry` records nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.intervals import Array, clustered
from benchmarks.results import ROOT, record
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
from callsift.types import Call
from recipes.silence_calls import write_calls

CONFIG = Path(__file__).with_suffix(".yaml")
DEMO = ROOT / "src/callsift/data/demo"
ROWS: dict[str, list[str]] = {
    "msmt-fn": [],
    "agt": ["network.fusion=agt"],
    "alone": ["network.streams=[silence]", "network.fusion=concat"],
    "kept": ["network.streams=[text, audio]"],
    "removed": ["network.streams=[text, audio]", "front_end.silence=remove"],
}
"""Text, audio and the stream `silence`, by two fusions; that stream alone; text and audio with and without pauses."""
TEST, INNER = 4, 6
"""Every fourth call is asked about, of the rest every sixth decides when to stop: rounds of all grades in turn."""


DRAW = 11
"""Draws the calls; those on which the settings were compared were drawn with 0."""


class Calls:
    """The calls, prepared once for each front end and choice of streams."""

    def __init__(self, folder: Path, count: int) -> None:
        self.calls = write_calls(folder, DEMO, count, seed=DRAW)
        self.sha256 = sha256_of_json([sha256_of_file(call.audio) for call in self.calls if call.audio])
        self._examples: dict[str, list[Example]] = {}

    def parts(self, config: TrainConfig, scheme: LabelScheme) -> list[list[Example]]:
        """Examples to train on, to stop by, and to test on."""
        homes = [self._home(at) for at in range(len(self.calls))]
        examples = self._prepared(config, scheme)
        return [[e for e, home in zip(examples, homes, strict=True) if home == part] for part in range(3)]

    def _home(self, at: int) -> int:
        turn = at // 4  # four calls, one of each grade
        if turn % TEST == 0:
            return 2
        return int((turn - turn // TEST) % INNER == 0)

    def _prepared(self, config: TrainConfig, scheme: LabelScheme) -> list[Example]:
        key = sha256_of_json([config.front_end.sha256, config.network.streams])
        if key not in self._examples:
            pipeline = Pipeline(config.front_end, make_tokenizer(config), None)
            self._examples[key] = [self._example(pipeline, call, config, scheme) for call in self.calls]
        return self._examples[key]

    def _example(self, pipeline: Pipeline, call: Call, config: TrainConfig, scheme: LabelScheme) -> Example:
        prepared = pipeline.prepare(call)
        return make_example(pipeline.inputs(prepared, config.network.streams)[0], prepared, scheme, "call")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/silence_effect"), help="folder of what is done")
    parser.add_argument("--calls", type=int, default=280)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="one setting, key=value")
    parser.add_argument("--dry", action="store_true", help="a trial: print, record nothing")
    options = parser.parse_args()
    rows, seeds = options.rows.split(","), [int(seed) for seed in options.seeds.split(",")]
    if unknown := sorted(set(rows) - set(ROWS)):
        raise SystemExit(f"row '{unknown[0]}' is unknown; there are {', '.join(ROWS)}")
    data = Calls(options.work / f"calls-{options.calls}", options.calls)
    figures = {}
    for row in rows:
        answers = []
        for seed in seeds:
            folder = options.work / f"{row}-{seed}"
            answers.append(answer(folder, data, [*ROWS[row], *options.settings, f"fit.seed={seed}"]))
            print(f"{row} {seed}: {answers[-1]['accuracy']:.3f}, {answers[-1]['seconds']:.0f} s", flush=True)
        figures[row] = figures_of(answers)
    print(json.dumps(figures, indent=2))
    if not options.dry:
        name = f"Planted silence: the customer's time to answer, {options.calls} calls, chance 0.25"
        record(name, figures, data_sha256=data.sha256, seeds=seeds)


def answer(folder: Path, data: Calls, settings: Sequence[str]) -> dict[str, Any]:
    """Train and ask about the test calls, or read what an earlier run was told."""
    config = load_train_config(CONFIG, settings)
    made_from = sha256_of_json([config.model_dump(mode="json"), data.sha256])
    done = folder / "answers.json"
    if done.is_file():
        found: dict[str, Any] = read_json(done)
        if found["made_from"] == made_from:
            return found
        raise SystemExit(f"{folder} holds a training with other settings or calls; name another --work, or remove it")
    scheme = load_scheme(config.labels)
    train, inner, test = data.parts(config, scheme)
    started = time.monotonic()
    torch.set_num_threads(config.fit.threads)
    torch.manual_seed(config.fit.seed)
    network = make_network(config, scheme)
    start_from_data(network, train)
    fitted = fit(network, train, inner, Objective(scheme, config.fit), config.fit, folder)
    calibration = Calibration(fit_temperatures(predict(network, inner), stacked(inner)))
    verdicts = decide(predict(network, test), scheme, calibration)
    found = {
        "made_from": made_from,
        "calls": [e.inputs.call_id for e in test],
        "truth": [scheme.grades.index(str(e.labels[0])) for e in test],
        "said": [scheme.grades.index(str(v.grade)) for v in verdicts],
        "parameters": sum(p.numel() for p in network.parameters()),
        "best_epoch": fitted.best_epoch,
        "seconds": time.monotonic() - started,
    }
    found["accuracy"] = float(np.mean(np.equal(found["truth"], found["said"])))
    write_json(done, found)
    return found


def figures_of(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracy over the seeds with its interval, each seed's, and how large and slow the training was."""
    first = answers[0]
    measure: Callable[[Array, Array], float] = accuracy
    said = [np.array(each["said"]) for each in answers]
    return {
        "accuracy": clustered(measure, np.array(first["truth"]), said, first["calls"]),
        "seeds": [each["accuracy"] for each in answers],
        "test calls": len(first["truth"]),
        "parameters": first["parameters"],
        "seconds": float(np.mean([each["seconds"] for each in answers])),
    }


if __name__ == "__main__":
    main()
