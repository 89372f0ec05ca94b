"""docs/results.md from the rows of docs/results.jsonl: a table of contents, a summary of the benchmarks, and what was
measured by subject, each with the command, the commit and the data that it is from.

A benchmark's row has `figures` row → metric → {value, low, high, sd, seeds, published}; and, where it has them,
`metrics` (the first is what the data set is known by), `baselines` name → metric → figure, `paper` row → metric →
number, and `target` metric → number (`benchmarks/bench.py`). Nothing here knows a figure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from callsift.benchmarks.written import settings_text

Record = Mapping[str, Any]

LESS_IS_BETTER: Final = ("mean_absolute_error", "MAE")
OTHER: Final = "Other"
SUBJECTS: Final[dict[str, tuple[str, ...]]] = {
    "Benchmarks": ("bench",),
    "Public data sets": ("mosi", "mood_calls", "persuasion_folds", "build_starter"),
    "Hearing": ("asr_wer", "hearing_spokenwoz", "leaks_spokenwoz", "made_sounds", "mono_speakers", "stereo_roles"),
    "Learning": ("homophones_cped", "selftrain_mood", "shift_mood", "silence_effect", "studies", "text_baseline"),
    "Cost": ("long_calls", "long_sequences", "real_size", "scoring_install"),
    "Robustness": ("faithfulness", "fuzz_audio", "killed_training"),
}
"""Subject → the modules whose records belong there."""


def page_of(rows: Iterable[Record]) -> str:
    """The page: of every experiment its latest row, if it has figures."""
    latest: dict[str, Record] = {}
    for row in rows:
        latest[row["experiment"]] = row
    by_subject: dict[str, list[Record]] = {subject: [] for subject in (*SUBJECTS, OTHER)}
    for name in sorted(latest, key=str.casefold):
        if latest[name]["figures"]:
            by_subject[subject_of(latest[name])].append(latest[name])
    by_subject = {subject: found for subject, found in by_subject.items() if found}
    lines = [
        "# Results",
        "",
        "Generated from `results.jsonl` by `python -m benchmarks.results`; nothing here is typed by hand.",
        "Brackets are 95 % bootstrap intervals, ± is the standard deviation over seeds.",
        "A commit with a plus had changes in its tree.",
        "",
        *_contents(by_subject),
        *_summary(by_subject.get("Benchmarks", [])),
    ]
    for subject, found in by_subject.items():
        lines += ["", f"## {subject}"]
        for row in found:
            lines += ["", f"### {row['experiment']}", "", f"`{row['command']}`", "", about_of(row), ""]
            lines += table(row["figures"])
            lines += _more(row)
    return "\n".join(lines) + "\n"


def subject_of(row: Record) -> str:
    """The subject of a record, by the command that made it."""
    if row["experiment"].startswith("bench "):
        return "Benchmarks"
    module = _module_of(row).rpartition(".")[2]
    return next((subject for subject, modules in SUBJECTS.items() if module in modules), OTHER)


def _module_of(row: Record) -> str:
    """`benchmarks.asr_wer`; of another command its first word."""
    words = str(row.get("command", "")).split()
    return words[words.index("-m") + 1] if "-m" in words[:-1] else next(iter(words), "")


def _replaced(row: Record) -> bool:
    """Whether a benchmark's own script is there no more."""
    package, _, module = _module_of(row).partition(".")
    return package == "benchmarks" and not Path(__file__).with_name(f"{module}.py").is_file()


def about_of(row: Record) -> str:
    """Commit, date, seeds, data and machine, as far as they were kept; and whether the command is there no more."""
    study = row.get("study", {})
    seeds = row.get("seeds") or study.get("seeds") or ([row["seed"]] if row.get("seed") is not None else [])
    data, machine = str(row.get("data_sha256") or ""), row.get("machine") or {}
    hashes = ", ".join(each.strip()[:12] for each in data.split(","))
    parts = [
        f"commit {row['commit']}",
        row["date"],
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}" if seeds else "",
        f"data {hashes}" if hashes else "",
        f"{machine['cores']} cores of {machine['cpu']}" if machine.get("cpu") else "",
        "recorded by a command since replaced by `callsift bench`" if _replaced(row) else "",
    ]
    return "; ".join(part for part in parts if part)


def _more(row: Record) -> list[str]:
    """Baselines, what was not run or not there, the study's own command, and the chart."""
    lines = []
    if row.get("baselines"):
        lines += ["", "Baselines:", "", *table({name: _figures(each) for name, each in row["baselines"].items()})]
    notes = [f"Tested on {row['tested_on']}."] if row.get("tested_on") else []
    notes += [f"Licence of the data: {row['licence']}"] if row.get("licence") else []
    if ", " in row["commit"]:
        notes.append(f"Trained at commits {row['commit']}: the code had changed between these trainings.")
    notes += [
        f"{name} learned {each['calls']:,} calls of {each['groups']} groups first, less those of the groups that it "
        f"was validated or tested on; data {each['sha256'][:12]}"
        + (f"; settings for that: {settings_text(each['settings'])}." if each.get("settings") else ".")
        for name, each in row.get("before", {}).items()
    ]
    notes += [f"Not run: {name}; {why}." for name, why in row.get("left_out", {}).items()]
    notes += [f"Not there: {sentence}" for sentence in row.get("absent", ())]
    lines += ["", *(f"- {note}" for note in notes)] if notes else []
    if row.get("study", {}).get("command"):
        lines += ["", f"The study: `{row['study']['command']}`"]
    if "chart" in row:
        lines += ["", f"![{row['experiment']}]({row['chart']})"]
    return lines


def _contents(by_subject: Mapping[str, Sequence[Record]]) -> list[str]:
    lines, taken = [], dict.fromkeys(["results", "contents", "summary-of-the-benchmarks"], 1)
    for subject, found in by_subject.items():
        lines.append(f"- [{subject}](#{_slug(subject, taken)})")
        lines += [f"  - [{row['experiment']}](#{_slug(row['experiment'], taken)})" for row in found]
    return lines


def _slug(title: str, taken: dict[str, int]) -> str:
    """The anchor that GitHub gives a heading; a second one of the same name is numbered."""
    plain = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
    taken[plain] = taken.get(plain, 0) + 1
    return plain if taken[plain] == 1 else f"{plain}-{taken[plain] - 1}"


def _summary(rows: Sequence[Record]) -> list[str]:
    """Of every benchmark the best row by its first metric, and by every other one that has a target, beside the best
    baseline, the paper and the target."""
    if not rows:
        return []
    lines = ["", "## Summary of the benchmarks", ""]
    lines += _markdown(["benchmark", "metric", "best row", "figure", "baseline", "published", "target", "reached"])
    lines += [_line(_summed(row, metric)) for row in rows for metric in _summed_by(row)]
    return [*lines, "", "The best row is chosen by the very test items that it is shown on, which flatters it."]


def _summed_by(row: Record) -> list[str]:
    """The metric that the data set is known by, and those that were to reach a target."""
    targets = row.get("target", {})
    first = next(iter([*row.get("metrics", ()), *targets, *_figures(next(iter(row["figures"].values())))]))
    return list(dict.fromkeys([first, *targets]))


def _summed(row: Record, metric: str) -> list[str]:
    figures = {name: _figures(each) for name, each in row["figures"].items()}
    found = {name: each[metric] for name, each in figures.items() if "value" in each.get(metric, {})}
    sign = -1 if metric.startswith(LESS_IS_BETTER) else 1
    if not found:
        return [row["experiment"].removeprefix("bench "), metric, *["–"] * 6]
    best = max(found, key=lambda name: sign * found[name]["value"])
    plain = {name: _figures(each).get(metric, {}) for name, each in row.get("baselines", {}).items()}
    plain = {name: each for name, each in plain.items() if "value" in each}
    base = max(plain, key=lambda name: sign * plain[name]["value"]) if plain else None
    target = row.get("target", {}).get(metric)
    reached = "–" if target is None else "yes" if sign * found[best]["value"] >= sign * target else "no"
    return [
        row["experiment"].removeprefix("bench "), metric, best, shown(found[best]),
        "–" if base is None else f"{shown(plain[base])} ({base})",
        _published(row, metric, best, found),
        "–" if target is None else f"{'≤' if sign < 0 else '≥'} {target:.3g}",
        reached,
    ]  # fmt: skip


def _published(row: Record, metric: str, best: str, found: Mapping[str, Record]) -> str:
    """What was published for the best row, else for another one, which is then named."""
    paper = {name: each[metric] for name, each in row.get("paper", {}).items() if metric in each}
    paper |= {name: each["published"] for name, each in found.items() if "published" in each}
    if best in paper:
        return f"{paper[best]:.3f}"
    return next((f"{value:.3f} ({name})" for name, value in paper.items()), "–")


def _figures(row: Record) -> Mapping[str, Any]:
    """Metric → figure, wherever a row keeps them."""
    inner = row.get("figures", row)
    return inner if isinstance(inner, Mapping) else {}


def table(figures: Mapping[str, Any]) -> list[str]:
    """Figures as a Markdown table; where each is a row of figures itself, one column for each of these."""
    rows = list(figures.values())
    if not all(isinstance(row, Mapping) and not _is_figure(row) for row in rows):
        return [*_markdown(["figure", "value"]), *(_line([key, shown(value, key)]) for key, value in figures.items())]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = _markdown(["", *columns])
    for name, row in figures.items():
        lines.append(_line([name, *(shown(row[column], column) if column in row else "–" for column in columns)]))
        paper = {key: each["published"] for key, each in row.items() if _is_figure(each) and "published" in each}
        if paper:
            lines.append(_line([f"{name}, published", *(shown(paper.get(column, "")) for column in columns)]))
    return lines


def _markdown(head: Sequence[str]) -> list[str]:
    return [_line(head), _line(["---"] * len(head))]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _is_figure(value: Any) -> bool:
    return isinstance(value, Mapping) and "value" in value


def shown(value: Any, name: str = "") -> str:
    """A figure for people: `0.612 [0.580, 0.645] ± 0.010`, `0.612`, or as it is; a small p is `<0.001`, never zero."""
    if _is_figure(value):
        bounds = f" [{value['low']:.3f}, {value['high']:.3f}]" if "low" in value else ""
        spread = f" ± {value['sd']:.3f}" if value.get("sd") is not None else ""
        return f"{value['value']:.3f}{bounds}{spread}"
    if isinstance(value, float):
        return "<0.001" if value < 0.001 and name.partition(" ")[0] == "p" else f"{value:.3f}"
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return str(value)
