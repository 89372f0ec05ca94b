"""Manifests: what goes in comes out; what is wrong is named with file and line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import DataError
from callsift.labels import load_scheme
from callsift.types import Call, RaterLabel, Segment, Turn


def _write(folder: Path, *rows: Any) -> Path:
    path = folder / "manifest.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


TURNS = [{"role": "agent", "text": "hello"}]

_text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
_seconds = st.integers(0, 10_000).map(lambda ms: ms / 1000)
_turn = st.builds(
    lambda role, text, start, length, channel: Turn(role, text, start, round(start + length + 0.001, 3), channel),
    st.sampled_from(["agent", "customer", "unknown"]),
    _text,
    _seconds,
    _seconds,
    st.sampled_from([None, 0, 1]),
)
_label = st.one_of(
    st.none(), st.sampled_from("ABCDE"), st.just(("A", "B")), st.floats(-3, 3).map(lambda x: round(x, 2))
)


@settings(max_examples=50, deadline=None)
@given(st.lists(_turn, min_size=1, max_size=4), _label, st.sampled_from([None, "zh"]), st.sampled_from([None, "g1"]))
def test_written_and_read_back_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, turns: list[Turn], label: Any, language: str | None, group: str | None
) -> None:
    path = tmp_path_factory.mktemp("m") / "manifest.jsonl"
    call = Call(
        "c1",
        channels={0: "agent", 1: "customer"},
        language=language,
        group=group,
        label=label,
        labels=(RaterLabel("ann", "B"),),
        turns=tuple(turns),
        segments=(Segment("0", tuple(turns), 0.0, 3.5, label="A"),),
    )
    write_manifest(path, [call])
    assert read_manifest(path).calls == (call,)


def test_paths_are_relative_to_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    audio = tmp_path / "calls/a.wav"
    audio.write_bytes(b"x")
    path = _write(tmp_path, {"call_id": "a", "audio": "calls/a.wav"})
    found = read_manifest(path).calls[0]
    assert found.audio is not None
    assert found.audio.resolve() == audio.resolve()
    write_manifest(tmp_path / "deep/er/manifest.jsonl", [found])
    assert json.loads((tmp_path / "deep/er/manifest.jsonl").read_text())["audio"] == "../../calls/a.wav"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"call_id": "a", "audio": "absent.wav"}, "absent.wav' does not exist"),
        ({"call_id": "b", "turns": TURNS}, "stands on line 1 already"),
        ({"turns": TURNS}, "call_id"),
        ({"call_id": "a"}, "neither audio nor"),
        ({"call_id": "a", "turns": TURNS, "schema_version": 2}, "schema_version 2"),
        ({"call_id": "a", "turns": [{"role": "boss", "text": ""}]}, "role 'boss'"),
        ({"call_id": "a", "turns": [{"role": "agent", "start_s": 3, "end_s": 2}]}, "start ≤ end"),
        ({"call_id": "a", "turns": TURNS, "label": {"A": 1}}, "label"),
        ({"call_id": "a", "turns": "hello"}, "turns must be a list"),
        ({"call_id": "a", "turns": TURNS, "channels": ["agent"]}, "channels must be like"),
        ('{"call_id": "a", "turns": [{"text": "x", "start_s": 0, "end_s": Infinity}]}', "start ≤ end"),
        ({"call_id": "a", "turns": [{"text": 7}]}, "text must be a text"),
        ({"call_id": "a", "turns": [{"text": "x", "channel": -1}]}, "channel -1"),
        ({"call_id": "a", "segments": [{"segment_id": "0"}, {"segment_id": "0"}]}, "two segments"),
        ({"call_id": "a", "segments": [{"streams": [1]}]}, "streams must be like"),
        ({"call_id": "a", "segments": [{"streams": {"v": {"path": None, "key": "k"}}}]}, "a stream must be"),
        ({"call_id": "a", "turns": TURNS, "channels": {"²": "agent"}}, "channels must be like"),
        ("[1]", "must be a JSON object"),
        ("{", "not valid JSON"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, row: Any, message: str) -> None:
    path = _write(tmp_path, {"call_id": "b", "turns": TURNS}, row)
    with pytest.raises(DataError, match=message) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}, line 2: ")


def test_a_label_outside_the_scheme_names_its_line(tmp_path: Path) -> None:
    path = _write(
        tmp_path, {"call_id": "a", "turns": TURNS, "label": "A"}, {"call_id": "b", "turns": TURNS, "label": "Z"}
    )
    with pytest.raises(DataError, match="line 2: label 'Z' is not a grade of scheme 'marketcalls'"):
        read_manifest(path).check_labels(load_scheme("marketcalls"))


def test_a_raters_label_outside_the_scheme_is_named_too(tmp_path: Path) -> None:
    path = _write(tmp_path, {"call_id": "a", "turns": TURNS, "labels": [{"rater": "ann", "label": "Q"}]})
    with pytest.raises(DataError, match="line 1: label 'Q'"):
        read_manifest(path).check_labels(load_scheme("marketcalls"))


def test_a_misspelt_key_is_named_where_something_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: .*neither audio.*; unknown key 'Audi' \(did you mean 'audio'\?\)$"):
        read_manifest(_write(tmp_path, {"call_id": "a", "Audi": "a.wav"}))
    with pytest.raises(DataError, match=r"needs a 'call_id'.*; unknown key 'callid' \(did you mean 'call_id'\?\)"):
        read_manifest(_write(tmp_path, {"callid": "a", "audio": "a.wav"}))
    with pytest.raises(DataError, match="segments; unknown key 'zzz'$"):
        read_manifest(_write(tmp_path, {"call_id": "a", "zzz": 1}))


def test_what_is_no_manifest_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; a manifest is a file"):
        read_manifest(tmp_path)
    with pytest.raises(DataError, match="does not exist; a manifest is a file"):
        read_manifest(tmp_path / "none.jsonl")
    sound = tmp_path / "a.wav"
    sound.write_bytes(b"RIFF\xff\xfe\x80WAVE")
    with pytest.raises(DataError, match=r"a\.wav: is no manifest \(not UTF-8 text\)"):
        read_manifest(sound)


def test_unknown_keys_are_warnings_and_an_empty_manifest_an_error(tmp_path: Path) -> None:
    found = read_manifest(_write(tmp_path, {"call_id": "a", "turns": TURNS, "agent_name": "Ann"}))
    assert "agent_name" in found.notes[0].message
    with pytest.raises(DataError, match="holds no calls"):
        read_manifest(_write(tmp_path, ""))


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"call_id": "c\ud83d", "turns": TURNS}, r"call_id 'c\\ud83d' holds half of a character"),
        ({"call_id": "c", "turns": [*TURNS, {"role": "agent", "text": "\udc00 well"}]}, r"text '\\udc00 well' holds"),
        ({"call_id": "c", "turns": TURNS, "label": ["A", "\ud83d"]}, "label "),
        ({"call_id": "c", "turns": TURNS, "odd \ud83d": 1}, "a line's key "),
    ],
)
def test_half_of_a_character_is_named_with_file_and_line(tmp_path: Path, row: Any, named: str) -> None:
    with pytest.raises(DataError, match=rf"manifest.jsonl, line 2: {named}"):
        read_manifest(_write(tmp_path, {"call_id": "whole \U0001f4de", "turns": TURNS}, row))


def test_bytes_of_a_name_in_another_encoding_are_a_path(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")).write_bytes(b"")
    (call,) = read_manifest(_write(tmp_path, {"call_id": "c", "audio": "\udcff.wav"})).calls
    assert call.audio is not None
