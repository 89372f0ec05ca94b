"""What a user reads when a pretrained model can't be had, and that loading leaves no trace."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from callsift.errors import ConfigError
from callsift.network.encoders.pretrained import load_pretrained, tokenizer_json
from tests.hugging_face import drop_weight, save_small


@pytest.fixture
def bert(tmp_path: Path) -> str:
    return save_small("bert", tmp_path / "bert")


@pytest.fixture
def hubert(tmp_path: Path) -> str:
    return save_small("hubert", tmp_path / "hubert")


@pytest.mark.parametrize("name", ["someone/no-such-model", "/no/such/folder", "no such model"])
def test_model_that_is_not_there(name: str) -> None:
    for kind in ("audio", "text"):
        with pytest.raises(ConfigError, match=f"network.encoders.{kind}.model '{name}' is neither a folder nor among"):
            load_pretrained(name, kind=kind)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="local_files_only to false to allow its download"):
        tokenizer_json(name)


def test_models_of_another_kind(bert: str, hubert: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a bert model, which doesn't encode a waveform"):
        load_pretrained(bert, kind="audio")
    with pytest.raises(ConfigError, match="is a hubert model, which doesn't encode token ids"):
        load_pretrained(hubert, kind="text")
    for model_type, kind in (("whisper", "audio"), ("bart", "text"), ("vit", "text")):
        folder = tmp_path / model_type
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
        with pytest.raises(ConfigError, match=f"is a {model_type} model, which doesn't encode"):
            load_pretrained(str(folder), kind=kind)  # type: ignore[arg-type]


def test_damaged_models(bert: str, tmp_path: Path) -> None:
    weights = Path(bert) / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="can't be loaded as a Hugging Face model"):
        load_pretrained(bert, kind="text")
    weights.write_bytes(whole)
    drop_weight(Path(bert), "encoder.layer.1.output.dense.weight")
    with pytest.raises(ConfigError, match=r"lacks 1 weights, such as encoder.layer.1.output.dense.weight"):
        load_pretrained(bert, kind="text")
    weights.unlink()
    with pytest.raises(ConfigError, match="can't be loaded as a Hugging Face model: .*no file named"):
        load_pretrained(bert, kind="text")
    (Path(bert) / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="can't be loaded as a Hugging Face model"):
        load_pretrained(bert, kind="text")
    with pytest.raises(ConfigError, match="Unrecognized model"):
        load_pretrained(str(tmp_path), kind="text")


def test_code_of_a_model_is_not_run(bert: str) -> None:
    config = Path(bert) / "config.json"
    settings: dict[str, Any] = json.loads(config.read_text())
    settings |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    config.write_text(json.dumps(settings))
    (Path(bert) / "own.py").write_text("raise SystemExit('ran')\n")
    with pytest.raises(ConfigError, match="can't be loaded as a Hugging Face model"):
        load_pretrained(bert, kind="text")


def test_no_tokenizer(bert: str) -> None:
    with pytest.raises(ConfigError, match="has no tokenizer; put its tokenizer.json beside it"):
        tokenizer_json(bert)


def test_settings_a_model_can_not_take(bert: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="top_k is 3, and .* has 2 layers"):
        load_pretrained(bert, kind="text", train="top-k", top_k=3)
    from transformers import AlbertConfig, AlbertModel

    shape = {"vocab_size": 50, "hidden_size": 16, "embedding_size": 8, "num_attention_heads": 2}
    AlbertModel(AlbertConfig(**shape, num_hidden_layers=2, intermediate_size=24)).save_pretrained(tmp_path)
    for train in ("top-k", "lora"):
        with pytest.raises(ConfigError, match="aren't one list; use train: none or all"):
            load_pretrained(str(tmp_path), kind="text", train=train)  # type: ignore[arg-type]
    shared = load_pretrained(str(tmp_path), kind="text", train="all")
    states, _ = shared(torch.tensor([[3, 4]]), torch.ones(1, 2, dtype=torch.bool))
    assert states.shape == (1, 2, 16)


@pytest.mark.parametrize("package", ["transformers", "peft"])
def test_extra_that_is_not_installed(bert: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf'need.? {package}: pip install "callsift\[train\]"'):
        load_pretrained(bert, kind="text", train="lora")


def test_loading_is_quiet_and_leaves_no_trace(
    bert: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.utils import logging

    drop_weight(Path(bert), "pooler.dense.weight")  # transformers reports what it had to make up
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    try:
        logging.set_verbosity_info()
        logging.enable_progress_bar()
        capfd.readouterr()
        filters = list(warnings.filters)
        load_pretrained(bert, kind="text")
        with pytest.raises(ConfigError):
            load_pretrained(bert, kind="audio")
        assert capfd.readouterr() == ("", "")
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled()
        assert list(warnings.filters) == filters
    finally:
        logging.set_verbosity(before[0])
        (logging.enable_progress_bar if before[1] else logging.disable_progress_bar)()
