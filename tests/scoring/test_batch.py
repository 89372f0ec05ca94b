"""Many calls: results survive crashes of engines, stopped runs and odd names."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callsift.bundle import find_bundle
from callsift.errors import ErrorCode, UsageError
from callsift.scoring.batch import ScorerSpec, score_all
from callsift.scoring.output import ResultFile
from callsift.scoring.scorer import result_row
from callsift.scoring.sources import find_calls
from callsift.types import Call, Turn

sys.path.insert(0, str(Path(__file__).parent))


def _recordings(demo: Path, folder: Path, seconds: list[float]) -> list[Call]:
    """Bare recordings of these lengths, without transcripts."""
    samples, rate_hz = soundfile.read(demo / "calls/en-05-gym.wav", dtype="float32")
    for at, length in enumerate(seconds):
        soundfile.write(folder / f"{at}.wav", samples[: round(length * rate_hz)], rate_hz)
    return list(find_calls([str(folder)]).calls)


def test_a_crash_costs_its_own_call_alone(demo: Path, tmp_path: Path) -> None:
    calls = _recordings(demo, tmp_path, [15, 50, 16, 17, 18, 19])
    spec = ScorerSpec(find_bundle("starter"), asr="engines:Crashing")
    found = {score.call_id: score.error for score in score_all(spec, spec.make(), calls, workers=2)}
    assert set(found) == {call.call_id for call in calls}
    assert {name for name, error in found.items() if error} == {"1.wav"}
    error = found["1.wav"]
    assert error is not None
    assert error[0] == ErrorCode.CRASHED


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
