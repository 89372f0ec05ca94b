"""`callsift compare`: rows of runs side by side on the same items, with paired tests against one of them.

The figures are those of `callsift.evaluation.compare`: means over seeds, intervals over groups and seeds drawn anew,
the exchange test, and Holm's correction over the rows that one figure is tested of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from callsift.errors import DataError, UsageError
from callsift.evaluation.answered import Item, Progress, Row, plain_settings, shown_item
from callsift.evaluation.compare import INTERVAL_DRAWS, Tested, clustered, clustered_difference, exchange_test, holm
from callsift.evaluation.differences import unless_few, with_width
from callsift.evaluation.drawn import units_that_differ
from callsift.evaluation.metrics import Interval, draws_groups, over_seeds
from callsift.evaluation.questions import LESS_IS_BETTER, Question, chosen_metrics, questions_of, why_unasked
from callsift.evaluation.side_by_side_notes import notes_of, notes_on_tasks, paired
from callsift.labels import LabelScheme

EXCHANGES: Final = 10
"""Exchanges looked at for each draw of an interval."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A row's figure: the mean over seeds with its 95 % interval, the standard deviation over seeds (None of one), and
    how it differs from the reference row's. `seeds`: seed → figure. `pairs`: seeds that were paired."""

    row: str
    figure: Interval
    sd: float | None
    seeds: Mapping[int, float]
    difference: Interval | None = None
    tested: Tested | None = None
    p_adjusted: float | None = None
    pairs: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of one task, a cell a row. `items`: how many settled it."""

    task: str
    metric: str
    name: str
    items: int
    cells: tuple[Cell, ...]

    @property
    def less_is_better(self) -> bool:
        """Whether a lower value is the better one."""
        return self.metric in LESS_IS_BETTER


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The whole comparison. `settings`: key → row → its value, of those that differ. `drawn`: "group" or "call"."""

    split: str
    reference: str
    rows: tuple[Row, ...]
    scheme: LabelScheme
    items: int
    calls: int
    groups: int
    drawn: str
    settings: Mapping[str, Mapping[str, Any]]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]


def side_by_side(
    rows: Sequence[Row],
    split: str,
    progress: Progress,
    *,
    metrics: Sequence[str] = (),
    task: str | None = None,
    reference: str | None = None,
    shared: bool = False,
    draws: int = INTERVAL_DRAWS,
) -> SideBySide:
    """Compare rows on the items that all of them answered.

    Args:
        rows: two or more.
        split: where their answers are from, for the notes.
        progress: passes items through and shows how far it is.
        metrics: names as in `known_metrics`; none: a readable few.
        task: the only task to look at; None: all.
        reference: the row that others are compared with; None: the first.
        shared: leave out what not all of them answered.
        draws: resamplings of an interval; a test looks at some times as many exchanges.

    Raises:
        UsageError: an unknown metric, task or row.
        DataError: other grades, other labels, or other items.
    """
    first = reference_of(rows, reference)
    scheme = first.scheme
    _check_schemes(rows, first)
    items = _common(rows, first, shared)
    chosen = chosen_metrics(scheme, metrics)
    if task is not None and task not in scheme.class_counts:
        raise UsageError(f"--task {task}: label scheme '{scheme.id}' has {', '.join(scheme.class_counts)}")
    owners = _owners(rows, items)
    calls = [call for call, _ in items]
    tasks = [task] if task else list(scheme.class_counts)
    asked = list(questions_of(rows, first, items, owners, chosen, tasks))
    settled = {question.key for question in asked}
    lacking = {key: why_unasked(scheme, key, tasks) for key in chosen if key not in settled}
    figures, undefined = [], []
    for question in progress(asked, len(asked), "comparing"):
        try:
            figures.append(_figure(question, rows, first, draws))
        except DataError as error:
            undefined.append(f"No {question.name} of {question.task}: {error}.")
    if not figures:
        raise DataError(
            " ".join(undefined).removesuffix(".") or "; ".join(f"{chosen[k]}: {w}" for k, w in lacking.items())
        )
    undefined += [f"No {chosen[key]}: {why}." for key, why in lacking.items() if key in metrics or task is None]
    return SideBySide(
        split, first.name, tuple(rows), scheme, len(items), len(set(calls)), len(set(owners)),
        "group" if draws_groups(owners, calls) else "call", changed_settings(rows), tuple(figures),
        (*notes_of(rows, first, items, owners, split), *notes_on_tasks(asked, owners, calls), *undefined),
    )  # fmt: skip


def reference_of(rows: Sequence[Row], name: str | None) -> Row:
    """The row of a name, else the first.

    Raises:
        UsageError: there is none of that name.
    """
    found = next((row for row in rows if name in (None, row.name)), None)
    if found is None:
        raise UsageError(f"--reference {name}: the rows are {', '.join(row.name for row in rows)}")
    return found


def changed_settings(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Setting → row → its value, of those settings that differ between rows; `data` where their manifests do."""
    plain = {row.name: {**plain_settings(row.config), "data": _data_of(row)} for row in rows}
    keys = dict.fromkeys(key for each in plain.values() for key in each)
    found = {key: {name: each.get(key) for name, each in plain.items()} for key in keys}
    return {key: values for key, values in found.items() if len(set(map(repr, values.values()))) > 1}


def _data_of(row: Row) -> str:
    return ", ".join(sha256[:12] for sha256 in row.data)


def _check_schemes(rows: Sequence[Row], first: Row) -> None:
    for row in rows:
        mine, theirs = ((r.scheme.kind, r.scheme.grades, r.scheme.range) for r in (row, first))
        if mine != theirs:
            raise DataError(
                f"row '{row.name}' answers by label scheme '{row.scheme.id}' ({_scheme(row.scheme)}) and row "
                f"'{first.name}' by '{first.scheme.id}' ({_scheme(first.scheme)}): their answers can't be compared"
            )


def _scheme(scheme: LabelScheme) -> str:
    return f"numbers {scheme.range[0]:g} to {scheme.range[1]:g}" if scheme.range else ", ".join(scheme.grades)


def _common(rows: Sequence[Row], first: Row, shared: bool) -> list[Item]:
    """The items that all rows answered with every seed, in a fixed order; all must have the same label everywhere.

    Raises:
        DataError: items differ and only the shared ones are not asked for, or none is shared, or a label differs.
    """
    every = sorted({item for row in rows for answers in row.seeds.values() for item in answers})
    answered = [row.items for row in rows]
    common = sorted(set.intersection(*answered))
    if not common:
        raise DataError(f"the rows have no item in common: {_why_apart(rows)}")
    if len(common) < len(every) and not shared:
        item, lacking = next((item, row) for item in every for row, own in zip(rows, answered, strict=True)
                             if item not in own)  # fmt: skip
        learnt = ", which it learned from" if item[0] in lacking.learnt else ""
        raise DataError(
            f"row '{lacking.name}' has no answer to {shown_item(item)}{learnt}; {len(common)} of {len(every)} items "
            "are shared by all rows: compare on these with --shared"
        )
    known = next(iter(first.seeds.values()))
    for row in rows:
        for answers in row.seeds.values():
            if other := next((item for item in common if answers[item].label != known[item].label), None):
                raise DataError(
                    f"{shown_item(other)} has label {known[other].label!r} in row '{first.name}' and "
                    f"{answers[other].label!r} in '{row.name}': train both on the same labels"
                )
    return common


def _why_apart(rows: Sequence[Row]) -> str:
    """Why rows share no item."""
    if apart := next((row for row in rows if not row.items), None):
        return f"the seeds of row '{apart.name}' were themselves tested on different calls; train them on one split"
    kinds = {row.name: "segments" if any(segment for _, segment in row.items) else "calls" for row in rows}
    if len(set(kinds.values())) > 1:
        return ", ".join(f"row '{name}' answers for {kind}" for name, kind in kinds.items())
    return "they were tested on different calls"


def _owners(rows: Sequence[Row], items: Sequence[Item]) -> list[str]:
    """What each item belongs to; older runs do not tell, and then another row may."""
    every = [answers for row in rows for answers in row.seeds.values()]
    return [next((a[item].group for a in every if a[item].group != item[0]), item[0]) for item in items]


def _figure(asked: Question, rows: Sequence[Row], first: Row, draws: int) -> Figure:
    cells = [_cell(asked, row, first, draws) for row in rows]
    tested = [at for at, cell in enumerate(cells) if cell.tested is not None]
    for at, p in zip(tested, holm([cells[at].tested.p for at in tested]), strict=True):  # type: ignore[union-attr]
        cells[at] = replace(cells[at], p_adjusted=p)
    name = asked.name
    return Figure(asked.task, asked.key, name, len(asked.truth), tuple(cells))


def _cell(asked: Question, row: Row, first: Row, draws: int) -> Cell:
    """A row's figure, and how it compares with the reference row."""
    mine = asked.said[row.name]
    figure = clustered(asked.metric, asked.truth, list(mine.values()), asked.owners, draws=draws)
    if asked.key == "ece":  # drawing anew adds to a calibration error: the basic interval, as in `reliability`
        v = figure.value
        figure = Interval(v, max(0.0, min(2 * v - figure.high, v)), max(2 * v - figure.low, v))
    else:
        figure = with_width(asked.metric, figure, asked.truth, next(iter(mine.values())), asked.owners)
    values = {seed: float(asked.metric(asked.truth, said)) for seed, said in mine.items()}
    cell = Cell(row.name, figure, over_seeds(list(values.values()))[1], values)
    if row is first:
        return cell
    theirs = asked.said[first.name]
    pairs = paired(list(mine), list(theirs))
    one, other = [mine[a] for a, _ in pairs], [theirs[b] for _, b in pairs]
    given = (asked.metric, asked.truth, one, other, asked.owners)
    return replace(
        cell,
        difference=unless_few(clustered_difference(*given, draws=draws), units_that_differ(*given)),
        tested=None if asked.key == "ece" else exchange_test(*given, draws=draws * EXCHANGES),
        pairs=len(pairs),
    )
