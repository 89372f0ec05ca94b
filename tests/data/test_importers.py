"""Folders, Kaldi, NeMo, lhotse and Label Studio: their layouts as their own documentation gives them, and damage."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from callsift.data.importers import Imported, Request, import_calls, recognise
from callsift.data.manifest import call_row
from callsift.errors import DataError, UsageError
from callsift.labels import load_scheme
from callsift.types import RaterLabel, Turn

MARKETCALLS = load_scheme("marketcalls")


def _import(path: Path, name: str | None = None, *, votes: Any = "majority", skip_bad: bool = False,
            scheme: Any = None, root: Path | None = None, **mapping: str) -> Imported:  # fmt: skip
    return import_calls(path, Request(mapping, root, scheme, votes, skip_bad), name)[1]


def _lines(path: Path, *rows: Any) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """A folder with recordings, whose content no importer looks at."""
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


# Folders


def test_a_folder_for_each_grade(demo: Path, tmp_path: Path) -> None:
    for name in ("A/x.wav", "A/deep/y.wav", "B/x.wav", "z.wav", "B/.hidden.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "A/x.srt").write_text("1")
    (tmp_path / "notes.txt").write_text("1")
    assert recognise(tmp_path) == "folders"
    found = _import(tmp_path, scheme=MARKETCALLS)
    assert {call.call_id: call.label for call in found.calls} == {
        "A/x.wav": "A", "A/deep/y.wav": "A", "B/x.wav": "B", "z.wav": None,
    }  # fmt: skip
    assert found.notes == ("1 other files passed over, as notes.txt",)
    (tmp_path / "Q").mkdir()
    (tmp_path / "Q/x.wav").write_bytes(b"1")
    with pytest.raises(DataError, match="folder: label 'Q' is not a grade"):
        _import(tmp_path, scheme=MARKETCALLS)
    assert len(_import(tmp_path, scheme=MARKETCALLS, skip_bad=True).left_out) == 1
    with pytest.raises(UsageError, match="folders of recordings have none"):
        _import(tmp_path, label="x")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no recordings"):
        _import(tmp_path / "none")


# Kaldi


def _kaldi(folder: Path, **files: str) -> Path:
    for name, text in {"wav.scp": "rec1 a.wav\nrec2 b.wav\n", **files}.items():
        (folder / name.replace("_scp", ".scp")).write_text(text, encoding="utf-8")
    return folder


def test_a_kaldi_folder(audio: Path) -> None:
    _kaldi(
        audio,
        segments="u2 rec1 2.0 3.5\nu1 rec1 0.5 1.5\nu3 rec2 0 1\nu4 rec2 1 2\n",
        text="u1 hello there\nu2 who is it\nu3 yes\nu4 no\n",
        spk2utt="agent u1\nS07 u2\nS08 u3 u4\n",
        utt2label="rec1 B\nu3 A\n",
        utt2lang="rec1 en\nrec2 en\n",
        cmvn_scp="",
    )
    found = _import(audio)
    one, two = found.calls
    assert one.turns == (Turn("agent", "hello there", 0.5, 1.5), Turn("unknown", "who is it", 2.0, 3.5, speaker="S07"))
    assert (one.audio, one.label, one.language, one.group) == (audio / "a.wav", "B", "en", None)
    assert (two.label, two.group, [turn.text for turn in two.turns]) == ("A", "S08", ["yes", "no"])
    assert found.used["label"] == "utt2label"
    assert found.unused == ("a.wav", "b.wav", "cmvn.scp")


def test_a_kaldi_folder_of_wav_scp_alone(audio: Path) -> None:
    (audio / "grades").write_text("rec1 C\n")
    found = _import(_kaldi(audio, utt2spk="rec1 tom\nrec2 rec2\n"), label="grades")
    assert [(call.call_id, call.label, call.group) for call in found.calls] == [
        ("rec1", "C", "tom"),
        ("rec2", None, None),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("wav_scp", "rec1 sph2pipe -f wav a.sph |\n", "line 1: 'rec1' is a command ('sph2pipe -f wav a.sph |')"),
        ("wav_scp", "rec1 -\n", "line 1: 'rec1' names no file"),
        ("wav_scp", "", "wav.scp: is empty"),
        ("wav_scp", "rec1 absent.wav\n", "line 1: column 'audio': 'absent.wav' does not exist"),
        ("wav_scp", "rec1 a.wav\nrec1 b.wav\n", "line 2: 'rec1' stands on line 1 already"),
        ("segments", "u1 rec1 0\n", "line 1: must be 'utterance recording start end', not 'u1 rec1 0'"),
        ("segments", "u1 rec9 0 1\n", "line 1: utterance 'u1' is of recording 'rec9': not in wav.scp"),
        ("segments", "u1 rec1 2 1\n", "line 1: column 'end_s': end 1 lies before start 2"),
        ("spk2utt", "ann rec1\nbob rec1\n", "line 2: utterance 'rec1' is by 'bob' here and by 'ann'"),
    ],
)
def test_what_is_wrong_with_a_kaldi_folder(audio: Path, name: str, text: str, message: str) -> None:
    _kaldi(audio, **{"wav_scp" if name == "wav_scp" else name: text})
    with pytest.raises(DataError) as caught:
        _import(audio, "kaldi")
    assert message in str(caught.value)


# NeMo


def test_a_nemo_manifest(audio: Path) -> None:
    path = _lines(
        audio / "train.json",
        {"audio_filepath": "a.wav", "offset": 2.0, "duration": 1.0, "text": "two", "label": "B", "speaker": "s1"},
        {"audio_filepath": "a.wav", "offset": 0.0, "duration": 1.5, "text": "one", "label": "B", "speaker": "s1"},
        {"audio_filepath": "b.wav", "duration": 3.0, "text": "agent: three", "lang": "en"},
    )
    assert recognise(path) == "nemo"
    found = _import(path, group="speaker")
    one, two = found.calls
    assert (one.call_id, one.label, one.group, one.audio) == ("a.wav", "B", "s1", audio / "a.wav")
    assert [(segment.start_s, segment.end_s, segment.turns[0].text) for segment in one.segments] == [
        (0.0, 1.5, "one"),
        (2.0, 3.0, "two"),
    ]
    assert (two.segments, two.turns, two.language) == ((), (Turn("agent", "three"),), "en")
    assert not found.unused


def test_damaged_json_lines(audio: Path) -> None:
    path = _lines(audio / "m.jsonl", {"audio_filepath": "a.wav"})
    path.write_text(path.read_text() + '{"audio_filepath": "b')
    with pytest.raises(DataError, match=r"line 2: not valid JSON: .* \(is the file truncated\?\)"):
        _import(path)
    whole = gzip.compress(b'{"audio_filepath": "a.wav"}\n' * 50)
    (audio / "m.jsonl.gz").write_bytes(whole[:-9])
    with pytest.raises(DataError, match="is a truncated or damaged gzip file"):
        _import(audio / "m.jsonl.gz")
    path.write_text('{"audio_filepath": "a.wav"}\n[1]\n')
    with pytest.raises(DataError, match="line 2: must be a JSON object, not list"):
        _import(path)
    path.write_text('{"audio_filepath": "absent.wav"}\n')
    with pytest.raises(DataError, match="line 1: column 'audio_filepath': 'absent.wav' does not exist"):
        _import(path)


# lhotse


def _recording(name: str, source: str = "a.wav", **more: Any) -> dict[str, Any]:
    sources = [{"type": "file", "channels": [0], "source": source}]
    return {"id": name, "sources": sources, "sampling_rate": 8000, "num_samples": 80000, "duration": 10.0, **more}


def _said(name: str, recording: str, start: float, **more: Any) -> dict[str, Any]:
    return {"id": name, "recording_id": recording, "start": start, "duration": 1.0, "channel": 0, **more}


def test_lhotse_recordings_and_supervisions(audio: Path) -> None:
    _lines(audio / "recordings.jsonl.gz", _recording("r1"), _recording("r2", "b.wav"))
    _lines(
        audio / "supervisions.jsonl",
        _said("s2", "r1", 4.0, text="no", speaker="customer", language="en", custom={"grade": "B"}),
        _said("s1", "r1", 1.0, text="hi", speaker="agent", language="en", custom={"grade": "B"}),
    )
    assert recognise(audio) == "lhotse"
    found = _import(audio, label="custom.grade")
    one, two = found.calls
    assert one.turns == (Turn("agent", "hi", 1.0, 2.0, 0), Turn("customer", "no", 4.0, 5.0, 0))
    assert (one.label, one.language, one.audio) == ("B", "en", audio / "a.wav")
    assert (two.call_id, two.audio, two.turns) == ("r2", audio / "b.wav", ())


def test_lhotse_cuts(audio: Path) -> None:
    spoken = [_said("s", "r1", 0.5, text="hi", speaker="agent")]
    path = _lines(
        audio / "cuts.jsonl.gz",
        {"id": "c1", "start": 0, "duration": 10.0, "channel": 0, "supervisions": spoken, "recording": _recording("r1"),
         "type": "MonoCut"},
        {"id": "c2", "start": 4.0, "duration": 3.0, "channel": 0, "supervisions": spoken, "type": "MonoCut",
         "recording": _recording("r1"), "custom": {"label": "A"}},
    )  # fmt: skip
    assert recognise(path) == recognise(audio) == "lhotse"
    one, two = _import(path).calls
    assert (one.call_id, one.audio, one.label) == ("c1", audio / "a.wav", None)
    assert (two.label, two.segments[0].start_s, two.segments[0].end_s) == ("A", 4.0, 7.0)
    assert two.segments[0].turns == (Turn("agent", "hi", 4.5, 5.5, 0),)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [_recording("r", sources=[{"type": "command", "source": "sph2pipe a |"}])],
            "recording 'r' is a 'command', not",
        ),
        ([_recording("r", sources=[{}, {}])], "recording 'r' has 2 sources; join its channels"),
        ([_recording("r", "absent.wav")], "'absent.wav' does not exist"),
        ([{"id": "c", "type": "MixedCut", "tracks": []}], "cut 'c' (MixedCut) is not of one recording"),
        ([_said("s", "r", 0)], "has supervisions alone"),
    ],
)
def test_what_is_wrong_with_lhotse_files(audio: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError) as caught:
        _import(_lines(audio / "x.jsonl", *rows))
    assert message in str(caught.value)


def test_lhotse_supervisions_of_nothing_and_files_twice(audio: Path) -> None:
    _lines(audio / "recordings.jsonl", _recording("r1"))
    _lines(audio / "supervisions.jsonl", _said("s", "r9", 0.0))
    with pytest.raises(DataError, match="line 1: supervision of recording 'r9': there is none"):
        _import(audio)
    _lines(audio / "supervisions_b.jsonl", _said("s", "r1", 0.0))
    with pytest.raises(DataError, match="has several files of supervisions"):
        _import(audio)


# Label Studio


def _choice(name: str, *choices: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "audio", "type": "choices", "value": {"choices": list(choices)}}


def _region(name: str, kind: str, **value: Any) -> dict[str, Any]:
    return {
        "id": name,
        "from_name": kind,
        "to_name": "audio",
        "type": kind,
        "value": {"start": 1.0, "end": 2.5, **value},
    }


def _task(number: int, audio: str, *annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": number, "data": {"audio": audio, **data}, "annotations": list(annotations), "predictions": []}


def _by(who: Any, *result: dict[str, Any], cancelled: bool = False) -> dict[str, Any]:
    return {"id": 1, "completed_by": who, "was_cancelled": cancelled, "result": list(result)}


def test_label_studio_votes_regions_and_paths(audio: Path) -> None:
    regions = [_region("r1", "labels", labels=["Agent"]), _region("r1", "textarea", text=["hello"])]
    tasks = [
        _task(1, "/data/local-files/?d=a.wav", _by(1, _choice("grade", "B"), *regions), _by(2, _choice("grade", "B")),
              _by({"id": 3, "email": "eve@x.org"}, _choice("grade", "C")),
              _by(4, _choice("grade", "A"), cancelled=True), phone="77"),
        _task(2, "/data/upload/3/0123abcd-b.wav", _by(1, _choice("grade", "A"))),
        _task(3, "https://x.org/c.wav?token=1"),
    ]  # fmt: skip
    (audio / "c.wav").write_bytes(b"c")
    path = audio / "export.json"
    path.write_text(json.dumps(tasks))
    assert recognise(path) == "label-studio"
    found = _import(path, scheme=MARKETCALLS, group="phone")
    one, two, three = found.calls
    assert one.labels == (RaterLabel("1", "B"), RaterLabel("2", "B"), RaterLabel("eve@x.org", "C"))
    assert (one.label, one.group, one.audio) == ("B", "77", audio / "a.wav")
    assert one.turns == (Turn("agent", "hello", 1.0, 2.5),)
    assert (two.label, two.labels, two.audio, three.label) == ("A", (RaterLabel("1", "A"),), audio / "b.wav", None)
    assert [call.label for call in _import(path, votes="none").calls] == [None, "A", None]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([_task(1, "a.wav", _by(1, _choice("grade", "B"), _choice("mood", "x")))], "several choices (grade, mood)"),
        ([_task(1, "a.wav", _by(1, _choice("grade", "Z")))], "task 1: choices: label 'Z' is not a grade"),
        (
            [_task(1, "a.wav", _by(1, _choice("grade", "B")), _by(1, _choice("grade", "C")))],
            "two labels by annotator 1",
        ),
        ([_task(1, "absent.wav")], "file 'absent.wav' does not exist"),
        ([_task(1, "a.wav"), _task(1, "b.wav")], "has two tasks with the id '1'"),
        ([_task(1, "")], "task 1 has neither audio nor text"),
        ([_task(1, "a.wav", _by(1, _region("r", "labels", end=0.5)))], "a region from 1.0 to 0.5 is no stretch"),
        ([{"audio": "a.wav", "grade": "B"}], "is a list without 'data' and 'annotations'"),
    ],
)
def test_what_is_wrong_with_a_label_studio_export(audio: Path, tasks: list[Any], message: str) -> None:
    path = audio / "export.json"
    path.write_text(json.dumps(tasks))
    with pytest.raises(DataError) as caught:
        _import(path, scheme=MARKETCALLS)
    assert message in str(caught.value)


# What a source is


def test_what_is_no_source_is_said(audio: Path) -> None:
    (audio / "m.jsonl").write_text('{"call_id": "a"}\n')
    with pytest.raises(DataError, match="is a manifest of callsift already"):
        _import(audio / "m.jsonl")
    (audio / "m.jsonl").write_text('{"what": "a"}\n')
    with pytest.raises(DataError, match="is JSON of no known kind"):
        _import(audio / "m.jsonl")
    with pytest.raises(DataError, match=r"a\.wav: is of no known format"):
        _import(audio / "a.wav")
    with pytest.raises(UsageError, match="'x' does not exist"):
        _import(Path("x"))
    with pytest.raises(UsageError, match="--format word is not one of csv"):
        _import(audio / "m.jsonl", "word")
    with pytest.raises(UsageError, match="is a file; the format kaldi is a folder"):
        _import(audio / "m.jsonl", "kaldi")
    with pytest.raises(UsageError, match="is a folder; the format csv is a file"):
        _import(audio, "csv")


def _spoilt(value: Any, chance: random.Random) -> Any:
    """A JSON value with something else in one place."""
    if isinstance(value, dict | list) and value and chance.random() < 0.8:
        at = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        copy = value.copy()
        copy[at] = _spoilt(copy[at], chance)
        return copy
    return chance.choice([None, 1, -1, 1e400, float("nan"), 10**400, "", "\0", "\ud800", [], {}, [1], {"a": 1}, True])


@pytest.mark.parametrize("name", ["nemo", "lhotse", "label-studio"])
def test_whatever_stands_in_json_is_imported_or_refused_in_words(audio: Path, name: str) -> None:
    cut = {"id": "c", "start": 1, "duration": 3.0, "type": "MonoCut", "recording": _recording("r"),
           "supervisions": [_said("s", "r", 0.5, text="hi", speaker="agent", custom={"label": "A"})]}  # fmt: skip
    line = {"audio_filepath": "a.wav", "offset": 0, "duration": 1, "text": "x", "label": "A"}
    task = _task(1, "a.wav", _by({"id": 1}, _choice("grade", "B"), _region("r", "labels", labels=["Agent"])), text="x")
    good = {"nemo": line, "lhotse": cut, "label-studio": [task]}[name]
    path, chance, refused = audio / "x.json", random.Random(0), []
    for _ in range(250):
        path.write_text(json.dumps(_spoilt(good, chance)))
        try:
            found = _import(path, name, skip_bad=chance.random() < 0.3)
            json.dumps([call_row(call, audio) for call in found.calls], ensure_ascii=False, allow_nan=False).encode()
        except DataError as error:
            refused.append(str(error))
    assert 50 < len(refused) < 250
    assert all(message.startswith(str(path)) for message in refused)
