"""Run → bundle: the network's graphs in ONNX, the tokenizer, calibration, provenance and a model card."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from callsift.bundle import Bundle, Graphs, check_free, write_bundle
from callsift.evaluation.reliability import PROPENSITY, reliability_line
from callsift.evaluation.tasks import table_of
from callsift.files import read_json, sha256_of_file, write_text
from callsift.training.graphs import export_graphs
from callsift.training.int8 import Int8Check, check_moved
from callsift.training.quantise import quantise
from callsift.training.run import Run


def export(
    run: Run,
    target: Path,
    *,
    card: str | None = None,
    provenance: Mapping[str, Any] | None = None,
    int8: Int8Check | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Bundle:
    """Write a run as a bundle; all or nothing. `card`: the model card, else one is written from the figures.

    `int8`: give the encoders eight-bit weights, and on which calls the scores must stay as they are.
    `on_step`: told what is done next.

    Raises:
        BundleError: the target exists and is not a bundle, or the scores moved too far with eight bits.
    """
    check_free(target)  # before minutes of work
    with tempfile.TemporaryDirectory() as scratch:
        contents = Path(scratch) / "contents"
        contents.mkdir()
        on_step(f"exporting encoder {', encoder '.join(run.network.streams)}, fusion and call …")
        names = export_graphs(run.network, contents)
        shutil.copy(run.folder / "tokenizer.json", contents / "tokenizer.json")
        write_text(contents / "README.md", card or model_card(run))
        about: dict[str, Any] = {
            "name": run.config.name,
            "version": run.config.version,
            "scheme": run.scheme,
            "front_end": run.config.front_end,
            "graphs": Graphs(names["encoders"], names["fusion"], names["call"]),
            "target": run.config.target,
            "calibration": run.calibration,
        }
        origin: dict[str, Any] = {
            "asr": run.result["asr"],
            "diarizer": run.data.get("diarizer"),
            "encoders": run.data.get("encoders", {}),
            "data_sha256": run.data["sha256"],
            "weights_sha256": sha256_of_file(run.folder / "checkpoints/best/network.safetensors"),
            "labels": run.data["labels"],
            "environment": read_json(run.folder / "environment.json"),
            **(provenance or {}),
        }
        if int8 is not None:
            on_step("making the encoders' weights eight bits wide …")
            exact = write_bundle(Path(scratch) / "exact", contents, provenance=origin, **about)
            sizes = quantise(contents, names["encoders"].values())
            smaller = write_bundle(Path(scratch) / "int8", contents, provenance=origin, **about)
            on_step(f"scoring {len(int8.calls)} calls with both …")
            origin["int8"] = {"bytes": sizes, **check_moved(exact, smaller, int8)}
        on_step("writing the bundle …")
        return write_bundle(target, contents, provenance=origin, **about)


def model_card(run: Run) -> str:
    """What a user should know before trusting the model."""
    lines = [
        f"# {run.config.name} {run.config.version}",
        "",
        f"{_does(run)} (label scheme `{run.scheme.id}`), from "
        f"{' and '.join(run.network.streams)}. {run.result['parameters']:,} parameters, "
        f"{run.config.fit.keep} of {run.result['epochs']} epochs: {run.result['best_epoch']}.",
        "",
        f"{run.config.target.capitalize()}s by label: "
        + "; ".join(
            f"{name}: " + ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
            for name, counts in run.data["labels"].items()
            if counts
        )
        + ".",
    ]
    for split, figures in run.result["figures"].items():
        lines += ["", f"## Figures on `{split}`", "", *figure_table(figures["combined"])]
        lines += _believed(run, split)
    lines += [
        "",
        "Brackets are 95 % bootstrap intervals over calls. `val` chose the epoch and the calibration, so its "
        "figures flatter; `test`, where there is one, was touched once.",
    ]
    return "\n".join(lines) + "\n"


def _believed(run: Run, split: str) -> list[str]:
    """How far the probabilities can be believed, before and after calibration."""
    found = run.result.get("calibration", {}).get("figures", {}).get(split, {})
    tasks = [task for task in (run.scheme.finest_task, PROPENSITY) if task in found.get("after", {})]
    if not tasks:
        return []
    lines = [f"- {reliability_line(found, task)}" for task in tasks]
    return ["", f"Calibration ({run.result['calibration']['kind']}), before → after:", "", *lines]


def _does(run: Run) -> str:
    what = "calls" if run.config.target == "call" else "the segments of calls"
    if run.scheme.range is not None:
        return f"Gives {what} a number from {run.scheme.range[0]:g} to {run.scheme.range[1]:g}"
    return f"Grades {what} as {', '.join(run.scheme.grades)}"


def figure_table(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Figures by task as a Markdown table."""
    head, body = table_of(figures)
    rows = [head, tuple("---" for _ in head), *body]
    return ["| " + " | ".join(row) + " |" for row in rows]
