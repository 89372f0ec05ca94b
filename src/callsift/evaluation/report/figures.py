"""The tables and pictures of the evaluation page.

What an evaluation lacks (None, an empty table, a figure that can't be computed) leaves its part of the page out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from callsift.charts import Answers, dot_chart, reliability_chart
from callsift.evaluation.reliability import PROPENSITY
from callsift.evaluation.report.cells import bar_of, cell, chance_cell, drawn, known
from callsift.evaluation.report.reading import name_of, titled
from callsift.evaluation.report.words import FEW, KINDS, Found, counted, finest_task, unit_of
from callsift.pages import percent

_MOST_PARTS = 24
_COLUMNS = {"majority": "commonest answer", "tfidf": "word counts"}
_NUMBER_COLUMNS = {"majority": "always the median", "tfidf": "word counts"}
_CALIBRATION = ("ece_mass", "ece_mass_chance", "ece_width", "brier", "nll")


def results_of(found: Found) -> dict[str, Any]:
    """Of each task its figures beside the baselines', its confusion and its classes; and a picture of them all."""
    combined, number = found["results"]["combined"], found["scheme"]["kind"] == "number"
    metric = "mean_absolute_error" if number else "accuracy"
    columns = _NUMBER_COLUMNS if number else _COLUMNS
    tasks = [_task(name, figures, unit_of(found), columns) for name, figures in combined.items()]
    bars = [
        bar_of(f"{name}: {who}", figures, share=not number)
        for name, task in combined.items()
        for who, figures in (
            ("this model", task.get(metric)),
            *((columns[key], (task.get(key) or {}).get(metric)) for key in columns),
        )
        if known(figures)
    ]
    said = f"{titled(metric)} of every task"
    text = f"{said}, with 95 % intervals: " + "; ".join(f"{bar.label} {bar.text}" for bar in bars) + "."
    return {"tasks": tasks, "chart": drawn(dot_chart, said, text, bars, share=not number)}


def _task(name: str, figures: Found, unit: str, columns: Mapping[str, str]) -> dict[str, Any]:
    others = [key for key in columns if figures.get(key)]
    metrics = [key for key, value in figures.items() if isinstance(value, Mapping) and "value" in value]
    return {
        "name": name,
        "counted": counted(figures.get("calls", 0), unit),
        "columns": ["this model", *(columns[key] for key in others)],
        "rows": [
            {
                "name": name_of(metric),
                "cells": [cell(figures[metric]), *(cell(figures[key].get(metric)) for key in others)],
            }
            for metric in metrics
        ],
        "confusion": _confusion(figures.get("confusion")),
        "per_class": [
            {"name": each, "cells": [cell(row.get(key)) for key in ("precision", "recall", "f1", "support")]}
            for each, row in (figures.get("per_class") or {}).items()
        ],
    }


def _confusion(found: Found | None) -> dict[str, Any] | None:
    if not found:
        return None
    rows = [
        {"name": name, "cells": [(count, count / max(sum(counts), 1)) for count in counts]}
        for name, counts in zip(found["classes"], found["counts"], strict=True)
    ]
    return {"classes": found["classes"], "rows": rows}


def raw_of(found: Found) -> dict[str, Any] | None:
    """Accuracy and macro F1 of raw and combined answers, task by task; None where there is no other answer."""
    raw, combined = found["results"].get("raw"), found["results"]["combined"]
    if not raw:
        return None
    metrics = ("accuracy", "macro_f1")
    rows = [
        {
            "name": task,
            "cells": [cell(side.get(task, {}).get(metric)) for metric in metrics for side in (raw, combined)],
        }
        for task in combined
        if combined[task].get("calls")
    ]
    columns = [f"{name_of(metric)}, {side}" for metric in metrics for side in ("raw", "combined")]
    return {"columns": columns, "rows": rows} if rows else None


def reliability_of_page(found: Found) -> tuple[list[dict[str, Markup]], dict[str, Any]]:
    """A curve for each question, the propensity first, and a table of all their figures."""
    given: Found = found.get("reliability") or {}
    order = sorted(given, key=lambda task: (task != PROPENSITY, task != finest_task(found)))
    charts = [chart for task in order if (chart := _curve(task, given[task].get("bins") or [], unit_of(found)))]
    keys = [key for key in _CALIBRATION if any(key in figures for figures in given.values())]
    rows = [
        {"name": task, "calls": given[task]["calls"], "cells": [cell(given[task].get(key)) for key in keys]}
        for task in order
    ]
    return [{"chart": chart} for chart in charts], {"head": [name_of(key) for key in keys], "rows": rows}


def _curve(task: str, bins: Sequence[Found], unit: str) -> Markup:
    answers = [
        Answers(b["low"], b["high"], b["sure"], b["right"], b["count"], b.get("right_low"), b.get("right_high"))
        for b in bins
        if b["count"] and b["sure"] is not None and b["right"] is not None
    ]
    said = "; ".join(f"stated {percent(a.sure)}, came true {percent(a.right)} of {a.count}" for a in answers)
    buyer = task == PROPENSITY
    return drawn(
        reliability_chart,
        "Propensity" if buyer else f"Task “{task}”",
        f"Reliability curve: {said}.",
        answers,
        x_axis="propensity stated" if buyer else "probability of the answer, as stated",
        y_axis=("share of buyers" if unit == "calls" else "share positive") if buyer else "share right",
        counted=unit,
    )


def breakdowns_of_page(found: Found) -> dict[str, Any] | None:
    """A picture of each way to divide the calls, and what is not in them."""
    metric = found.get("breakdown_metric") or "accuracy"
    share = metric not in ("mean_absolute_error", "correlation")
    whole = (found["results"]["combined"].get(finest_task(found)) or {}).get(metric) or {}
    reference = whole.get("value")
    charts, notes = [], []
    for kind, rows in (found.get("breakdowns") or {}).items():
        shown = [row for row in rows or [] if known(row.get("figure"))]
        bars = [
            bar_of(row["name"], row["figure"], share=share, tail=f" · {row['calls']:,}") for row in shown[:_MOST_PARTS]
        ]
        name = f"By {KINDS.get(kind, kind)}"
        text = (
            f"{titled(metric)} with 95 % intervals: "
            + "; ".join(f"{bar.label}{bar.tail} {bar.text}" for bar in bars)
            + "."
        )
        if chart := drawn(dot_chart, name, text, bars, share=share, reference=reference):
            charts.append(chart)
        if len(shown) > _MOST_PARTS:
            notes.append(f"{name}: {len(shown) - _MOST_PARTS} more are in the JSON file.")
    if looked_at := found.get("breakdown_parts"):
        notes.append(f"{looked_at} parts were looked at; only where “In short” says so is one clearly below the rest.")
    return {"metric": titled(metric), "charts": charts, "notes": notes} if charts else None


def faithfulness_of_page(found: Found | None) -> dict[str, Any] | None:
    """Rows of how far the score falls, what may be concluded, and what to keep in mind."""
    if not found or not found.get("rows"):
        return None
    rows = [
        {
            "remove": row["remove"],
            "cells": [
                *(cell(row.get(key)) for key in ("top", "random", "bottom", "difference")),
                chance_cell(row.get("p")),
                cell(row.get("bottom_difference")),
                chance_cell(row.get("bottom_p")),
            ],
        }
        for row in found["rows"]
    ]
    notes = [found.get("note") or "", *_alike(found["rows"])]
    return {
        "counted": counted(found["calls"], "calls"),
        "notes": [note for note in notes if note],
        "rows": rows,
        "verdict": _holds(found),
    }


def _alike(rows: Sequence[Found]) -> list[str]:
    """Rows that take out the same top segments as one before, as a fifth of short calls does."""
    pairs = (
        (
            row["remove"],
            next((one["remove"] for one in rows[:at] if known(row.get("top")) and one["top"] == row["top"]), 0),
        )
        for at, row in enumerate(rows)
    )
    return [f"In these calls, “{remove}” takes out as many segments as {same}: that is no second proof."
            for remove, same in pairs if same]  # fmt: skip


def _holds(found: Found) -> str:
    """What the rows with several segments removed say, at both ends; a single one wins by construction."""
    several = [row for row in found["rows"] if row["remove"] != 1]
    rows = [row[key] for row in several for key in ("difference", "bottom_difference") if known(row.get(key))]
    if not rows:
        return ""
    if found["calls"] < FEW:
        return f"Of {counted(found['calls'], 'calls')}, hardly anything can be concluded."
    more, less = (sum(sign * row[end] > 0 for row in rows) for sign, end in ((1, "low"), (-1, "high")))
    claim = "the score falls further without several segments that speak for it than without as many at random, "
    claim += "and less far without several that speak against it"
    if more == len(rows):
        return f"{claim.capitalize()}: the evidence holds."
    if less:
        return "Segments at random do more than those that are said to count most: do not rely on the evidence."
    return f"It is {'only in part' if more else 'not'} shown that {claim}."


def balance_of_page(found: Found) -> list[dict[str, Any]]:
    """A row for every label: how many here, the share of all, and the share in training, which is known of grades."""
    balance: Found = found.get("balance") or {}
    here, train = balance.get("here") or {}, balance.get("train")
    total = max(sum(here.values()), 1)
    return [
        {
            "name": grade,
            "count": count,
            "share": count / total,
            "train": None if not train else train.get(grade),
        }
        for grade, count in here.items()
    ]
