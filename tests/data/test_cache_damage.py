"""The feature cache where the disk is full, and where its files are damaged."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsift.data.cache import ArrayCache
from callsift.errors import DataError
from tests.data.caches import check_all, filled, keys, made, packs, start


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("length", [20_000, 20])
def test_a_full_disk_is_an_error_that_names_the_folder_and_the_cache_goes_on(small_disk: Path, length: int) -> None:
    folder = small_disk / "cache"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))

    def values(at: int) -> np.ndarray:
        return np.full(length, at, dtype=np.float32)

    def fill(first: int) -> None:
        for at in range(first, first + 20_000):
            cache.put(str(at), values(at))
            done.append(at)

    done: list[int] = []
    with ArrayCache(folder) as cache:
        with pytest.raises(DataError, match=str(folder)):
            fill(0)
        # Full disks stay full for a while: it fails again, in the same words.
        with pytest.raises(DataError, match="No space left|disk is full"):
            fill(100_000)
        assert len(done) > 4
        for at in done:
            assert np.array_equal(cache.get(str(at)), values(at))  # type: ignore[arg-type]
        ballast.unlink()
        cache.flush()
        assert set(map(str, done)) <= set(keys(folder))
        cache.put("7", values(7))
    with ArrayCache(folder) as cache:
        for at in {*done, 7}:
            assert np.array_equal(cache.get(str(at)), values(at))  # type: ignore[arg-type]


def test_a_cache_closed_on_a_full_disk_says_so_and_can_be_opened_again(small_disk: Path) -> None:
    with pytest.raises(DataError, match="No space left|disk is full"), ArrayCache(small_disk) as cache:
        for at in range(20_000):
            cache.put(str(at), made(at))
    check_all(small_disk)


LIMITED = """
import resource
folder = Path(sys.argv[1])
with ArrayCache(folder) as cache:
    cache.put("1", made(1))
    cache.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
    try:
        for at in range(2, 10_000):
            cache.put(str(at), made(at))
    except DataError as error:
        assert str(folder) in str(error), error
    else:
        raise SystemExit("nothing was refused")
    for before in range(1, at):
        assert np.array_equal(cache.get(str(before)), made(before))
    (pack,) = folder.glob("v1/pack-*.bin")
    assert pack.stat().st_size < 150_000, "half an array was left"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for at in range(100):
        cache.put(str(at), made(at))
"""


def test_a_file_that_may_not_grow_is_an_error_and_the_cache_goes_on(tmp_path: Path) -> None:
    limited = start(LIMITED, tmp_path)
    _, said = limited.communicate(timeout=60)
    assert (limited.returncode, said) == (0, "")
    assert check_all(tmp_path) >= 100


def _fill_again(folder: Path, expected: dict[str, np.ndarray]) -> int:
    """Use the cache as a caller does; how many arrays were still there. Afterwards all are."""
    found = 0
    with ArrayCache(folder) as cache:
        for key, values in expected.items():
            view = cache.get(key)
            if view is None:
                cache.put(key, values)
            else:
                found += 1
                assert np.array_equal(view, values)
    assert check_all(folder) == len(expected)
    return found


def test_what_stood_in_a_short_pack_is_missing_and_can_be_put_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = filled(tmp_path)
    (pack,) = packs(tmp_path)
    pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        assert 5 < _fill_again(tmp_path, expected) < 55
    assert [pack.name in text for text in caplog.messages] == [True]


def test_a_pack_cut_while_it_is_mapped_does_not_end_the_process(tmp_path: Path) -> None:
    expected = filled(tmp_path)
    (pack,) = packs(tmp_path)
    with ArrayCache(tmp_path) as cache:
        assert all(cache.get(key) is not None for key in expected)
        with pack.open("r+b") as stream:
            stream.truncate(4096)
        assert sum(cache.get(key) is not None for key in expected) < 5


def test_a_missing_pack_and_a_flipped_bit_count_as_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = filled(tmp_path)
    (pack,) = packs(tmp_path)
    whole = bytearray(pack.read_bytes())
    whole[len(whole) // 2] ^= 1
    pack.write_bytes(whole)
    assert _fill_again(tmp_path, expected) >= len(expected) - 1
    for path in packs(tmp_path):
        path.unlink()
    assert _fill_again(tmp_path, expected) == 0
    assert any("missing or damaged" in text for text in caplog.messages)


@pytest.mark.parametrize("damage", ["garbage", "short", "foreign table", "middle"])
def test_a_damaged_index_is_said_and_begun_anew(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    expected = filled(tmp_path, 300)
    path = tmp_path / "v1/index.sqlite"
    whole = path.read_bytes()
    if damage == "garbage":
        path.write_bytes(b"no database at all " * 500)
    elif damage == "short":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "middle":
        path.write_bytes(whole[:4096] + bytes([255]) * 4096 + whole[8192:])
    else:
        path.unlink()
        index = sqlite3.connect(path)
        index.execute("create table entries (name text)")
        index.close()
    before = {pack.name for pack in packs(tmp_path)}
    assert _fill_again(tmp_path, expected) == 0
    assert any("index.sqlite is damaged" in text for text in caplog.messages)
    # The packs of the lost index went when the first one after it was begun.
    assert not before & {pack.name for pack in packs(tmp_path)}


def test_an_index_damaged_while_it_is_open_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = filled(tmp_path, 300)
    with ArrayCache(tmp_path) as cache:
        assert cache.get("7") is not None
        (tmp_path / "v1/index.sqlite").write_bytes(b"no database at all " * 500)
        assert [cache.get(key) for key in expected] == [None] * 300
        for key, values in expected.items():
            cache.put(key, values)
    assert any("index.sqlite is damaged" in text for text in caplog.messages)
    assert check_all(tmp_path) == 300


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    filled(folder, 30)
    return folder


@given(at=st.integers(0, 1 << 20), junk=st.binary(min_size=1, max_size=60))
@settings(max_examples=60)
def test_random_damage_to_the_index_never_gives_wrong_numbers(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    shutil.copytree(sound, folder, dirs_exist_ok=True)
    expected = {str(at): made(at) for at in range(30)}
    path = folder / "v1/index.sqlite"
    whole = bytearray(path.read_bytes())
    at %= len(whole)
    whole[at : at + len(junk)] = junk
    path.write_bytes(whole)
    with ArrayCache(folder) as cache:
        for key, values in expected.items():
            view = cache.get(key)
            assert view is None or np.array_equal(view, values)
            cache.put(key, values)
            assert np.array_equal(cache.get(key), values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("pack", "../../../etc/passwd"),
        ("pack", "a\0b"),
        ("pack", b"\xff"),
        ("start", -64),
        ("start", 1 << 62),
        ("start", "far"),
        ("dtype", "object"),
        ("shape", "-1 -1"),
        ("shape", "9999999999 9999999999"),
        ("shape", "0 99999999999999999999999"),
        ("shape", "x"),
        ("shape", 5.5),
        ("crc32", 1),
    ],
)
def test_a_row_of_nonsense_counts_as_missing_and_is_replaced(tmp_path: Path, column: str, value: object) -> None:
    filled(tmp_path, 5)
    index = sqlite3.connect(tmp_path / "v1/index.sqlite")
    index.execute(f"update entries set {column} = ? where key = '3'", (value,))
    index.commit()
    index.close()
    with ArrayCache(tmp_path) as cache:
        assert cache.get("3") is None
        cache.put("3", made(3))
    assert check_all(tmp_path) == 5
