"""One call after another: what results depend on, and whose fault an error is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import soundfile

from callsift.bundle import find_bundle, load_bundle
from callsift.errors import ErrorCode, UsageError
from callsift.pipeline import role_spans
from callsift.plugins import Diarization
from callsift.scoring.evidence import segment_evidence
from callsift.scoring.scorer import Scorer
from callsift.types import Call, PreparedCall, Segment, Signal, Span, Turn


class Engine:
    """Hears nothing, by whatever model."""

    name, languages = "engine", ()

    def __init__(self, model: str = "", language: str = "", url: str = "") -> None:
        self.model = Path(model).name


class OneVoice:
    """A diarizer that tells nobody apart, by whatever file."""

    name = "one-voice"

    def __init__(self, file: str = "") -> None:
        pass

    def diarize(self, samples: Signal, rate_hz: int, speech: Sequence[Span]) -> Diarization:
        raise UsageError("one-voice can't use its file. Give another.")


def _scorer(asr: str | None = "none", diarizer: str | None = None) -> Scorer:
    return Scorer.from_bundle(load_bundle(find_bundle("starter")), asr=asr, diarizer=diarizer)


def test_results_of_different_engines_are_told_apart() -> None:
    """An --output begun with one of them can't be gone on with by another."""
    here = f"{__name__}:"
    settings = [
        (None, None),
        ("none", None),
        ("none", "none"),
        ("none", f"{here}OneVoice,file=a"),
        ("none", f"{here}OneVoice,file=b"),
        (f"{here}Engine,model=a/model", None),
        (f"{here}Engine,model=b/model", None),
        (f"{here}Engine,model=a/model,language=zh", None),
        (f"{here}Engine,url=http://a", None),
        (f"{here}Engine,url=http://b", None),
    ]
    hashes = [_scorer(*each).settings_sha256 for each in settings]
    assert len(set(hashes)) == len(settings)


def test_the_defaults_by_name_are_the_defaults() -> None:
    assert _scorer("pocketsphinx", "clustering").settings_sha256 == _scorer(None, None).settings_sha256


def test_no_diarizer_is_none_whatever_the_bundle_says() -> None:
    scorer = _scorer(diarizer="none")
    assert scorer.pipeline.front_end.diarizer == "clustering"
    assert scorer.pipeline.diarizer_name == "none"


def test_a_part_that_is_set_up_wrongly_is_not_the_transcripts_fault(demo: Path, tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(demo / "calls/en-05-gym.wav", always_2d=True)
    soundfile.write(tmp_path / "mono.wav", samples.mean(axis=1), rate_hz)  # two voices on one channel
    score = _scorer(diarizer=f"{__name__}:OneVoice").score(Call("a", audio=tmp_path / "mono.wav"))
    assert score.error == (ErrorCode.INTERNAL, "one-voice can't use its file. Give another.")


def test_a_wrong_transcript_is(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    score = _scorer().score(Call("a", transcript=tmp_path / "a.json"))
    assert score.error is not None
    assert score.error[0] == ErrorCode.BAD_TRANSCRIPT


def test_who_speaks_when_is_worked_out_once_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes through all turns: once per segment, a call of four hours took half a minute."""
    asked = []
    monkeypatch.setattr(
        "callsift.scoring.evidence.role_spans", lambda prepared: asked.append(prepared) or role_spans(prepared)
    )
    turns = [Turn("agent" if at % 2 else "customer", "hi", at, at + 0.9, channel=0) for at in range(20)]
    segments = tuple(Segment(str(at), (turn,), at, at + 0.9) for at, turn in enumerate(turns))
    speech = (tuple(Span(at, at + 0.9) for at in range(20)),)
    prepared = PreparedCall(Call("long"), segments, None, None, None, speech=speech, channels={0: "unknown"})
    found = segment_evidence(prepared, [None] * 20, {})
    assert len(asked) == 1
    assert found[1].speech_s == pytest.approx({"agent": 0.9, "customer": 0.0})
