"""The optimiser, and a moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from callsift.config import FitConfig


def make_optimizer(network: nn.Module, config: FitConfig) -> torch.optim.AdamW:
    """AdamW over all that learns."""
    return torch.optim.AdamW(_parameter_groups(network, config), lr=config.learning_rate)


def _parameter_groups(network: nn.Module, config: FitConfig) -> list[dict[str, Any]]:
    """Pretrained weights learn at a rate of their own (adapters are new); biases and norms are not decayed."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            pretrained = ".backbone." in name and "lora_" not in name
            groups.setdefault((pretrained, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "base_lr": config.encoder_learning_rate if pretrained else config.learning_rate,
            "weight_decay": config.weight_decay if matrices else 0.0,
        }
        for (pretrained, matrices), parameters in groups.items()
    ]


class Average:
    """An exponential moving average of what learns: average ← d · average + (1 − d) · weights after every step.

    d = min(decay, (1 + n) / (10 + n)) after n steps, so that the start is soon forgotten (as TensorFlow's
    ExponentialMovingAverage has it).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        self.values = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Take in the weights after step number `steps` (from 1)."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(list(self.values.values()), list(self._weights.values()), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network with the average's weights, for the time of a `with`."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, weight in self._weights.items():
            before = weight.clone()
            weight.copy_(self.values[name])
            self.values[name].copy_(before)

    @torch.no_grad()
    def load(self, values: dict[str, Tensor]) -> None:
        """Go on from an average that was stored."""
        for name, value in self.values.items():
            value.copy_(values[name])
