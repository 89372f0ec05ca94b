"""A benchmark's figures: its metrics of the pooled answers of all folds, with intervals, beside baselines and the
published figures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from callsift.benchmarks.benchmark import Benchmark, Row
from callsift.benchmarks.simple import baseline_items
from callsift.config import train_config
from callsift.errors import DataError, UsageError
from callsift.evaluation.metrics import over_seeds
from callsift.labels import LabelScheme, load_scheme
from callsift.training.studies.answers import read_answer
from callsift.training.studies.compared import (
    ALL_METRICS,
    Line,
    Measure,
    Seeds,
    adjusted,
    compare,
    figure_of,
    measure_of,
)
from callsift.training.studies.plan import Study
from callsift.training.studies.report import line_of


def measures_of(benchmark: Benchmark, scheme: LabelScheme) -> dict[str, Measure]:
    """The benchmark's metrics by name: `accuracy` is of the finest task, `accuracy (two)` of task `two`.

    Raises:
        UsageError: one that the label scheme does not have.
    """
    found = {}
    for name in benchmark.metrics:
        match = re.fullmatch(r"(\w+)(?: \((\w+)\))?", name)
        if match is None:
            raise UsageError(f"benchmark {benchmark.name}: metric {name!r} is not of the form NAME or NAME (TASK)")
        found[name] = measure_of(scheme, match[1], match[2])
    return found


def figures_of(benchmark: Benchmark, study: Study, rows: Sequence[Row], failed: Mapping[str, str]) -> dict[str, Any]:
    """`rows` and `baselines` of the results, plain, as they are written to JSON."""
    scheme = load_scheme(study.rows[0].config.labels)
    measures = measures_of(benchmark, scheme)
    first = next(iter(measures.values()))
    lines, answers = [], {}
    for row in study.rows:
        line, answers[row.name] = line_of(study, first, row, failed)
        reference = answers[study.reference]
        lines.append(
            compare(first, line, answers[row.name], reference)
            if row.name != study.reference and reference and line.figure
            else line
        )
    about, tasks = {row.name: row for row in rows}, {measure.task for measure in measures.values()}
    found = {
        line.name: {
            **_about(about[line.name], line, study),
            "figures": _figures(measures, dict.fromkeys(tasks, answers[line.name]), about[line.name].paper),
        }
        for line in adjusted(lines)
    }
    answers_of, notes = baseline_items(study, scheme, train_config(benchmark.config) if benchmark.clips else None)
    baselines = {name: {"figures": _figures(measures, by_task, {})} for name, by_task in answers_of.items()}
    return {"rows": found, "baselines": baselines, "baseline_notes": notes}


def _about(row: Row, line: Line, study: Study) -> dict[str, Any]:
    """What a row is, what its trainings took, and how it compares with the first row by the first metric."""
    settings = next(each.settings for each in study.rows if each.name == row.name)
    taken = [
        answer.about for job in study.jobs if job.row.name == row.name
        if (answer := read_answer(study.folder_of(job))) is not None
    ]  # fmt: skip
    plain = {
        key: value for key, value in asdict(line).items() if value not in (None, ()) and key not in ("figure", "name")
    }
    return {
        "about": row.about,
        "settings": list(settings),
        "encoders": dict(row.encoders),
        **plain,
        "parameters": max((each["parameters"] for each in taken), default=None),
        "source": row.source,
    }


def _figures(
    measures: Mapping[str, Measure], answers: Mapping[str, Seeds], paper: Mapping[str, float]
) -> dict[str, Any]:
    """Metric → value, interval, the figure of every seed, their standard deviation, and what was published.

    `answers`: to every task.
    """
    found: dict[str, Any] = {}
    for name, measure in measures.items():
        figure: dict[str, Any] = {}
        seeds = answers[measure.task]
        if seeds:
            try:
                interval, _, _ = figure_of(measure, seeds)
                figure = {} if interval is None else {**asdict(interval), **_by_seed(measure, seeds)}
            except DataError as error:  # the metric says nothing of these items
                figure = {"undefined": str(error)}
        if name in paper:
            figure["published"] = paper[name]
            if "value" in figure:
                figure["difference_to_published"] = figure["value"] - paper[name]
        if figure:
            found[name] = figure
    return found


def _by_seed(measure: Measure, seeds: Seeds) -> dict[str, Any]:
    """Of the items that every seed answered, the figure of each seed, and their standard deviation (n − 1)."""
    names = sorted(set.intersection(*(set(mine) for mine in seeds.values())))
    kind = np.float64 if measure.scheme.kind == "number" else np.int64
    values = {}
    for seed, mine in sorted(seeds.items()):
        asked = [
            (truth, measure.said(mine[name])) for name in names if (truth := measure.truth(mine[name])) is not None
        ]
        truth, said = np.array(asked).T.astype(kind)
        values[str(seed)] = float(ALL_METRICS[measure.metric](truth, said))
    given = list(values.values())
    return {"seeds": values, "sd": over_seeds(given)[1]}
