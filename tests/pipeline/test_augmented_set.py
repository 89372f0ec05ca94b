"""A written set holds the training part with other sounds and words, and nothing else of it changes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callsift.config import AugmentConfig, FrontEnd
from callsift.config.augment import AudioAugment, TextAugment
from callsift.data.manifest import read_manifest
from callsift.errors import DataError
from callsift.files import write_jsonl
from callsift.pipeline import Pipeline
from callsift.pipeline.augmented_set import AugmenterSpec, NotWritten, VariedCall, begin, training_part
from callsift.pipeline.prepared_set import write_prepared
from callsift.pipeline.preparing import PreparerSpec
from callsift.text.tokens import word_tokenizer
from callsift.types import Call, FloatArray
from tests.cli.commands import callsift
from tests.pipeline.voices import RATE_HZ, two_sides

SIDES = np.stack(two_sides(8.0), axis=1)  # (T, 2)
CONFIG = AugmentConfig(audio=AudioAugment(speed=1, noise=1, codec=1, codecs=("ulaw",)), text=TextAugment(misheard=0.5))
SAYS = "what would you like to know about the weather there"


def _spec(folder: Path, config: AugmentConfig = CONFIG, *, redact: bool = False) -> AugmenterSpec:
    return AugmenterSpec(PreparerSpec(FrontEnd(redact=redact), "none", "none"), config, 3, folder)


def _manifest(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for at in range(count):
        soundfile.write(folder / f"{at}.wav", SIDES, RATE_HZ)
        turns = [
            {"role": "agent", "text": SAYS, "start_s": 0.0, "end_s": 1.6, "channel": 0},
            {"role": "customer", "text": SAYS, "start_s": 2.0, "end_s": 3.6, "channel": 1},
            {"role": "agent", "text": "Goodbye.", "start_s": 4.0, "end_s": 5.6, "channel": 0},
        ]
        common = {"group": f"g{at}", "label": "B", "labels": [{"rater": "ann", "label": "A"}], "language": "en"}
        rows.append({"call_id": f"a/{at}", "audio": f"{at}.wav", "turns": turns, "split": "train", **common})
    for split in ("val", "test"):
        rows.append({"call_id": split, "split": split, "label": "A", "turns": [{"role": "agent", "text": SAYS}]})
    write_jsonl(folder / "manifest.jsonl", rows)
    return folder / "manifest.jsonl"


def _written(spec: AugmenterSpec, calls: tuple[Call, ...], number: int = 1) -> dict[str, Call]:
    """A copy, written and read back."""
    pipeline = Pipeline(spec.preparer.front_end, word_tokenizer(), None, "none")
    rows = []
    for call in calls:
        found = spec.write(pipeline, call, (number,))
        assert isinstance(found, VariedCall), found
        rows.append(found.rows[number])
    folder = spec.folder / f"copy-{number}"
    write_prepared(folder, rows, spec.preparer.front_end)
    return {call.call_id: call for call in read_manifest(folder / "manifest.jsonl").calls}


def _hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _samples(path: Path | None) -> FloatArray:
    assert path is not None
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def test_only_sounds_words_and_times_differ(tmp_path: Path) -> None:
    calls = training_part(read_manifest(_manifest(tmp_path)))
    plain = _written(_spec(tmp_path / "plain", AugmentConfig()), calls)
    varied = _written(_spec(tmp_path / "varied"), calls)
    assert list(varied) == ["a/0", "a/1", "a/2"]
    for call_id, before in plain.items():
        after = varied[call_id]
        assert (after.group, after.label, after.labels, after.split) == (
            before.group, before.label, before.labels, before.split,
        )  # fmt: skip
        assert [s.segment_id for s in after.segments] == [s.segment_id for s in before.segments]
        assert len(before.segments) > 1
        sound, original = _samples(after.audio), _samples(before.audio)
        assert sound.shape[1] == 2
        speed = len(original) / len(sound)
        assert abs(speed - 1) > 1e-4
        for old, new in zip(before.segments, after.segments, strict=True):
            assert [(t.role, t.channel) for t in new.turns] == [(t.role, t.channel) for t in old.turns]
            for a, b in zip([old, *old.turns], [new, *new.turns], strict=True):
                assert b.start_s == pytest.approx((a.start_s or 0) / speed, abs=0.002)
                assert b.end_s == pytest.approx((a.end_s or 0) / speed, abs=0.002)
    texts = [[t.text for s in calls[at].segments for t in s.turns] for calls in (plain, varied) for at in calls]
    assert texts[0] != texts[3]


def test_a_copy_is_prepared_into_the_same_segments(tmp_path: Path) -> None:
    calls = training_part(read_manifest(_manifest(tmp_path, 1)))
    (call,) = _written(_spec(tmp_path / "set"), calls).values()
    again = Pipeline(FrontEnd(), word_tokenizer(), None, "none").prepare(call)
    assert again.segments == call.segments


def test_segments_with_recordings_of_their_own(tmp_path: Path) -> None:
    for at in range(2):
        soundfile.write(tmp_path / f"{at}.wav", SIDES[:, 0], RATE_HZ)
    segments = [
        {"segment_id": "x", "audio": "0.wav", "start_s": 1.0, "end_s": 3.0, "label": "A"},
        {"segment_id": "y", "audio": "0.wav", "start_s": 3.0, "end_s": 5.0},
        {"segment_id": "z", "audio": "1.wav", "text": SAYS},
    ]
    write_jsonl(tmp_path / "m.jsonl", [{"call_id": "c", "segments": segments, "label": "A"}])
    (call,) = _written(_spec(tmp_path / "set"), read_manifest(tmp_path / "m.jsonl").calls).values()
    first, second, third = call.segments
    assert (first.segment_id, first.label) == ("x", "A")
    assert first.audio == second.audio != third.audio
    speed = len(SIDES) / len(_samples(first.audio))
    assert len(_samples(third.audio)) == len(_samples(first.audio)) != len(SIDES)
    assert (first.start_s, first.end_s) == pytest.approx((1 / speed, 3 / speed), abs=0.002)


def test_a_call_without_audio_has_its_text_varied_and_its_times_kept(tmp_path: Path) -> None:
    turns = [{"role": "agent", "text": SAYS, "start_s": 1.0, "end_s": 2.0}]
    write_jsonl(tmp_path / "m.jsonl", [{"call_id": "c", "turns": turns, "language": "en"}])
    (call,) = _written(_spec(tmp_path / "set"), read_manifest(tmp_path / "m.jsonl").calls).values()
    (turn,) = call.segments[0].turns
    assert call.audio is None
    assert (turn.start_s, turn.end_s) == (1.0, 2.0)
    assert turn.text != SAYS


def test_what_is_redacted_is_not_heard_in_the_copies(tmp_path: Path) -> None:
    number = "my number is five five five one two three four okay"
    turns = [{"role": "customer", "text": number, "start_s": 2.0, "end_s": 3.6, "channel": 1}]
    soundfile.write(tmp_path / "0.wav", SIDES, RATE_HZ)
    write_jsonl(tmp_path / "m.jsonl", [{"call_id": "c", "audio": "0.wav", "turns": turns, "language": "en"}])
    gain = AugmentConfig(audio=AudioAugment(gain=1))
    spec = _spec(tmp_path / "set", gain, redact=True)
    (call,) = _written(spec, read_manifest(tmp_path / "m.jsonl").calls).values()
    assert not _samples(call.audio)[round(2.2 * RATE_HZ) : round(3.4 * RATE_HZ)].any()
    assert _samples(call.audio)[: 2 * RATE_HZ].any()


def test_a_full_disk_is_said_and_not_taken_for_a_bad_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = training_part(read_manifest(_manifest(tmp_path, 1)))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    found = _spec(tmp_path / "set").write(Pipeline(FrontEnd(), word_tokenizer(), None, "none"), calls[0], (1,))
    assert isinstance(found, NotWritten)
    assert "No space left" in found.message
    assert not [path for path in (tmp_path / "set").rglob("*") if path.is_file()]


def test_what_is_not_installed_is_no_fault_of_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = training_part(read_manifest(_manifest(tmp_path, 1)))
    monkeypatch.setattr(soundfile, "check_format", lambda *_: False)
    found = _spec(tmp_path / "set").write(Pipeline(FrontEnd(), word_tokenizer(), None, "none"), calls[0], (1,))
    assert isinstance(found, NotWritten)
    assert "names 'ulaw', which libsndfile" in found.message


def test_other_settings_or_other_files_are_refused(tmp_path: Path) -> None:
    begin(tmp_path / "set", {"seed": 1, "asr": "none"})
    begin(tmp_path / "set", {"seed": 1, "asr": "none"})
    with pytest.raises(DataError, match=r"other settings \(seed\)"):
        begin(tmp_path / "set", {"seed": 2, "asr": "none"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    with pytest.raises(DataError, match="holds other files"):
        begin(tmp_path / "mine", {"seed": 1})


def test_wrong_splits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    turns = [{"role": "agent", "text": "hello"}]
    for splits, groups, message in (
        (("train", "training"), "ab", "split 'training' is not one of"),
        (("train", "test"), "aa", "group 'a' lies in split"),
        (("val", "test"), "ab", "no call of split 'train'"),
    ):
        rows = [{"call_id": s, "split": s, "group": g, "turns": turns} for s, g in zip(splits, groups, strict=True)]
        write_jsonl(path, rows)
        with pytest.raises(DataError, match=message):
            training_part(read_manifest(path))


def test_killed_and_begun_again_it_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path / "data", 6)
    options = (manifest, "--set", "augment=telephone", "--copies", "2", "--asr", "none", "--diarizer", "none")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-m", "callsift.cli", "augment", *map(str, options), "-o", str(killed)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    journal = killed / "copy-1/.prepared.jsonl"
    while process.poll() is None and not (journal.is_file() and journal.stat().st_size):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with journal.open("a") as stream:
        stream.write('{"key": "cut sh')
    again = callsift("augment", *options, "-o", killed)
    assert again.returncode == 0, again.stderr
    clean = callsift("augment", *options, "-o", whole, "--workers", "2")
    assert clean.returncode == 0, clean.stderr
    assert _hashes(killed) == _hashes(whole)
    assert json.loads((whole / "copy-2/augment.json").read_text())["number"] == 2
    assert {call.call_id for call in read_manifest(whole / "copy-1/manifest.jsonl").calls} == {
        f"a/{n}" for n in range(6)
    }
