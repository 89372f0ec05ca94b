"""The feature cache: round trips, real kills, and real rivals."""

from __future__ import annotations

import mmap
import random
import shutil
import signal
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from callsift.data import cache as module
from callsift.data.cache import ArrayCache, features_key
from callsift.data.cache import packs as pack_files
from callsift.errors import DataError, UsageError
from tests.data.caches import check_all, filled, keys, made, packs, start


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


def _opened() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_views_outlive_growth_and_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_files, "_ROOM_BYTES", 1 << 16)
    views = {}
    with ArrayCache(tmp_path) as cache:
        for key in map(str, range(200)):
            cache.put(key, made(key))
            views[key] = cache.get(key)
        assert cache.bytes > 20 * pack_files._ROOM_BYTES
        cache.flush()
        views |= {f"{key} again": cache.get(key) for key in list(views)}
    shutil.rmtree(tmp_path / "v1")
    for key, view in views.items():
        assert np.array_equal(view, made(key.split()[0]))


def test_what_was_just_put_is_on_the_disk_not_in_memory_and_takes_no_file_each(tmp_path: Path) -> None:
    before = _opened()
    with ArrayCache(tmp_path) as cache:
        views = []
        for key in map(str, range(300)):
            cache.put(key, made(key))
            views.append(cache.get(key))
        assert all(view is not None and isinstance(view.base, mmap.mmap) for view in views)
        # The index, the pack and one map of it.
        assert _opened() == before + 3
        (pack,) = packs(tmp_path)
        assert pack.stat().st_size > 10 * cache.bytes
    (pack,) = packs(tmp_path)
    assert pack.stat().st_size < 2 * sum(made(key).nbytes for key in range(300))


def test_a_pack_removed_while_it_is_written_is_begun_anew(tmp_path: Path) -> None:
    with ArrayCache(tmp_path) as cache:
        cache.put("1", made(1))
        packs(tmp_path)[0].unlink()
        assert cache.get("1") is None
        for key in ("1", "2"):
            cache.put(key, made(key))
            assert np.array_equal(cache.get(key), made(key))  # type: ignore[arg-type]
    assert check_all(tmp_path) == 2


def test_packs_are_mapped_once_not_once_per_entry(tmp_path: Path) -> None:
    for session in range(3):
        with ArrayCache(tmp_path) as cache:
            for key in map(str, range(1000 * session, 1000 * session + 300)):
                cache.put(key, made(key))
    before = _opened()
    with ArrayCache(tmp_path) as cache:
        views = [cache.get(key) for key in keys(tmp_path)]
        assert len(views) == 900
        assert all(view is not None for view in views)
        # The index and three packs.
        assert _opened() == before + 4
    del views
    assert _opened() == before


def test_commits_come_by_number_by_size_and_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = np.zeros(2, dtype=np.float32)
    with ArrayCache(tmp_path) as cache:
        for at in range(module.COMMIT_PUTS - 1):
            cache.put(f"a{at}", small)
        assert not keys(tmp_path)
        cache.put("one more", small)
        assert len(keys(tmp_path)) == module.COMMIT_PUTS
        monkeypatch.setattr(module, "COMMIT_BYTES", 4096)
        cache.put("large", np.zeros(1024, dtype=np.float32))
        assert "large" in keys(tmp_path)
        cache.put("early", small)
        assert "early" not in keys(tmp_path)
        monkeypatch.setattr(module, "COMMIT_S", 0.0)
        cache.put("late", small)
        assert {"early", "late"} <= set(keys(tmp_path))


KILLED = """
with ArrayCache(Path(sys.argv[1])) as cache:
    print("open", flush=True)
    for at in range(int(sys.argv[2]), 10**9):
        cache.put(str(at), made(at))
        assert np.array_equal(cache.get(str(at)), made(at))
        if at % 3 == 0:
            cache.flush()
            print(at, flush=True)
"""


def test_a_process_killed_at_any_instant_leaves_nothing_torn(tmp_path: Path) -> None:
    draw = random.Random(7)
    kept = 0
    for first in range(0, 12_000_000, 1_000_000):
        writer = start(KILLED, tmp_path, first)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n", writer.communicate()
        said = [writer.stdout.readline() for _ in range(draw.randrange(15))]
        time.sleep(draw.uniform(0.0, 0.03))
        writer.kill()
        assert (writer.communicate()[1], writer.returncode) == ("", -signal.SIGKILL)
        found = check_all(tmp_path)
        assert found >= kept + (int(said[-1]) - first + 1 if said else 0)
        kept = found
    # Tails and packs that nothing names stay at most until the next writer comes.
    with ArrayCache(tmp_path) as cache:
        cache.put("5", made(5))
    index = sqlite3.connect(tmp_path / "v1/index.sqlite")
    named = {pack for (pack,) in index.execute("select distinct pack from entries")}
    index.close()
    assert {path.name for path in packs(tmp_path)} == named


EVERY_LINE = """
import os, signal, sqlite3
import callsift.data.cache as module

home = os.path.dirname(module.__file__)

def write(folder, last):
    seen = 0
    def trace(frame, event, _):
        nonlocal seen
        seen += frame.f_code.co_filename.startswith(home) and event == "line"
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    with ArrayCache(folder) as cache:
        sys.settrace(trace)
        for at in range(3):
            cache.put(str(at), made(at))
            if at:
                cache.flush()
        sys.settrace(None)

for last in range(1, 10_000):
    folder = Path(sys.argv[1]) / str(last)
    child = os.fork()
    if child == 0:
        write(folder, last)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    with ArrayCache(folder) as cache:
        index = sqlite3.connect(folder / "v1/index.sqlite")
        keys = [key for (key,) in index.execute("select key from entries")]
        index.close()
        for key in keys:
            assert np.array_equal(cache.get(key), made(key)), (last, key)
    print(len(keys))
    if status == 0:
        break
    assert status == signal.SIGKILL, status
"""


def test_a_process_killed_at_each_line_of_a_put_and_a_commit_leaves_nothing_torn(tmp_path: Path) -> None:
    writer = start(EVERY_LINE, tmp_path)
    out, said = writer.communicate(timeout=300)
    assert (writer.returncode, said) == (0, "")
    kept = list(map(int, out.split()))
    assert len(kept) > 100
    assert kept == sorted(kept)
    assert set(kept) == {0, 2, 3}


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
    rivals = [start(RIVAL, tmp_path, seed) for seed in range(3)]
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
    assert check_all(tmp_path) == 300
    assert len(packs(tmp_path)) > 1


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
    assert check_all(tmp_path) == 140


def test_a_cache_of_another_version_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = filled(tmp_path)
    monkeypatch.setattr(module, "CACHE_VERSION", 2)
    with ArrayCache(tmp_path) as cache:
        assert [cache.get(key) for key in expected] == [None] * len(expected)
        cache.put("0", np.zeros(1, dtype=np.float16))
    monkeypatch.undo()
    assert check_all(tmp_path) == len(expected)


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
