"""Checkpoints: one safetensors file each, written atomically, nothing unpickled.

Weights that do not learn (a frozen pretrained encoder's) are not copied into them: they stay where they came from,
and the run keeps their fingerprint.

`best/network.safetensors` holds weights. `last/state.safetensors` holds all that a resumed training needs to
go on exactly: weights, AdamW's moments, the weights' moving average, every process's random state, and the progress
as JSON in the file's header.

The state alone says how far a training is. New best weights are written beside the old ones, then the state that
knows of them, and only then do they take the old ones' place: at whatever instant a training is killed, `best` is
what the state says, or becomes so when it is resumed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from callsift.errors import DataError

_RANDOM = "random_state"


@dataclass(frozen=True, slots=True)
class Stored:
    """What stands in a state besides weights and moments. `random`: one state per process."""

    progress: dict[str, Any]
    random: tuple[Tensor, ...]
    average: dict[str, Tensor] = field(default_factory=dict)


def sweep(folder: Path) -> None:
    """Remove what a killed training had half written: the hidden files in a folder of checkpoints."""
    for path in folder.glob("*/.*"):
        path.unlink(missing_ok=True)


class BestWeights:
    """The weights of the kept epoch so far."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "network.safetensors"
        self._next = folder / "next.safetensors"

    def propose(self, network: nn.Module, about: dict[str, Any]) -> None:
        """Write new best weights; they count once they are settled."""
        save_weights(self._next, network, about)

    def settle(self, epoch: int) -> None:
        """After the state was written (or read): the best epoch is `epoch`, from 1; 0 for none yet.

        Raises:
            DataError: the weights of that epoch are missing.
        """
        if self._next.is_file():
            if _about(self._next).get("epoch") == epoch:
                self._next.replace(self.file)
            else:  # of an epoch that the state knows nothing of: it is learned again
                self._next.unlink()
        if epoch and (not self.file.is_file() or _about(self.file).get("epoch") != epoch):
            raise DataError(f"does not hold the weights of the kept epoch, {epoch}; train into a new folder", self.file)


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


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a file by name.

    Raises:
        DataError: no such file, or damaged.
    """
    return _read(path)[0]


def save_state(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
    *,
    random: Sequence[Tensor] = (),
    average: dict[str, Tensor] | None = None,
) -> None:
    """Write everything that a resumed training needs.

    `random`: what `random_state` gave in every process; without, this process's. `average`: of the weights.
    """
    tensors = {f"network.{name}": value for name, value in kept_weights(network).items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value.detach().cpu() for name, value in moments.items()}
    tensors |= {f"average.{name}": value.cpu() for name, value in (average or {}).items()}
    tensors |= {f"{_RANDOM}.{rank}": value.cpu() for rank, value in enumerate(random or [random_state()])}
    _write(path, tensors, progress)


def load_state(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> Stored:
    """Put weights and moments back; the rest is returned. The random state is left to `set_random_state`.

    Raises:
        DataError: damaged, of another network, or of an older callsift.
    """
    tensors, progress = _read(path)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = value
    if _RANDOM not in parts or "position" not in progress:
        raise DataError("is no state of a training, or one of an older callsift; train into a new folder", path)
    _put_back(network, parts.get("network", {}), path)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in parts.get("optimizer", {}).items():
        number, moment = name.split(".")
        state.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    random = tuple(parts[_RANDOM][str(rank)] for rank in range(len(parts[_RANDOM])))
    return Stored(progress, random, parts.get("average", {}))


def random_state() -> Tensor:
    """This process's random state, (bytes,) uint8: torch's on the CPU, followed by the GPU's where it is in use."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states.append(torch.cuda.get_rng_state())
    return torch.cat(states)


def set_random_state(state: Tensor) -> None:
    """Go on drawing from where `random_state` was taken."""
    size = len(torch.get_rng_state())
    torch.set_rng_state(state[:size].clone())
    if len(state) > size and torch.cuda.is_available():
        torch.cuda.set_rng_state(state[size:].clone())


def kept_weights(network: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint holds: all that learns, and buffers; each in memory of its own, as safetensors wants it.

    They share memory with the network where they can: write them before it learns on.
    """
    fixed = fixed_weights(network)
    seen: set[int] = set()
    kept: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if name not in fixed:
            found = value.detach().cpu().contiguous()
            memory = found.untyped_storage().data_ptr()
            kept[name] = found.clone() if memory in seen else found
            seen.add(memory)
    return kept


def fixed_weights(network: nn.Module) -> set[str]:
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
    fixed = fixed_weights(network)
    if unknown or set(missing) - fixed:
        raise DataError(
            f"holds weights of another network; train into a new folder. Unknown: {sorted(unknown)[:3]}, "
            f"missing: {sorted(set(missing) - fixed)[:3]}",
            path,
        )


def _write(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """As `callsift.files.atomic_writer`, but straight from the tensors: they need not fit into memory twice."""
    part = path.with_name(f".{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.touch()
        mode = part.stat().st_mode  # as new files have it; safetensors puts a private one into the place
        save_file(tensors, part, {"about": json.dumps(about)})
        part.chmod(mode)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise DataError(f"can't be written: {error}; make room, and go on with --resume", path) from error


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(f"is no checkpoint, or damaged: {error}", path) from error
    return tensors, _about(path)


def _about(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as stored:
            found: dict[str, Any] = json.loads((stored.metadata() or {}).get("about", "{}"))
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise DataError(f"is no checkpoint, or damaged: {error}", path) from error
    return found
