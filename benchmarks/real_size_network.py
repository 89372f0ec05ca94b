"""The network at full size that `benchmarks.real_size` measures, with random weights, and calls of noise for it."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

SHORT = (15, 9, 22)
LONG = (15, 9, 22, 12, 18, 14, 30, 6, 16, 11, 20, 7)
"""Seconds of the segments of both calls that are measured."""
TOKENS_PER_S = 4
VOCABULARY = 21128


def save_models(options: argparse.Namespace) -> dict[str, Any]:
    """HuBERT-base and BERT-base with random weights, saved as published ones are."""
    import torch
    from transformers import BertConfig, BertModel, HubertConfig, HubertModel

    torch.manual_seed(0)
    audio, text = options.work / "hubert-base", options.work / "bert-base"
    if not (audio / "config.json").is_file():
        HubertModel(HubertConfig()).save_pretrained(audio)
    if not (text / "vocab.txt").is_file():
        BertModel(BertConfig(vocab_size=VOCABULARY)).save_pretrained(text)
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + at) for at in range(VOCABULARY - 5))]
        (text / "vocab.txt").write_text("\n".join(words), "utf-8")
    return {}


def _config(options: argparse.Namespace, *settings: str) -> Any:
    from callsift.config import load_train_config

    models = {"audio": options.work / "hubert-base", "text": options.work / "bert-base"}
    paths = [f"network.encoders.{name}.model={path.resolve()}" for name, path in models.items()]
    rate = int(options.rates)
    return load_train_config(
        "paper-marketcalls", [*paths, f"front_end.encoder_rate_hz={rate}", f"fit.threads={options.threads}", *settings]
    )


def real_network(options: argparse.Namespace, *settings: str) -> Any:
    """The preset's network with these encoders, and its configuration."""
    import torch

    from callsift.labels import load_scheme
    from callsift.training.assemble import make_network

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config = _config(options, *settings)
    return make_network(config, load_scheme(config.labels)), config


def count_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """Parameters of each part of the network."""
    network, _ = real_network(options)
    parts = {
        "audio encoder": network.encoders["audio"],
        "text encoder": network.encoders["text"],
        "fusion": network.fusion,
        "context": network.context,
        "heads": network.heads,
    }
    return {f"parameters, {name}": sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


def noise_call(seconds: tuple[int, ...], rate: int) -> Any:
    """A call of segments of these lengths: noise as waveform, a random text of 4 tokens a second."""
    from callsift.types import CallInputs, StreamInput

    random = np.random.default_rng(0)
    segments = []
    for length in seconds:
        waveform = random.standard_normal((length * rate, 1), dtype=np.float32)
        ids = random.integers(5, VOCABULARY, length * TOKENS_PER_S + 2)
        ids[0], ids[-1] = 2, 3
        segments.append({"text": StreamInput(ids), "audio": StreamInput(waveform)})
    return CallInputs("call", tuple(segments))
