"""Checkpoints: one safetensors file each, written atomically, nothing unpickled.

Weights that do not learn (a frozen pretrained encoder's) are not copied into them: they stay where they came from,
and the run keeps their fingerprint.

`best/network.safetensors` holds weights. `last/state.safetensors` holds all that a resumed training needs to
go on exactly: weights, AdamW's moments, the random state, and the progress as JSON in the file's header.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from callsift.errors import DataError
from callsift.files import atomic_writer

_RANDOM = "random_state"


def save_weights(path: Path, network: nn.Module, about: dict[str, Any]) -> None:
    """Write the network's weights; `about` goes into the header."""
    _write(path, kept_weights(network), about)


def load_weights(path: Path, network: nn.Module) -> dict[str, Any]:
    """Read weights into the network and give back what stands in the header.

    Raises:
        DataError: no such file, damaged, or of another network.
    """
    tensors, about = _read(path)
    _put_back(network, tensors, path)
    return about


def save_state(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, progress: dict[str, Any]) -> None:
    """Write everything that a resumed training needs."""
    tensors = {f"network.{name}": value for name, value in kept_weights(network).items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value.clone() for name, value in moments.items()}
    tensors[_RANDOM] = torch.get_rng_state()
    _write(path, tensors, progress)


def load_state(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Put network, optimizer and random state back; the progress is returned.

    Raises:
        DataError: damaged, or of another network.
    """
    tensors, progress = _read(path)
    weights = {name.removeprefix("network."): v for name, v in tensors.items() if name.startswith("network.")}
    _put_back(network, weights, path)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, moment = name.split(".")
            state.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors[_RANDOM])
    return progress


def kept_weights(network: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint holds: all that learns, and buffers; each in memory of its own, as safetensors wants it."""
    fixed = _fixed(network)
    state = network.state_dict()
    return {name: state[name].detach().cpu().clone().contiguous() for name in state if name not in fixed}


def _fixed(network: nn.Module) -> set[str]:
    """What does not learn: fixed parameters, and the buffers of modules whose parameters are all fixed."""
    fixed = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    for path, module in network.named_modules():
        own = [parameter.requires_grad for parameter in module.parameters()]
        if own and not any(own):
            fixed |= {f"{path}.{name}" for name, _ in module.named_buffers()}
    return fixed


def _put_back(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    try:
        missing, unknown = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise DataError(f"holds weights of another network; train into a new folder: {error}", path) from error
    fixed = _fixed(network)
    if unknown or set(missing) - fixed:
        raise DataError(
            f"holds weights of another network; train into a new folder. Unknown: {sorted(unknown)[:3]}, "
            f"missing: {sorted(set(missing) - fixed)[:3]}",
            path,
        )


def _write(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    with atomic_writer(path, "wb") as stream:
        stream.write(save(tensors, {"about": json.dumps(about)}))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as stored:
            about = json.loads((stored.metadata() or {}).get("about", "{}"))
            return {name: stored.get_tensor(name) for name in stored.keys()}, about  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(f"is no checkpoint, or damaged: {error}", path) from error
