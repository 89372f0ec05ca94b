"""Getting models from a hub on this machine, which does what hubs do wrong."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from callsift.catalogue import find_entry, folder_of, model_folder, models_folder, read_record
from callsift.catalogue.pull import pull_model
from callsift.errors import UsageError
from tests.hub import REVISION, local_hub

NAME = "paraformer-zh"
WEIGHTS = bytes(range(256)) * 3000
TOKENS = b"<blk> 0\n"


@pytest.fixture
def entry(monkeypatch, tmp_path):
    monkeypatch.setenv("CALLSIFT_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    return find_entry(NAME)


@pytest.fixture
def hub(entry):
    with local_hub() as hub:
        hub.repositories[entry.hub_id] = {"model.int8.onnx": WEIGHTS, "tokens.txt": TOKENS, "model.onnx": WEIGHTS * 2}
        yield hub


def asked_for(hub, name):
    return [row for row in hub.requests if row[0] == "GET" and row[1].endswith(name)]


def test_only_the_files_it_needs_and_a_record_of_them(hub, entry):
    assert folder_of(entry) is None
    folder = pull_model(entry, endpoint=hub.address)
    assert folder == models_folder() / NAME == folder_of(entry) == model_folder(NAME) == model_folder(entry.hub_id)
    assert sorted(path.name for path in folder.iterdir()) == ["callsift-model.json", "model.int8.onnx", "tokens.txt"]
    assert (folder / "model.int8.onnx").read_bytes() == WEIGHTS
    record = json.loads((folder / "callsift-model.json").read_text())
    assert record["revision"] == REVISION
    assert record["files"]["model.int8.onnx"] == {"size": 768000, "sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    assert record["files"]["tokens.txt"] == {"size": 8, "sha256": hashlib.sha256(TOKENS).hexdigest()}
    assert sorted(path.name for path in models_folder().iterdir()) == [NAME], "nothing is left beside it"


def test_a_model_that_is_here_is_not_asked_for_again(hub, entry):
    pull_model(entry, endpoint=hub.address)
    hub.requests.clear()
    pull_model(entry, endpoint=hub.address)
    assert hub.requests == []


def test_to_another_folder(hub, entry, tmp_path):
    folder = pull_model(entry, tmp_path / "usb", endpoint=hub.address)
    assert folder == tmp_path / "usb" / NAME
    assert folder_of(entry) is None
    (models_folder()).mkdir(parents=True)
    folder.rename(models_folder() / NAME)
    assert folder_of(entry) is not None, "a copied folder is a pulled model"


@pytest.mark.parametrize("name", ["model.int8.onnx", "tokens.txt"])
def test_other_content_of_the_same_size_is_refused(hub, entry, name):
    """A large file is known by its SHA-256, a small one by git's hash."""
    announced = hub.repositories[entry.hub_id][name]
    hub.altered[name] = b"?" + announced[1:]
    with pytest.raises(UsageError, match=f"{name} arrived with other content than the hub says"):
        pull_model(entry, endpoint=hub.address)
    assert folder_of(entry) is None
    hub.altered.clear()
    assert (pull_model(entry, endpoint=hub.address) / name).read_bytes() == announced


def test_a_file_cut_short_is_refused(hub, entry):
    hub.altered["model.int8.onnx"] = WEIGHTS[:-1]
    with pytest.raises(UsageError, match="could not be fetched"):
        pull_model(entry, endpoint=hub.address)
    assert folder_of(entry) is None
    hub.altered.clear()
    assert (pull_model(entry, endpoint=hub.address) / "model.int8.onnx").read_bytes() == WEIGHTS


def test_a_dropped_connection_is_taken_up_where_it_broke(hub, entry):
    hub.breaks_at["model.int8.onnx"] = (200_000, 1)
    folder = pull_model(entry, endpoint=hub.address)
    assert (folder / "model.int8.onnx").read_bytes() == WEIGHTS
    assert [asked for *_, asked in asked_for(hub, "model.int8.onnx")] == ["", "bytes=200000-"]


def test_a_connection_that_never_holds(hub, entry):
    hub.breaks_at["model.int8.onnx"] = (0, 1000)
    with pytest.raises(UsageError, match="could not be fetched .* pull again to go on where it stopped"):
        pull_model(entry, endpoint=hub.address)
    assert folder_of(entry) is None


def test_what_the_hub_does_not_have(hub, entry):
    del hub.repositories[entry.hub_id]["tokens.txt"]
    with pytest.raises(UsageError, match="no longer has tokens.txt"):
        pull_model(entry, endpoint=hub.address)
    hub.repositories.clear()
    with pytest.raises(UsageError, match="the hub does not give csukuangfj/sherpa-onnx-paraformer"):
        pull_model(entry, endpoint=hub.address)


def test_no_network(entry):
    with pytest.raises(UsageError, match=f"HF_ENDPOINT to a mirror .* copy its folder to {models_folder() / NAME}"):
        pull_model(entry, endpoint="http://127.0.0.1:9")


def test_no_room(hub, entry, monkeypatch):
    usage = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr("callsift.catalogue.pull.shutil.disk_usage", lambda path: usage)
    with pytest.raises(UsageError, match="has 0 MB free, the model needs 1 MB; use --to DIR"):
        pull_model(entry, endpoint=hub.address)


def test_a_folder_of_something_else_is_left_alone(hub, entry):
    folder = models_folder() / NAME
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists and is not a complete 'paraformer-zh'; remove it"):
        pull_model(entry, endpoint=hub.address)
    assert (folder / "mine.txt").read_text() == "mine"


def test_a_model_that_lost_a_file_is_not_here(hub, entry):
    folder = pull_model(entry, endpoint=hub.address)
    (folder / "tokens.txt").write_text("")
    assert read_record(folder) is None
    assert folder_of(entry) is None
    with pytest.raises(UsageError, match="not on this machine; get it with: callsift models pull paraformer-zh"):
        model_folder(NAME)


def test_a_killed_pull_is_no_model_and_can_be_gone_on_with(hub, entry):
    large = WEIGHTS * 20  # huggingface_hub writes 10 MB at once
    hub.repositories[entry.hub_id]["model.int8.onnx"] = large
    hub.stalls_at["model.int8.onnx"] = 11_000_000
    command = [sys.executable, "-m", "callsift.cli", "models", "pull", NAME]
    pulling = subprocess.Popen(command, env=os.environ | {"HF_ENDPOINT": hub.address}, stderr=subprocess.DEVNULL)
    try:
        partial = models_folder() / f".{NAME}.part"
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size >= 10_000_000 for path in partial.rglob("model*")):
            assert time.monotonic() < deadline
            assert pulling.poll() is None
    finally:
        pulling.send_signal(signal.SIGKILL)
        pulling.wait()
    assert folder_of(entry) is None
    hub.stalls_at.clear()
    hub.go_on.set()
    hub.requests.clear()
    assert (pull_model(entry, endpoint=hub.address) / "model.int8.onnx").read_bytes() == large
    assert asked_for(hub, "model.int8.onnx")[0][2].startswith("bytes="), "not from the start"
