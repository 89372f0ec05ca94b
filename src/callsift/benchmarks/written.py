"""A benchmark's results as a page of Markdown, a table of CSV, and a chart."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from callsift.charts import Bar, bar_chart
from callsift.evaluation.metrics import has_width
from callsift.training.studies.few_groups import drawn_anew, too_few_groups

NAMES = {
    "accuracy": "accuracy", "macro_f1": "macro F1", "weighted_f1": "weighted F1", "uar": "UAR",
    "quadratic_kappa": "quadratic κ", "mean_absolute_error": "MAE", "correlation": "corr",
    "acc2_has0": "Acc2 has0", "f1_has0": "F1 has0", "acc2_non0": "Acc2 non0", "f1_non0": "F1 non0",
    "acc5": "Acc5", "acc7": "Acc7",
}  # fmt: skip
"""Short names for a table's head."""
BASELINES = {"majority": "commonest answer", "tfidf": "TF-IDF", "clips": "logistic regression on the sound"}


def name_of(metric: str) -> str:
    """A metric for people: `accuracy (two)` stays with its task."""
    plain, _, task = metric.partition(" ")
    return " ".join(part for part in (NAMES.get(plain, plain), task) if part)


def table_of(results: Mapping[str, Any], *, whole: bool = False) -> tuple[list[str], list[list[str]]]:
    """Head and cells: every row, below it what was published for it, and the baselines.

    The first metric stands with its interval, the others without, unless it is to be the `whole`.
    """
    metrics = results["metrics"]
    shown = [(figure_text if whole or metric == metrics[0] else value_text, metric) for metric in metrics]
    head = ["row", *map(name_of, metrics), "p", "items", "trainings"]
    cells = []
    for name, row in results["rows"].items():
        failed = bool(row.get("failed"))
        cells.append([
            name,
            *("failed" if failed else cell(row["figures"].get(metric)) for cell, metric in shown),
            _p(row),
            str(row.get("items", 0)),
            str(row.get("trainings", 0)),
        ])  # fmt: skip
        published = [row["figures"].get(metric, {}) for metric in metrics]
        if any("published" in figure for figure in published):
            cells.append([f"{name}, published", *map(published_text, published), "", "", ""])
    for name, row in results["baselines"].items():
        figures = [cell(row["figures"].get(metric)) for cell, metric in shown]
        cells.append([BASELINES.get(name, name), *figures, "", "", ""])
    return head, cells


def figure_text(figure: Mapping[str, Any] | None) -> str:
    """`0.612 [0.580, 0.645] ± 0.010`: mean over seeds, 95 % interval, standard deviation over seeds."""
    if not figure or "value" not in figure:
        return "–"
    spread = "" if figure.get("sd") is None else f" ± {figure['sd']:.3f}"
    low, high = figure["low"], figure["high"]
    bounds = f" [{_number(low)}, {_number(high)}]" if has_width(low, high) else ""
    return f"{_number(figure['value'])}{bounds}{spread}"


def value_text(figure: Mapping[str, Any] | None) -> str:
    """`0.612`."""
    return _number(figure["value"]) if figure and "value" in figure else "–"


def published_text(figure: Mapping[str, Any]) -> str:
    """`0.886 (ours −0.080)`."""
    if "published" not in figure:
        return "–"
    ours = figure.get("difference_to_published")
    return f"{figure['published']:.4g}" + ("" if ours is None else f" (ours {ours:+.3f})".replace("-", "−"))


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _p(row: Mapping[str, Any]) -> str:
    """The corrected p-value of the test by group, or, where there are too few, by call."""
    for kind in ("by_group", "by_call"):
        p = row.get(f"{kind}_adjusted")
        if p is not None:
            return "<0.001" if p < 0.001 else f"{p:.3f}"
    return ""


def notes_of(results: Mapping[str, Any]) -> list[str]:
    """What a reader must know, a sentence each."""
    first = next(iter(results["rows"]))
    design = results["design"]
    groups, items = (
        max((row.get(what, 0) for row in results["rows"].values()), default=0) for what in ("groups", "items")
    )
    drawn = drawn_anew(groups, items)
    seeds = design["seeds"]
    said = f"Mean over seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"Seed {seeds[0]} alone"
    again = f"{drawn} and seeds" if len(seeds) > 1 else drawn
    notes = [
        f"{said}, pooled test items; brackets: 95 % intervals, {again} drawn anew (1000 draws)"
        + ("; ±: standard deviation over seeds." if len(seeds) > 1 else "."),
        f"p: paired exchange test of {name_of(results['metrics'][0])} against row {first}, with Holm's correction, "
        + ("group by group." if any("by_group" in row for row in results["rows"].values()) else "call by call."),
        *too_few_groups(groups, items),
        f"Tested on {results['tested_on']}.",
    ]
    if ", " in results["commit"]:
        notes.append(f"Trained at commits {results['commit']}: the code had changed between these trainings.")
    if any("published" in f for row in results["rows"].values() for f in row["figures"].values()):
        notes.append("Published figures are of others' code, splits and seeds; they stand beside ours for context.")
    notes += [f"{name}: {row['source']}" for name, row in results["rows"].items() if row.get("source")]
    notes += [
        f"{name} learns {before['calls']:,} calls of {before['groups']} groups first, less those of the groups that "
        f"it is validated or tested on (data {before['sha256'][:12]})"
        + (f", with {settings_text(before['settings'])}." if before["settings"] else ".")
        for name, row in results["rows"].items()
        if (before := row.get("before"))
    ]
    notes += [f"Not run: {name}; {why}." for name, why in results["left_out"].items()]
    notes += [f"Not there: {sentence}" for sentence in results["data"]["absent"]]
    notes += [*results["baseline_notes"], *results["notes"]]
    return notes + [f"Failed: {why}" for row in results["rows"].values() for why in row.get("failed", ())]


def settings_text(settings: Iterable[str], most: int = 60) -> str:
    """Settings in a sentence; of a long one, such as a whole label scheme, its name alone."""
    return ", ".join(each if len(each) <= most else f"another {each.partition('=')[0]}" for each in settings)


def page_of(results: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    head, cells = table_of(results)
    whole_head, whole = table_of(results, whole=True)
    lines = [f"# {results['title']}", ""]
    if results["not_a_result"]:
        lines += [f"**A try, not a result: {results['not_a_result']}.**", ""]
    lines += [_markdown(head), _markdown(["---"] * len(head)), *map(_markdown, cells), ""]
    lines += [f"- {note}" for note in notes_of(results)]
    lines += ["", "## Data", "", *(f"- {sentence}" for sentence in results["data"]["counted"])]
    lines += [f"- licence: {results['licence']}", f"- {results['citation']}"]
    lines += ["", "## Every figure with its interval", ""]
    lines += [_markdown(whole_head), _markdown(["---"] * len(head)), *map(_markdown, whole)]
    lines += ["", "## Rows", "", *(f"- {name}: {row['about']}" for name, row in results["rows"].items())]
    lines += ["", f"`{results['command']}` (commit {results['commit'] or 'unknown'}, {results['date']})"]
    return "\n".join(lines) + "\n"


def _markdown(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def csv_of(results: Mapping[str, Any]) -> str:
    """A line for every row and metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    plain = ("value", "low", "high", "sd", "published", "difference_to_published")
    writer.writerow(["benchmark", "kind", "row", "metric", *plain, "items", "not_a_result"])
    for kind, rows in (("row", results["rows"]), ("baseline", results["baselines"])):
        for name, row in rows.items():
            for metric, figure in row["figures"].items():
                writer.writerow([results["benchmark"], kind, name, metric, *(figure.get(each) for each in plain),
                                 row.get("items"), results["not_a_result"]])  # fmt: skip
    return text.getvalue()


def chart_of(results: Mapping[str, Any]) -> str | None:
    """Bars of the first metric; the dashed line is the commonest answer's. None where no row has a figure."""
    metric = results["metrics"][0]
    drawn = _drawn(results["rows"], metric)
    if not drawn:
        return None
    drawn += [(BASELINES.get(name, name), figure) for name, figure in _drawn(results["baselines"], metric)]
    bars = [Bar(name, f["value"], f["low"], f["high"], f"{f['value']:.3f}") for name, f in drawn]
    said = "; ".join(f"{name} {figure_text(figure)}" for name, figure in drawn)
    majority = results["baselines"].get("majority", {}).get("figures", {}).get(metric, {}).get("value")
    title = f"{results['title']}: {name_of(metric)}" + (" (a try)" if results["not_a_result"] else "")
    return bar_chart(title, f"{name_of(metric)} with 95 % intervals: {said}.", bars, axis=name_of(metric),
                     reference=majority)  # fmt: skip


def _drawn(rows: Mapping[str, Any], metric: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, figure) for name, row in rows.items() if "value" in (figure := row["figures"].get(metric, {}))]
