"""What a reader of a comparison must know before any figure of it, and which seeds it sets against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from callsift.evaluation.answered import Item, Row
from callsift.evaluation.metrics import FEW_GROUPS, draws_groups
from callsift.evaluation.questions import Question


def paired(one: Sequence[int], other: Sequence[int]) -> list[tuple[int, int]]:
    """Which seed of one row is set against which of another: the same ones; where there are none, in their order."""
    same = sorted(set(one) & set(other))
    return [(seed, seed) for seed in same] or list(zip(sorted(one), sorted(other), strict=False))


def notes_of(
    rows: Sequence[Row], first: Row, items: Sequence[Item], owners: Sequence[str], split: str
) -> Iterator[str]:
    """Of the rows and of the items that are compared, a sentence each; `owners`: the group of every item."""
    if split == "val":
        yield "Validation calls chose each run's epoch and calibration, which flatters; compare on a test split."
    calls = {call for call, _ in items}
    for row in rows:
        if leaked := sorted(row.leaked & calls):
            yield (
                f"Warning: row '{row.name}' learned from {len(leaked)} of these calls ('{leaked[0]}' is the first), "
                "itself or by the run that it started from: its figures flatter."
            )
        if row is not first:
            yield from _beside(row, first)
    every = {item for row in rows for answers in row.seeds.values() for item in answers}
    if len(items) < len(every):
        yield f"{len(every) - len(items)} of {len(every)} items are left out: not every row answered them."
    groups = len(set(owners))
    if groups < FEW_GROUPS and groups < len(calls):
        yield (
            f"These calls are of {groups} group{'s' if groups > 1 else ''}, too few to draw: intervals and tests are "
            "by call, and say something about these groups alone."
        )
    if len(calls) < FEW_GROUPS:
        yield (
            f"Of {len(calls)} call{'s' if len(calls) > 1 else ''} nothing can be shown: with fewer than {FEW_GROUPS} "
            "no test comes out below 0.05, whatever the answers."
        )


def notes_on_tasks(asked: Sequence[Question], owners: Sequence[str], calls: Sequence[str]) -> Iterator[str]:
    """Of tasks that labels settle for so few groups that calls are drawn, where groups are of the others."""
    if draws_groups(owners, calls):
        few = {each.task: each.groups for each in asked if each.groups < min(FEW_GROUPS, len(set(each.owners)))}
        for task, groups in few.items():
            yield (
                f"Labels settle {task} for {groups} group{'s' if groups > 1 else ''} alone, too few to draw: its "
                "intervals and tests are by call."
            )


def _beside(row: Row, first: Row) -> Iterator[str]:
    """Of a row and the one that it is compared with."""
    pairs = paired(list(row.seeds), list(first.seeds))
    if len(pairs) < max(len(row.seeds), len(first.seeds)):
        yield (
            f"Row '{row.name}' has seeds {_listed(row.seeds)} and '{first.name}' {_listed(first.seeds)}: the "
            f"difference and the test are of {len(pairs)} of them, the figures of all."
        )
    if any(a != b for a, b in pairs):
        yield f"Rows '{row.name}' and '{first.name}' have no seed in common: they are paired in order."
    if row.scheme.tasks != first.scheme.tasks:
        yield f"Row '{row.name}' learned other tasks; its grades answer those of '{first.name}'."
    if set(row.scheme.positive) != set(first.scheme.positive):
        yield f"Row '{row.name}' calls other grades buyers; those of '{first.name}' count."


def _listed(seeds: Mapping[int, Any]) -> str:
    return ", ".join(map(str, seeds))
