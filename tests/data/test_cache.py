"""The feature cache: round trips, real kills, real rivals, full disks, and damage of every kind."""

from __future__ import annotations

import logging
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from callsift.data import cache as module
from callsift.data.cache import ArrayCache, features_key
from callsift.errors import DataError, UsageError

# The array of a key, in this process and in others: any number that comes back wrong shows.
MAKE = """
import sys, random, numpy as np
from pathlib import Path
from callsift.data.cache import ArrayCache
from callsift.errors import DataError
def made(key):
    draw = np.random.default_rng(int(key))
    shape = (int(draw.integers(1, 300)), int(draw.integers(1, 40)))
    return draw.standard_normal(shape).astype(["float16", "float32"][int(key) % 2])
"""
_scope: dict = {}
exec(MAKE, _scope)
made = _scope["made"]


def _start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAKE + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _keys(folder: Path) -> list[str]:
    index = sqlite3.connect(folder / "v1/index.sqlite")
    try:
        return [key for (key,) in index.execute("select key from entries")]
    finally:
        index.close()


def _packs(folder: Path) -> list[Path]:
    return sorted((folder / "v1").glob("pack-*.bin"))


def _check_all(folder: Path) -> int:
    """Every key of the index has its whole array; how many there are."""
    keys = _keys(folder)
    with ArrayCache(folder) as cache:
        for key in keys:
            found = cache.get(key)
            assert found is not None, key
            assert found.dtype == made(key).dtype
            assert np.array_equal(found, made(key))
    return len(keys)


@given(
    values=arrays.arrays(
        dtype=st.sampled_from(["<f2", "<f4", ">f4"]),
        shape=arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6),
    ),
    key=st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable()),
)
@settings(max_examples=60)
def test_what_is_put_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, key: str
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    with ArrayCache(folder) as cache:
        assert cache.get(key) is None
        cache.put(key, values)
        before = cache.get(key)
        cache.flush()
        after = cache.get(key)
    with ArrayCache(folder) as cache:
        later = cache.get(key)
    for found in (before, after, later):
        assert found is not None
        assert found.shape == values.shape
        assert found.dtype == values.dtype.newbyteorder("<")
        assert found.tobytes() == values.astype(found.dtype).tobytes()
        assert not found.flags.writeable


def test_a_first_put_of_a_key_stays_and_later_changes_to_the_array_do_not_matter(tmp_path: Path) -> None:
    with ArrayCache(tmp_path) as cache:
        values = np.ones((2, 3), dtype=np.float32)
        cache.put("k", values)
        values[:] = 5
        cache.put("k", values)
        assert cache.get("k").tolist() == [[1.0] * 3] * 2  # type: ignore[union-attr]
        cache.flush()
        size = cache.bytes
        cache.put("k", values)
        cache.flush()
        assert cache.bytes == size


@pytest.mark.parametrize("dtype", ["float64", "int64", "complex64", "bool"])
def test_other_types_are_refused(tmp_path: Path, dtype: str) -> None:
    with ArrayCache(tmp_path) as cache, pytest.raises(UsageError, match=dtype):
        cache.put("k", np.zeros(3, dtype=dtype))


def test_views_outlive_growth_and_close(tmp_path: Path) -> None:
    views = {}
    with ArrayCache(tmp_path) as cache:
        for key in map(str, range(200)):
            cache.put(key, made(key))
            views[key] = cache.get(key)
        cache.flush()
        views |= {f"{key} mapped": cache.get(key) for key in list(views)}
    shutil.rmtree(tmp_path / "v1")
    for key, view in views.items():
        assert np.array_equal(view, made(key.split()[0]))


def test_packs_are_mapped_once_not_once_per_entry(tmp_path: Path) -> None:
    def opened() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    for _ in range(3):
        with ArrayCache(tmp_path) as cache:
            for key in map(str, range(300)):
                cache.put(key, made(key))
                cache.put(f"1{len(_packs(tmp_path))}{key}", made(key))
    before = opened()
    with ArrayCache(tmp_path) as cache:
        views = [cache.get(key) for key in _keys(tmp_path)]
        assert len(views) > 900
        assert opened() <= before + len(_packs(tmp_path)) + 2
    del views
    assert opened() == before


def test_commits_come_by_number_by_size_and_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = np.zeros(2, dtype=np.float32)
    with ArrayCache(tmp_path) as cache:
        for at in range(module.COMMIT_PUTS - 1):
            cache.put(f"a{at}", small)
        assert not _keys(tmp_path)
        cache.put("one more", small)
        assert len(_keys(tmp_path)) == module.COMMIT_PUTS
        monkeypatch.setattr(module, "COMMIT_BYTES", 4096)
        cache.put("large", np.zeros(1024, dtype=np.float32))
        assert "large" in _keys(tmp_path)
        cache.put("early", small)
        assert "early" not in _keys(tmp_path)
        monkeypatch.setattr(module, "COMMIT_S", 0.0)
        cache.put("late", small)
        assert {"early", "late"} <= set(_keys(tmp_path))


KILLED = """
with ArrayCache(Path(sys.argv[1])) as cache:
    print("open", flush=True)
    for at in range(int(sys.argv[2]), 10**9):
        cache.put(str(at), made(at))
        assert np.array_equal(cache.get(str(at)), made(at))
        if at % 3 == 0:
            cache.flush()
"""


def test_a_process_killed_at_any_instant_leaves_nothing_torn(tmp_path: Path) -> None:
    draw = random.Random(7)
    kept = 0
    for round_at in range(10):
        writer = _start(KILLED, tmp_path, 1_000_000 * round_at)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n", writer.communicate()
        time.sleep(draw.uniform(0.0, 0.4))
        writer.kill()
        _, said = writer.communicate()
        assert (writer.returncode, said) == (-signal.SIGKILL, "")
        found = _check_all(tmp_path)
        assert found >= kept
        kept = found
    assert kept > 100
    # Tails and packs that nothing names stay at most until the next writer comes.
    with ArrayCache(tmp_path) as cache:
        cache.put("5", made(5))
    index = sqlite3.connect(tmp_path / "v1/index.sqlite")
    named = {pack for (pack,) in index.execute("select distinct pack from entries")}
    index.close()
    assert {path.name for path in _packs(tmp_path)} == named


RIVAL = """
order = list(range(300))
random.Random(int(sys.argv[2])).shuffle(order)
with ArrayCache(Path(sys.argv[1])) as cache:
    print("ready", flush=True)
    sys.stdin.readline()
    for at in order:
        cache.put(str(at), made(at))
        if at % 7 == 0:
            cache.flush()
        assert np.array_equal(cache.get(str(at)), made(at))
"""


def test_processes_that_fill_the_same_keys_at_once_all_succeed(tmp_path: Path) -> None:
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE + RIVAL, str(tmp_path), str(seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for seed in range(3)
    ]  # fmt: skip
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    for rival in rivals:
        _, said = rival.communicate(timeout=120)
        assert (rival.returncode, said) == (0, "")
    assert _check_all(tmp_path) == 300
    assert len(_packs(tmp_path)) > 1


def test_threads_share_a_cache(tmp_path: Path) -> None:
    wrong: list[str] = []
    with ArrayCache(tmp_path) as cache:

        def work(first: int) -> None:
            for key in map(str, range(first, first + 80)):
                cache.put(key, made(key))
                if not np.array_equal(cache.get(key), made(key)):
                    wrong.append(key)

        threads = [threading.Thread(target=work, args=(first,)) for first in (0, 20, 40, 60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
    assert _check_all(tmp_path) == 140


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
    arrays = {str(at): np.full(length, at % 2000, dtype=np.float32) for at in range(20_000)}
    with ArrayCache(folder) as cache:
        with pytest.raises(DataError, match=str(folder)):
            for key, values in arrays.items():
                cache.put(key, values)
        kept = _keys(folder)
        # Full disks stay full for a while: it fails again, in the same words.
        with pytest.raises(DataError, match="No space left|disk is full"):
            for key, values in arrays.items():
                cache.put(key, values)
            cache.flush()
        for key in _keys(folder):
            assert np.array_equal(cache.get(key), arrays[key])  # type: ignore[arg-type]
        ballast.unlink()
        for key in list(arrays)[:20]:
            cache.put(key, arrays[key])
    with ArrayCache(folder) as cache:
        for key in {*list(arrays)[:20], *kept}:
            assert np.array_equal(cache.get(key), arrays[key])  # type: ignore[arg-type]


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
    assert np.array_equal(cache.get("1"), made(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for at in range(100):
        cache.put(str(at), made(at))
"""


def test_a_file_that_may_not_grow_is_an_error_and_the_cache_goes_on(tmp_path: Path) -> None:
    limited = _start(LIMITED, tmp_path)
    _, said = limited.communicate(timeout=60)
    assert (limited.returncode, said) == (0, "")
    assert _check_all(tmp_path) >= 100


def _filled(folder: Path, count: int = 60) -> dict[str, np.ndarray]:
    with ArrayCache(folder) as cache:
        for key in map(str, range(count)):
            cache.put(key, made(key))
    return {key: made(key) for key in map(str, range(count))}


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
    assert _check_all(folder) == len(expected)
    return found


def test_what_stood_in_a_short_pack_is_missing_and_can_be_put_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = _filled(tmp_path)
    (pack,) = _packs(tmp_path)
    pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        assert 5 < _fill_again(tmp_path, expected) < 55
    assert [pack.name in text for text in caplog.messages] == [True]


def test_a_pack_cut_while_it_is_mapped_does_not_end_the_process(tmp_path: Path) -> None:
    expected = _filled(tmp_path)
    (pack,) = _packs(tmp_path)
    with ArrayCache(tmp_path) as cache:
        assert all(cache.get(key) is not None for key in expected)
        with pack.open("r+b") as stream:
            stream.truncate(4096)
        assert sum(cache.get(key) is not None for key in expected) < 5


def test_a_missing_pack_and_a_flipped_bit_count_as_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = _filled(tmp_path)
    (pack,) = _packs(tmp_path)
    whole = bytearray(pack.read_bytes())
    whole[len(whole) // 2] ^= 1
    pack.write_bytes(whole)
    assert _fill_again(tmp_path, expected) >= len(expected) - 1
    for path in _packs(tmp_path):
        path.unlink()
    assert _fill_again(tmp_path, expected) == 0
    assert any("missing or damaged" in text for text in caplog.messages)


@pytest.mark.parametrize("damage", ["garbage", "short", "foreign table", "middle"])
def test_a_damaged_index_is_said_and_begun_anew(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    expected = _filled(tmp_path, 300)
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
    before = {pack.name for pack in _packs(tmp_path)}
    assert _fill_again(tmp_path, expected) == 0
    assert any("index.sqlite is damaged" in text for text in caplog.messages)
    # The packs of the lost index went when the first one after it was begun.
    assert not before & {pack.name for pack in _packs(tmp_path)}


def test_an_index_damaged_while_it_is_open_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = _filled(tmp_path, 300)
    with ArrayCache(tmp_path) as cache:
        assert cache.get("7") is not None
        (tmp_path / "v1/index.sqlite").write_bytes(b"no database at all " * 500)
        assert [cache.get(key) for key in expected] == [None] * 300
        for key, values in expected.items():
            cache.put(key, values)
    assert any("index.sqlite is damaged" in text for text in caplog.messages)
    assert _check_all(tmp_path) == 300


@given(at=st.integers(0, 1 << 20), junk=st.binary(min_size=1, max_size=60))
@settings(max_examples=60)
def test_random_damage_to_the_index_never_gives_wrong_numbers(
    tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    expected = _filled(folder, 30)
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
    _filled(tmp_path, 5)
    index = sqlite3.connect(tmp_path / "v1/index.sqlite")
    index.execute(f"update entries set {column} = ? where key = '3'", (value,))
    index.commit()
    index.close()
    with ArrayCache(tmp_path) as cache:
        assert cache.get("3") is None
        cache.put("3", made(3))
    assert _check_all(tmp_path) == 5


def test_a_cache_of_another_version_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _filled(tmp_path)
    monkeypatch.setattr(module, "CACHE_VERSION", 2)
    with ArrayCache(tmp_path) as cache:
        assert [cache.get(key) for key in expected] == [None] * len(expected)
        cache.put("0", np.zeros(1, dtype=np.float16))
    monkeypatch.undo()
    assert _check_all(tmp_path) == len(expected)


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file/cache: the feature cache can't be used"):
        ArrayCache(tmp_path / "file/cache")


def test_a_closed_cache_says_so(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    cache.close()
    cache.close()
    with pytest.raises(DataError, match="closed"):
        cache.get("k")


def test_the_key_is_of_what_is_fed_and_to_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    key = features_key(values, "hubert")
    assert len(key) == 64
    same = [values.copy(), np.asfortranarray(values), values.astype(">f4"), np.repeat(values, 2, axis=0)[::2]]
    assert {features_key(other, "hubert") for other in same} == {key}
    changed = values.copy()
    changed[2, 3] = np.nextafter(changed[2, 3], 20, dtype=np.float32)
    others = [
        features_key(changed, "hubert"),
        features_key(values.reshape(4, 3), "hubert"),
        features_key(values.view(np.int32), "hubert"),
        features_key(values[:2], "hubert"),
        features_key(values, "hubert 2"),
        features_key(np.zeros((0, 4), dtype=np.float32), "hubert"),
        features_key(np.zeros((4, 0), dtype=np.float32), "hubert"),
        features_key(np.float32(0.0).reshape(()), "hubert"),
    ]
    monkeypatch.setattr(module, "CACHE_VERSION", 2)
    others.append(features_key(values, "hubert"))
    assert len({key, *others}) == 1 + len(others)
