"""The tables and pictures of the evaluation page: cells with intervals, and SVG that is safe to place.

What an evaluation lacks (None, an empty table, a figure that can't be computed) leaves its part of the page out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from markupsafe import Markup

from callsift.charts import Answers, Bar, Point, dot_chart, gain_chart, reliability_chart
from callsift.evaluation.reliability import PROPENSITY
from callsift.evaluation.report_reading import name_of
from callsift.evaluation.report_words import KINDS, Found, between, counted, finest_task, unit_of
from callsift.pages import percent

_MOST_PARTS = 24
_COLUMNS = {"majority": "commonest answer", "tfidf": "word counts"}
_SHOWN_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
_CALIBRATION = ("ece_mass", "ece_mass_chance", "ece_width", "brier", "nll")


def cell(figure: Any) -> dict[str, str]:
    """A figure, with or without interval, as text: `value`, `interval`."""
    if isinstance(figure, Mapping):
        bounds = [figure.get("low"), figure.get("high")]
        known = figure.get("value") is not None and all(each is not None and isfinite(each) for each in bounds)
        low, high = (_decimal(each) for each in bounds)
        return {"value": _decimal(figure.get("value")), "interval": f"[{low}, {high}]" if known else ""}
    return {"value": f"{figure:,}" if isinstance(figure, int) else _decimal(figure), "interval": ""}


def _decimal(value: float | None) -> str:
    return "–" if value is None or not isfinite(value) else f"{value:.3f}".replace("-", "−")


def _drawn(chart: Callable[..., str], *given: Any, **named: Any) -> Markup:
    """A chart as markup (its texts are escaped where it is drawn); nothing where there is nothing to draw."""
    try:
        return Markup(chart(*given, **named))
    except ValueError:
        return Markup("")


def _known(figure: Any) -> bool:
    return isinstance(figure, Mapping) and figure.get("value") is not None and isfinite(figure["value"])


def _bar(label: str, figure: Found, *, share: bool) -> Bar:
    low, high = figure.get("low"), figure.get("high")
    value = percent(figure["value"]) if share else f"{figure['value']:.2f}"
    if low is None or high is None:
        return Bar(label, figure["value"], text=value)
    return Bar(label, figure["value"], low, high, f"{value} ({between(figure) if share else f'{low:.2f}–{high:.2f}'})")


def results_of(found: Found) -> dict[str, Any]:
    """Of each task its figures beside the baselines', its confusion and its classes; and a picture of them all."""
    combined, number = found["results"]["combined"], found["scheme"]["kind"] == "number"
    metric = "mean_absolute_error" if number else "accuracy"
    columns = _COLUMNS | {"majority": "always the middle"} if number else _COLUMNS
    tasks = [_task(name, figures, unit_of(found), columns) for name, figures in combined.items()]
    bars = [
        _bar(f"{name}: {who}", figures, share=not number)
        for name, task in combined.items()
        for who, figures in (
            ("this model", task.get(metric)),
            *((columns[key], (task.get(key) or {}).get(metric)) for key in columns),
        )
        if _known(figures)
    ]
    said = f"{name_of(metric).capitalize()} of every task"
    text = f"{said}, with 95 % intervals: " + "; ".join(f"{bar.label} {bar.text}" for bar in bars) + "."
    return {"tasks": tasks, "chart": _drawn(dot_chart, said, text, bars, share=not number)}


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


def gain_of_page(gain: Found | None) -> dict[str, Any] | None:
    """The gain chart, the points worth a line, and both areas."""
    if not gain or not gain.get("points"):
        return None
    points: Sequence[Found] = gain["points"]
    line = [Point(each["share"], each["reached"], each["low"], each["high"]) for each in points]
    ideal = [Point(0.0, 0.0), *(Point(p["share"], p["ideal"]) for p in points if p.get("ideal") is not None)]
    said = "; ".join(f"{percent(p['share'])} of the calls reach {percent(p['reached'])}" for p in points[::2])
    chart = _drawn(
        gain_chart, "Buyers reached", f"Buyers reached by share of calls phoned, best first: {said}.",
        [Point(0.0, 0.0, 0.0, 0.0), *line], ideal if len(ideal) > 1 else [],
        x_axis="share of the calls phoned", y_axis="share of the buyers reached",
    )  # fmt: skip
    near = [min(points, key=lambda point: abs(point["share"] - share)) for share in _SHOWN_SHARES]
    shown = [point for at, point in enumerate(near) if point not in near[:at]]
    areas = [(name_of(key), " ".join(cell(gain[key]).values())) for key in ("auroc", "auprc") if _known(gain.get(key))]
    return {
        "calls": gain["calls"],
        "buyers": gain["buyers"],
        "chart": chart,
        "points": [{**point, "interval": f"({between(point)})"} for point in shown],
        "areas": areas,
    }


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
    return _drawn(
        reliability_chart,
        "Propensity" if buyer else f"Task “{task}”",
        f"Reliability curve: {said}.",
        answers,
        x_axis="propensity stated" if buyer else "probability of the answer, as stated",
        y_axis="share of buyers" if buyer else "share right",
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
        known = [row for row in rows or [] if _known(row.get("figure"))]
        bars = [_bar(f"{row['name']} · {row['calls']:,}", row["figure"], share=share) for row in known[:_MOST_PARTS]]
        name = f"By {KINDS.get(kind, kind)}"
        text = f"{name_of(metric)} with 95 % intervals: " + "; ".join(f"{bar.label} {bar.text}" for bar in bars) + "."
        if chart := _drawn(dot_chart, name, text, bars, share=share, reference=reference):
            charts.append(chart)
        if len(known) > _MOST_PARTS:
            notes.append(f"{name}: {len(known) - _MOST_PARTS} more are in the JSON file.")
    return {"metric": name_of(metric).capitalize(), "charts": charts, "notes": notes} if charts else None


def faithfulness_of_page(found: Found | None) -> dict[str, Any] | None:
    """Rows of how far the score moves, and what to keep in mind."""
    if not found or not found.get("rows"):
        return None
    rows = [
        {"remove": row["remove"], "cells": [cell(row.get(key)) for key in ("top", "random", "difference", "p")]}
        for row in found["rows"]
    ]
    return {"counted": counted(found["calls"], "calls"), "note": found.get("note") or "", "rows": rows}


def balance_of_page(found: Found) -> list[dict[str, Any]]:
    """A row for every grade: how many here, the share of all, and the share in training."""
    balance: Found = found.get("balance") or {}
    here, train = balance.get("here") or {}, balance.get("train")
    total = max(sum(here.values()), 1)
    return [
        {
            "name": grade,
            "count": count,
            "share": count / total,
            "train": None if not train else train.get(grade, 0.0),
        }
        for grade, count in here.items()
    ]
