"""Where calls are worked on: several processes answer as one does, and what was answered is not asked again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from callsift.errors import ErrorCode, NoRoomError, UsageError
from callsift.evaluation.desk import Desk, InProcess, InProcesses, Progress, Task, silently
from callsift.evaluation.faithfulness import faithfulness, moved_of
from callsift.evaluation.graded import Heard, hear
from callsift.isolation import Lost
from callsift.pipeline.call_files import as_read
from callsift.scoring.scorer import Scorer
from callsift.types import Call
from tests.evaluation.planted import NO_POSITIVE, made, planted, said

CALLS = [made(number, segments=4) for number in range(1, 7)]


@pytest.fixture(scope="module")
def desk() -> Iterator[InProcesses]:
    with InProcesses(planted, jobs=2) as many:
        yield many


class Said(list[str]):
    """What was said of answers taken up."""

    def __init__(self, desk: InProcesses, path: Path) -> None:
        super().__init__()
        desk.keep_in(path, self.append)


def heard_by(desk: InProcesses, path: Path, calls: list[Call]) -> tuple[Heard, list[str]]:
    told = Said(desk, path)
    return hear(desk, calls), told


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob(".x-*.jsonl"))


def taken(done: int, of: int = len(CALLS)) -> list[str]:
    return [f"scoring: {done} of {of} were done before this was stopped"] if done else []


def test_several_processes_say_what_one_does(desk: InProcesses) -> None:
    broken = Call("nothing", label="yes")
    heard = hear(desk, [*CALLS[::-1], broken])
    assert heard == hear(InProcess(planted()), [*CALLS[::-1], broken])
    assert [row["call_id"] for row in heard.rows] == [call.call_id for call in [*CALLS[::-1], broken]]
    assert list(heard.failed) == ["nothing"]
    assert heard.failed["nothing"].startswith("missing_file: ")
    assert faithfulness(desk, CALLS[:3]) == faithfulness(planted(), CALLS[:3])


def test_only_what_is_missing_is_asked(desk: InProcesses, tmp_path: Path) -> None:
    """A last line that was cut short, as by kill -9, is asked again; and a call that failed."""
    calls = [*CALLS[1:], Call("nothing", label="yes")]
    whole, told = heard_by(desk, tmp_path / ".x", calls)
    assert told == []
    (journal,) = journals(tmp_path)
    lines = journal.read_bytes().split(b"\n")
    assert len(lines) == len(CALLS)  # five calls, and what is after the last line
    journal.write_bytes(b"\n".join(lines[:3]) + b"\n" + lines[3][:100])
    again, told = heard_by(desk, tmp_path / ".x", calls)
    assert (again, told) == (whole, taken(3))
    again, told = heard_by(desk, tmp_path / ".x", calls)
    assert (again, told) == (whole, taken(5))
    desk.forget()
    assert list(tmp_path.iterdir()) == []


def test_what_has_changed_is_asked_anew(desk: InProcesses, tmp_path: Path) -> None:
    transcript = tmp_path / "c6.txt"
    transcript.write_text("customer: well yes\n")
    calls = [*CALLS[:-1], replace(CALLS[-1], segments=(), transcript=transcript)]
    heard_by(desk, tmp_path / ".x", calls)
    transcript.write_text("customer: never, never\n")
    _, told = heard_by(desk, tmp_path / ".x", calls)
    assert told == taken(5)
    relabelled = [replace(calls[0], label="no"), replace(calls[1], group="g"), *calls[2:]]
    heard, told = heard_by(desk, tmp_path / ".x", relabelled)
    assert told == taken(4)
    assert heard == hear(InProcess(planted()), relabelled)
    assert heard.items[0].label == "no"
    told = Said(desk, tmp_path / ".x")
    for draws in (5, 5, 6):
        tasks = [Task(moved_of, call, (draws, 0)) for call in CALLS]
        assert len(list(desk.answers(tasks, silently, "testing"))) == len(CALLS)
    assert told == ["testing: 6 of 6 were done before this was stopped"]


def test_file_names_in_another_encoding_are_told_apart(tmp_path: Path) -> None:
    """Their bytes stand as halves of a character in a path: nothing may make one letter of them all."""
    calls = []
    for byte in (b"\xe8", b"\xe9"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf" + byte + b".wav"))
        path.touch()
        os.utime(path, ns=(1, 1))
        calls.append(replace(CALLS[0], segments=(), audio=path))
    one, other = (Task(moved_of, call).sha256 for call in calls)
    assert one != other
    assert as_read(str(calls[0].audio)) == str(calls[0].audio)


def test_another_model_takes_up_nothing(desk: InProcesses, tmp_path: Path) -> None:
    heard_by(desk, tmp_path / ".x", CALLS)
    with InProcesses(partial(planted, NO_POSITIVE)) as other:
        found, told = heard_by(other, tmp_path / ".x", CALLS)
        assert told == []
        assert found == hear(InProcess(planted(NO_POSITIVE)), CALLS)
        assert len(journals(tmp_path)) == 2
        (tmp_path / ".x.lock").touch()
        neighbour = tmp_path / f".x-b.json-heard_of-{'0' * 16}.jsonl"
        neighbour.touch()
        other.forget()
    assert set(tmp_path.iterdir()) == {tmp_path / ".x.lock", neighbour}


def dies(scorer: Scorer, call: Call) -> dict[str, Any]:
    """Work that costs the process with one of the calls."""
    if call.call_id == "c3":
        os.abort()
    return {"of": call.call_id}


def test_a_process_that_dies_costs_its_call_alone(desk: InProcesses, tmp_path: Path) -> None:
    Said(desk, tmp_path / ".x")
    found = {task.call.call_id: each for task, each in desk.answers([Task(dies, c) for c in CALLS], silently, "dying")}
    lost = found.pop("c3")
    assert isinstance(lost, Lost)
    assert lost.code == ErrorCode.CRASHED
    assert found == {call.call_id: {"of": call.call_id} for call in CALLS if call.call_id != "c3"}


class Losing:
    """A desk in this process, of which one call's answer is lost."""

    def __init__(self) -> None:
        self.inner = InProcess(planted())
        self.subject = self.inner.subject

    def answers(self, tasks: list[Task], progress: Progress, what: str) -> Iterator[tuple[Task, Any]]:
        for task, answer in self.inner.answers(tasks, progress, what):
            yield task, Lost(ErrorCode.TIMEOUT, "not done within 600 s") if task.call.call_id == "c3" else answer


def test_a_lost_call_is_one_that_failed() -> None:
    losing: Desk = Losing()
    heard = hear(losing, CALLS)
    assert list(heard.failed) == ["c3"]
    assert heard.failed["c3"].startswith("timeout: not done within 600 s. Try callsift score on it alone")
    assert len(heard.calls) == len(heard.items) == len(CALLS) - 1
    found = faithfulness(losing, CALLS, draws=2)
    assert found is not None
    assert found["calls"] == len(CALLS) - 1


def test_half_a_character_in_a_transcript_costs_its_call_alone(desk: InProcesses, tmp_path: Path) -> None:
    """No file can hold it, and no hash be taken of it as it is."""
    heard, _ = heard_by(desk, tmp_path / ".x", [replace(said("yes \ud83d plan", "well"), label="yes"), *CALLS])
    assert list(heard.failed) == ["c"]
    assert len(heard.calls) == len(CALLS)


def test_where_nothing_can_be_written_it_is_said(desk: InProcesses, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoRoomError, match=r"file can't be written: .*\. Mend that, then give the same command again"):
        heard_by(desk, tmp_path / "file" / ".x", CALLS)
    heard_by(desk, tmp_path / ".x", CALLS)
    (journal,) = journals(tmp_path)
    journal.write_text("nonsense\n" + journal.read_text())
    with pytest.raises(UsageError, match="line 1: not a result of callsift"):
        heard_by(desk, tmp_path / ".x", CALLS)


def test_calls_too_short_for_the_check_are_not_prepared_for_it() -> None:
    """Five thousand clips of one segment would be heard a second time for nothing."""
    asked: list[str] = []

    class Watched(InProcess):
        def answers(self, tasks: Any, progress: Progress, what: str) -> Iterator[tuple[Task, Any]]:
            asked.extend(task.call.call_id for task in tasks)
            return super().answers(tasks, progress, what)

    assert moved_of(planted(), made(11, segments=3), 5, 0) is None
    assert faithfulness(Watched(planted()), [made(11, segments=3), *CALLS, made(12, segments=1)], most=4) is not None
    assert len(asked) == 4
    assert set(asked) <= {call.call_id for call in CALLS}
