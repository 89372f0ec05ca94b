"""A folder that was begun: other data, another benchmark or a kill change nothing that is finished in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callsift.benchmarks.benchmark import Benchmark, Contents
from callsift.benchmarks.contents import read_data, take_over
from callsift.benchmarks.plan import Wanted
from callsift.benchmarks.run import run_benchmark, write_benchmark_manifest
from callsift.data.arrays import read_stream
from callsift.errors import UsageError
from callsift.files import read_json, write_json
from callsift.types import Call, Segment, StreamRef
from tests.benchmarks.test_bench_run import graded, made_benchmark

ONE = Wanted(rows=("text",), seeds=(1,), folds=(1,))


def with_arrays(folder: Path, scratch: Path) -> Contents:
    """Calls of one segment each, whose array is the number that `there` holds."""
    value = float((folder / "there").read_text())
    archive = scratch / "arrays.npz"
    np.savez(archive, all=np.full((1, 2), value, dtype=np.float32))

    def cut(call: Call) -> Call:
        return replace(call, turns=(), segments=(Segment("0", call.turns, streams={"x": StreamRef(archive, "all")}),))

    return Contents(tuple(cut(call) for call in graded(count=5)), (), frozenset({"text", "x"}))


def benchmark(**changes: object) -> Benchmark:
    return made_benchmark(read=with_arrays, **changes)


def write(source: Path, value: float) -> Path:
    source.mkdir(exist_ok=True)
    (source / "there").write_text(str(value))
    return source


def state(out: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; whoever changes it puts it back."""
    folder = tmp_path_factory.mktemp("begun")
    run_benchmark(benchmark(), write(folder / "in", 1.0), folder / "out", ONE)
    return folder


def test_other_data_are_refused_and_change_nothing(begun: Path) -> None:
    """The very words and labels, and other arrays: no name and no line of the manifest tells them apart."""
    source, out = begun / "in", begun / "out"
    before, answer = state(out), next(out.glob("trials/text/*/answer.json"))
    made_at = answer.stat().st_mtime_ns
    write(source, 2.0)
    refused: list[Callable[[], object]] = [
        lambda: run_benchmark(benchmark(), source, out, ONE),
        lambda: write_benchmark_manifest(benchmark(), source, out, lambda _: None),
        lambda: run_benchmark(replace(benchmark(), name="other"), source, out, ONE),
        lambda: write_benchmark_manifest(replace(benchmark(), name="other"), source, out, lambda _: None),
    ]
    for call, named in zip(refused, ("arrays_sha256", "arrays_sha256", "benchmark", "benchmark"), strict=True):
        with pytest.raises(UsageError, match=f"was begun with other settings .*{named}"):
            call()
        assert state(out) == before
    write(source, 1.0)  # the same again, written later: nothing is trained anew
    os.utime(out / "data/arrays.npz", ns=(1, 1))
    found = run_benchmark(benchmark(), source, out, ONE)
    assert found["rows"]["text"]["figures"]["accuracy"]["value"] >= 0
    assert answer.stat().st_mtime_ns == made_at


def test_a_finished_training_of_something_else_is_no_failed_one(begun: Path) -> None:
    source, out = begun / "in", begun / "out"
    answer = next(out.glob("trials/text/*/answer.json"))
    results, plain = (out / "results.json").read_bytes(), read_json(answer)
    write_json(answer, {**plain, "made_from": "something else"})
    with pytest.raises(UsageError, match="was made with other settings, data or parts"):
        run_benchmark(benchmark(), source, out, ONE)
    assert (out / "results.json").read_bytes() == results
    write_json(answer, plain)


def test_killed_while_the_data_take_their_place_none_are_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = write(tmp_path / "in", 1.0), tmp_path / "out"
    take_over(read_data(benchmark(), source, out), out)
    write(source, 2.0)
    ours, seen = Path.rename, []

    def killed(path: Path, target: Path) -> Path:
        seen.append(path)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return ours(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        found = read_data(benchmark(), source, out)
        patch.setattr(Path, "rename", killed)
        take_over(found, out)
    assert not (out / "data").exists()
    write(source, 1.0)
    for value in (1.0, 2.0):
        found = read_data(benchmark(), write(source, value), out)
        take_over(found, out)
        ref = found.contents.calls[0].segments[0].streams["x"]
        assert ref.path == out / "data/arrays.npz"
        assert read_stream(ref)[0, 0] == value
        assert sorted(path.name for path in out.iterdir()) == ["data"]


def test_recordings_are_found_once_the_data_took_their_place(tmp_path: Path) -> None:
    def heard(folder: Path, scratch: Path) -> Contents:
        calls = with_arrays(folder, scratch).calls
        of_calls, of_segments = calls[:10], calls[10:]
        found = [replace(call, audio=folder / "there", transcript=folder / "there") for call in of_calls]
        for call in of_segments:
            found.append(replace(call, segments=(replace(call.segments[0], audio=folder / "there"),)))
        return Contents(tuple(found), (), frozenset({"audio"}))

    out = tmp_path / "out"
    for _ in range(2):  # read, and as it was kept
        found = read_data(replace(benchmark(), read=heard), write(tmp_path / "in", 1.0), out)
        take_over(found, out)
        files = {
            file
            for call in found.contents.calls
            for file in (call.audio, call.transcript, *(segment.audio for segment in call.segments))
            if file is not None
        }
        assert {file.resolve() for file in files} == {(tmp_path / "in/there").resolve()}
        assert all(file.is_file() for file in files)


@pytest.mark.parametrize("inside", ["data", "trials", "data/deeper"])
def test_data_among_the_results_are_refused(inside: str, tmp_path: Path) -> None:
    (tmp_path / inside).mkdir(parents=True)
    source = write(tmp_path / inside, 1.0)
    with pytest.raises(UsageError, match=r"--data .* lies in .*, where -o .* is written"):
        run_benchmark(benchmark(), source, tmp_path, ONE)
    assert [path.name for path in source.iterdir()] == ["there"]


def test_the_hash_of_the_data_is_of_what_stands_in_their_files(begun: Path, tmp_path: Path) -> None:
    same = run_benchmark(benchmark(), write(tmp_path / "in", 1.0), tmp_path / "same", ONE)
    other = run_benchmark(benchmark(), write(tmp_path / "in", 2.0), tmp_path / "other", ONE)
    first = read_json(begun / "out/results.json")
    assert same["data"]["sha256"] == first["data"]["sha256"]  # elsewhere
    assert other["data"]["sha256"] != first["data"]["sha256"]


def test_a_chart_of_figures_that_there_are_no_more_goes(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (begun / "out/chart.svg").is_file()
    monkeypatch.setattr("callsift.benchmarks.run.chart_of", lambda results: None)
    run_benchmark(benchmark(), begun / "in", begun / "out", ONE)
    assert not (begun / "out/chart.svg").exists()
