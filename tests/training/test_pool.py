"""What may be in a pool, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import DataError
from callsift.training.pool import Pool, checked_pool, read_pool
from callsift.types import Call, Segment, Turn

LONG = "Thank you, I would like to hear more about it"


def call(call_id: str, text: str = "", **about: object) -> Call:
    return Call(call_id, turns=(Turn("customer", text or f"this is what was said in call {call_id}"),), **about)  # type: ignore[arg-type]


def pool_of(*calls: Call) -> Pool:
    return Pool(Path("pool.jsonl"), calls, {})


def parts(train: Sequence[Call] = (), val: Sequence[Call] = (), test: Sequence[Call] = ()) -> dict[str, Sequence[Call]]:
    return {"train": train, "val": val, "test": test}


@pytest.fixture(scope="module")
def recordings(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A recording, its copy under another name, and another one."""
    folder = tmp_path_factory.mktemp("recordings")
    found = [folder / name for name in ("one.ogg", "copy.ogg", "other.ogg")]
    shutil.copy(demo / "calls/en-01-broadband.ogg", found[0])
    shutil.copy(demo / "calls/en-01-broadband.ogg", found[1])
    shutil.copy(demo / "calls/en-03-solar.ogg", found[2])
    return found


def test_what_a_model_is_judged_by_is_refused(recordings: list[Path]) -> None:
    one, copy, other = recordings
    judged = call("t", LONG, group="ann", audio=one, segments=(Segment("0", audio=other),))
    cases = [
        ("the call_id of call 't'", call("t")),
        ("group 'ann' of call 't'", call("p", group="ann")),
        ("the recording one.ogg of call 't'", call("p", audio=one)),
        ("the recording one.ogg of call 't'", call("p", audio=copy)),
        ("the recording other.ogg of call 't'", call("p", segments=(Segment("0", audio=other),))),
        ("the text of call 't'", call("p", LONG.upper() + " ...")),
    ]
    for why, bad in cases:
        for part, what in (("test", "test"), ("val", "validation")):
            expected = f"call '{bad.call_id}' of the pool overlaps with the {what} calls: {why}; take it out"
            with pytest.raises(DataError, match=expected):
                checked_pool(pool_of(call("fine"), bad), parts(**{part: [judged]}), chosen_here=False)


def test_more_than_one_are_counted() -> None:
    with pytest.raises(DataError, match=r"call 'a' \(and 1 more\)"):
        checked_pool(pool_of(call("a"), call("b")), parts(test=[call("a"), call("b")]), chosen_here=False)


def test_training_calls_are_left_out_with_a_note(recordings: list[Path]) -> None:
    one, copy, other = recordings
    known = [call("a"), call("b", LONG), call("c", audio=one), call("g", group="ann")]
    pool = pool_of(call("a"), call("p", LONG), call("q", audio=copy), call("r", audio=other), call("s", group="ann"))
    found = checked_pool(pool, parts(known, [call("v")]), chosen_here=False)
    assert [each.call_id for each in found.calls] == ["r", "s"]
    assert found.notes == ("3 calls of the pool are trained on with their own labels and left out of it",)
    with pytest.raises(DataError, match="none of 1 calls of the pool is left"):
        checked_pool(pool_of(call("a")), parts(known), chosen_here=False)


def test_short_texts_may_be_said_twice() -> None:
    found = checked_pool(
        pool_of(call("p", "Hello? Hello?")), parts(test=[call("t", "Hello? Hello?")]), chosen_here=False
    )
    assert len(found.calls) == 1


def test_validation_drawn_by_callsift_is_kept_out_of_the_pool() -> None:
    """Nobody could have known which group would be drawn: it is left out instead of refused. Test calls are refused."""
    pool = pool_of(call("p", group="ann"), call("q", group="bob"))
    found = checked_pool(pool, parts([call("a")], [call("v", group="ann")]), chosen_here=True)
    assert [each.call_id for each in found.calls] == ["q"]
    assert "1 calls of the pool are left out: they overlap with the calls drawn for validation" in found.notes
    with pytest.raises(DataError, match="overlaps with the test calls"):
        checked_pool(pool, parts([call("a")], [call("v")], [call("t", group="bob")]), chosen_here=True)


def test_labels_of_the_pool_are_taken_off(tmp_path: Path) -> None:
    path, data = tmp_path / "pool.jsonl", tmp_path / "data.jsonl"
    write_manifest(path, [call("p", label="A", group="x"), call("q")])
    write_manifest(data, [call("a", label="B"), call("b"), call("c", split="test"), call("d", split="train")])
    manifest = read_manifest(data)
    found = read_pool(path, manifest)
    assert [each.label for each in found.calls] == [None, None]
    assert found.truth == {"p": "A"}
    assert [each.call_id for each in read_pool(None, manifest).calls] == ["b", "d"]
    write_manifest(path, [replace(call("p"), split="test")])
    with pytest.raises(DataError, match=r"pool.jsonl, line 1: call 'p' of the pool stands in split 'test'"):
        read_pool(path, manifest)
    write_manifest(data, [call("a", label="B")])
    with pytest.raises(DataError, match="every call has a label"):
        read_pool(None, read_manifest(data))


def test_a_folder_of_recordings(recordings: list[Path], tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    write_manifest(data, [call("a", label="B")])
    found = read_pool(recordings[0].parent, read_manifest(data))
    assert [each.call_id for each in found.calls] == ["copy.ogg", "one.ogg", "other.ogg"]
