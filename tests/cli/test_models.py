"""`callsift models` and `callsift doctor`, through the real command line."""

import os
import subprocess
import sys

import pytest

from callsift.cli.doctor import Probe, look
from tests.cli.commands import here
from tests.hub import local_hub

TOKENS = b"<blk> 0\n"
HUB_ID = "csukuangfj/sherpa-onnx-paraformer-zh-2024-03-09"


@pytest.fixture
def callsift(tmp_path):
    """Runs the command with a models folder of its own."""

    def run(*arguments, **environment):
        given = os.environ | {"CALLSIFT_MODELS": str(tmp_path / "models"), "COLUMNS": "200"} | environment
        command = [sys.executable, "-m", "callsift.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=given)

    return run


@pytest.fixture
def hub():
    with local_hub() as hub:
        hub.repositories[HUB_ID] = {"model.int8.onnx": b"weights" * 1000, "tokens.txt": TOKENS}
        yield hub


def test_list_pull_show(callsift, hub, tmp_path):
    listed = callsift("models", "list")
    assert listed.returncode == 0, listed.stderr
    row = next(line for line in listed.stdout.splitlines() if "paraformer-zh" in line)
    assert row.split()[1:3] == ["-", "sherpa-onnx"]
    assert "227 MB" in row
    pulled = callsift("models", "pull", "paraformer-zh", HF_ENDPOINT=hub.address)
    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stdout.strip() == str(tmp_path / "models" / "paraformer-zh")
    assert "use: callsift score FOLDER --asr sherpa-onnx,model=paraformer-zh" in pulled.stderr
    here = callsift("models", "list", "--here", "--kind", "sherpa-onnx")
    assert "paraformer-zh" in here.stdout
    assert "sense-voice" not in here.stdout
    shown = callsift("models", "show", HUB_ID)
    assert "sha256" in shown.stdout
    assert "FunASR model licence" in shown.stdout
    assert f"folder:    {tmp_path / 'models' / 'paraformer-zh'}\n" in shown.stdout


def test_to_another_folder(callsift, hub, tmp_path):
    pulled = callsift("models", "pull", "paraformer-zh", "--to", tmp_path / "usb", HF_ENDPOINT=hub.address)
    assert pulled.returncode == 0, pulled.stderr
    assert f"--asr sherpa-onnx,model={tmp_path / 'usb' / 'paraformer-zh'}" in pulled.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pull", "nothing"), "no model 'nothing'; known: sense-voice, "),
        (("show", "nothing"), "no model 'nothing'"),
        (("list", "--kind", "asr"), "--kind asr: use one of sherpa-onnx, "),
        (("pull", "sense-voice"), "the hub does not give csukuangfj/sherpa-onnx-sense-voice"),
        (("pull", "paraformer-zh"), "arrived with other content"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(callsift, hub, arguments, message):
    hub.altered["tokens.txt"] = b"?" * len(TOKENS)
    done = callsift("models", *arguments, HF_ENDPOINT=hub.address)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.splitlines()[-1].startswith("callsift: ")
    assert "Traceback" not in done.stderr


def test_without_a_network(callsift):
    for environment in ({"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}):
        done = callsift("models", "pull", "sense-voice", **environment)
        assert done.returncode == 2
        assert "copy its folder to" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("faster-whisper-small", "callsift score FOLDER --asr faster-whisper,model=faster-whisper-small"),
        ("pyannote-segmentation-3.0", "--diarizer sherpa-onnx,segmentation="),
        ("speaker-campplus-zh-en", "sherpa-onnx,segmentation=FILE,embedding="),
        ("chinese-roberta-wwm-ext", "--config mandarin --set network.encoders.text.model="),
        ("xlm-roberta-base", "--config multilingual --set network.encoders.text.model="),
    ],
)
def test_show_says_how_to_use_it(name, use):
    assert use in here("models", "show", name).stdout


def test_doctor(callsift):
    done = callsift("doctor")
    assert done.returncode == 0, done.stderr
    rows = {line.split("  ")[0].strip(): line for line in done.stdout.splitlines()}
    for part in ("callsift", "network (ONNX Runtime)", "audio: AMR", "speech recognition: pocketsphinx"):
        assert " ok " in rows[part]
    assert "callsift models pull sense-voice" in rows["models"]


def test_doctor_says_what_a_part_needs_before_it_works(callsift, hub):
    pytest.importorskip("sherpa_onnx")
    part = "speech recognition: "

    def rows(**environment):
        lines = callsift("doctor", **environment).stdout.splitlines()
        return {line.split("  ")[0].strip(): " ".join(line.split("  ")[1:]).strip() for line in lines}

    before = rows(IFLYTEK_APP_ID="app", IFLYTEK_SECRET_KEY="")
    assert before[part + "http"].startswith("needs")
    assert "--asr http,url=URL" in before[part + "http"]
    assert before[part + "iflytek"].startswith("needs")
    assert "IFLYTEK_SECRET_KEY is not set" in before[part + "iflytek"]
    assert "IFLYTEK_APP_ID" not in before[part + "iflytek"]
    assert before[part + "sherpa-onnx"].startswith("needs")
    assert "installed; no model here: callsift models pull sense-voice" in before[part + "sherpa-onnx"]
    assert before["two voices on one channel: sherpa-onnx"].startswith("needs")
    assert callsift("models", "pull", "paraformer-zh", HF_ENDPOINT=hub.address).returncode == 0
    after = rows(IFLYTEK_APP_ID="app", IFLYTEK_SECRET_KEY="key")
    assert after[part + "sherpa-onnx"].startswith("ok")
    assert after[part + "iflytek"].startswith("ok")


@pytest.mark.parametrize(
    ("code", "state", "detail"),
    [
        ("print('1.2', 'x')", "ok", "1.2 x"),
        ("import nothing_of_that_name", "missing", "get it with: pip install x"),
        ("raise OSError('libfoo.so.1: cannot open')", "broken", "libfoo.so.1"),
        ("import os; os.abort()", "broken", "SIGABRT"),
        ("import os; os._exit(255)", "broken", "exit code 255"),
        ("import time; time.sleep(60)", "broken", "no answer in 1 s"),
    ],
)
def test_a_part_that_crashes_or_hangs_is_one_line(code, state, detail):
    found = look(Probe("part", code, "pip install x"), time_limit_s=1 if "sleep" in code else 60)
    assert found.state == state
    assert detail in found.detail


def test_doctor_has_a_probe_for_every_built_in_part():
    from callsift.cli import doctor
    from callsift.plugins import BUILT_IN

    parts = [probe.part for probe in doctor._probes()]
    for kind in ("asr", "diarizer"):
        for name in BUILT_IN[kind]:
            assert any(part.endswith(f": {name}") for part in parts)
