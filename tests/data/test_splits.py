"""Splits: what belongs together stays together, grades are spread, seeds repeat."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsift.data.same_audio import same_audio
from callsift.data.splits import check_classes, check_groups, deal, folds, groups_of, hold_out, target_of
from callsift.errors import DataError
from callsift.labels import load_scheme
from callsift.types import Call, RaterLabel, Segment

MARKETCALLS = load_scheme("marketcalls")


def _calls(groups: list[int], labels: str = "ABCDE") -> list[Call]:
    return [Call(str(i), group=f"g{g}", label=labels[i % len(labels)]) for i, g in enumerate(groups)]


@given(st.lists(st.integers(0, 20), min_size=30, max_size=80), st.integers(2, 5), st.integers(0, 5))
def test_folds_partition_and_keep_groups_whole(groups: list[int], count: int, seed: int) -> None:
    calls = _calls(groups)
    if len(set(groups)) < count:
        return
    found = folds(calls, count, seed)
    assert sorted(at for fold in found for at in fold) == list(range(len(calls)))
    homes = [{calls[at].group for at in fold} for fold in found]
    assert sum(len(home) for home in homes) == len(set.union(*homes))
    assert found == folds(calls, count, seed)


def test_grades_are_spread_evenly() -> None:
    calls = _calls(list(range(100)), "AAAB")
    for fold in folds(calls, 5, seed=3):
        counts = Counter(calls[at].label for at in fold)
        assert counts == {"A": 15, "B": 5}


def test_hold_out_takes_about_its_share() -> None:
    for share in (0.05, 0.15, 0.5, 0.8):
        kept, held_out = hold_out(_calls(list(range(100))), share, seed=1)
        assert abs(len(held_out) - 100 * share) <= 3
        assert sorted(kept + held_out) == list(range(100))
    kept, held_out = hold_out(_calls([0, 1, 2]), 0.15, seed=1)
    assert (len(kept), len(held_out)) == (2, 1)


_groups = st.lists(st.integers(1, 6), min_size=2, max_size=25)


@given(_groups, st.sampled_from([0.001, 0.15, 0.5, 0.9, 0.999]), st.integers(0, 5))
def test_hold_out_keeps_groups_whole_and_a_group_on_each_side(sizes: list[int], share: float, seed: int) -> None:
    calls = _calls([number for number, size in enumerate(sizes) for _ in range(size)])
    kept, held_out = hold_out(calls, share, seed)
    assert sorted(kept + held_out) == list(range(len(calls)))
    sides = [{calls[at].group for at in part} for part in (kept, held_out)]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert hold_out(calls, share, seed) == (kept, held_out)


@given(st.integers(4, 40), st.integers(0, 200))
def test_a_rare_grade_is_held_out_in_its_share(rare: int, seed: int) -> None:
    """From the four calls whose share of 15 % is more than half a call, some are held out, whatever the seed."""
    calls = [Call(str(at), label="A" if at < rare else "BC"[at % 2]) for at in range(8 * rare)]
    held_out = hold_out(calls, 0.15, seed)[1]
    assert abs(sum(calls[at].label == "A" for at in held_out) - 0.15 * rare) <= 1
    assert any(calls[at].label == "A" for at in held_out)


@given(st.lists(st.lists(st.integers(0, 9), min_size=5, max_size=5), min_size=6, max_size=6), st.integers(0, 9))
def test_of_six_groups_alike_in_size_one_is_held_out(weights: list[list[int]], seed: int) -> None:
    """An inner validation speaker, however differently the speakers' calls are graded."""
    pools = ["".join(grade * count for grade, count in zip("ABCDE", each, strict=True)) or "A" for each in weights]
    calls = [Call(f"{g}-{at}", group=f"g{g}", label=pool[at % len(pool)]) for g, pool in enumerate(pools)
             for at in range(100)]  # fmt: skip
    assert len({calls[at].group for at in hold_out(calls, 0.15, seed)[1]}) == 1


def test_too_few_groups_and_groups_on_both_sides() -> None:
    with pytest.raises(DataError, match="2 groups"):
        folds(_calls([0, 0, 1]), 3, seed=0)
    with pytest.raises(DataError, match="group 'g0' lies in split 'train' and in 'test'"):
        check_groups({"train": _calls([0]), "test": _calls([0])})


_counts = st.lists(st.integers(2, 60), min_size=2, max_size=5)


@given(_counts, st.sampled_from([(0.7, 0.1, 0.2), (0.9, 0.1), (0.5, 0.25, 0.25)]), st.integers(0, 5))
def test_unequal_parts_have_their_share_of_every_grade(counts: list[int], shares: tuple[float, ...], seed: int) -> None:
    """Without groups each part is within two calls of its share, of every grade and of all."""
    labels = [grade for grade, count in zip("ABCDE", counts, strict=False) for _ in range(count)]
    calls = [Call(str(at), label=label) for at, label in enumerate(labels)]
    parts = deal(calls, shares, seed)
    assert sorted(at for part in parts for at in part) == list(range(len(calls)))
    for part, share in zip(parts, shares, strict=True):
        assert part
        assert abs(len(part) - share * len(calls)) <= 2
        for grade, count in zip("ABCDE", counts, strict=False):
            assert abs(sum(calls[at].label == grade for at in part) - share * count) <= 2


def test_another_seed_is_another_split() -> None:
    calls = _calls(list(range(40)))
    assert len({str(deal(calls, (0.8, 0.2), seed)) for seed in range(10)}) == 10


def test_numbers_and_votes_are_spread_too() -> None:
    numbers = [Call(str(at), label=at / 10) for at in range(100)]
    for fold in folds(numbers, 4, seed=0):
        assert Counter(int(numbers[at].label // 2) for at in fold) == dict.fromkeys(range(5), 5)  # type: ignore[operator]
    votes = [
        Call(str(at), labels=(RaterLabel("ann", "AB"[at % 2]), RaterLabel("bob", "AB"[at % 2]))) for at in range(20)
    ]
    for fold in folds(votes, 5, seed=0):
        assert sum(votes[at].labels[0].label == "A" for at in fold) == 2


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_recordings_are_the_same_by_content_whatever_their_name(tmp_path: Path) -> None:
    long = bytes(range(256)) * 100
    one, copy = _file(tmp_path, "one", long), _file(tmp_path, "copy", long)
    other = _file(tmp_path, "other", long[:9000] + b"?" + long[9001:])  # differs where no sample is taken
    link = tmp_path / "link"
    link.symlink_to(other)
    empty, void = _file(tmp_path, "empty", b""), _file(tmp_path, "void", b"")
    absent = tmp_path / "absent"
    found = same_audio([one, other, copy, link, empty, void, absent])
    assert found == {one: one, other: other, copy: one, link: other, empty: empty, void: void, absent: absent}


def test_calls_are_linked_by_group_and_recording_in_chains(tmp_path: Path) -> None:
    one, copy = _file(tmp_path, "one.wav", b"same" * 9), _file(tmp_path, "copy.wav", b"same" * 9)
    clip = _file(tmp_path, "clip.wav", b"clip")
    calls = [
        Call("a", audio=one),
        Call("b", audio=copy, group="g"),
        Call("c", group="g", segments=(Segment("0", audio=clip),)),
        Call("d", segments=(Segment("0", audio=clip),)),
        Call("e"),
        Call("f", audio=tmp_path / "absent.wav"),
    ]
    names = groups_of(calls)
    assert len(set(names[:4])) == 1
    assert len(set(names)) == 3
    for seed in range(5):
        for part in deal(calls, (0.5, 0.3, 0.2), seed):
            assert len({0, 1, 2, 3} & set(part)) in {0, 4}


def test_a_recording_on_both_sides_is_named_with_both_calls(tmp_path: Path) -> None:
    parts = {
        "train": [Call("a", audio=_file(tmp_path, "one.wav", b"same"))],
        "test": [Call("b", audio=_file(tmp_path, "copy.wav", b"same"))],
    }
    with pytest.raises(
        DataError, match="recording 'copy.wav' of call 'b' lies in split 'test', and as 'one.wav' of call 'a' in"
    ):
        check_groups(parts)
    (tmp_path / "copy.wav").write_bytes(b"else")
    check_groups(parts)


def test_a_grade_with_a_single_call_is_named() -> None:
    calls = [
        Call("1", label="B"),
        Call("2", label="B"),
        Call("0042", label="A"),
        Call("3"),
        Call("4", label=("A", "B")),
    ]
    with pytest.raises(
        DataError, match=r"^grade 'A' has a single call \('0042'\): it can't be both learned and checked"
    ):
        check_classes(calls, MARKETCALLS)
    check_classes([*calls, Call("5", label="A")], MARKETCALLS)
    segments = [Call("1", segments=(Segment("0", label="A"), Segment("1", label="A")))]
    with pytest.raises(DataError, match="grade 'A' has a single call"):
        check_classes(segments, MARKETCALLS, "segment")
    check_classes(segments, MARKETCALLS)


def test_a_grade_in_a_single_group_is_named_where_groups_count() -> None:
    calls = [*(Call(f"a{at}", group="g1", label="A") for at in range(6)), *_calls(list(range(10)), "BC")]
    check_classes(calls, MARKETCALLS)
    with pytest.raises(DataError, match=r"^grade 'A' lies in a single group \('g1', 6 calls\): it can't be both"):
        check_classes(calls, MARKETCALLS, homes=groups_of(calls))
    with pytest.raises(DataError, match=r"^grade 'A' has a single call \('a5'\)"):
        check_classes(calls[5:], MARKETCALLS, homes=groups_of(calls[5:]))
    check_classes([*calls, Call("other", label="A")], MARKETCALLS, homes=[*groups_of(calls), "other"])


def test_labels_are_those_of_segments_where_only_they_have_any() -> None:
    graded = Call("1", segments=(Segment("0", label="A"),))
    assert target_of([graded, Call("2")]) == "segment"
    assert target_of([graded, Call("2", label="B")]) == "call"
    assert target_of([Call("2")]) == "call"


def test_a_part_without_a_group_takes_one() -> None:
    calls = [Call(str(at), group="big" if at < 50 else f"g{at}", label="A") for at in range(52)]
    assert all(deal(calls, (0.9, 0.05, 0.05), 0))
