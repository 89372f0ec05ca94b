"""The practice calls of the shipped model: audio must say nothing about source, split or grade."""

from __future__ import annotations

from collections import defaultdict

from callsift.types import Call, Turn
from recipes import practice_calls
from recipes.practice_calls import GENERATED, Plan, source_of


def _calls() -> list[Call]:
    turns = (Turn("agent", "hello"), Turn("customer", "yes"))
    labels = [("A", "B", "C"), ("D", "E")]
    real = [Call(f"persuasionforgood-{at}", language="en", turns=turns, label=labels[at % 2]) for at in range(300)]
    made = [Call(f"generated-{at}", language="zh", turns=turns, label="ABCDE"[at % 5]) for at in range(200)]
    return real + made


def test_the_same_share_is_voiced_everywhere() -> None:
    plan = Plan()
    for source in ("persuasionforgood", GENERATED):
        calls = practice_calls._split([call for call in _calls() if source_of(call) == source], plan.seed)
        spoken = set(practice_calls._voiced(calls, plan))
        shares: dict[tuple[object, ...], list[bool]] = defaultdict(list)
        for at, call in enumerate(calls):
            shares[(call.split,)].append(at in spoken)
            shares[(call.label,)].append(at in spoken)
        for kind, voiced in shares.items():
            assert abs(sum(voiced) / len(voiced) - plan.voiced) < 0.08, kind


def test_splits_are_disjoint_and_of_their_size() -> None:
    calls = practice_calls._split(_calls(), seed=7)
    shares = {split: sum(call.split == split for call in calls) / len(calls) for split in ("train", "val", "test")}
    assert abs(shares["test"] - 0.2) < 0.02
    assert abs(shares["val"] - 0.1) < 0.02
