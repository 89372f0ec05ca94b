"""A small run, trained for real on a few of the shipped calls, and the bundle made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from callsift.bundle import Bundle
from callsift.config import TrainConfig, load_train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.training.export import export
from callsift.training.run import Run, load_run, train
from tests.training.sizes import SIZES

SMALL = [
    "name=small",
    *SIZES,
    "fit.epochs=3",
    "fit.batch_calls=4",
    "fit.threads=1",
]


@pytest.fixture(scope="session")
def small_config() -> TrainConfig:
    """Settings of a network small enough for tests."""
    return load_train_config(None, SMALL)


@pytest.fixture(scope="session")
def practice(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve shipped calls: eight to train on, two to validate, two to test; some without audio, no grade only once."""
    calls = read_manifest(demo / "manifest.jsonl").calls[::2]
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    chosen = [
        replace(
            call,
            split=split,
            label="A" if call.label == "B" else call.label,
            audio=None if at % 4 == 1 and call.turns else call.audio,
        )
        for at, (call, split) in enumerate(zip(calls, splits, strict=True))
    ]
    path = tmp_path_factory.mktemp("practice") / "manifest.jsonl"
    write_manifest(path, chosen)
    return path


@pytest.fixture(scope="session")
def few(practice: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four short shipped calls with audio, two to train on, of two grades."""
    calls = [call for call in read_manifest(practice).calls if call.audio is not None][:4]
    given = zip(calls, ("train", "train", "val", "test"), ("A", "D", "A", "D"), strict=True)
    path = tmp_path_factory.mktemp("few") / "manifest.jsonl"
    write_manifest(path, [replace(call, split=split, label=label) for call, split, label in given])
    return path


@pytest.fixture(scope="session")
def run(practice: Path, small_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run."""
    folder = tmp_path_factory.mktemp("run") / "small"
    train(practice, folder, small_config, asr="none")
    return load_run(folder)


@pytest.fixture(scope="session")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The run as a bundle."""
    return export(run, tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture(scope="session")
def pretrained_pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small HuBERT and BERT with random weights, saved as published ones are, tokenizer and all."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    audio = transformers.HubertConfig(
        **small, conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2
    )
    transformers.HubertModel(audio).save_pretrained(folder / "hubert")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789':;,.?!您好我要"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    text = transformers.BertConfig(**small, vocab_size=len(words), max_position_embeddings=256)
    transformers.BertModel(text).save_pretrained(folder / "bert")
    (folder / "bert/vocab.txt").write_text("\n".join(words), "utf-8")
    return {"audio": folder / "hubert", "text": folder / "bert"}
