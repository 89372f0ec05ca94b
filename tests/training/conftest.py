"""A small run, trained for real on a few of the shipped calls, and the bundle made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from callsift.bundle import Bundle
from callsift.config import TrainConfig, load_train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.training.export import export
from callsift.training.run import Run, load_run, train

SMALL = [
    "name=small",
    "network.width=16",
    "network.heads=2",
    "network.feed_forward=16",
    "network.embedding_width=8",
    "network.hidden=8",
    "front_end.tokens.buckets=256",
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
    """A manifest of twelve shipped calls: eight to train on, two to validate, two to test; some without audio."""
    calls = read_manifest(demo / "manifest.jsonl").calls[::2]
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    chosen = [
        replace(call, split=split, **({"audio": None} if at % 4 == 1 and call.turns else {}))
        for at, (call, split) in enumerate(zip(calls, splits, strict=True))
    ]
    path = tmp_path_factory.mktemp("practice") / "manifest.jsonl"
    write_manifest(path, chosen)
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
