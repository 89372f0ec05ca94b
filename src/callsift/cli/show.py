"""What commands show a person: the ranked table, progress, warnings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import Any, TypeVar

from callsift.scoring.report import label_text, ordered_by, ranked
from callsift.types import Label, Note

Item = TypeVar("Item")

PIPED_WIDTH = 140
MOMENT_WIDTH = 70
LINE_EVERY_S = 30.0
NAMED_CALLS = 3


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Pass items through, with a bar on stderr if that is a terminal, a line there now and then if it is none."""
    from rich import progress as rich
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from _with_lines(items, total, what)
        return
    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        for item in items:
            bar.advance(task)
            yield item


@contextmanager
def step_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """What to call with steps done and their number at most: a bar with the time left, on a terminal.

    It appears with the first step, so that other bars may come before it.
    """
    from rich import progress as rich
    from rich.console import Console

    console = Console(stderr=True)
    columns = (rich.TextColumn(what), rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
    bar = rich.Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

    def on_step(done: int, total: int) -> None:
        if not bar.task_ids:
            bar.add_task(what)
            bar.start()
        bar.update(bar.task_ids[0], completed=done, total=total)

    try:
        yield on_step
    finally:
        bar.stop()


def _with_lines(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The lines come from a thread of their own: an hour's call takes minutes, in which something must be said."""
    began_s, done, over = monotonic(), 0, Event()

    def tell() -> None:
        while not over.wait(LINE_EVERY_S):
            say(f"{what}: {done} of {total}, {monotonic() - began_s:.0f} s")

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        for item in items:
            done += 1
            yield item
    finally:
        over.set()
        teller.join()


def print_table(rows: Sequence[Mapping[str, Any]], true_labels: Mapping[str, Label | None] | None = None) -> None:
    """The ranked table of result rows on stdout; `true_labels` adds the grade given by people."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("#", justify="right", style="dim", no_wrap=True)
    phoning = any("call_back" in row for row in rows)
    if phoning:
        table.add_column("back", justify="center", no_wrap=True)
    table.add_column("grade", justify="center", no_wrap=True)
    if true_labels is not None:
        table.add_column("true", justify="center", no_wrap=True)
    for name in ("propensity", "rank", "length"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("call", overflow="fold", min_width=18)
    table.add_column("most telling moment", overflow="ellipsis", no_wrap=True, max_width=MOMENT_WIDTH)
    for place, row in enumerate(ranked(rows), start=1):
        truth = () if true_labels is None else (label_text(true_labels.get(row["call_id"])),)
        mark = ("●" if row.get("call_back") else "",) if phoning else ()
        cells = (str(place), *mark, row["grade"] or "–", *truth, *_numbers(row), row["call_id"], _moment(row))
        table.add_row(*map(Text, cells))  # as it is: a transcript's [brackets] are not markup
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    console.print(table)
    if legend := _legend(rows):
        console.print(Text(legend, "dim"))


def print_columns(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, width: int = PIPED_WIDTH) -> None:
    """A plain table on stdout, as wide as it is whatever the terminal's width; cells are text, not markup."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in head:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(width=width)
    if title:
        console.print(Text(title, "italic"), soft_wrap=True)  # a table's own title is broken where the table is narrow
    console.print(table)


def print_figures(title: str, figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Figures per task with intervals, as `evaluation.tasks` gives them, on stdout."""
    from callsift.evaluation.tasks import table_of

    print_columns(title, *table_of(figures))


def _legend(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the table's numbers mean, in one line."""
    weighed = any(_moved(segment) is not None for row in rows for segment in row["segments"])
    explained = next((row["explained"] for row in rows if row.get("explained")), "propensity")
    parts = (ordered_by(rows), f"±0.10: what that moment adds to the {explained}" if weighed else "")
    return "; ".join(part for part in parts if part)


def _moved(segment: Mapping[str, Any]) -> float | None:
    """What a segment adds to the propensity; where evidence was asked for, to whatever the model says of the call."""
    found: float | None = segment["contribution"] if segment["contribution"] is not None else segment.get("weight")
    return found


def _numbers(row: Mapping[str, Any]) -> tuple[str, str, str]:
    seconds = row["duration_s"]
    return (
        "–" if row["propensity"] is None else f"{row['propensity']:.2f}",
        "–" if row["rank_score"] is None else f"{row['rank_score']:.2f}",
        "–" if seconds is None else f"{int(seconds // 60)}:{int(seconds % 60):02d}",
    )


def _moment(row: Mapping[str, Any]) -> str:
    """The text of the segment that moved the answer most, empty if nothing is known of it, or the error."""
    if row["error"] is not None:
        return f"{row['error']['code']}: {row['error']['message']}"
    judged = [(by, segment) for segment in row["segments"] if (by := _moved(segment)) is not None]
    if not judged:
        return row["segments"][0]["text"] if row["segments"] else ""
    by, most = max(judged, key=lambda pair: abs(pair[0]))
    moved = f"{by:+.2f}"
    shown = "0.00" if float(moved) == 0 else moved  # neither -0.00 nor +0.00
    return f"{shown} {most['text']}" if most["text"].strip() else ""


def print_warnings(rows: Iterable[Mapping[str, Any]]) -> None:
    """Every kind of warning of result rows once on stderr, with the calls it concerns and what it says of the first."""
    _print_once((row["call_id"], note["code"], note["message"]) for row in rows for note in row["warnings"])


def print_notes(calls: Iterable[tuple[str, Iterable[Note]]]) -> None:
    """The same of the notes on calls, each with its id."""
    _print_once((call_id, note.code.value, note.message) for call_id, notes in calls for note in notes)


def _print_once(notes: Iterable[tuple[str, str, str]]) -> None:
    """Notes as (call id, code, message)."""
    messages: dict[str, dict[str, str]] = {}  # by code and call
    for call_id, code, message in notes:
        messages.setdefault(code, {}).setdefault(call_id, message)
    for code, calls in sorted(messages.items(), key=lambda item: -len(item[1])):
        named = ", ".join([*list(calls)[:NAMED_CALLS], *(["…"] if len(calls) > NAMED_CALLS else [])])
        first = next(iter(calls.values()))
        say(f"warning: {code} in {len(calls)} call{'s' if len(calls) > 1 else ''} ({named}): {first}")


def say(message: str) -> None:
    """One line on stderr."""
    print(message, file=sys.stderr)  # noqa: T201
