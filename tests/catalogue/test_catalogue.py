"""The list of models, and finding one by name."""

import re

import pytest

from callsift.catalogue import (
    KINDS,
    find_entry,
    known_models,
    model_file,
    model_folder,
    models_folder,
    pulled,
    write_record,
)
from callsift.errors import UsageError


def test_every_entry_can_be_told_apart_and_fetched():
    names = [entry.name for entry in known_models()]
    assert len(set(names)) == len(names)
    for entry in known_models():
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.hub_id)
        assert re.fullmatch(r"[\w.-]+", entry.name), "a name is a folder's name"
        assert entry.kind in KINDS
        assert entry.size_mb > 0
        assert entry.files
        assert entry.languages
        assert entry.licence
        assert entry.about


def test_presets_name_models_that_can_be_pulled():
    """What a shipped configuration trains with is in the catalogue."""
    from callsift.config import load_train_config

    for preset in ("mandarin", "english", "multilingual"):
        for encoder in load_train_config(preset, ()).network.encoders.values():
            assert find_entry(encoder.model) is not None, encoder.model


def test_by_name_and_by_hub_id():
    entry = find_entry("sense-voice")
    assert entry is find_entry(entry.hub_id)
    assert find_entry("csukuangfj/speaker-embedding-models") is None, "two models come from there"
    assert find_entry("nothing") is None


def test_where_models_lie(monkeypatch, tmp_path):
    monkeypatch.setenv("CALLSIFT_MODELS", "~/mine")
    assert models_folder().name == "mine"
    assert models_folder().is_absolute()
    monkeypatch.delenv("CALLSIFT_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models_folder() == tmp_path / "callsift" / "models"


def test_a_path_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("CALLSIFT_MODELS", str(tmp_path / "none"))
    assert model_folder(str(tmp_path)) == tmp_path
    with pytest.raises(UsageError, match="segmentation=nowhere: no such folder or model"):
        model_folder("nowhere", "segmentation")


def test_a_model_of_one_file(tmp_path, monkeypatch):
    monkeypatch.setenv("CALLSIFT_MODELS", str(tmp_path))
    own = tmp_path / "own.onnx"
    own.write_bytes(b"")
    assert model_file(str(own), "segmentation") == own
    entry = find_entry("pyannote-segmentation-3.0")
    with pytest.raises(UsageError, match="callsift models pull pyannote-segmentation-3.0"):
        model_file(entry.name, "segmentation")
    folder = tmp_path / entry.name
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"x")
    write_record(folder, entry, "0" * 40, {"model.onnx": ""})
    assert model_file(entry.name, "segmentation") == folder / "model.onnx"
    assert pulled(entry.name) == pulled(entry.hub_id) == str(folder)
    assert pulled("roberta-base") == "roberta-base", "not pulled"
    with pytest.raises(UsageError, match="is a folder; name its .onnx file"):
        model_file(str(folder), "segmentation")
