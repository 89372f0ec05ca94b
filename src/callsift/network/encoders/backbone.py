"""A pretrained Transformer as an encoder: what it is asked, whatever its family and whatever of it learns.

HuBERT-base and Wav2Vec2-base normalise their first convolution over time: a segment of 15 s padded to 40 s has
states a third away from its own. So each recording is heard at its own length, those of equal length together.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from callsift.canonical import sha256_of_json

Kind = Literal["audio", "text"]
Layers = Literal["last", "weighted"]


class PretrainedEncoder(nn.Module):
    """A Hugging Face base model as a `StreamEncoder`; made by `callsift.network.encoders.pretrained`.

    What doesn't learn stays in eval mode under `train()`, and so does an audio model's convolution stem always.
    With `layers="weighted"` the states are a learned mean over the embedding and every layer's output, equal
    weights at first, as in SUPERB (Yang et al. 2021).

    Attributes:
        width: D of the states.
        frozen: nothing of the backbone learns; `features` may then be kept.
        max_tokens: the longest text, None without a limit and for audio.
        min_samples: the stem's receptive field; a shorter recording counts as followed by silence. 1 for text.
    """

    def __init__(self, backbone: nn.Module, *, kind: Kind, layers: Layers, learning: Sequence[nn.Module]) -> None:
        """`learning`: the parts of the backbone that follow `train()`; () for a frozen one."""
        super().__init__()
        config: Any = backbone.config
        self.backbone = backbone
        self.kind = kind
        self.width = int(config.hidden_size)
        self.frozen = not learning
        self.min_samples = _receptive_field(config) if kind == "audio" else 1
        self.max_tokens = _max_tokens(backbone) if kind == "text" else None
        self._padding_id = int(getattr(config, "pad_token_id", None) or 0)
        self._learning = tuple(learning)
        count = int(config.num_hidden_layers) + 1
        self.layer_weights = nn.Parameter(torch.zeros(count)) if layers == "weighted" else None
        self.train(self.training)

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """values, mask as in `features` → states (N, L', D), mask (N, L')."""
        return self.from_features(*self.features(values, mask))

    def features(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What the backbone makes of the segments; its frozen part if it is frozen.

        Args:
            values: audio: samples (N, L) or (N, L, 1) float32, normalised; text: token ids (N, T) int64.
            mask: (N, L) or (N, T) bool.

        Returns: features (N, L', D), with weighted layers (N, L', K, D), zeros or garbage where masked, and
        their mask (N, L').

        Raises:
            ValueError: more than one channel, or a text longer than `max_tokens`.
        """
        if self.kind == "audio":
            return self._hear_each(self._one_channel(values), mask)
        if self.max_tokens is not None and values.shape[1] > self.max_tokens:
            raise ValueError(
                f"A text has {values.shape[1]} tokens, this encoder reads {self.max_tokens} at most; "
                f"lower front_end.max_tokens to {self.max_tokens}."
            )
        return self._read(values, mask)

    def from_features(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """features (N, L', [K,] D), mask (N, L') → states (N, L', D), mask (N, L')."""
        if self.layer_weights is None:
            return features, mask
        return torch.einsum("nlkd,k->nld", features, self.layer_weights.softmax(dim=0)), mask

    def whole(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, for segments of one length without padding: no branch depends on the data."""
        if self.kind == "text":
            return self.from_features(*self._read(values, mask))
        features = self._hear(self._one_channel(values))
        return self.from_features(features, mask.any(dim=1, keepdim=True).expand(features.shape[:2]))

    def example(self, segments: int, length: int) -> Tensor:
        """(segments, length, 1) float32 samples, or (segments, length) int64 ids."""
        if self.kind == "audio":
            return torch.zeros(segments, length, 1)
        return torch.full((segments, length), self._padding_id + 1, dtype=torch.int64)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.backbone.eval()
        for part in self._learning:
            part.train(mode)
        if isinstance(stem := getattr(self.backbone, "feature_extractor", None), nn.Module):
            stem.eval()
        return self

    @property
    def config(self) -> dict[str, Any]:
        """The backbone's configuration as JSON values, without what differs from machine to machine."""
        backbone: Any = self.backbone
        found: dict[str, Any] = json.loads(backbone.config.to_json_string(use_diff=False))
        return {key: value for key, value in found.items() if key not in ("_name_or_path", "transformers_version")}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the backbone's configuration and weights, less adapters, and what is kept of its layers.

        Worked out at the first reading: read it before the backbone learns.
        """
        kept = "last" if self.layer_weights is None else "weighted"
        digest = hashlib.sha256(sha256_of_json({"config": self.config, "layers": kept}).encode())
        weights = {name.replace(".base_layer.", "."): weight for name, weight in self.backbone.state_dict().items()}
        for name, weight in sorted(weights.items()):
            if ".lora_" in name:
                continue
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def merged(self) -> PretrainedEncoder:
        """The same encoder with its adapters worked into the weights: a copy, or itself if it has none."""
        if not any(map(_is_adapted, self.backbone.modules())):
            return self
        merged = copy.deepcopy(self)
        for name, module in list(merged.backbone.named_modules()):
            if _is_adapted(module):
                adapted: Any = module
                adapted.merge()
                merged.backbone.set_submodule(name, adapted.get_base_layer())
        return merged

    def _one_channel(self, values: Tensor) -> Tensor:
        """(N, L) or (N, L, 1) → (N, L)."""
        if values.ndim == 3 and values.shape[2] != 1:
            raise ValueError(
                f"A recording has {values.shape[2]} channels, a pretrained audio encoder hears one; set "
                "front_end.channels to 'mix' or 'customer'."
            )
        return values.flatten(1)

    def _hear_each(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """values (N, L), mask (N, L) → features (N, L', [K,] D), mask (N, L')."""
        lengths = mask.sum(dim=1)  # (N,)
        groups = [(lengths == length).nonzero()[:, 0] for length in sorted(set(lengths.tolist()))]
        heard = [self._hear(values[rows][mask[rows]].reshape(len(rows), -1)) for rows in groups if mask[rows].any()]
        if not heard:
            kept = () if self.layer_weights is None else (len(self.layer_weights),)
            return values.new_zeros(len(values), 1, *kept, self.width), mask.new_zeros(len(values), 1)
        if len(heard) < len(groups):  # the first has no sample at all
            heard.insert(0, heard[0].new_zeros(len(groups[0]), 0, *heard[0].shape[2:]))
        longest = max(states.shape[1] for states in heard)
        order = torch.cat(groups).argsort()
        rest = (0, 0) * (heard[0].ndim - 2)
        features = torch.cat([F.pad(states, (*rest, 0, longest - states.shape[1])) for states in heard])
        real = torch.cat([lengths.new_full((len(states),), states.shape[1]) for states in heard])  # (N,)
        found = torch.arange(longest, device=mask.device) < real[:, None]  # (N, L')
        return features[order], found[order]

    def _hear(self, samples: Tensor) -> Tensor:
        """samples (N, L) without padding → features (N, L', [K,] D)."""
        short = torch.sym_max(0, self.min_samples - samples.shape[1])  # type: ignore[no-untyped-call]
        return self._states(input_values=F.pad(samples, (0, short)))

    def _read(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """ids (N, T), mask (N, T) → features (N, T, [K,] D), mask (N, T)."""
        attended = mask | ~mask.any(dim=1, keepdim=True)  # a row of nothing attends to all: finite, and masked
        # RoBERTa counts positions over what is no padding, and ids of padding may be outside the vocabulary.
        ids = ids.masked_fill(~mask, self._padding_id)
        return self._states(input_ids=ids, attention_mask=attended.long()), mask

    def _states(self, **inputs: Tensor) -> Tensor:
        """→ (N, L', D), with weighted layers (N, L', K, D)."""
        found = self.backbone(**inputs, output_hidden_states=self.layer_weights is not None)
        last: Tensor = found.last_hidden_state
        if self.layer_weights is None:
            return last
        # Models with a norm after all layers report the last layer's states from before it.
        return torch.stack([*found.hidden_states[:-1], last], dim=2)


def _receptive_field(config: Any) -> int:
    """Samples that one state of the stem is made of: fewer can't be heard. 400 for all published models."""
    field = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        field = (field - 1) * stride + kernel
    return field


def _max_tokens(backbone: nn.Module) -> int | None:
    """The longest text that has positions; RoBERTa's begin after its padding id."""
    for name, module in backbone.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    limit = getattr(backbone.config, "max_position_embeddings", None)
    return None if limit is None else int(limit)


def _is_adapted(module: nn.Module) -> bool:
    """Whether it is a layer wrapped by peft."""
    return hasattr(module, "get_base_layer") and hasattr(module, "merge")
