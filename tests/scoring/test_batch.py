"""Many calls: results survive crashes of engines, stopped runs and odd names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callsift.bundle import find_bundle
from callsift.errors import CallsiftError, ErrorCode, UsageError
from callsift.scoring.batch import BatchScorer, ScorerSpec, default_limit_s
from callsift.scoring.output import ResultFile
from callsift.scoring.scorer import result_row
from callsift.scoring.sources import find_calls
from callsift.types import Call, Turn

sys.path.insert(0, str(Path(__file__).parent))
ENGINES_ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}


def _recordings(demo: Path, folder: Path, seconds: list[float]) -> list[Call]:
    """Bare recordings of these lengths, without transcripts."""
    samples, rate_hz = soundfile.read(demo / "calls/en-05-gym.wav", dtype="float32")
    for at, length in enumerate(seconds):
        soundfile.write(folder / f"{at}.wav", samples[: round(length * rate_hz)], rate_hz)
    return list(find_calls([str(folder)]).calls)


@pytest.mark.parametrize(
    ("engine", "workers", "code", "words"),
    [
        ("Crashing", 1, ErrorCode.CRASHED, "SIGSEGV"),
        ("Crashing", 2, ErrorCode.CRASHED, "SIGSEGV"),
        ("Hanging", 1, ErrorCode.TIMEOUT, "--timeout"),
        ("Killed", 1, ErrorCode.OUT_OF_MEMORY, "most likely for lack of memory"),
    ],
)
def test_a_call_that_a_library_dies_of_costs_itself_alone(
    demo: Path, tmp_path: Path, engine: str, workers: int, code: ErrorCode, words: str
) -> None:
    calls = _recordings(demo, tmp_path, [15, 50, 16, 17])
    spec = ScorerSpec(find_bundle("starter"), asr=f"engines:{engine}")
    with BatchScorer(spec, workers, timeout_s=8 if engine == "Hanging" else None) as scorer:
        found = {score.call_id: score for score in scorer.score_all(calls)}
        assert {score.settings_sha256 for score in found.values()} == {scorer.identity.settings_sha256}
    assert set(found) == {call.call_id for call in calls}
    assert {name for name, score in found.items() if score.error} == {"1.wav"}
    error = found["1.wav"].error
    assert error is not None
    assert error[0] == code
    assert words in error[1]
    json.dumps(result_row(found["1.wav"]))


def test_a_single_call_that_crashes_is_a_result_too(demo: Path, tmp_path: Path) -> None:
    """Through the command line: a line with an error and exit code 1, not the end of the command."""
    _recordings(demo, tmp_path, [50])
    command = [sys.executable, "-m", "callsift.cli", "score", str(tmp_path / "0.wav"), "--asr", "engines:Crashing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENGINES_ENV)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "crashed"
    assert "Traceback" not in done.stderr


def test_a_model_or_engine_that_is_not_there_is_said_before_any_call() -> None:
    for spec, words in (
        (ScorerSpec(Path("absent")), "absent"),
        (ScorerSpec(find_bundle("starter"), asr="absent"), "asr 'absent' is not known"),
    ):
        with BatchScorer(spec) as scorer, pytest.raises(CallsiftError, match=words):
            assert scorer.identity


def test_the_default_time_limit_grows_with_the_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(8000 * 60), 8000)
    (tmp_path / "b.amr").write_bytes(b"#!AMR\n" + bytes(60_000))
    (tmp_path / "lies.wav").write_bytes(b"RIFF....WAVEfmt " + bytes(40))
    # A minute by the header's 16,000 bytes/s; 100 s at 600 bytes/s; and nothing is divided by the zero in a header.
    assert default_limit_s(Call("a", audio=tmp_path / "a.wav")) == pytest.approx(600 + 5 * 60, abs=0.1)
    assert default_limit_s(Call("b", audio=tmp_path / "b.amr")) == pytest.approx(600 + 5 * 100, abs=0.1)
    assert default_limit_s(Call("lies", audio=tmp_path / "lies.wav")) < 601
    assert default_limit_s(Call("text alone")) == 600
    assert default_limit_s(Call("absent", audio=tmp_path / "absent.wav")) == 600
    os.mkfifo(tmp_path / "pipe.wav")
    assert default_limit_s(Call("pipe", audio=tmp_path / "pipe.wav")) == 600


def test_an_engine_that_fails_is_an_error_of_that_call(demo: Path, tmp_path: Path) -> None:
    (call,) = _recordings(demo, tmp_path, [15])
    score = ScorerSpec(find_bundle("starter"), asr="engines:Failing").make().score(call)
    assert score.error is not None
    assert score.error[0] == ErrorCode.ASR_FAILED
    assert "the engine is out of order" in score.error[1]


def _score(text: str, call_id: str = "a") -> tuple[Call, dict[str, object]]:
    call = Call(call_id, turns=(Turn("agent", "hello"), Turn("customer", text)))
    return call, result_row(ScorerSpec(find_bundle("starter"), asr="none").make().score(call))


def _open(path: Path, row: dict[str, object], calls: list[Call], resume: bool) -> ResultFile:
    from callsift.types import ModelInfo

    model = ModelInfo(**row["model"])  # type: ignore[arg-type]
    return ResultFile(path, model=model, settings_sha256=str(row["settings_sha256"]), calls=calls, resume=resume)


def test_resume_keeps_the_rows_of_other_calls(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    (one, first), (other, second) = _score("yes\u2028please"), _score("no", "b")
    file = _open(path, first, [one], resume=False)
    file.add(first)
    file.close()
    file = _open(path, first, [other], resume=True)
    assert not file.done
    file.add(second)
    file.close()
    with path.open(encoding="utf-8") as stream:
        assert [json.loads(line)["call_id"] for line in stream] == ["a", "b"]
    file = _open(path, first, [one, other], resume=True)
    assert set(file.done) == {"a", "b"}
    with pytest.raises(UsageError, match="another callsift"):
        _open(path, first, [one], resume=True)
    file.close()


def _kept(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_resume_scores_a_call_anew_whose_text_has_changed(tmp_path: Path) -> None:
    """Turns of a call without a recording; its label and split are no matter."""
    path = tmp_path / "f.jsonl"
    (one, first), (other, second) = _score("yes please"), _score("no", "b")
    _kept(path, [first, second])
    changed = replace(one, turns=(one.turns[0], Turn("customer", "never")))
    file = _open(path, first, [changed, replace(other, label="A", split="test", group="g")], resume=True)
    file.close()
    assert set(file.done) == {"b"}
    assert [json.loads(line)["call_id"] for line in path.read_text().splitlines()] == ["b"]


@pytest.mark.parametrize("beside", [True, False])
def test_resume_reads_the_transcript_again(demo: Path, tmp_path: Path, beside: bool) -> None:
    audio, transcript = tmp_path / "a.ogg", tmp_path / ("a.txt" if beside else "b.txt")
    audio.write_bytes((demo / "calls/en-07-dental.ogg").read_bytes())
    transcript.write_text("agent: hello\ncustomer: yes please\n")
    call = Call("a", audio=audio, transcript=None if beside else transcript)
    row = result_row(ScorerSpec(find_bundle("starter"), asr="none").make().score(call))
    path = tmp_path / "f.jsonl"
    _kept(path, [row])
    os.utime(transcript)
    file = _open(path, row, [call], resume=True)
    file.close()
    assert set(file.done) == {"a"}, "the time of change alone is no change"
    transcript.write_text("agent: hello\ncustomer: never ever\n")
    file = _open(path, row, [call], resume=True)
    file.close()
    assert not file.done


def test_a_row_of_an_older_version_is_scored_anew(tmp_path: Path) -> None:
    """It does not tell what text it was made from."""
    path = tmp_path / "f.jsonl"
    call, row = _score("yes please")
    _kept(path, [{key: value for key, value in row.items() if key != "call_sha256"}])
    file = _open(path, row, [call], resume=True)
    file.close()
    assert not file.done


def test_half_a_character_is_refused_in_words(tmp_path: Path) -> None:
    _, row = _score("yes \ud83d plan")
    error = row["error"]
    assert isinstance(error, dict)
    assert error["code"] == "bad_transcript"
    assert "holds half of a character" in error["message"]


def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text('{"call_id": "x"}\n')
    call, row = _score("yes")
    with pytest.raises(UsageError, match="line 1: not a result of callsift"):
        _open(path, row, [call], resume=True)
    assert path.read_text() == '{"call_id": "x"}\n'


def test_a_name_in_another_encoding_is_scored_and_printable(demo: Path, tmp_path: Path) -> None:
    name = os.path.join(os.fsencode(tmp_path), "电话.ogg".encode("gb18030"))  # noqa: PTH118 - bytes
    with open(name, "wb") as stream:  # noqa: PTH123
        stream.write((demo / "calls/en-07-dental.ogg").read_bytes())
    (call,) = find_calls([str(tmp_path)]).calls
    score = ScorerSpec(find_bundle("starter"), asr="none").make().score(call)
    assert score.error is None
    json.dumps(result_row(score), ensure_ascii=False).encode("utf-8")
    assert call.call_id.startswith("\\x")


def test_a_silent_recording_with_a_transcript_scores_by_text(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros((80_000, 2)), 8000)
    call = Call("s", audio=tmp_path / "silent.wav", turns=(Turn("agent", "hello"), Turn("customer", "yes please")))
    score = ScorerSpec(find_bundle("starter"), asr="none").make().score(call)
    assert score.error is None
    assert "no_audio" in {note.code for note in score.warnings}
    assert "yes please" in score.segments[0].text


def test_brackets_in_a_transcript_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    from callsift.cli.show import print_table

    _, row = _score("[/b] well [noise]")
    print_table([row])
    assert "[/b] well [noise]" in capsys.readouterr().out


def test_names_that_clash_are_refused(demo: Path, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.wav").write_bytes(b"")
    with pytest.raises(UsageError, match="two calls have the id 'a.wav'"):
        find_calls([str(tmp_path / "x/a.wav"), str(tmp_path / "y/a.wav")])
    assert len(find_calls([str(tmp_path / "x/a.wav"), str(tmp_path / "x/a.wav")]).calls) == 1
