"""Precomputed streams from .npz and .parquet: what is read, and what is refused in words."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsift.data.arrays import read_stream
from callsift.errors import ErrorCode, RecordingError
from callsift.types import StreamRef


def _npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def _refused(ref: StreamRef, code: ErrorCode, *parts: str) -> None:
    with pytest.raises(RecordingError) as caught:
        read_stream(ref)
    assert caught.value.code == code
    for part in (str(ref.path), f"'{ref.key}'", *parts):
        assert part in str(caught.value)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", ">f4"])
def test_numbers_of_any_kind_become_float32(tmp_path: Path, dtype: str) -> None:
    given = np.arange(12).reshape(4, 3).astype(dtype)
    found = read_stream(StreamRef(_npz(tmp_path / "a.npz", x=given), "x"))
    assert found.dtype == np.float32
    assert np.array_equal(found, given.astype(np.float32))


def test_a_vector_is_one_row_and_nan_stays(tmp_path: Path) -> None:
    path = _npz(tmp_path / "a.npz", v=np.array([1.0, np.nan, 3.0]), f=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    found = read_stream(StreamRef(path, "v"))
    assert found.shape == (1, 3)
    assert np.isnan(found).tolist() == [[False, True, False]]
    assert read_stream(StreamRef(path, "f")).flags.c_contiguous


def test_a_compressed_archive_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.ones((2, 2)))
    assert read_stream(StreamRef(tmp_path / "a.npz", "x")).tolist() == [[1.0, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([[1.0, np.inf], [-np.inf, 2.0]]), "2 of 4 numbers are infinite"),
        (np.array([[1e300]]), "1 of 1 numbers are infinite"),
        (np.zeros((0, 3)), "(0, 3)"),
        (np.zeros((3, 0)), "(3, 0)"),
        (np.zeros((2, 3, 4)), "(2, 3, 4)"),
        (np.array(1.0), "()"),
        (np.array(["a", "b"]), "<U1"),
        (np.array([True, False]), "bool"),
        (np.array([1j]), "complex128"),
        (np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]), "'a'"),
    ],
)
def test_arrays_that_can_be_no_stream_are_refused(tmp_path: Path, array: np.ndarray, said: str) -> None:
    _refused(StreamRef(_npz(tmp_path / "a.npz", x=array), "x"), ErrorCode.UNREADABLE, said)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    _refused(StreamRef(_npz(tmp_path / "a.npz", x=np.array([Trap()], dtype=object)), "x"), ErrorCode.UNREADABLE)
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_and_a_missing_key_are_named(tmp_path: Path) -> None:
    _refused(StreamRef(tmp_path / "none.npz", "x"), ErrorCode.MISSING_FILE, "does not exist")
    path = _npz(tmp_path / "a.npz", **{f"seg{at}": np.ones(2) for at in range(9)})
    _refused(StreamRef(path, "seg9"), ErrorCode.MISSING_STREAM, "the file has 9: 'seg0', 'seg1'", ", …")


def test_files_that_are_no_archive_of_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.ones(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    _refused(StreamRef(tmp_path / "one.npz", "x"), ErrorCode.UNREADABLE, "not a zip file")
    (tmp_path / "text.npz").write_text("x: 1, 2, 3")
    _refused(StreamRef(tmp_path / "text.npz", "x"), ErrorCode.UNREADABLE)
    (tmp_path / "empty.npz").touch()
    _refused(StreamRef(tmp_path / "empty.npz", "x"), ErrorCode.UNREADABLE)
    (tmp_path / "x.csv").write_text("1,2,3")
    _refused(StreamRef(tmp_path / "x.csv", "x"), ErrorCode.UNREADABLE, ".npz or .parquet", ".csv")
    with zipfile.ZipFile(tmp_path / "note.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    _refused(StreamRef(tmp_path / "note.npz", "readme.txt"), ErrorCode.MISSING_STREAM, "the file has 0")


@given(at=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_archive_is_refused_or_read_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = _npz(folder / "a.npz", x=np.arange(40.0).reshape(8, 5), y=np.ones(3)).read_bytes()
    at %= len(whole)
    (folder / "b.npz").write_bytes(whole[:at] if cut else whole[:at] + bytes([value]) + whole[at + 1 :])
    try:
        found = read_stream(StreamRef(folder / "b.npz", "x"))
    except RecordingError:
        return
    assert np.array_equal(found, np.arange(40.0).reshape(8, 5))


def test_a_rewritten_file_is_read_anew(tmp_path: Path) -> None:
    ref = StreamRef(_npz(tmp_path / "a.npz", x=np.array([1.0])), "x")
    assert read_stream(ref).tolist() == [[1.0]]
    _npz(tmp_path / "b.npz", x=np.array([2.0, 3.0])).replace(ref.path)
    assert read_stream(ref).tolist() == [[2.0, 3.0]]


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_thousands_of_references_keep_few_files_open(tmp_path: Path) -> None:
    paths = [_npz(tmp_path / f"{at}.npz", **{f"k{key}": np.full(4, key) for key in range(300)}) for at in range(20)]
    before = _open_files()
    for path in paths:
        for key in range(300):
            assert read_stream(StreamRef(path, f"k{key}"))[0, 0] == key
    assert _open_files() <= before + 8


def _parquet(path: Path, keys: list[Any], values: Any, **how: Any) -> Path:
    pyarrow = pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "callsift[parquet]"')
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"key": keys, "values": values, "other": keys}), path, **how)
    return path


def test_parquet_rows_are_vectors_or_matrices(tmp_path: Path) -> None:
    vectors = _parquet(tmp_path / "v.parquet", ["a", "b"], [[1.0, None, 3.0], [4.0]])
    found = read_stream(StreamRef(vectors, "a"))
    assert found.shape == (1, 3)
    assert np.isnan(found).tolist() == [[False, True, False]]
    assert read_stream(StreamRef(vectors, "b")).tolist() == [[4.0]]
    matrices = _parquet(tmp_path / "m.parquet", ["a", "b"], [[[1, 2], [3, 4], [5, 6]], [[7, None]]])
    assert read_stream(StreamRef(matrices, "a")).tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert read_stream(StreamRef(matrices, "b"))[0, 0] == 7.0
    assert np.isnan(read_stream(StreamRef(matrices, "b"))[0, 1])


def test_parquet_lists_of_every_kind_and_many_row_groups(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "callsift[parquet]"')
    keys = list(range(50))
    expected = [[[float(key), float(row)] for row in range(1 + key % 3)] for key in keys]
    half = pyarrow.float16()
    for number, kind in enumerate(
        [
            pyarrow.list_(pyarrow.list_(pyarrow.float64())),
            pyarrow.large_list(pyarrow.list_(pyarrow.float32())),
            pyarrow.list_(pyarrow.list_(half, 2)),
        ]
    ):
        given = [[[np.float16(x) for x in row] for row in value] for value in expected] if number == 2 else expected
        path = _parquet(tmp_path / f"{number}.parquet", keys, pyarrow.array(given, type=kind), row_group_size=7)
        for key in (0, 49, 6, 7, 13, 48):
            assert read_stream(StreamRef(path, str(key))).tolist() == expected[key]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([[[1.0, 2.0], [3.0]]], "different lengths, 1 to 2"),
        ([[[1.0, 2.0], None]], "different lengths, 0 to 2"),
        ([[[[1.0]]]], "list<list<float>>"),
        ([["a"]], "list<float>"),
        ([1.0], "double"),
        ([[]], "null"),
        ([[1.0, float("inf")]], "1 of 2 numbers are infinite"),
    ],
)
def test_parquet_values_that_can_be_no_stream_are_refused(tmp_path: Path, values: Any, said: str) -> None:
    _refused(StreamRef(_parquet(tmp_path / "a.parquet", ["x"], values), "x"), ErrorCode.UNREADABLE, said)


def test_parquet_rows_that_are_empty_or_null_or_double_are_refused(tmp_path: Path) -> None:
    path = _parquet(
        tmp_path / "a.parquet", ["full", "none", "empty", "twice", "twice"], [[1.0], None, [], [1.0], [2.0]]
    )
    assert read_stream(StreamRef(path, "full")).tolist() == [[1.0]]
    _refused(StreamRef(path, "none"), ErrorCode.UNREADABLE, "null")
    _refused(StreamRef(path, "empty"), ErrorCode.UNREADABLE, "shape is (0,)")
    _refused(StreamRef(path, "twice"), ErrorCode.UNREADABLE, "several rows")
    _refused(StreamRef(path, "gone"), ErrorCode.MISSING_STREAM, "the file has 4")


def test_parquet_without_its_columns_or_damaged_is_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "callsift[parquet]"')
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"id": ["a"], "vector": [[1.0]]}), tmp_path / "a.parquet")
    _refused(StreamRef(tmp_path / "a.parquet", "a"), ErrorCode.UNREADABLE, "'key' and 'values'", "id, vector")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    _refused(StreamRef(tmp_path / "b.parquet", "a"), ErrorCode.UNREADABLE)


def test_without_pyarrow_the_error_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from callsift.data.arrays import read_stream\n"
        "from callsift.errors import UsageError\n"
        "from callsift.types import StreamRef\n"
        "try: read_stream(StreamRef(Path(sys.argv[1]), 'x'))\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.parquet")], capture_output=True, text=True, check=True
    )
    assert 'pip install "callsift[parquet]"' in done.stdout
    assert "a.parquet" in done.stdout
