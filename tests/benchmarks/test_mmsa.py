"""CMU-MOSI in every layout: what is read of each, and what is refused."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callsift.benchmarks.contents import read_data, take_over
from callsift.benchmarks.mmsa import calls_of, read, read_features, read_lines
from callsift.benchmarks.names import load_benchmark
from callsift.benchmarks.safe_pickle import read_arrays
from callsift.data.arrays import read_stream
from callsift.errors import DataError
from tests.benchmarks.mosi_made import CLIPS, features, make_features, make_lines, make_table
from tests.benchmarks.tables_made import change_cell

PUBLISHED = {"videos": 93, "train": 1284, "val": 229, "test": 686}


def reading(folder: Path, scratch: Path) -> Any:
    return read(folder, scratch, name="mosi", published=PUBLISHED)


def test_lines_become_videos_whose_utterances_are_in_order(tmp_path: Path) -> None:
    found = reading(make_lines(tmp_path / "in"), tmp_path)
    by_id = {call.call_id: call for call in found.calls}
    assert {name: call.split for name, call in by_id.items()} == {
        "v0": "train", "v1": "train", "v2": "train", "v3": "val", "v4": "test", "v5": "test",
    }  # fmt: skip
    segments = by_id["v1"].segments
    assert [segment.segment_id for segment in segments] == ["0", "1", "2", "3"]
    assert [segment.label for segment in segments] == [1.5, 0.0, 2.0, -3.0]
    assert segments[0].turns[0].text == "great happy love 1"
    stream = read_stream(segments[0].streams["audio"])
    assert stream.shape == (1, 73)
    assert stream[0, 0] == 1.5
    assert found.streams == {"text", "numbers"}
    assert [(count.what, count.published, count.found) for count in found.counts] == [
        ("utterances", 2199, 24), ("videos", 93, 6),
        ("utterances, train", 1284, 12), ("utterances, val", 229, 4), ("utterances, test", 686, 8),
    ]  # fmt: skip


def test_a_table_with_clips_and_features(tmp_path: Path) -> None:
    folder = make_table(tmp_path / "in", clips=True)
    make_features(folder / "Processed", "aligned_50.pkl")
    (folder / "Raw/v0/1.wav").unlink()
    found = reading(folder, tmp_path)
    first, second = found.calls[0].segments[:2]
    assert first.audio == folder / "Raw/v0/0.wav"
    assert second.audio is None
    assert read_stream(first.streams["audio"]).shape == (1, 5)
    assert found.streams == {"text", "clips", "frames"}
    assert found.absent == ("1 of 24 clips, as Raw/v0/1.mp4",)


def test_a_table_alone_is_text_and_says_what_is_not_there(tmp_path: Path) -> None:
    found = reading(make_table(tmp_path / "in"), tmp_path)
    assert found.streams == {"text"}
    assert [sentence.partition(",")[0] for sentence in found.absent] == [
        "24 of 24 clips", "a feature file (unaligned_50.pkl or aligned_50.pkl)",
    ]  # fmt: skip
    assert sum(len(call.segments) for call in found.calls) == 6 * CLIPS


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_feature_file_alone_has_words_labels_and_frames_of_their_length(protocol: int, tmp_path: Path) -> None:
    found = reading(make_features(tmp_path / "in", protocol=protocol), tmp_path)
    segments = found.calls[0].segments
    frames = [read_stream(segment.streams["audio"]) for segment in segments]
    assert [len(each) for each in frames] == [1, 2, 3, 4]  # audio_lengths
    assert np.isnan(frames[1][0, 0])  # −inf in the file
    assert np.array_equal(frames[1][1], features()["train"]["audio"][1, 1])
    assert [segment.label for segment in segments] == [-3.0, 1.5, 0.0, 2.0]
    assert found.streams == {"text", "frames"}


def test_without_lengths_frames_of_zeros_are_padding(tmp_path: Path) -> None:
    whole = features()
    for part in whole.values():
        del part["audio_lengths"]
        part["audio"][:, :, 0] = 1
        part["audio"][:, 4:] = 0
        part["audio"][0] = 0
    (tmp_path / "unaligned_50.pkl").write_bytes(pickle.dumps(whole))
    lengths = [0 if each.values is None else len(each.values) for each in read_features(tmp_path / "unaligned_50.pkl")]
    assert lengths[:3] == [1, 4, 4]  # nothing at all is one frame of zeros


class _Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("touched"),)


def test_a_pickle_that_names_code_is_refused_and_nothing_of_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unaligned_50.pkl").write_bytes(pickle.dumps({"train": _Harmful()}))
    with pytest.raises(DataError, match=r"unaligned_50.pkl: is refused: it names .*, which is neither an array"):
        reading(tmp_path, tmp_path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "harm",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy\nndarray\n((I1\ntS'O'\nS'AAAAAAAA'\ntR.",
        b"cnumpy\ndtype\n(S'O,O'\ntR.",
        b"cnumpy\ndtype\n(S'V8'\ntR(I3\nS'|'\nNS'a'\nNI8\nI1\nI0\ntb.",
        b"cnumpy.core.multiarray\n_reconstruct\n(NtR(I1\n(I9\ntcnumpy\ndtype\n(S'O'\ntRI0\n(lNtb.",
        pickle.dumps(np.array([[1], {2}], dtype=object)),
        pickle.dumps(np.zeros(3)).replace(b"K\x03\x85", b"K\x09\x85"),
        b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.",
        b"c_codecs\nencode\n(Vx\nVpunycode\ntR.",
        pickle.dumps(np.zeros(9))[:-20],
        b"",
        b"PK\x03\x04",
    ],
)
def test_other_names_other_codecs_and_damage_are_refused(harm: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(harm)
    with pytest.raises(DataError, match=r"x.pkl: is refused: .*Fetch the published file anew"):
        read_arrays(tmp_path / "x.pkl")


def test_bytes_that_are_taken_for_pointers_crash_nothing(tmp_path: Path) -> None:
    """`np.ndarray((1,), "O", b"AAAAAAAA")` is an object at 0x4141414141414141; run apart, as it ended the process."""

    class Crashing:
        def __reduce__(self) -> tuple[Any, ...]:
            return np.ndarray, ((1,), "O", b"\x41" * 8)

    path = tmp_path / "unaligned_50.pkl"
    path.write_bytes(pickle.dumps({"train": Crashing()}))
    code = (
        "import pathlib; from callsift.benchmarks.safe_pickle import read_arrays; "
        f"print(read_arrays(pathlib.Path({str(path)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1  # not by a signal
    assert "unaligned_50.pkl: is refused: 'str' object is not callable" in done.stderr


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_that_a_pickle_may_call_can_be_changed_by_it(protocol: int, tmp_path: Path) -> None:
    """BUILD sets the attributes of what lies on the stack: here the default codec of all later readings."""
    for maker in (b"c_codecs\nencode\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\nscalar\n"):
        (tmp_path / "x.pkl").write_bytes(maker + b"(N}X\x0c\x00\x00\x00__defaults__(X\x05\x00\x00\x00utf-8tstb.")
        with pytest.raises(DataError, match="it would change what makes its arrays"):
            read_arrays(tmp_path / "x.pkl")
    (tmp_path / "y.pkl").write_bytes(pickle.dumps(np.arange(200.0), protocol=protocol))
    assert np.array_equal(read_arrays(tmp_path / "y.pkl"), np.arange(200.0))


@pytest.mark.parametrize("protocol", [3, 4])
def test_large_arrays_stay_in_the_file(protocol: int, tmp_path: Path) -> None:
    written = {"audio": np.arange(1e6), "vision": np.arange(1e6), "text": "word " * 20_000, "raw": b"x" * 70_000}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(written, protocol=protocol))  # 16 MB
    tracemalloc.start()
    try:
        found = read_arrays(tmp_path / "x.pkl")
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()
    assert np.array_equal(found["vision"], written["vision"])
    assert (found["text"], found["raw"]) == (written["text"], written["raw"])


def test_places_in_the_file_are_not_taken_from_the_pickle(tmp_path: Path) -> None:
    for persistent in (b"Pbytes 0 9\n.", b"Vbytes 0 9\nQ."):
        (tmp_path / "x.pkl").write_bytes(persistent)
        with pytest.raises(DataError, match="it refers to what is not in it"):
            read_arrays(tmp_path / "x.pkl")


def test_arrays_within_arrays_containers_are_found_and_loops_end(tmp_path: Path) -> None:
    shared: list[Any] = [np.arange(3)]
    loop: dict[str, Any] = {"list": [shared, (np.arange(2), "x")], "again": shared}
    loop["loop"] = loop
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(loop))
    found = read_arrays(tmp_path / "x.pkl")
    assert np.array_equal(found["list"][0][0], np.arange(3))
    assert np.array_equal(found["list"][1][0], np.arange(2))
    assert found["again"] is found["list"][0]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_every_protocol_are_what_was_written(protocol: int, tmp_path: Path) -> None:
    written = {
        "c": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3)),
        "words": np.array(["a", "好"]),
        "objects": np.array(["a", "bc", None], dtype=object),
        "number": np.float32(3),
        "none": np.array(0.5),
    }
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(written, protocol=protocol))
    found = read_arrays(tmp_path / "x.pkl")
    for name, values in written.items():
        assert np.array_equal(found[name], values), name
        assert np.asarray(found[name]).dtype.kind == np.asarray(values).dtype.kind


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda whole: whole.pop("valid"), "must hold train, valid and test"),
        (lambda whole: whole["test"].pop("raw_text"), "test has no 'raw_text'"),
        (lambda whole: whole["train"].update(id=["v0", "v1"]), "ids, texts, labels and features"),
        (lambda whole: whole["train"].update(id=["a"] * 12), "not of the form VIDEO"),
        (lambda whole: whole["valid"]["regression_labels"].__setitem__(1, 5.0), r"valid, utterance 'v3\$_\$1': label"),
        (lambda whole: whole["valid"]["regression_labels"].__setitem__(0, np.nan), "utterance 'v3.*0': label .*nan"),
        (lambda whole: whole["test"].update(audio=np.zeros((8, 6))), "utterance 'v4.*0': its audio must be frames"),
        (lambda whole: whole["test"].update(audio_lengths=[1, 2]), "ids, texts, labels and features, and 2 lengths"),
        (lambda whole: whole["test"].update(audio_lengths=[-1] * 8), "utterance 'v4.*0': its length is -1"),
        (lambda whole: whole["test"].update(audio_lengths=["x"] * 8), "utterance 'v4.*0': invalid literal"),
        (lambda whole: whole["test"].update(audio_lengths=[math.inf] * 8), "'v4.*0': cannot convert float infinity"),
        (lambda whole: whole["test"].update(audio_lengths=3), "test: 'audio_lengths' must be a list .*, not int"),
        (lambda whole: whole["test"].update(id=3), "test: 'id' must be a list or an array .*, not int"),
        (lambda whole: whole["test"].update(id=None), "test: 'id' must be a list or an array .*, not NoneType"),
        (lambda whole: whole["test"].update(audio=np.float32(1)), "test: 'audio' must be a list .*, not float32"),
        (lambda whole: whole["test"].update(audio=np.array(1.0)), "test: 'audio' must be a list .*, not ndarray"),
        (lambda whole: whole.update(test=None), "test is no dictionary, but NoneType"),
        (lambda whole: whole.update(train=3), "train is no dictionary, but int"),
        (lambda whole: whole.update(valid="id raw_text regression_labels audio"), "valid is no dictionary, but str"),
        (lambda whole: whole["valid"].update(regression_labels=[[]] * 4), r"'v3.*0': label \[\] is not one number"),
    ],
)
def test_a_feature_file_of_another_layout_is_named(change: Any, words: str, tmp_path: Path) -> None:
    whole = features()
    change(whole)
    (tmp_path / "unaligned_50.pkl").write_bytes(pickle.dumps(whole))
    with pytest.raises(DataError, match=f"unaligned_50.pkl: .*{words}"):
        reading(tmp_path, tmp_path)


def test_another_row_or_note_reads_nothing_anew_and_another_reading_does(tmp_path: Path) -> None:
    folder, out = make_lines(tmp_path / "in"), tmp_path / "out"
    mosi = load_benchmark("mosi")
    first = read_data(mosi, folder, out)
    take_over(first, out)
    assert not read_data(replace(mosi, notes=("another",), rows=mosi.rows[:1]), folder, out).fresh
    again = read_data(replace(mosi, reading=mosi.reading + 1), folder, out)
    assert again.fresh
    assert again.arrays_sha256 == first.arrays_sha256


def test_wrong_lines_name_file_and_line(tmp_path: Path) -> None:
    folder = make_lines(tmp_path)
    path = folder / "mosi_aligned.jsonl"
    lines = path.read_text("utf-8").splitlines()
    for wrong, words in (
        (lines[0], "line 25: utterance v5/3 stands there already"),
        (json.dumps({**json.loads(lines[0]), "label": 9}), "line 25: no utterance of the layout: ValueError label"),
        ("{}", "line 25: no utterance of the layout: KeyError"),
        *((wrong, "line 25: no utterance of the layout: .*is an object") for wrong in ("[1]", '"x"', "5", "null")),
        *(
            (json.dumps({**json.loads(lines[0]), "clip_id": 9, key: value}), f"line 25: .*{words}")
            for key, value, words in (
                ("label", [], r"label \[\] is not one number"),
                ("label", 10**400, "OverflowError"),
                ("text", None, "'text' must be a text, not None"),
                ("audio73", [[1, 2]], "audio73 must be a list of numbers"),
            )
        ),
    ):
        path.write_text("\n".join([*lines, wrong]), "utf-8")
        with pytest.raises(DataError, match=words):
            reading(folder, tmp_path)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"label": "nan"}, "line 4: 'label' must be a number from −3 to 3, not 'nan'"),
        ({"label": "4"}, "line 4: 'label' must be"),
        ({"mode": "dev"}, "line 4: 'mode' is 'dev', not one of"),
        ({"clip_id": "0"}, "line 4: stands on line 2 already"),
        ({"mode": "test"}, "video 'v0' lies in two parts"),
    ],
)
def test_wrong_cells_of_the_table_name_their_line(cells: dict[str, str], words: str, tmp_path: Path) -> None:
    make_table(tmp_path)
    change_cell(tmp_path / "label.csv", 2, **cells)
    with pytest.raises(DataError, match=words):
        reading(tmp_path, tmp_path)


@pytest.mark.data
def test_all_of_the_real_set_is_read(data_folder: Path, tmp_path: Path) -> None:
    found = reading(data_folder / "mosi", tmp_path)
    assert all(count.found == count.published for count in found.counts)
    calls = calls_of(read_lines(data_folder / "mosi/mosi_aligned.jsonl"), None)
    assert all(segment.streams == {} for call in calls for segment in call.segments)
