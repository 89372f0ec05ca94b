"""Work that crashes, hangs or is killed costs its own item alone, and no worker outlives its parent."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from callsift.errors import CallsiftError, ErrorCode, RecordingError, UsageError
from callsift.isolation import Lost, Workers

LIMIT_S = 5.0
"""For what ought to happen at once, on a machine that has other things to do."""


def make() -> tuple[int, Callable[[str], object]]:
    """The worker of these tests: its process id, and `work`."""
    return os.getpid(), work


seen: list[str] = []


def work(item: str) -> object:
    """What the item says. Runs in a worker."""
    seen.append(item)
    if item == "segfault" or (item == "segfault after others" and len(seen) > 1):
        ctypes.string_at(0)
    elif item == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif item == "exit":
        os._exit(3)
    elif item == "hang":
        time.sleep(1000)
    elif item == "hang in native code":
        ctypes.PyDLL(None).sleep(1000)  # holds the interpreter's lock all the time
    elif item.endswith(".pid"):
        with subprocess.Popen(["sleep", "1000"]) as child:
            Path(item).write_text(str(child.pid))
    elif item == "raise":
        raise RuntimeError("out of order")
    elif item == "memory":
        raise MemoryError
    elif item == "a function":
        return lambda: item
    elif item == "print":
        os.write(1, b"chatter\n")
        logging.getLogger(__name__).warning("logged")
    return f"{item} done"


def make_wrong() -> tuple[None, Callable[[str], object]]:
    raise UsageError("no such engine")


def make_foreign() -> tuple[None, Callable[[str], object]]:
    raise RecordingError(ErrorCode.ASR_FAILED, "pickle can't restore this one")


def make_segfault() -> tuple[None, Callable[[str], object]]:
    ctypes.string_at(0)
    raise AssertionError("not reached")


def gone(pid: int) -> bool:
    """Whether the process ends soon. One that nobody has waited for yet has ended all the same."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def children() -> set[int]:
    """Processes whose parent is this one."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for path in found for pid in path.read_text().split()}


EXPECTED = {
    "segfault": (ErrorCode.CRASHED, "SIGSEGV"),
    "exit": (ErrorCode.CRASHED, "exit code 3"),
    "killed": (ErrorCode.OUT_OF_MEMORY, "most likely for lack of memory"),
    "memory": (ErrorCode.OUT_OF_MEMORY, "not enough memory"),
    "hang": (ErrorCode.TIMEOUT, "not done within 0.5 s"),
    "hang in native code": (ErrorCode.TIMEOUT, "not done within 0.5 s"),
    "raise": (ErrorCode.INTERNAL, "RuntimeError: out of order"),
    "a function": (ErrorCode.INTERNAL, "pickle"),
}


@pytest.mark.parametrize("count", [1, 2])
def test_what_goes_wrong_costs_its_own_item_alone(count: int) -> None:
    items = ["one", "segfault", "two", "hang", "exit", "raise", "killed", "memory", "hang in native code", "a function",
             "three"]  # fmt: skip
    with Workers(make, count) as workers:
        found = list(workers.run(items, lambda item: 0.5 if "hang" in item else None))
    assert sorted(item for item, _ in found) == sorted(items)
    for item, result in found:
        if item not in EXPECTED:
            assert result == f"{item} done"
            continue
        code, words = EXPECTED[item]
        assert isinstance(result, Lost)
        assert result.code == code
        assert words in result.message
    assert not children()


def test_a_crash_that_others_may_have_caused_is_tried_again_alone() -> None:
    with Workers(make) as workers:
        found = dict(workers.run(["one", "segfault after others", "two"], lambda item: None))
    assert found["segfault after others"] == "segfault after others done"
    assert len(found) == 3


def test_workers_stay_for_the_next_run_and_end_with_the_block() -> None:
    with Workers(make) as workers:
        first = workers.about
        assert list(workers.run(["one"], lambda item: None)) == [("one", "one done")]
        assert list(workers.run([], lambda item: None)) == []
        assert list(workers.run(["two"], lambda item: 60.0)) == [("two", "two done")]
        assert children() == {first}
    assert gone(first)


def test_an_overrun_kills_the_children_too(tmp_path: Path) -> None:
    item = str(tmp_path / "child.pid")
    with Workers(make) as workers:
        ((_, result),) = workers.run([item], lambda item: LIMIT_S)
    assert isinstance(result, Lost)
    assert gone(int(Path(item).read_text()))


def test_a_run_that_is_given_up_leaves_no_process() -> None:
    with Workers(make, 2) as workers:
        run = workers.run(["one", "hang", "hang"], lambda item: None)
        assert next(run) == ("one", "one done")
        run.close()
        assert not children()
        assert list(workers.run(["two"], lambda item: None)) == [("two", "two done")]


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (make_wrong, UsageError, "^no such engine$"),
        (make_foreign, CallsiftError, "^pickle can't restore this one$"),
        (make_segfault, CallsiftError, "can't be started: .* SIGSEGV"),
    ],
)
def test_workers_that_can_not_be_made_are_an_error(
    wrong: Callable[[], tuple[None, Callable[[str], object]]], error: type[CallsiftError], words: str
) -> None:
    with Workers(wrong, 2) as workers:
        with pytest.raises(error, match=words):
            list(workers.run(["one"], lambda item: None))
    assert not children()


PARENT = """
import logging, sys
sys.path.insert(0, {tests!r})
logging.basicConfig(level={level!r})
from callsift.isolation import Workers
from test_isolation import make
with Workers(make) as workers:
    print(workers.about, flush=True)
    for item, result in workers.run(sys.argv[1:], lambda item: None):
        print(result, flush=True)
"""


def parent_of(*items: str, level: str = "WARNING") -> subprocess.Popen[str]:
    """A process with a worker; its first line says which."""
    command = [sys.executable, "-c", PARENT.format(tests=str(Path(__file__).parent), level=level), *items]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - threads hold no lock that it needs
    )


def heed_interrupts() -> None:
    """As a process in the foreground does: tests that run in the background would hand down that they are ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("item", ["hang", "hang in native code"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(item: str, number: signal.Signals) -> None:
    with parent_of("one", item) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        worker = int(parent.stdout.readline())
        assert parent.stdout.readline() == "one done\n"
        os.killpg(parent.pid, number)  # as Ctrl-C does, where it is SIGINT
        said = parent.stderr.read()
    assert parent.returncode == -number
    assert gone(worker)
    # The interrupt is this process's own to report: nothing comes from workers.
    assert said.count("Traceback") == (number == signal.SIGINT)


@pytest.mark.parametrize(("level", "shown"), [("DEBUG", "chatter\nWARNING test_isolation: logged\n"),
                                              ("WARNING", "WARNING test_isolation: logged\n")])  # fmt: skip
def test_what_a_worker_prints_is_kept_from_stdout_and_shown_while_debugging(level: str, shown: str) -> None:
    with parent_of("print", level=level) as parent:
        out, err = parent.communicate()
    assert out.splitlines()[1:] == ["print done"]
    assert err == shown
