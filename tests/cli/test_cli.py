"""The real command line, end to end, with the shipped model."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from callsift.data.manifest import read_manifest, write_manifest
from tests.cli.commands import callsift, here, refusal, rows_of


@pytest.fixture(scope="module")
def mixed_folder(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three good calls with their transcripts, and one of everything that goes wrong."""
    folder = tmp_path_factory.mktemp("mixed")
    folder.chmod(0o755)
    good = folder / "good"
    good.mkdir()
    for stem in ("en-02-home-insurance", "en-07-dental", "zh-08-water-filter"):
        for path in (demo / "calls").glob(f"{stem}.*"):
            shutil.copy(path, good)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("Dear customer, this is not audio.\n" * 50)
    (folder / "random.mp3").write_bytes(np.random.default_rng(1).bytes(50_000))
    (folder / "report.pdf").write_bytes(b"%PDF-1.7\n" + b"0" * 500)
    soundfile.write(folder / "short.wav", np.zeros((1600, 2)), 8000)
    soundfile.write(folder / "silent.wav", np.zeros((80_000, 2)), 8000)
    soundfile.write(folder / "nan.wav", np.full((80_000, 1), np.nan, np.float32), 8000, subtype="FLOAT")
    whole = (demo / "calls/en-05-gym.wav").read_bytes()
    (folder / "truncated.wav").write_bytes(whole[: len(whole) // 2])
    shutil.copy(demo / "calls/en-05-gym.wav", folder / "locked.wav")
    (folder / "locked.wav").chmod(0)
    return folder


EXPECTED = {
    "empty.wav": "empty_file",
    "text.wav": "not_audio",
    "random.mp3": "not_audio",
    "short.wav": "too_short",
    "silent.wav": "no_speech",
    "nan.wav": "bad_samples",
}


def test_a_folder_with_everything_in_it(mixed_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.jsonl"
    done = callsift("score", mixed_folder, "--asr", "none", "--output", output)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    rows = {row["call_id"]: row for row in rows_of(output)}
    for name, code in EXPECTED.items():
        assert rows[name]["error"]["code"] == code
        assert len(rows[name]["error"]["message"]) > 20
        assert rows[name]["grade"] is None
    good = [row for name, row in rows.items() if name.startswith("good/")]
    assert len(good) == 3
    for row in (*good, rows["truncated.wav"]):
        assert row["error"] is None
        assert row["grade"] in "ABCDE"
    assert "truncated" in {note["code"] for note in rows["truncated.wav"]["warnings"]}
    assert "report.pdf" not in rows
    assert "skipped" in done.stderr


def test_an_unreadable_file(mixed_folder: Path) -> None:
    """Root may read every file; that a link leads to itself stops him too."""
    link = mixed_folder / "locked.wav"
    link.unlink()
    link.symlink_to(link.name)
    done = callsift("score", str(link), "--asr", "none")
    assert done.returncode == 1, done.stderr
    row = json.loads(done.stdout)
    assert row["error"]["code"] == "unreadable"
    assert "symbolic link" in row["error"]["message"]


def test_a_result_line_has_every_field(mixed_folder: Path) -> None:
    done = callsift("score", mixed_folder / "good/en-07-dental.ogg")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert list(row) == [
        "schema_version", "call_id", "path", "audio_sha256", "call_sha256", "duration_s", "language", "model",
        "settings_sha256", "grade", "value", "propensity", "rank_score", "probabilities", "segments", "warnings",
        "error",
    ]  # fmt: skip
    assert row["call_id"] == "en-07-dental.ogg"
    assert sum(row["probabilities"]["five"].values()) == pytest.approx(1.0, abs=1e-5)
    five, two = row["probabilities"]["five"], row["probabilities"]["two"]
    assert two["ABC"] == pytest.approx(five["A"] + five["B"] + five["C"], abs=1e-5)
    assert row["propensity"] == two["ABC"]
    for segment in row["segments"]:
        assert set(segment) == {"segment_id", "start_s", "end_s", "speech_s", "text", "contribution"}
        assert "customer" in segment["speech_s"]


def test_resume_scores_only_what_is_missing_and_nothing_is_lost(mixed_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.jsonl"
    assert callsift("score", mixed_folder / "good", "--output", output).returncode == 0
    whole = rows_of(output)
    refused = callsift("score", mixed_folder / "good", "--output", output)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    assert rows_of(output) == whole
    lines = output.read_text("utf-8").splitlines(keepends=True)
    output.write_text(lines[0] + lines[1][:100])  # killed in the middle of a line
    resumed = callsift("score", mixed_folder / "good", "--output", output, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "1 calls are scored already" in resumed.stderr
    assert sorted(rows_of(output), key=str) == sorted(whole, key=str)
    mixed = callsift("score", mixed_folder / "good", "--output", output, "--resume", "--asr", "none")
    assert mixed.returncode == 2
    assert "must not mix" in mixed.stderr
    assert len(rows_of(output)) == 3


def test_two_workers_give_the_same_rows(mixed_folder: Path, tmp_path: Path) -> None:
    for workers in ("1", "2"):
        done = callsift("score", mixed_folder / "good", "--output", tmp_path / f"{workers}.jsonl", "--workers", workers)
        assert done.returncode == 0, done.stderr
    one, two = (sorted(rows_of(tmp_path / f"{workers}.jsonl"), key=str) for workers in ("1", "2"))
    assert one == two


def test_csv_has_one_row_per_call(mixed_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    done = callsift("score", mixed_folder, "--asr", "none", "--output", output)
    assert done.returncode == 1
    with output.open(newline="", encoding="utf-8") as stream:
        rows = {row["call_id"]: row for row in csv.DictReader(stream)}
    assert len(rows) == 11
    assert rows["empty.wav"]["error_code"] == "empty_file"
    good = rows["good/en-07-dental.ogg"]
    assert sum(float(good[f"p_five_{grade}"]) for grade in "ABCDE") == pytest.approx(1.0, abs=1e-5)


def test_demo_writes_table_lines_and_a_page_that_needs_no_network(tmp_path: Path) -> None:
    done = callsift("demo", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "true" in done.stdout
    rows = rows_of(tmp_path / "scores.jsonl")
    assert len(rows) == 24
    assert all(row["error"] is None for row in rows)
    assert all(len(row["segments"]) >= 3 for row in rows)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<details>") == 24
    assert "http" not in page
    assert "src=" not in page


def test_no_torch_and_no_transformers_while_scoring(mixed_folder: Path) -> None:
    code = (
        "import sys; from callsift.cli import app\n"
        f"try: app(['score', {str(mixed_folder / 'good')!r}])\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "found = {'torch', 'transformers', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "absent.wav"], "'absent.wav' does not exist"),
        (["score", "{good}", "--model", "absent"], "callsift export"),
        (["score", "{good}", "--channels", "agent,boss"], "'boss' is not one of agent, customer"),
        (["score", "{good}", "--asr", "absent"], "asr 'absent' is not known. Built in: faster-whisper, http"),
        (["score", "{good}", "--asr", "http"], "asr 'http' needs url: write http,url=VALUE"),
        (["score", "{good}", "--asr", "iflytek"], "the environment variable IFLYTEK_"),
        (["score", "{good}", "--asr", "http,url=http://localhost,retries=@"], "retries is '@', which can't be read"),
        (["score", "{good}", "--diarizer", "absent"], "diarizer 'absent' is not known"),
        (["score", "{good}", "--diarizer", "sherpa-onnx"], "diarizer sherpa-onnx needs segmentation"),
        (["score", "{good}", "--output", "x.txt"], "must end in .jsonl, .csv, .parquet"),
        (["score", "{good}", "--resume"], "--resume needs"),
        (["score", "{good}", "--output", "/proc/absent/x.csv"], "/proc/absent"),
        (["export", "{good}", "-o", "x"], "is not a run"),
        (["train", "{good}", "-o", "x", "--set", "fit.epoks=3"], "unknown key 'fit.epoks'"),
    ],
)
def test_wrong_use_is_one_sentence(mixed_folder: Path, arguments: list[str], message: str) -> None:
    done = refusal(*(argument.format(good=mixed_folder / "good") for argument in arguments))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_without_its_extra_names_it_before_any_work(mixed_folder: Path, tmp_path: Path) -> None:
    done = callsift("score", mixed_folder / "good", "--output", tmp_path / "x.parquet")
    assert done.returncode == 2
    assert "callsift[parquet]" in done.stderr


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"call_id": "a", "audio": "absent.wav"}], "line 1: audio 'absent.wav' does not exist"),
        ([{"call_id": "a", "turns": [{"text": "hi"}], "label": "Z"}], "line 1: label 'Z' is not a grade"),
        ([{"call_id": "a", "turns": [{"text": "hi"}]}] * 2, "line 2: call_id 'a' stands on line 1 already"),
    ],
)
def test_wrong_manifests_name_file_and_line(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = refusal("validate", manifest)
    assert done.returncode == 2
    assert f"{manifest}, {message}" in done.stderr


def test_prepare_then_score_gives_the_same_grades(demo: Path, tmp_path: Path) -> None:
    assert callsift("prepare", demo / "manifest.jsonl", "-o", tmp_path / "set", "--asr", "none").returncode == 0
    for name, source in (("direct", demo / "manifest.jsonl"), ("prepared", tmp_path / "set")):
        done = callsift("score", source, "--asr", "none", "--output", tmp_path / f"{name}.jsonl")
        assert done.returncode == 0, done.stderr
    one, other = (rows_of(tmp_path / f"{name}.jsonl") for name in ("direct", "prepared"))
    for mine, theirs in zip(one, other, strict=True):
        assert mine["call_id"] == theirs["call_id"]
        assert mine["propensity"] == pytest.approx(theirs["propensity"], abs=2e-3)
    write_manifest(tmp_path / "one.jsonl", read_manifest(demo / "manifest.jsonl").calls[:1])
    other_settings = here("prepare", tmp_path / "one.jsonl", "-o", tmp_path / "other", "--set",
                          "front_end.silence=remove", "--asr", "none")  # fmt: skip
    assert other_settings.returncode == 0
    refused = refusal("score", tmp_path / "other")
    assert refused.returncode == 2
    assert "prepared with other settings" in refused.stderr


def test_evaluate_a_bundle(demo: Path, tmp_path: Path) -> None:
    done = callsift("evaluate", "starter", demo / "manifest.jsonl", "--output", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "figures.json").read_text())["results"]["combined"]
    assert found["five"]["calls"] == 24
    assert 0 <= found["five"]["accuracy"]["low"] <= found["five"]["accuracy"]["high"] <= 1


def test_evaluate_hears_as_it_is_told(demo: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path / "some.jsonl", read_manifest(demo / "manifest.jsonl").calls[:6])
    done = here("evaluate", "starter", tmp_path / "some.jsonl", "--asr", "none", "--diarizer", "none", "--output",
                tmp_path / "figures.json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "figures.json").read_text())["made"]["parts"] == {"asr": "none", "diarizer": "none"}
    wrong = refusal("evaluate", "starter", demo / "manifest.jsonl", "--diarizer", "absent")
    assert wrong.returncode == 2
    assert "diarizer 'absent' is not known" in wrong.stderr


def test_another_engine_does_not_go_on_with_an_output(mixed_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.jsonl"
    asr = "http,url=http://127.0.0.1:9,model=x,retries=0,timeout_s=1"
    assert callsift("score", mixed_folder / "good", "--asr", asr, "--output", output).returncode in (0, 1)
    other = callsift("score", mixed_folder / "good", "--asr", asr.replace(":9", ":10"), "--output", output, "--resume")
    assert other.returncode == 2
    assert "Traceback" not in other.stderr


def test_help_teaches() -> None:
    top = callsift("--help")
    assert top.returncode == 0
    for verb in ("demo", "score", "validate", "prepare", "train", "export", "evaluate"):
        assert verb in top.stdout
        assert here(verb, "--help").returncode == 0
