"""What commands show a person: the ranked table, progress, warnings."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from callsift.scoring.report import label_text, ranked
from callsift.types import Label, Note

Item = TypeVar("Item")

PIPED_WIDTH = 140
MOMENT_WIDTH = 70


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Pass items through, with a bar on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        for item in items:
            bar.advance(task)
            yield item


def print_table(rows: Sequence[Mapping[str, Any]], true_labels: Mapping[str, Label | None] | None = None) -> None:
    """The ranked table of result rows on stdout; `true_labels` adds the grade given by people."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("#", justify="right", style="dim", no_wrap=True)
    table.add_column("grade", justify="center", no_wrap=True)
    if true_labels is not None:
        table.add_column("true", justify="center", no_wrap=True)
    for name in ("propensity", "rank", "length"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("call", overflow="fold", min_width=18)
    table.add_column("most telling moment", overflow="ellipsis", no_wrap=True, max_width=MOMENT_WIDTH)
    for place, row in enumerate(ranked(rows), start=1):
        truth = () if true_labels is None else (label_text(true_labels.get(row["call_id"])),)
        cells = (str(place), row["grade"] or "–", *truth, *_numbers(row), row["call_id"], _moment(row))
        table.add_row(*map(Text, cells))  # as it is: a transcript's [brackets] are not markup
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def _numbers(row: Mapping[str, Any]) -> tuple[str, str, str]:
    seconds = row["duration_s"]
    return (
        "–" if row["propensity"] is None else f"{row['propensity']:.2f}",
        "–" if row["rank_score"] is None else f"{row['rank_score']:.2f}",
        "–" if seconds is None else f"{int(seconds // 60)}:{int(seconds % 60):02d}",
    )


def _moment(row: Mapping[str, Any]) -> str:
    """The text of the segment that moved the propensity most, or the error."""
    if row["error"] is not None:
        return f"{row['error']['code']}: {row['error']['message']}"
    judged = [segment for segment in row["segments"] if segment["contribution"] is not None]
    if not judged:
        return row["segments"][0]["text"] if row["segments"] else ""
    most = max(judged, key=lambda segment: abs(segment["contribution"]))
    return f"{most['contribution']:+.2f} {most['text']}"


def print_warnings(rows: Iterable[Mapping[str, Any]]) -> None:
    """Every kind of warning of result rows once on stderr, with the number of calls it concerns."""
    _print_once([(note["code"], note["message"]) for note in row["warnings"]] for row in rows)


def print_notes(calls: Iterable[Iterable[Note]]) -> None:
    """The same of the notes on calls."""
    _print_once([(note.code.value, note.message) for note in notes] for notes in calls)


def _print_once(calls: Iterable[Iterable[tuple[str, str]]]) -> None:
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for notes in calls:
        for code, message in dict(notes).items():
            first.setdefault(code, message)
            counts[code] += 1
    for code, count in counts.most_common():
        say(f"warning: {code} in {count} call{'s' if count > 1 else ''}: {first[code]}")


def say(message: str) -> None:
    """One line on stderr."""
    print(message, file=sys.stderr)  # noqa: T201
